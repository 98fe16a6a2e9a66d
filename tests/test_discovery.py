"""Discovery: all charts together in their own threads, on a real disk, from a LAN's answer to producers and back."""

import json
import queue
import threading

import pytest

from mirosd.alone import SilentLan
from mirosd.backends.files import DiskFileStore
from mirosd.core.addresses import amqp_url
from mirosd.core.settings import LanSettings
from mirosd.discovery import Discovery
from mirosd.names import SystemNames
from mirosd.payloads import PeerAlien, PeerHeard, PeerSign
from mirosd.signals import Private
from tests.charts.fakes import STAGES, FakeBoard, FakeLan, FakeProber, introduction, node_of
from tests.lab.waiting import until

DEADLINE_S = 30.0
SETTINGS = LanSettings(arp_timeout_s=0.1)


class ProvingProber(FakeProber):
    """Proves every host at once."""

    def probe(self, host, post):
        probe = super().probe(host, post)
        probe.connect = lambda: probe.complete("", introduction(host), STAGES)
        return probe


@pytest.fixture
def discover(tmp_path):
    """Start discoveries in one state directory, one after the other."""
    files, running = DiskFileStore(), []

    def make(lan, lan_settings=SETTINGS):
        for before in running:
            before.stop()
        items = queue.Queue(maxsize=1)
        made = Discovery(
            prober=ProvingProber(),
            lan=lan,
            lan_settings=lan_settings,
            files=files,
            board=FakeBoard(),
            names=SystemNames("test"),
            producers=items,
            wake=lambda: None,
            retire=lambda node: None,
            hosts_file=str(tmp_path / "listed.json"),
            local_hosts_file=str(tmp_path / "hosts.json"),
            lan_cache_file=str(tmp_path / "lan_cache.json"),
            peer_port=5672,
            url_of=amqp_url,
            peers_file=str(tmp_path / "peers.json"),
            aliens="allow",
            wall_s=lambda: 1e9,
        )
        made.start()
        running.append(made)
        return made, items

    yield make
    for each in running:
        each.stop()
    files.close()


def given(items):
    """The addresses of the next producers."""
    return items.get(timeout=DEADLINE_S).ip_addresses


def shown(discovery):
    """The board of its charts."""
    return discovery.lan._board


def cached(tmp_path):
    return json.loads((tmp_path / "lan_cache.json").read_text())["addresses"]


def is_complete(discovery, number):
    recces = shown(discovery).recces
    return bool(recces) and recces[-1].number >= number and recces[-1].is_complete


def test_from_an_answer_to_producers_to_the_cache_and_to_the_next_start(discover, tmp_path):
    """Searched and found; cached; asked first and found again at the next start, which searches nobody."""
    lan = FakeLan()
    discovery, items = discover(lan)
    until(lambda: lan.searches)
    lan.answer("10.0.0.7")
    assert ("10.0.0.7",) == given(items)
    until(lambda: cached(tmp_path) == ["10.0.0.7"])
    until(lambda: is_complete(discovery, 1))

    lan = FakeLan()
    _, items = discover(lan)
    until(lambda: lan.asked)
    assert ([["10.0.0.7"]], []) == (lan.asked, lan.searches)
    lan.answer("10.0.0.7")
    assert ("10.0.0.7",) == given(items)


def test_people_may_search_name_hosts_and_flush(discover, tmp_path):
    """As mirosctl does."""
    lan = FakeLan()
    discovery, items = discover(lan)
    until(lambda: is_complete(discovery, 1))
    lan.answer("10.0.0.7")
    assert ("10.0.0.7",) == given(items)
    discovery.sight(("10.0.0.8",))
    discovery.recce()
    until(lambda: is_complete(discovery, 2))
    assert [["10.0.0.8"], ["10.0.0.8", "10.0.0.7"]] == [lan.asked[-1], lan.searches[-1]]
    discovery.flush_cache()
    until(lambda: is_complete(discovery, 3))
    until(lambda: cached(tmp_path) == ["10.0.0.7"])


def test_a_silent_lan_ends_its_searches_and_aliens_are_found_all_the_same(discover):
    """`discovery.lan.enabled: false`: nobody is asked, nobody answers, and who speaks to us is proved."""
    discovery, items = discover(SilentLan())
    until(lambda: is_complete(discovery, 1))
    discovery.post_peer(Private.peer_heard, PeerHeard(introduction("10.0.0.7"), 1))
    discovery.post_peer(Private.peer_alien, PeerAlien(introduction("10.0.0.7"), ("10.0.0.7:5672",)))

    assert ("10.0.0.7",) == given(items)
    until(lambda: [row.sources for row in shown(discovery).rows] == [("alien",)])


def test_whom_people_forgot_the_lan_is_not_searched_for(discover):
    """Now, and at the next start: the search hears of it before anybody answers."""
    lan = FakeLan()
    discovery, items = discover(lan)
    until(lambda: is_complete(discovery, 1))
    lan.answer("10.0.0.7")
    assert ("10.0.0.7",) == given(items)
    discovery.forget(node_of("10.0.0.7"))
    until(lambda: discovery.lan_recce.candidates.is_forgotten(node_of("10.0.0.7")))
    until(lambda: not discovery.lan_recce.candidates.of)

    lan = FakeLan()
    discovery, _ = discover(lan)
    until(lambda: discovery.lan_recce.candidates.is_forgotten(node_of("10.0.0.7")))
    lan.answer("10.0.0.7")
    discovery.recce()
    until(lambda: is_complete(discovery, 1))
    assert [] == [known for known in discovery.lan_recce.candidates.of.values() if known.claimed or known.is_proved]


def test_stopping_ends_every_chart(discover):
    """Their threads are gone, whatever was under way (D49)."""
    discovery, _ = discover(FakeLan())
    charts = [*discovery._who_answer, *discovery._who_ask]
    discovery.post_peer(Private.peer_left, PeerSign(node_of("10.0.0.7")))
    discovery.stop()

    assert [False] * len(charts) == [chart.thread.is_alive() for chart in charts]
    assert [0] * len(charts) == [chart.faults for chart in charts]
    assert not {chart.thread for chart in charts} & set(threading.enumerate())
