"""The peers of a daemon in the hands of a test: signs and verdicts in, rows and PEER_GONE out."""

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.peer import PeerChart
from mirosd.core.peer_memory import parse_peers
from mirosd.payloads import (
    AMQPConsumerCheckPayload,
    ConnectionDiscoveryPayload,
    HostsListedPayload,
    PeerAlien,
    PeerGossip,
    PeerHeard,
    PeerSign,
)
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import threadless
from tests.charts.fakes import STAGES, FakeBoard, FakeFileStore, introduction, node_of

DECISIONS = "/var/lib/mirosd/peers.json"


class PeerPlay:
    """The peers of a daemon, as the bridge and the scouts would tell of them, with the file of people's decisions."""

    def __init__(self, *listed, aliens="allow", files=None):
        self.board = FakeBoard()
        self.files = files or FakeFileStore()
        self.standings = []
        self.chart = PeerChart(
            self.board,
            memory_path=DECISIONS,
            aliens=aliens,
            wall_s=lambda: self.files.now_s,
            on_standing=lambda *nodes: self.standings.append(nodes),
        )
        self.play = threadless(self.chart)
        file = CacheFileChart(DECISIONS, self.files, parse=parse_peers, dice=lambda: 0.5)
        threadless(file, self.play.reactor, self.play.bus)
        file.start()
        self.chart.start()
        self.play.drain()
        self.sequence = 0
        if listed:
            self.list(*listed)

    def publish(self, signal, payload):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.play.drain()

    def list(self, *hosts):
        self.publish(Public.HOSTS_LISTED, HostsListedPayload(hosts))

    def check(self, host, code="", who=None):
        who = None if code else who or introduction(host)
        payload = AMQPConsumerCheckPayload(host, not code, "rk", "ex", code, STAGES, who)
        self.publish(Public.AMQP_CONSUMER_CHECK, payload)

    def heard(self, host, *, start=1, sequence=None, rtt_ms=None, ahead_s=0.0):
        self.sequence += 1
        who = introduction(host, start=start, ahead_s=ahead_s)
        self.play.tell("peer_heard", PeerHeard(who, sequence or self.sequence, rtt_ms))

    def sign(self, signal, host, **fields):
        self.play.tell(signal, PeerSign(node_of(host), **fields))

    def both_ways(self, host):
        self.check(host)
        self.heard(host)
        self.sign("peer_routed", host)

    def beat(self, host, seconds):
        """Both hear each other every second."""
        for _ in range(seconds):
            self.elapse(1.0)
            self.heard(host)
            self.sign("peer_routed", host)

    def elapse(self, dt_s):
        self.files.now_s += dt_s
        self.play.elapse(dt_s)

    def discover(self, host, source):
        payload = ConnectionDiscoveryPayload((host,), (), "somebody", (introduction(host),), (source,))
        self.publish(Public.CONNECTION_DISCOVERY, payload)

    def alien(self, host, *brokers):
        self.play.tell("peer_alien", PeerAlien(introduction(host), brokers or (host,)))

    def gossip(self, host, *brokers):
        self.play.tell("peer_gossip", PeerGossip(node_of(host), brokers or (host,)))

    def forget(self, host):
        self.chart.forget(node_of(host))
        self.play.drain()

    def allow(self, host):
        self.chart.allow(node_of(host))
        self.play.drain()

    def left(self, host, *, start=1):
        self.sequence += 1
        self.sign("peer_left", host, start=start, sequence=self.sequence)

    @property
    def rows(self):
        return [(row.name or row.address, row.state, row.reason) for row in self.board.rows]

    @property
    def state(self):
        (row,) = self.board.rows
        return row.state, row.reason

    @property
    def timers(self):
        """How many are armed."""
        return sum(timer.fn is not None for _, _, timer in self.play.reactor._timers._heap)

    @property
    def gone(self):
        return self.said(Public.PEER_GONE)

    @property
    def sighted(self):
        return [(payload.source, payload.addresses) for payload in self.said(Public.HOSTS_SIGHTED)]

    @property
    def forgotten(self):
        return [payload.nodes for payload in self.said(Public.NODES_FORGOTTEN)]

    def said(self, signal):
        return [event.payload for event in self.play.published if event.signal == signal]
