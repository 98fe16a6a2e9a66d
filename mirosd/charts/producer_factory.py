"""Give every newly discovered host its producers.

    producer_discovery -----------------------------------------------------------------------+
    |  ENTRY / subscribe CONNECTION_DISCOVERY, PEER_GONE, PEER_ADRIFT                         |
    |  CONNECTION_DISCOVERY [with new addresses] / remember them; post ips_discovered         |
    |  PEER_GONE / its producers go, its addresses may be discovered again                    |
    |  PEER_ADRIFT / its addresses may be discovered again                                    |
    |  ips_discovered [some wait] -> refactor_producers                                       |
    |  +- post_to_queue -------------------------------------------------------------------+  |
    |  |  CONNECTION_DISCOVERY, PEER_GONE, PEER_ADRIFT / defer      EXIT / recall them all |  |
    |  |  ips_discovered [some wait] -> refactor_producers                                 |  |
    |  |  ready -> producer_discovery                                                      |  |
    |  |  +- refactor_producers --------------------------------------------------------+  |  |
    |  |  |  ENTRY / make the producers; put them on the queue, wake its reader and     |  |  |
    |  |  |          post ready; if the queue is full, arm ips_discovered               |  |  |
    |  |  |  EXIT  / disarm it                                                          |  |  |
    |  |  +-----------------------------------------------------------------------------+  |  |
    |  +-----------------------------------------------------------------------------------+  |
    +-----------------------------------------------------------------------------------------+

Takes:  CONNECTION_DISCOVERY (ConnectionDiscoveryPayload); PEER_GONE, PEER_ADRIFT
        (PeerGonePayload)
Gives:  ProducerQueue items on a queue.Queue, each followed by one call of wake()
Always: nothing that was discovered is lost; an address is in one item alone, until its
        peer is gone or adrift, or another node has proved to be behind it
"""

import queue
import random
from collections.abc import Callable

from mirosd.charts import HANDLED, Engine, Status, state
from mirosd.core.backoff import Dice
from mirosd.core.interfaces import ProducerMaker
from mirosd.names import NETWORKS
from mirosd.payloads import ConnectionDiscoveryPayload, PeerGonePayload, Producer, ProducerQueue
from mirosd.signals import Private, Public
from mirosd_client.shell import Chart, Event
from mirosd_client.wire import Network

RETRY_LEAST_S, RETRY_MOST_S = 0.1, 1.0
"""When the queue is full, another try comes after a random time between these: the seeds' numbers."""


class ProducerFactory:
    """Makes the producers of one network."""

    network: Network

    def __init__(self, maker: ProducerMaker) -> None:
        self._maker = maker

    def make_producer(self, discovery: ConnectionDiscoveryPayload, host: str) -> Producer:
        """Give the producer of this network towards one discovered host."""
        return self._maker.make(self.network, discovery, host)


class MeshProducerFactory(ProducerFactory):
    """Makes the producers that carry events."""

    network = Network.MESH


class SnoopTraceProducerFactory(ProducerFactory):
    """Makes the producers that carry trace lines."""

    network = Network.SNOOP_TRACE


class SnoopSpyProducerFactory(ProducerFactory):
    """Makes the producers that carry spy lines."""

    network = Network.SNOOP_SPY


class ProducerFactoryChart(Chart):
    """Turns discoveries into producers.

    Args:
        producers_queue: of one place; the reader empties it whenever it is woken.
        maker: makes single producers.
        wake: tells the reader that an item is there. Called in this chart's thread.
        retire: tells the reader that nothing is owed to a node any more. Called in this chart's thread.
    """

    def __init__(
        self,
        producers_queue: queue.Queue[ProducerQueue],
        maker: ProducerMaker,
        wake: Callable[[], None],
        *,
        retire: Callable[[str], None] = lambda _node: None,
        dice: Dice = random.random,
        live_trace: bool = False,
        live_spy: bool = False,
    ) -> None:
        super().__init__("producer_factory_chart", instrumented=live_spy)
        self.live_trace, self.live_spy = live_trace, live_spy
        self.set_of_ips: set[tuple[str, str]] = set()  # each with the node behind it
        self.new_ips: dict[str, ConnectionDiscoveryPayload] = {}  # in the order of discovery
        self._queue = producers_queue
        self._mesh = MeshProducerFactory(maker)
        self._snoop_trace = SnoopTraceProducerFactory(maker)
        self._snoop_spy = SnoopSpyProducerFactory(maker)
        self._wake = wake
        self._retire = retire
        self._dice = dice
        self._retry: str | None = None

    def start(self) -> None:
        """Start the chart and its thread."""
        self.start_at(producer_discovery)

    def discover(self, discovery: ConnectionDiscoveryPayload) -> None:
        """Remember the addresses that were not known, or not as this node's."""
        nodes = [who.node for who in discovery.introductions]
        nodes += [""] * (len(discovery.hosts) - len(nodes))
        new = [pair for pair in zip(discovery.hosts, nodes, strict=False) if pair not in self.set_of_ips]
        if new:
            self.set_of_ips.update(new)
            self.new_ips |= {host: discovery for host, _ in new}
            self.post_fifo(Event(signal=Private.ips_discovered))

    def forget(self, gone: PeerGonePayload) -> None:
        """Make no producers that still wait, and let the node's addresses be discovered again."""
        self.set_of_ips = {
            (host, node) for host, node in self.set_of_ips if node != gone.node and host not in gone.hosts
        }
        for host in gone.hosts:
            self.new_ips.pop(host, None)

    def retire(self, node: str) -> None:
        """Have the node's producers taken back."""
        self._retire(node)

    def post_producers(self) -> None:
        """Put the producers of all new addresses on the queue, now or a little later."""
        try:
            self._queue.put_nowait(self._producers())
        except queue.Full:
            wait_s = RETRY_LEAST_S + (RETRY_MOST_S - RETRY_LEAST_S) * self._dice()
            self._retry = self.post_fifo(Event(signal=Private.ips_discovered), period=wait_s, times=1)
            return
        self.new_ips = {}
        self._wake()
        self.post_fifo(Event(signal=Private.ready))

    def disarm_retry(self) -> None:
        """Take the next try back."""
        self.cancel_event(self._retry)

    def recall_all(self) -> None:
        """Give back everything that was deferred, in its order."""
        while self.recall() is not None:  # an Event is false
            pass

    def _producers(self) -> ProducerQueue:
        def make(factory: ProducerFactory) -> tuple[Producer, ...]:
            return tuple(
                factory.make_producer(discovery, host)
                for host, discovery in self.new_ips.items()
                if factory.network in _proved(discovery, host)
            )

        return ProducerQueue(
            make(self._mesh), make(self._snoop_trace), make(self._snoop_spy), ip_addresses=tuple(self.new_ips)
        )


def _proved(discovery: ConnectionDiscoveryPayload, host: str) -> set[Network]:
    """Give the networks whose keys both this host and the discovered one have."""
    who = dict(zip(discovery.hosts, discovery.introductions, strict=False)).get(host)
    return {NETWORKS[name] for name in who.networks} if who is not None else set()


@state
def producer_discovery(factory: ProducerFactoryChart, e: Event) -> Status:
    """Nothing waits to be posted."""
    match e.signal:
        case Engine.ENTRY:
            factory.subscribe(Public.CONNECTION_DISCOVERY)
            factory.subscribe(Public.PEER_GONE)
            factory.subscribe(Public.PEER_ADRIFT)
            return HANDLED
        case Public.CONNECTION_DISCOVERY:
            factory.discover(e.payload)
            return HANDLED
        case Public.PEER_GONE:
            factory.forget(e.payload)
            factory.retire(e.payload.node)
            return HANDLED
        case Public.PEER_ADRIFT:
            factory.forget(e.payload)
            return HANDLED
        case Private.ips_discovered if factory.new_ips:
            return factory.trans(refactor_producers)
    return factory.parent(factory.top)


@state
def post_to_queue(factory: ProducerFactoryChart, e: Event) -> Status:
    """Producers wait for the queue, and what else is discovered waits for them."""
    match e.signal:
        case Public.CONNECTION_DISCOVERY | Public.PEER_GONE | Public.PEER_ADRIFT:
            # The deferred queue holds 500 and would drop the oldest: minutes of discoveries
            # at their highest rate, while the reader empties its queue within milliseconds.
            factory.defer(e)
            return HANDLED
        case Engine.EXIT:
            factory.recall_all()
            return HANDLED
        case Private.ips_discovered if factory.new_ips:
            return factory.trans(refactor_producers)
        case Private.ready:
            return factory.trans(producer_discovery)
    return factory.parent(producer_discovery)


@state
def refactor_producers(factory: ProducerFactoryChart, e: Event) -> Status:
    """A producer per new address and network that it has proved is made, and all are offered to the queue."""
    match e.signal:
        case Engine.ENTRY:
            factory.post_producers()
            return HANDLED
        case Engine.EXIT:
            factory.disarm_retry()
            return HANDLED
    return factory.parent(post_to_queue)
