"""All charts that decide about membership, on one fabric and one clock; disk, probes, LAN and bridge are a test's."""

import queue

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.lan_recce import LanRecceChart
from mirosd.charts.man_net import ManNetChart
from mirosd.charts.peer import PeerChart
from mirosd.charts.peer_life import OWED, PeerLife
from mirosd.charts.producer_factory import ProducerFactoryChart
from mirosd.core.cache_document import hosts_text, parse_hosts
from mirosd.core.peer_memory import parse_peers
from mirosd.discovery import Maker
from mirosd.payloads import ConnectionDiscoveryPayload, PeerAlien, PeerGossip, PeerHeard, PeerSign
from mirosd.signals import Public
from mirosd_client.shell import Alarm, Event
from mirosd_client.shell.testing import ManualReactor, RecordingBus, threadless
from tests.bridge.set_play import SetPlay
from tests.charts.fakes import (
    STAGES,
    FakeBoard,
    FakeFileStore,
    FakeLan,
    FakeProber,
    introduction,
    node_of,
)

LISTED, LOCAL, DECISIONS = "/etc/hosts.json", "/var/hosts.json", "/var/peers.json"
KEYS = ("rk", "ex")


class Bridge(SetPlay):
    """The bridge's producer sets; who is behind which address is what the last proof there said."""

    def __init__(self):
        super().__init__()
        self.items = queue.Queue(maxsize=1)

    def proved(self, host, node):
        """`node` answered at `host`, so nobody else is there now."""
        self.at[host] = {node}

    def wake(self):
        for producer in self.items.get_nowait().mesh_producers:
            self.adopt(producer.node, producer.host)


class Whole:
    """A daemon's charts, all but LanChart, whose part is played by publish_finds()."""

    def __init__(self, *listed, aliens="allow"):
        self.files, self.prober, self.board, self.lan = FakeFileStore(), FakeProber(), FakeBoard(), FakeLan()
        self.reactor, self.bus, self.bridge = ManualReactor(), RecordingBus(), Bridge()
        self.sequence = 0
        self.files.put(LISTED, hosts_text(listed))
        dice = {"dice": lambda: 0.5}
        self.recce = LanRecceChart(*KEYS, lan=self.lan, prober=self.prober, board=self.board, **dice)
        self.peers = PeerChart(self.board, memory_path=DECISIONS, aliens=aliens, wall_s=lambda: self.files.now_s)
        self.net = ManNetChart(*KEYS, LISTED, local_file_path=LOCAL, prober=self.prober, board=self.board, **dice)
        charts = [
            *(CacheFileChart(path, self.files, parse=parse_hosts, **dice) for path in (LISTED, LOCAL)),
            CacheFileChart(DECISIONS, self.files, parse=parse_peers, **dice),
            self.recce,
            self.peers,
            ProducerFactoryChart(self.bridge.items, Maker(), self.bridge.wake, retire=self.bridge.sets.retire, **dice),
            self.net,
        ]
        self.plays = [threadless(chart, self.reactor, self.bus) for chart in charts]
        self.records = next(play for play in self.plays if play.chart is self.peers).records
        self.found = 0
        for chart in charts:
            chart.start()
        self.recce.listen()
        self.settle()

    def settle(self):
        """Run until all is quiet, LanChart's part with it: it publishes what was found."""
        self.reactor.run_ready()
        while len(finds := self.said(Public.LAN_HOST_FOUND)) > self.found:
            find = finds[self.found]
            self.found += 1
            payload = ConnectionDiscoveryPayload(
                (find.ip_address,), (), "lan_chart", (find.introduction,), (find.source,)
            )
            self.publish(Public.CONNECTION_DISCOVERY, payload)

    def publish(self, signal, payload=None):
        self.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.settle()

    def tell(self, signal, payload):
        self.peers.post_fifo(Event(signal=signal, payload=payload))
        self.settle()

    def list(self, *hosts):
        self.files.put(LISTED, hosts_text(hosts))
        self.publish(Public.EVALUATE_HOSTS_FILE)

    def answer_probe(self, host, code="", who=None):
        """The scout that is out for `host`, if one is, has its verdict."""
        probe = self.prober.current.get(host)
        if probe is not None:
            if not code:
                self.bridge.proved(host, node_of(who or host))
            probe.complete(code, None if code else introduction(who or host), STAGES)
            self.settle()

    def heard(self, host, start=1):
        self.sequence += 1
        self.tell("peer_heard", PeerHeard(introduction(host, start=start), self.sequence))

    def sign(self, signal, host, **fields):
        if signal == "peer_link_up":
            self.bridge.up(node_of(host))
        elif signal == "peer_link_down":
            self.bridge.down(node_of(host))
        self.tell(signal, PeerSign(node_of(host), **fields))

    def left(self, host):
        self.sequence += 1
        self.sign("peer_left", host, start=3, sequence=self.sequence)

    def own(self, signal):
        self.tell(signal, PeerSign("", detail="blocked"))

    def alien(self, host, where=None):
        self.tell("peer_alien", PeerAlien(introduction(host), (where or f"{host}:1",)))

    def gossip(self, host):
        self.tell("peer_gossip", PeerGossip(node_of(host), (f"{host}:1",)))

    def lan_answer(self, host):
        self.lan.answer(host, node=node_of(host))
        self.settle()

    def forget(self, host):
        self.peers.forget(node_of(host))
        self.settle()

    def allow(self, host):
        self.peers.allow(node_of(host))
        self.settle()

    def elapse(self, dt_s):
        self.files.now_s += dt_s
        self.reactor.advance(dt_s)
        self.settle()

    def said(self, signal):
        return [event.payload for event in self.bus.published if event.signal == signal]

    def is_proof(self, address):
        """Whether nobody searches at an address, since a proof stands."""
        listed, found = self.net.candidates.get(address), self.recce.candidates.of.get(address)
        return (listed is not None and listed.result) or (found is not None and found.is_proved)

    @property
    def served(self):
        """The host at which each node has producers."""
        return {node: host for host, nodes in self.bridge.where.items() for node in nodes}

    @property
    def lives(self):
        return self.peers.table.lives

    @property
    def owed(self):
        return {node for node, life in self.lives.items() if life.state.fun in OWED}

    @property
    def alarms(self):
        """How many timers of lives are armed."""
        timers = [timer for _, _, timer in self.reactor._timers._heap if timer.fn is not None]
        alarms = [timer.fn.__self__ for timer in timers if isinstance(getattr(timer.fn, "__self__", None), Alarm)]
        return sum(isinstance(alarm._region(), PeerLife) for alarm in alarms)
