"""The charts in their own threads, on the real disk and the real fabric: from a hosts file to producers and back."""

import json
import queue
import threading
import time

import pytest

from mirosd.backends.files import DiskFileStore
from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.man_net import ManNetChart
from mirosd.charts.peer import PeerChart
from mirosd.charts.producer_factory import ProducerFactoryChart
from mirosd.core.cache_document import parse_hosts
from mirosd.core.peer_memory import parse_peers
from mirosd.payloads import PeerGonePayload, PeerHeard, PeerSign
from mirosd.signals import Private, Public
from mirosd_client.shell import Event, Reactor
from tests.charts.fakes import FakeBoard, FakeProber, FakeProducerMaker, introduction, node_of

DEADLINE_S = 30.0


def wait_until(condition):
    """Poll a condition."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.002)


class AnsweringProber(FakeProber):
    """Proves every host but "dead", each from a thread of its own, as the loop would."""

    def __init__(self):
        super().__init__()
        self.threads = []

    def probe(self, host, post):
        probe = super().probe(host, post)
        code = "tcp(refused)" if host == "dead" else ""
        probe.connect = lambda: self._later(lambda: probe.complete(code) if code else probe.connected())
        probe.challenge = lambda: self._later(lambda: probe.complete("", introduction(host)))
        return probe

    def _later(self, work):
        thread = threading.Thread(target=work)
        self.threads.append(thread)
        thread.start()


@pytest.fixture
def stage():
    """What is stopped in the end, in order."""
    ends = []
    yield ends.append
    for end in ends:
        end()


def test_from_a_hosts_file_to_producers_and_back(tmp_path, stage):
    """Listed, proved, given producers, heard, gone, scouted and given producers again; then edited away."""
    listed, local = tmp_path / "listed.json", tmp_path / "local.json"
    listed.write_text(json.dumps({"hosts": ["dead", "h1", "h2"]}))
    reactor, files, board, prober = Reactor(name="test-charts"), DiskFileStore(), FakeBoard(), AnsweringProber()
    items, woken = queue.Queue(maxsize=1), threading.Event()
    net = ManNetChart("rk", "ex", str(listed), local_file_path=str(local), prober=prober, board=board)
    decisions = tmp_path / "peers.json"
    peers = PeerChart(board, memory_path=str(decisions), aliens="allow", wall_s=time.time)
    charts = [
        *(CacheFileChart(str(path), files, parse=parse_hosts) for path in (listed, local)),
        CacheFileChart(str(decisions), files, parse=parse_peers),
        peers,
        ProducerFactoryChart(items, FakeProducerMaker(), woken.set),
        net,
    ]
    for chart in charts:
        chart.reactor = reactor
        stage(chart.stop)
    stage(lambda: [thread.join(DEADLINE_S) for thread in prober.threads])
    stage(files.close)
    stage(lambda: reactor.stop(DEADLINE_S))
    for chart in charts:
        chart.start()

    def tell(signal, payload):
        peers.post_fifo(Event(signal=signal, payload=payload))

    def given():
        hosts = set()
        while len(hosts) < 2:
            hosts.update(items.get(timeout=DEADLINE_S).ip_addresses)
        return hosts

    def states():
        return {row.address: row.state for row in board.rows}

    assert {"h1", "h2"} == given()
    assert woken.is_set()
    for sequence, host in enumerate(("h1", "h2")):
        tell(Private.peer_heard, PeerHeard(introduction(host), sequence))
        tell(Private.peer_routed, PeerSign(node_of(host)))
    wait_until(lambda: states() == {"dead": "scouting", "h1": "alive", "h2": "alive"})

    for host in ("h1", "h2"):
        peers.publish(Event(signal=Public.PEER_GONE, payload=PeerGonePayload(node_of(host), (host,))))
    assert {"h1", "h2"} == given()
    wait_until(lambda: prober.asked("dead") > 2)

    net.add_host("h3")
    assert ("h3",) == items.get(timeout=DEADLINE_S).ip_addresses
    net.remove_host("h3")
    wait_until(lambda: json.loads(local.read_text()) == {"hosts": []})
    assert [0] * len(charts) == [chart.faults for chart in charts]
    assert [0] * len(charts) == [chart.dropped for chart in charts]
