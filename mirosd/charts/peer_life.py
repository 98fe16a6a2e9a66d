"""The life of one peer, as it is seen from here. A region of PeerChart.

    known ------------------------------------------------------------------------------------+
    |  every sign / note it -> the state that it means; so too in owed and in gone, where     |
    |                          they are the source, so that they are left only to move out    |
    |  +- owed: events are kept for it ----------------------------------------------------+  |
    |  |  ENTRY / arm peer_expired     EXIT / disarm peer_silent, peer_expired             |  |
    |  |  peer_silent                               -> the state that it means             |  |
    |  |  peer_expired [a sign came since] / arm it again   [else] -> lost                 |  |
    |  |   alive . one_way_in . one_way_out . suspect . failed                             |  |
    |  +-----------------------------------------------------------------------------------+  |
    |  +- gone: nothing is owed to it any more --------------------------------------------+  |
    |  |  ENTRY / publish PEER_GONE                                                        |  |
    |  |   left . lost                                                                     |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

What a sign means is decided by core.peers from all that was seen, so that no order of
signs can lead to a state that they do not add up to. `lost` is shown as failed.

Takes:  the signs: AMQP_CONSUMER_CHECK (a proof), peer_heard, peer_routed, peer_returned,
        peer_link_up, peer_link_down, peer_left, handed on by PeerChart;
        peer_silent, peer_expired (own timers)
Gives:  PEER_GONE (PeerGonePayload), once each time it goes
Always: at most two timers, and none while it is gone
"""

from collections.abc import Set
from typing import TYPE_CHECKING

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.peers import Seen, is_owed, next_change_s, owed_until_s, peer_row, standing
from mirosd.core.shown import PeerRow
from mirosd.payloads import PeerGonePayload, PeerHeard, PeerSign
from mirosd.signals import Private, Public
from mirosd_client.shell import Alarm, Event, Region

if TYPE_CHECKING:
    from mirosd.charts.peer import PeerChart


class PeerLife(Region):
    """One node. `seen` is what is known of it."""

    owner: "PeerChart"

    def __init__(self, owner: "PeerChart", seen: Seen) -> None:
        super().__init__(owner, seen.introduction.node)
        self.seen = seen
        self._silence: Alarm | None = None
        self._expiry: Alarm | None = None

    @property
    def is_gone(self) -> bool:
        """Nothing is owed to it."""
        return self.state.fun in (left, lost)

    def start(self) -> None:
        """Begin; the first sign follows."""
        self.start_at(known)

    def now_s(self) -> float:
        """Give the time of the monotonic clock."""
        return self.owner.reactor.now()

    def row(self, listed: Set[str]) -> PeerRow:
        """Give its line in the peers table."""
        sources = set(self.seen.sources)
        if self.seen.addresses & listed:
            sources.add("manual")
        if not self.seen.addresses:
            sources.add("alien")  # it has been heard, and nobody has looked for it
        return peer_row(self.seen, standing(self.seen, self.now_s()), sources)

    def take_sign(self, e: Event) -> Status:
        """Note a sign, and go where it leads."""
        return self.settle() if self._note(e) else HANDLED

    def _note(self, e: Event) -> bool:
        """Remember what a sign says; False if it is older than what is known."""
        match e.signal:
            case Public.AMQP_CONSUMER_CHECK:
                self.seen.prove(e.payload.introduction, self.now_s())
            case Private.peer_heard:
                heard: PeerHeard = e.payload
                return self.seen.hear(heard.introduction, heard.sequence, heard.rtt_ms, self.now_s())
            case Private.peer_routed:
                self.seen.routed_s, self.seen.returned = self.now_s(), False
            case Private.peer_returned:
                self.seen.returned = True
            case Private.peer_link_up:
                self.seen.down = ""
            case Private.peer_link_down:
                self.seen.down = e.payload.detail or "lost"
            case Private.peer_left:
                farewell: PeerSign = e.payload
                return self.seen.leave(farewell.start, farewell.sequence)
        return True

    def settle(self) -> Status:
        """Go to the state that everything seen adds up to."""
        self.owner.note_change()
        now_s = self.now_s()
        if not is_owed(self.seen, now_s):
            target = left if self.seen.left else lost
        else:
            target = STATES[standing(self.seen, now_s).state]
            self._arm_silence(now_s)
        return HANDLED if target is self.state.fun else self.trans(target)

    def arm_expiry(self) -> None:
        """Have peer_expired come when nothing will be owed any more, if no sign comes before."""
        self._expiry = self.arm(Event(signal=Private.peer_expired), owed_until_s(self.seen) - self.now_s())

    def disarm_all(self) -> None:
        """Stop both timers."""
        self.disarm(self._silence)
        self.disarm(self._expiry)

    def publish_gone(self) -> None:
        """Say that nothing is owed any more."""
        payload = PeerGonePayload(self.seen.introduction.node, tuple(sorted(self.seen.addresses)))
        self.publish(Event(signal=Public.PEER_GONE, payload=payload))

    def _arm_silence(self, now_s: float) -> None:
        if self._silence is None or not self._silence.is_armed:
            at_s = next_change_s(self.seen, now_s)
            if at_s is not None:
                self._silence = self.arm(Event(signal=Private.peer_silent), at_s - now_s)


SIGNS = frozenset(
    {
        Public.AMQP_CONSUMER_CHECK,
        Private.peer_heard,
        Private.peer_routed,
        Private.peer_returned,
        Private.peer_link_up,
        Private.peer_link_down,
        Private.peer_left,
    }
)


@state
def known(peer: PeerLife, e: Event) -> Status:
    """The node is about to give its first sign."""
    match e.signal:
        case signal if signal in SIGNS:
            return peer.take_sign(e)
    return peer.parent(peer.top)


@state
def owed(peer: PeerLife, e: Event) -> Status:
    """It is in the delivery set."""
    match e.signal:
        case Engine.ENTRY:
            peer.arm_expiry()
            return HANDLED
        case Engine.EXIT:
            peer.disarm_all()
            return HANDLED
        case signal if signal in SIGNS:
            return peer.take_sign(e)
        case Private.peer_silent:
            return peer.settle()
        case Private.peer_expired:
            if is_owed(peer.seen, peer.now_s()):
                peer.arm_expiry()
            return peer.settle()
    return peer.parent(known)


@state
def alive(peer: PeerLife, _e: Event) -> Status:
    """Heard, and reached."""
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
def gone(peer: PeerLife, e: Event) -> Status:
    """It is not in the delivery set."""
    match e.signal:
        case Engine.ENTRY:
            peer.publish_gone()
            return HANDLED
        case signal if signal in SIGNS:
            return peer.take_sign(e)
    return peer.parent(known)


@state
def left(peer: PeerLife, _e: Event) -> Status:
    """It said farewell."""
    return peer.parent(gone)


@state
def lost(peer: PeerLife, _e: Event) -> Status:
    """It failed, too long ago for anything kept to be delivered."""
    return peer.parent(gone)


STATES = {
    "alive": alive,
    "one-way(in)": one_way_in,
    "one-way(out)": one_way_out,
    "suspect": suspect,
    "failed": failed,
}
"""The states in which something is owed, by their names in the peers table."""
