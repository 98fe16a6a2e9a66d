"""Watch over the peers: who is alive, who is gone, what people see of it.

    watching ---------------------------------------------------------------------------------+
    |  ENTRY / subscribe AMQP_CONSUMER_CHECK, CONNECTION_DISCOVERY, HOSTS_LISTED              |
    |  AMQP_CONSUMER_CHECK / a proof: hand it to the node's life; else note the verdict       |
    |  CONNECTION_DISCOVERY / note where the address came from                                |
    |  HOSTS_LISTED / note which addresses have a row whatever becomes of them                |
    |  peer_heard / hand it to the node's life, which begins if it is new                     |
    |  peer_routed, peer_returned, peer_link_up, peer_link_down, peer_left / hand it on       |
    +-----------------------------------------------------------------------------------------+

Each node has a life (charts/peer_life.py), a region of this chart. Addresses that no
node has proved have none, only a row: candidate, scouting(code) or refused(code).

Takes:  AMQP_CONSUMER_CHECK, CONNECTION_DISCOVERY, HOSTS_LISTED; peer_heard (PeerHeard),
        peer_routed, peer_returned, peer_link_up, peer_link_down, peer_left (PeerSign)
Gives:  PEER_GONE (PeerGonePayload), by the lives; the peers table and `clock_skew`, to
        the board, after each step in which they changed
Always: an address belongs to one node at most; a life that is gone is dropped unless one
        of its addresses is listed; without peers no timer runs
"""

from collections.abc import Iterator, Set

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.charts.peer_life import PeerLife
from mirosd.core.peers import SOURCES, Seen, address_row, clock_skew_detail, is_refusal
from mirosd.core.shown import Board, PeerRow
from mirosd.payloads import AMQPConsumerCheckPayload, ConnectionDiscoveryPayload, Introduction
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event


class PeerChart(Chart):
    """All peers of this daemon."""

    def __init__(self, board: Board, *, live_trace: bool = False, live_spy: bool = False) -> None:
        super().__init__("peer_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.lives: dict[str, PeerLife] = {}
        self.listed: tuple[str, ...] = ()
        self._verdicts: dict[str, AMQPConsumerCheckPayload] = {}  # of addresses without a node
        self._board = board
        self._is_stale = False
        self._skew = ""
        self.after_step.append(self._show_changes)

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(watching)

    def note_change(self) -> None:
        """Have the table shown after this step."""
        self._is_stale = True

    def take_check(self, check: AMQPConsumerCheckPayload, e: Event) -> None:
        """Take a scout's verdict: a proof makes an address its node's."""
        self.note_change()
        address, who = check.ip_address, check.introduction
        owner = next((life for life in self.lives.values() if address in life.seen.addresses), None)
        if who is not None:
            self._verdicts.pop(address, None)
            if owner is not None and owner.seen.introduction.node != who.node:
                owner.seen.addresses.discard(address)
            life = self._life_of(who)
            life.seen.addresses.add(address)
            life.seen.stages = check.stages
            life.tell(e)
        elif owner is None or (owner.is_gone and is_refusal(check.code)):
            if owner is not None:
                owner.seen.addresses.discard(address)
            self._verdicts[address] = check
        else:
            owner.seen.stages = check.stages

    def take_discovery(self, discovery: ConnectionDiscoveryPayload) -> None:
        """Note the source of each address that came with an introduction."""
        source = SOURCES.get(discovery.dispatcher, discovery.dispatcher)
        for who in discovery.introductions:
            if who.node in self.lives:
                self.lives[who.node].seen.sources.add(source)
        self.note_change()

    def take_heartbeat(self, who: Introduction, e: Event) -> None:
        """Take a heartbeat, the first sign of some nodes."""
        self._life_of(who).tell(e)

    def _life_of(self, who: Introduction) -> PeerLife:
        life = self.lives.get(who.node)
        if life is None:
            life = self.lives[who.node] = PeerLife(self, Seen(who))
            life.start()
        return life

    def _show_changes(self) -> None:
        if not self._is_stale or len(self.queue):
            return  # nothing to show, or more is coming at once
        self._is_stale = False
        listed = set(self.listed)
        for node, life in list(self.lives.items()):
            if life.is_gone and not life.seen.addresses & listed:
                del self.lives[node]
        self._verdicts = {
            address: check for address, check in self._verdicts.items() if address in listed or is_refusal(check.code)
        }
        self._board.show_peers(sorted(self._rows(listed), key=lambda row: (row.name, row.node, row.address)))
        skew = clock_skew_detail(life.seen.introduction for life in self.lives.values() if not life.is_gone)
        if skew and skew != self._skew:
            self._board.raise_reason("clock_skew", skew)
        elif self._skew and not skew:
            self._board.clear_reason("clock_skew")
        self._skew = skew

    def _rows(self, listed: Set[str]) -> Iterator[PeerRow]:
        proved: set[str] = set()
        for life in self.lives.values():
            proved |= life.seen.addresses
            yield life.row(listed)
        for address in (listed | self._verdicts.keys()) - proved:
            check = self._verdicts.get(address)
            sources = ("manual",) if address in listed else ()
            yield address_row(address, sources, check and check.code, check.stages if check else ())


@state
def watching(peers: PeerChart, e: Event) -> Status:
    """All there is: the lives have the states."""
    match e.signal:
        case Engine.ENTRY:
            for signal in (Public.AMQP_CONSUMER_CHECK, Public.CONNECTION_DISCOVERY, Public.HOSTS_LISTED):
                peers.subscribe(signal)
            return HANDLED
        case Public.AMQP_CONSUMER_CHECK:
            peers.take_check(e.payload, e)
            return HANDLED
        case Public.CONNECTION_DISCOVERY:
            peers.take_discovery(e.payload)
            return HANDLED
        case Public.HOSTS_LISTED:
            peers.listed = e.payload.hosts
            peers.note_change()
            return HANDLED
        case Private.peer_heard:
            peers.take_heartbeat(e.payload.introduction, e)
            return HANDLED
        case (
            Private.peer_routed
            | Private.peer_returned
            | Private.peer_link_up
            | Private.peer_link_down
            | Private.peer_left
        ) if e.payload.node in peers.lives:
            peers.lives[e.payload.node].tell(e)
            return HANDLED
    return peers.parent(peers.top)
