"""All discovery charts, built, started and stopped together."""

import queue
from collections.abc import Callable
from typing import Any

from mirosd.charts.admission import OnStanding
from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.lan import LanChart
from mirosd.charts.lan_recce import LanRecceChart
from mirosd.charts.man_net import ManNetChart
from mirosd.charts.peer import PeerChart
from mirosd.charts.producer_factory import ProducerFactoryChart
from mirosd.core.cache_document import parse_hosts, parse_lan_cache
from mirosd.core.interfaces import FileStore, LanSearch, Prober
from mirosd.core.peer_memory import parse_peers
from mirosd.core.settings import LanSettings
from mirosd.core.shown import Board
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import ConnectionDiscoveryPayload, HostsSightedPayload, Producer, ProducerQueue
from mirosd.signals import Public
from mirosd_client.shell import Chart, Event
from mirosd_client.wire import Network


class Discovery:
    """The charts that find hosts and follow peers.

    Args:
        producers: where ProducerFactoryChart puts producers; wake() tells the reader that some are there.
        retire: told the node that is owed nothing any more. Both are called in a chart's thread.
        hosts_file: the operator's list; local_hosts_file: what `mirosctl hosts` changes.
        lan_cache_file: what was found on the LAN. peer_port: of a broker that is written without one.
        url_of: gives the URL of the broker at a host, as hosts files write it.
        peers_file: what people decided of single nodes; aliens, wall_s, on_standing: as in PeerChart.
        on_listed: as in ManNetChart.
    """

    def __init__(
        self,
        *,
        prober: Prober,
        lan: LanSearch,
        lan_settings: LanSettings,
        files: FileStore,
        board: Board,
        names: SystemNames,
        producers: "queue.Queue[ProducerQueue]",
        wake: Callable[[], None],
        retire: Callable[[str], None],
        hosts_file: str,
        local_hosts_file: str,
        lan_cache_file: str,
        peer_port: int,
        url_of: Callable[[str], str],
        peers_file: str,
        aliens: str,
        wall_s: Callable[[], float],
        on_standing: OnStanding = lambda _known, _allowed, _barred: None,
        on_listed: Callable[[tuple[str, ...]], None] = lambda _hosts: None,
    ) -> None:
        exchange = names.exchanges[Network.MESH]
        self.decisions = CacheFileChart(peers_file, files, parse=parse_peers)
        self.peer = PeerChart(
            board,
            memory_path=peers_file,
            aliens=aliens,
            wall_s=wall_s,
            peer_port=peer_port,
            on_standing=on_standing,
        )
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
            url_of=url_of,
            on_listed=on_listed,
        )
        self.lan_recce = LanRecceChart(
            routing_key="#",
            exchange_name=exchange,
            lan=lan,
            prober=prober,
            board=board,
            arp_timeout_s=lan_settings.arp_timeout_s,
            scout=lan_settings.scout,
            cache_minutes=lan_settings.cache_minutes,
            peer_port=peer_port,
        )
        self.lan_cache = CacheFileChart(lan_cache_file, files, parse=parse_lan_cache)
        self.lan = LanChart(lan_cache_file, board=board, time_out_in_minutes=lan_settings.cache_minutes, url_of=url_of)
        self._who_answer = (
            self.decisions,
            self.hosts,
            self.local_hosts,
            self.lan_cache,
            self.lan_recce,  # before the peers: it hears whom people forgot
            self.peer,
            self.producer_factory,
        )
        self._who_ask = self.lan, self.man_net

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All of them, in the order in which they start."""
        return *self._who_answer, *self._who_ask

    def start(self) -> None:
        """Start those who answer before those who ask."""
        for chart in self._who_answer:
            chart.start()
        self.lan_recce.listen()
        for chart in self._who_ask:
            chart.start()

    def stop(self) -> None:
        """End all charts, those who ask first."""
        for chart in reversed(self.charts):
            chart.stop()

    def evaluate(self) -> None:
        """Have the hosts files read again, and every host that is not proved scouted now. Thread: any."""
        for chart in (self.man_net, self.peer):
            chart.post_fifo(Event(signal=Public.EVALUATE_HOSTS_FILE))

    def recce(self) -> None:
        """Have the LAN searched now, or once more when the search that is on has ended. Thread: any."""
        self.lan_recce.post_fifo(Event(signal=Public.RECCE_LAN))

    def sight(self, hosts: tuple[str, ...]) -> None:
        """Have these hosts asked whether a daemon is there, now and first by the next search. Thread: any."""
        self.lan_recce.post_fifo(Event(signal=Public.HOSTS_SIGHTED, payload=HostsSightedPayload(hosts, "lan")))

    def flush_cache(self) -> None:
        """Have the LAN cache emptied, and the LAN searched. Thread: any."""
        self.lan.post_fifo(Event(signal=Public.LAN_CACHE_FLUSH))

    def forget(self, node: str) -> None:
        """Let go of a node, and ignore it for 24 h unless it is listed. Thread: any."""
        self.peer.forget(node)

    def allow(self, node: str) -> None:
        """Ignore a node no more, and let it in whatever `discovery.aliens` says, for good. Thread: any."""
        self.peer.allow(node)

    def post_peer(self, signal: int, payload: Any) -> None:
        """Tell the peer chart what was seen of a peer. Thread: any."""
        self.peer.post_fifo(Event(signal=signal, payload=payload))


class Maker:
    """Makes producers as the bridge adopts them (interfaces.ProducerMaker)."""

    def make(self, network: Network, discovery: ConnectionDiscoveryPayload, host: str) -> Producer:
        """Give the producer of one network towards one proved host."""
        introduction = discovery.introductions[discovery.hosts.index(host)]
        return Producer(NETWORK_NAMES[network], host, introduction.node, introduction.start)
