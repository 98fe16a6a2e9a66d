"""All discovery charts, built, started and stopped together."""

import queue
from collections.abc import Callable
from typing import Any

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.man_net import ManNetChart
from mirosd.charts.peer import PeerChart
from mirosd.charts.producer_factory import ProducerFactoryChart
from mirosd.core.cache_document import parse_hosts
from mirosd.core.interfaces import FileStore, Prober
from mirosd.core.shown import Board
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import ConnectionDiscoveryPayload, Producer, ProducerQueue
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.wire import Network


class Discovery:
    """The charts that find hosts and follow peers.

    Args:
        producers: where ProducerFactoryChart puts producers; wake() tells the reader that some are there.
        retire: told the node that is owed nothing any more. Both are called in a chart's thread.
        hosts_file: the operator's list; local_hosts_file: what `mirosctl hosts` changes.
    """

    def __init__(
        self,
        *,
        prober: Prober,
        files: FileStore,
        board: Board,
        names: SystemNames,
        producers: "queue.Queue[ProducerQueue]",
        wake: Callable[[], None],
        retire: Callable[[str], None],
        hosts_file: str,
        local_hosts_file: str,
    ) -> None:
        exchange = names.exchanges[Network.MESH]
        self.peer = PeerChart(board)
        self.producer_factory = ProducerFactoryChart(producers, Maker(), wake, retire=retire)
        self.hosts = CacheFileChart(hosts_file, files, parse=parse_hosts)
        self.local_hosts = CacheFileChart(local_hosts_file, files, parse=parse_hosts)
        self.man_net = ManNetChart(
            routing_key="#",
            exchange_name=exchange,
            cache_file_path=hosts_file,
            local_file_path=local_hosts_file,
            prober=prober,
            board=board,
        )

    def start(self) -> None:
        """Start those who answer before those who ask."""
        for chart in (self.peer, self.producer_factory, self.hosts, self.local_hosts, self.man_net):
            chart.start()

    def stop(self) -> None:
        """End all charts, those who ask first."""
        for chart in (self.man_net, self.local_hosts, self.hosts, self.producer_factory, self.peer):
            chart.stop()

    def evaluate(self) -> None:
        """Have the hosts files read again, and every host that is not proved scouted now. Thread: any."""
        self.man_net.post_fifo(Event(signal=Public.EVALUATE_HOSTS_FILE))

    def post_peer(self, signal: int, payload: Any) -> None:
        """Tell the peer chart what was seen of a peer. Thread: any."""
        self.peer.post_fifo(Event(signal=signal, payload=payload))


class Maker:
    """Makes producers as the bridge adopts them (interfaces.ProducerMaker)."""

    def make(self, network: Network, discovery: ConnectionDiscoveryPayload, host: str) -> Producer:
        """Give the producer of one network towards one proved host."""
        introduction = discovery.introductions[discovery.hosts.index(host)]
        return Producer(NETWORK_NAMES[network], host, introduction.node)
