"""Watch over the peers: who is alive, who is gone, who is let in, what people see of it.

    watching ---------------------------------------------------------------------------------+
    |  ENTRY / subscribe; read the file of what people decided                                |
    |  AMQP_CONSUMER_CHECK / a proof: hand it to the node's life; else note the verdict       |
    |  CONNECTION_DISCOVERY, LAN_HOST_FOUND / note the source   LAN_HOST_ANSWERED / show it   |
    |  HOSTS_LISTED / note which addresses have a row whatever becomes of them                |
    |  CACHE [of that file] / take what people decided                                        |
    |  EVALUATE_HOSTS_FILE [the file had a problem] / read it again                           |
    |  peer_heard / hand it to the node's life, which begins if it is new                     |
    |  peer_routed, peer_returned, peer_link_up, peer_link_down, peer_blocked,                |
    |  peer_left / hand it on                                                                 |
    |  peer_alien, peer_gossip / have the node searched, if the policy lets it in             |
    |  peer_forgotten / end its life; ignore it for 24 h      peer_allowed / let it in        |
    |  peer_tombstone_over / ignore it no more                                                |
    |  +- hearing: our own broker brings what others say ----------------------------------+  |
    |  |  peer_own_blocked                                                         -> deaf |  |
    |  +-----------------------------------------------------------------------------------+  |
    |  +- deaf: it does not, so that silence proves nothing -------------------------------+  |
    |  |  ENTRY / stop the clock of all lives    EXIT / let it go on, with 5 s for a sign  |  |
    |  |  peer_own_free                                                         -> hearing |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

Each node has a life (charts/peer_life.py), a region of this chart. Addresses that no
node has proved have none, only a row: candidate, scouting(code) or refused(code).

Takes:  AMQP_CONSUMER_CHECK, CONNECTION_DISCOVERY, LAN_HOST_ANSWERED, LAN_HOST_FOUND,
        HOSTS_LISTED, CACHE, EVALUATE_HOSTS_FILE; peer_heard (PeerHeard), peer_routed, peer_returned,
        peer_link_up, peer_link_down, peer_blocked, peer_left, peer_own_blocked,
        peer_own_free (PeerSign), peer_alien (PeerAlien), peer_gossip (PeerGossip), peer_forgotten,
        peer_allowed (a node's id); peer_tombstone_over (own timer)
Gives:  PEER_GONE, PEER_ADRIFT (PeerGonePayload), by the lives; HOSTS_SIGHTED (HostsSightedPayload);
        NODES_FORGOTTEN (NodesForgottenPayload); CACHE_FILE_READ, CACHE_FILE_WRITE; the
        peers table, `clock_skew` and `peers_file`, to the board, after each step in which
        they changed; who is let in, to on_standing
Always: an address belongs to one node at most; a life that is gone is dropped unless one
        of its addresses is listed; without peers and tombstones no timer runs
"""

from collections.abc import Callable

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.charts.admission import Admission, OnStanding
from mirosd.charts.peer_life import PeerLife
from mirosd.charts.peer_table import PeerTable
from mirosd.core.addresses import AMQP_PORT
from mirosd.core.hearing import DEAFNESS, Hearing
from mirosd.core.peers import Seen
from mirosd.core.shown import Board
from mirosd.core.sightings import MAX_SIGHTINGS
from mirosd.payloads import AMQPConsumerCheckPayload, ConnectionDiscoveryPayload, Introduction, PeerGonePayload
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event

RESTLESS_S = 1.0
"""Heartbeats alone renew the table once in this time: a hundred peers' would make its hundred lines a hundred times."""


class PeerChart(Chart):
    """All peers of this daemon.

    Args:
        memory_path: the file of a CacheFileChart that parses peers (core/peer_memory.py) and was started before.
        aliens: what becomes of nodes that nobody listed or found (settings.discovery.aliens).
        wall_s: seconds since the epoch, for tombstones.
        peer_port: of a broker that is written without one.
        on_standing: told, whenever it changes, which nodes are proved, which people have allowed, and which are kept
            out (quarantined, refused, forgotten). Called in this chart's thread.
    """

    def __init__(
        self,
        board: Board,
        *,
        memory_path: str,
        aliens: str,
        wall_s: Callable[[], float],
        peer_port: int = AMQP_PORT,
        on_standing: OnStanding = lambda _known, _allowed, _barred: None,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__("peer_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.hearing = Hearing()
        self.table = PeerTable(peer_port)
        self.gate = Admission(
            self, self.table, board, memory_path=memory_path, aliens=aliens, wall_s=wall_s, on_standing=on_standing
        )
        self._board = board
        self._is_stale = False
        self._shown_s = float("-inf")
        self.after_step.append(self._show_changes)

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(hearing)

    def forget(self, node: str) -> None:
        """Let go of a node, and ignore it for 24 h. Thread: any."""
        self.post_fifo(Event(signal=Private.peer_forgotten, payload=node))

    def allow(self, node: str) -> None:
        """Ignore a node no more, and let it in for good. Thread: any."""
        self.post_fifo(Event(signal=Private.peer_allowed, payload=node))

    def note_change(self, *, is_restless: bool = False) -> None:
        """Have the table shown after this step; within a second when what has changed does so all the time."""
        if not is_restless or self.reactor.now() - self._shown_s >= RESTLESS_S:
            self._is_stale = True

    # --- what is seen of nodes -------------------------------------------------------

    def take_check(self, check: AMQPConsumerCheckPayload, e: Event) -> None:
        """Take a scout's verdict: a proof makes an address its node's."""
        self.note_change()
        address, who, real_s = check.ip_address, check.introduction, self.reactor.now()
        owner = self.table.owner(address)
        if who is not None:
            if self.gate.is_ignored(who.node, address):
                return
            self.table.verdicts.pop(address, None)
            if owner is not None and owner.seen.introduction.node != who.node:
                owner.seen.move_from(address, real_s)
            life = self._life_of(who)
            life.seen.move_to(address, real_s)
            life.seen.stages = check.stages
            life.tell(e)
            self.table.sightings.drop(who.node)
        else:
            self.table.note_failure(check, owner, real_s)

    def take_discovery(self, discovery: ConnectionDiscoveryPayload) -> None:
        """Note the source of each address that came with an introduction."""
        for n, (who, host) in enumerate(zip(discovery.introductions, discovery.hosts, strict=False)):
            if self.gate.is_ignored(who.node, host):  # it was under way when it was forgotten: nobody else retires it
                self.publish(Event(signal=Public.PEER_GONE, payload=PeerGonePayload(who.node, (host,))))
            elif n < len(discovery.sources):
                self.take_source(who.node, discovery.sources[n])

    def take_source(self, node: str, source: str) -> None:
        """Note that we came by a node in this way too."""
        if node in self.table.lives:
            self.table.lives[node].seen.sources.add(source)
            self.note_change()

    def take_heartbeat(self, who: Introduction, e: Event) -> None:
        """Take a heartbeat, the first sign of some nodes."""
        if self.gate.is_forgotten(who.node):
            return
        if who.node not in self.table.lives and len(self.table.lives) >= MAX_SIGHTINGS:
            self._board.count("aliens_ignored")
            return
        self._life_of(who).tell(e)

    def list_hosts(self, hosts: tuple[str, ...]) -> None:
        """Note the hosts that have a row whatever becomes of them."""
        self.table.listed = frozenset(hosts)
        self.note_change()

    def _life_of(self, who: Introduction) -> PeerLife:
        life = self.table.lives.get(who.node)
        if life is None:
            seen = Seen(who, barred=self.gate.bar(who.node))  # a proof lets it in
            life = self.table.lives[who.node] = PeerLife(self, seen)
            life.start()
        return life

    # --- our own broker --------------------------------------------------------------

    def tell_all(self, e: Event) -> None:
        """Tell every life."""
        for life in list(self.table.lives.values()):
            life.tell(e)
        self.note_change()

    # --- what is shown ---------------------------------------------------------------

    def show_deaf(self, why: str) -> None:
        """Tell people why nobody can be heard; that our own broker is gone is told by the bridge."""
        if why in DEAFNESS:
            self._board.raise_reason("broker_deaf", f"{DEAFNESS[why]}; peers are shown as they were before")
        else:
            self._board.clear_reason("broker_deaf")

    def _show_changes(self) -> None:
        if not self._is_stale or len(self.queue):
            return  # nothing to show, or more is coming at once
        self._is_stale, self._shown_s = False, self.reactor.now()
        self.table.show(self._board, self._shown_s)
        self.gate.tell_standing(self.table.lives)


@state
def watching(peers: PeerChart, e: Event) -> Status:
    """What holds whether we hear or not: the lives have the states."""
    match e.signal:
        case Engine.ENTRY:
            for signal in SUBSCRIBED:
                peers.subscribe(signal)
            peers.gate.read_file()
            return HANDLED
        case Public.AMQP_CONSUMER_CHECK:
            peers.take_check(e.payload, e)
            return HANDLED
        case Public.CONNECTION_DISCOVERY:
            peers.take_discovery(e.payload)
            return HANDLED
        case Public.LAN_HOST_FOUND:
            peers.take_source(e.payload.introduction.node, e.payload.source)
            return HANDLED
        case Public.LAN_HOST_ANSWERED:
            peers.gate.take_answer(e.payload)
            return HANDLED
        case Public.HOSTS_LISTED:
            peers.list_hosts(e.payload.hosts)
            return HANDLED
        case Public.CACHE if e.payload.file_name == peers.gate.path:
            peers.gate.take_file(e.payload)
            return HANDLED
        case Public.EVALUATE_HOSTS_FILE:
            peers.gate.read_again()
            return HANDLED
        case Private.peer_heard:
            peers.take_heartbeat(e.payload.introduction, e)
            return HANDLED
        case signal if signal in SIGNS and e.payload.node in peers.table.lives:
            peers.table.lives[e.payload.node].tell(e)
            return HANDLED
        case Private.peer_alien:
            peers.gate.take_alien(e.payload)
            return HANDLED
        case Private.peer_gossip:
            peers.gate.take_gossip(e.payload)
            return HANDLED
        case Private.peer_forgotten:
            peers.gate.forget(e.payload)
            return HANDLED
        case Private.peer_allowed:
            peers.gate.allow(e.payload)
            return HANDLED
        case Private.peer_tombstone_over:
            peers.gate.end_tombstones()
            return HANDLED
    return peers.parent(peers.top)


@state
def hearing(peers: PeerChart, e: Event) -> Status:
    """Our own broker brings us what others say, or has not said that it does not."""
    match e.signal:
        case Private.peer_own_blocked:
            peers.show_deaf(e.payload.detail)
            return peers.trans(deaf)
    return peers.parent(watching)


@state
def deaf(peers: PeerChart, e: Event) -> Status:
    """Our own broker is blocked, stuck or gone: nobody can be heard, and nobody is accused of silence."""
    match e.signal:
        case Engine.ENTRY:
            peers.hearing.stop(peers.reactor.now())
            peers.tell_all(Event(signal=Private.peer_own_blocked))
            return HANDLED
        case Engine.EXIT:
            peers.hearing.resume(peers.reactor.now())
            peers.show_deaf("")
            peers.tell_all(Event(signal=Private.peer_own_free))
            return HANDLED
        case Private.peer_own_free:
            return peers.trans(hearing)
    return peers.parent(watching)


SUBSCRIBED = (
    Public.AMQP_CONSUMER_CHECK,
    Public.CONNECTION_DISCOVERY,
    Public.LAN_HOST_ANSWERED,
    Public.LAN_HOST_FOUND,
    Public.HOSTS_LISTED,
    Public.CACHE,
    Public.EVALUATE_HOSTS_FILE,
)

SIGNS = frozenset(
    {
        Private.peer_routed,
        Private.peer_returned,
        Private.peer_link_up,
        Private.peer_link_down,
        Private.peer_blocked,
        Private.peer_left,
    }
)
"""What is handed to the life of the node, if it has one."""
