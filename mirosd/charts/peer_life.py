"""The life of one peer, as it is seen from here. A region of PeerChart.

    known ------------------------------------------------------------------------------------+
    |  every sign / note it -> the state that it means; so too in timed, owed and lost, where |
    |                          they are the source, so that they are left only to move out    |
    |  peer_forgotten                                                                 -> lost |
    |  +- timed: its silence is counted ---------------------------------------------------+  |
    |  |  ENTRY / arm peer_expired             EXIT, peer_own_blocked / disarm both timers |  |
    |  |   barred                                                                          |  |
    |  |  +- owed: events are kept for it ----------------------------------------------+  |  |
    |  |  |  ENTRY / arm peer_silent     EXIT / publish PEER_GONE                       |  |  |
    |  |  |   alive (EXIT / count a flap) . one_way_in . one_way_out . suspect . failed |  |  |
    |  |  |   left                                                                      |  |  |
    |  |  +-----------------------------------------------------------------------------+  |  |
    |  +-----------------------------------------------------------------------------------+  |
    |  +- lost: nothing is owed to it any more ---------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

What a sign means is decided by core.peers from all that was seen, so that no order of
signs can lead to a state that they do not add up to. `lost` is shown as failed or left,
`barred` as quarantined or refused. That time has passed is a sign too.

Takes:  the signs: AMQP_CONSUMER_CHECK (a proof), peer_heard, peer_routed, peer_returned,
        peer_link_up, peer_link_down, peer_blocked, peer_left, peer_allowed, peer_own_free,
        handed on by PeerChart; peer_silent, peer_expired (own timers); and peer_own_blocked,
        peer_forgotten
Gives:  PEER_GONE (PeerGonePayload), once each time it goes; PEER_ADRIFT (likewise), once
        each time our link to its broker is lost, or does not get where it was proved since
Always: at most two timers, and none while it is lost, or while nobody can be heard
"""

from collections.abc import Set
from typing import TYPE_CHECKING

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.peer_rows import peer_row
from mirosd.core.peers import Seen, Standing, is_owed, next_change_s, owed_until_s, standing
from mirosd.core.shown import PeerRow
from mirosd.payloads import PeerGonePayload, PeerHeard, PeerSign
from mirosd.signals import Private, Public
from mirosd_client.shell import Alarm, Event, Region, State

if TYPE_CHECKING:
    from mirosd.charts.peer import PeerChart


class PeerLife(Region):
    """One node. `seen` is what is known of it."""

    owner: "PeerChart"

    def __init__(self, owner: "PeerChart", seen: Seen) -> None:
        super().__init__(owner, seen.introduction.node)
        self.seen = seen
        self._is_adrift = False
        self._shown: Standing | None = None
        self._silence: Alarm | None = None
        self._expiry: Alarm | None = None

    @property
    def is_gone(self) -> bool:
        """Nothing is owed to it any more."""
        return self.state.fun is lost

    def start(self) -> None:
        """Begin; the first sign follows."""
        self.start_at(known)

    def now_s(self) -> float:
        """Give the time of the clock of our hearing."""
        return self.owner.hearing.now_s(self.owner.reactor.now())

    def row(self, listed: Set[str]) -> PeerRow:
        """Give its line in the peers table."""
        sources = set(self.seen.sources)
        if self.seen.addresses & listed:
            sources.add("manual")
        if not self.seen.addresses:
            sources.add("alien")  # it has been heard, and nobody has looked for it
        return peer_row(self.seen, self.standing(), sources)

    def standing(self) -> Standing:
        """Give its state and why, by all that was seen."""
        return standing(self.seen, self.now_s(), self.owner.hearing.resumed_s)

    def take_sign(self, e: Event) -> Status:
        """Note a sign, and go where it leads."""
        return self.settle() if self._note(e) else HANDLED

    def _note(self, e: Event) -> bool:
        """Remember what a sign says; False if it is older than what is known."""
        match e.signal:
            case Public.AMQP_CONSUMER_CHECK:
                self.seen.prove(e.payload.introduction, self.now_s())
                self._is_adrift = False  # it may have moved on before our link gets there
            case Private.peer_heard:
                heard: PeerHeard = e.payload
                is_news = self.seen.hear(heard.introduction, heard.sequence, heard.rtt_ms, self.now_s())
                self.seen.shown_s = self.owner.reactor.now() if is_news else self.seen.shown_s
                return is_news
            case Private.peer_routed:
                self.seen.reach(self.now_s())
            case Private.peer_returned:
                self.seen.returned = True
            case Private.peer_link_up:
                self.seen.down, self._is_adrift = "", False
            case Private.peer_link_down:
                self.seen.down = e.payload.detail or "lost"
                self._drift()
            case Private.peer_allowed:
                self.seen.barred = ""
            case Private.peer_expired | Private.peer_own_free:
                if not self.is_gone:
                    self.arm_expiry()
            case Private.peer_blocked:
                self.seen.blocked = e.payload.detail
            case Private.peer_left:
                farewell: PeerSign = e.payload
                return self.seen.leave(farewell.start, farewell.sequence)
        return True

    def settle(self) -> Status:
        """Go to the state that everything seen adds up to."""
        standing = self.standing()
        self.owner.note_change(is_restless=standing == self._shown)
        self._shown = standing
        target = self._target()
        if self.state.fun in OWED:
            self.arm_silence()
        if target is self.state.fun:
            return HANDLED
        self.seen.since_s = self.owner.reactor.now()
        return self.trans(target)

    def _target(self) -> State:
        if is_owed(self.seen, self.now_s()):
            return STATES[self.standing().state]
        return barred if self.seen.barred and self.now_s() < owed_until_s(self.seen) else lost

    def arm_expiry(self) -> None:
        """Have peer_expired come when it will have been silent for too long, if no sign comes before."""
        wait_s = owed_until_s(self.seen) - self.now_s()
        if wait_s > 0 and not self.owner.hearing.is_deaf:
            self.disarm(self._expiry)
            self._expiry = self.arm(Event(signal=Private.peer_expired), wait_s)

    def arm_silence(self) -> None:
        """Have peer_silent come when its state may change by itself."""
        is_armed = self._silence is not None and self._silence.is_armed
        at_s = next_change_s(self.seen, self.now_s(), self.owner.hearing.resumed_s)
        if not (is_armed or at_s is None or self.owner.hearing.is_deaf):
            self._silence = self.arm(Event(signal=Private.peer_silent), at_s - self.now_s())

    def disarm_all(self) -> None:
        """Stop both timers."""
        self.disarm(self._silence)
        self.disarm(self._expiry)

    def _drift(self) -> None:
        """Have its hosts proved again, once for each loss of our link and once after each proof: it may have moved."""
        if not self._is_adrift:
            self._is_adrift = True
            self.say(Public.PEER_ADRIFT)

    def say(self, signal: int) -> None:
        """Publish that it is gone, or adrift, with its hosts."""
        payload = PeerGonePayload(self.seen.introduction.node, tuple(sorted(self.seen.addresses)))
        self.publish(Event(signal=signal, payload=payload))


SIGNS = frozenset(
    {
        Public.AMQP_CONSUMER_CHECK,
        Private.peer_heard,
        Private.peer_routed,
        Private.peer_returned,
        Private.peer_link_up,
        Private.peer_link_down,
        Private.peer_blocked,
        Private.peer_left,
        Private.peer_allowed,
        Private.peer_own_free,
        Private.peer_silent,
        Private.peer_expired,
    }
)


@state
def known(peer: PeerLife, e: Event) -> Status:
    """The node is about to give its first sign."""
    match e.signal:
        case signal if signal in SIGNS:
            return peer.take_sign(e)
        case Private.peer_forgotten:
            return peer.trans(lost)
    return peer.parent(peer.top)


@state
def timed(peer: PeerLife, e: Event) -> Status:
    """It gives signs of life, and may fall silent."""
    match e.signal:
        case Engine.ENTRY:
            peer.arm_expiry()
            return HANDLED
        case Engine.EXIT:
            peer.disarm_all()
            return HANDLED
        case Private.peer_own_blocked:
            peer.disarm_all()
            return HANDLED
        case signal if signal in SIGNS:
            return peer.take_sign(e)
    return peer.parent(known)


@state
def barred(peer: PeerLife, _e: Event) -> Status:
    """An alien that the policy keeps out: nothing is owed to it."""
    return peer.parent(timed)


@state
def owed(peer: PeerLife, e: Event) -> Status:
    """It is in the delivery set."""
    match e.signal:
        case Engine.ENTRY:
            peer.arm_silence()
            return HANDLED
        case Engine.EXIT:
            peer.say(Public.PEER_GONE)
            return HANDLED
        case signal if signal in SIGNS:
            return peer.take_sign(e)
    return peer.parent(timed)


@state
def alive(peer: PeerLife, e: Event) -> Status:
    """Heard, and reached."""
    match e.signal:
        case Engine.EXIT:
            peer.seen.flaps += 1
            return HANDLED
    return peer.parent(owed)


@state
def one_way_in(peer: PeerLife, _e: Event) -> Status:
    """Heard, and not known to be reached."""
    return peer.parent(owed)


@state
def one_way_out(peer: PeerLife, _e: Event) -> Status:
    """Reached, and not heard since it was proved."""
    return peer.parent(owed)


@state
def suspect(peer: PeerLife, _e: Event) -> Status:
    """Our link to its broker is down."""
    return peer.parent(owed)


@state
def failed(peer: PeerLife, _e: Event) -> Status:
    """Crashed, or silent; its queues live on for a while."""
    return peer.parent(owed)


@state
def left(peer: PeerLife, _e: Event) -> Status:
    """It said farewell, for good or to come back at once; its queues live on for a while."""
    return peer.parent(owed)


@state
def lost(peer: PeerLife, e: Event) -> Status:
    """It failed or left, too long ago for anything kept to be delivered; or people let go of it."""
    match e.signal:
        case signal if signal in SIGNS:
            return peer.take_sign(e)
    return peer.parent(known)


STATES = {
    "alive": alive,
    "one-way(in)": one_way_in,
    "one-way(out)": one_way_out,
    "suspect": suspect,
    "failed": failed,
    "left": left,
}
"""The states in which something is owed, by their names in the peers table."""

OWED = frozenset(STATES.values())
