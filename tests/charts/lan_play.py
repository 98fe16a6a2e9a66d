"""The search of the LAN in the hands of a test: answers and verdicts in; questions, finds and rows out."""

from mirosd.charts.lan_recce import LanRecceChart
from mirosd.payloads import AMQPConsumerCheckPayload, HostsSightedPayload, NodesForgottenPayload, PeerGonePayload
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import threadless
from tests.charts.fakes import STAGES, FakeBoard, FakeLan, FakeProber, introduction, node_of

KEYS = ("heya.man", "miros.mesh.exchange")
ARP_S = 1.5

RECCE = [
    (None, "top", "private_search"),
    ("recce_lan", "private_search", "fill_arp_table"),
    ("arp_time_out", "fill_arp_table", "identify_all_ip_addresses"),
    ("ip_addresses_found", "identify_all_ip_addresses", "recce_rabbit_consumers"),
    ("lan_recce_complete", "recce_rabbit_consumers", "private_search"),
]
"""The seeds' trace of a search."""


class ReccePlay:
    """A chart that searches a LAN of the test's, with probes that answer when told. Dice show the middle."""

    def __init__(self, reactor=None, bus=None, **arguments):
        self.lan, self.prober, self.board = FakeLan(), FakeProber(), FakeBoard()
        arguments = {"dice": lambda: 0.5, "arp_timeout_s": ARP_S} | arguments
        self.chart = LanRecceChart(*KEYS, lan=self.lan, prober=self.prober, board=self.board, **arguments)
        self.play = threadless(self.chart, reactor, bus)
        self.chart.start()
        self.chart.listen()
        self.play.drain()

    def publish(self, signal, payload=None):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.play.drain()

    def search(self):
        self.publish(Public.RECCE_LAN)

    def whole_search(self):
        """Begin a search, and let its time for answers pass."""
        self.search()
        self.elapse(ARP_S)

    def answer(self, address, **said):
        self.lan.answer(address, **said)
        self.play.drain()

    def hear(self, address, **said):
        self.lan.hear(address, **said)
        self.play.drain()

    def sight(self, source, *hosts, node=None):
        """An alien is the node of the first of its hosts, if nothing else is said."""
        node = node or (node_of(hosts[0]) if source == "alien" else "")
        self.publish(Public.HOSTS_SIGHTED, HostsSightedPayload(hosts, source, node))

    def gone(self, host):
        self.publish(Public.PEER_GONE, PeerGonePayload(node_of(host), (host,)))

    def forget(self, *hosts):
        self.publish(Public.NODES_FORGOTTEN, NodesForgottenPayload(tuple(map(node_of, hosts))))

    def complete(self, host, code="", who=None):
        self.prober.current[host].complete(code, who or (None if code else introduction(host)), STAGES)
        self.play.drain()

    def check(self, host, code="", keys=KEYS, who=None):
        """A verdict of somebody else's scout."""
        who = None if code else who or introduction(host)
        payload = AMQPConsumerCheckPayload(host, not code, *keys, code, STAGES, who)
        self.publish(Public.AMQP_CONSUMER_CHECK, payload)

    def elapse(self, dt_s):
        self.play.elapse(dt_s)

    def said(self, signal):
        return [event.payload for event in self.play.published if event.signal == signal]

    @property
    def moves(self):
        """Of the chart itself."""
        return [record[1:4] for record in self.play.records if record.chart == "lan_recce_chart"]

    @property
    def found(self):
        return [(found.ip_address, found.source) for found in self.said(Public.LAN_HOST_FOUND)]

    @property
    def completes(self):
        return [payload.other_addresses for payload in self.said(Public.LAN_RECCE_COMPLETE)]

    @property
    def out(self):
        """Who is being scouted."""
        return list(self.chart.party.out)

    @property
    def probed(self):
        """Who was scouted, every time."""
        return [probe.host for probe in self.prober.probes]

    @property
    def asked(self):
        return [host for hosts in self.lan.asked for host in hosts]

    @property
    def timers(self):
        """How many are armed."""
        return sum(timer.fn is not None for _, _, timer in self.play.reactor._timers._heap)

    @property
    def recce(self):
        return self.board.recces[-1]

    @property
    def rows(self):
        return [(row.address, row.neighbour, row.answer, row.name, row.verdict) for row in self.recce.rows]
