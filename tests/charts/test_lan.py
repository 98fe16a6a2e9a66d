"""LanChart: the cache while it is fresh, else a search; what is found is published, and cached without passwords."""

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miros.activeobject import InstrumentionWriter

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.lan import WRITE_AFTER_S, WRITE_AGAIN_S, LanChart, discover_network, read_or_discover_network_details
from mirosd.core.cache_document import lan_cache_text, parse_lan_cache
from mirosd.payloads import (
    CacheWritePayload,
    ConnectionDiscoveryPayload,
    HostsSightedPayload,
    LanHostFoundPayload,
    PeerGonePayload,
    RecceCompletePayload,
)
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import check_structure, threadless
from tests.charts.fakes import FakeBoard, FakeFileStore, introduction, node_of

CACHE = "/var/lib/mirosd/lan_cache.json"
HOST, OTHER = "10.0.0.7", "10.0.0.8:5673"


class Play:
    """The chart and its cache file on a fake disk, whose clock moves with the chart's."""

    def __init__(self, *cached, age_s=60.0, text=None, minutes=30, files=None, start=True, **arguments):
        self.files, self.board = files or FakeFileStore(), FakeBoard()
        if cached or text is not None:
            text = text if text is not None else lan_cache_text(cached, (), time_out_in_minutes=30)
            self.files.files[CACHE] = (text, self.files.now_s - age_s)
        self.chart = LanChart(CACHE, board=self.board, time_out_in_minutes=minutes, **arguments)
        self.play = threadless(self.chart)
        self.file = CacheFileChart(CACHE, self.files, parse=parse_lan_cache, dice=lambda: 0.5)
        threadless(self.file, self.play.reactor, self.play.bus)
        if start:
            self.file.start()
            self.chart.start()
            self.play.drain()

    def publish(self, signal, payload=None):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.play.drain()

    def find(self, *hosts, source="lan"):
        """Hosts that are proved in one moment."""
        for host in hosts:
            found = LanHostFoundPayload(host, introduction(host), source)
            self.play.bus.publish(Event(signal=Public.LAN_HOST_FOUND, payload=found), 1000)
        self.play.drain()

    def complete(self, *hosts):
        self.publish(Public.LAN_RECCE_COMPLETE, RecceCompletePayload(hosts, "10.0.0.1"))

    def gone(self, host):
        self.publish(Public.PEER_GONE, PeerGonePayload(node_of(host), (host,)))

    def elapse(self, dt_s):
        self.files.now_s += dt_s
        self.play.elapse(dt_s)

    def said(self, signal):
        return [event.payload for event in self.play.published if event.signal == signal]

    @property
    def searches(self):
        return len(self.said(Public.RECCE_LAN))

    @property
    def sighted(self):
        return self.said(Public.HOSTS_SIGHTED)

    @property
    def written(self):
        """The addresses of each cache that was written."""
        return [json.loads(text)["addresses"] for _, text in self.files.writes]


def test_structure():
    """Both states name their parents, and swallow nothing they do not know."""
    check_structure(Play(start=False).chart, [read_or_discover_network_details, discover_network])


def test_an_empty_cache_is_the_seeds_conversation():
    """CACHE_FILE_READ, CACHE, RECCE_LAN, LAN_RECCE_COMPLETE, then CONNECTION_DISCOVERY and CACHE_FILE_WRITE."""
    play = Play()
    play.find(HOST, OTHER)
    play.complete(HOST, OTHER)
    urls = ("amqp://10.0.0.7:5672/", "amqp://10.0.0.8:5673/")

    assert [
        (None, "top", "read_or_discover_network_details"),
        ("CACHE", "read_or_discover_network_details", "discover_network"),
    ] == play.play.moves
    assert (1, []) == (play.searches, play.sighted)
    assert [
        ConnectionDiscoveryPayload(
            (HOST, OTHER), urls, "lan_chart", (introduction(HOST), introduction(OTHER)), ("lan", "lan")
        )
    ] == play.said(Public.CONNECTION_DISCOVERY)
    assert [CacheWritePayload(lan_cache_text((HOST, OTHER), urls, time_out_in_minutes=30), CACHE)] == play.said(
        Public.CACHE_FILE_WRITE
    )


def test_the_cache_is_read_after_the_chart_can_hear_it():
    """Subscribed first, asked then: no answer is missed (D26); and the file is addressed by its name (D25)."""
    play = Play(HOST)

    assert [CACHE] == play.said(Public.CACHE_FILE_READ)
    assert 1 == len(play.sighted)
    play.publish(Public.CACHE, play.said(Public.CACHE)[0]._replace(file_name="/etc/mirosd/hosts.json", problem="x"))
    assert (1, 0, {}) == (len(play.sighted), play.searches, play.board.reasons)


def test_a_fresh_cache_is_a_hint_and_no_search():
    """Its hosts are named, to be proved anew: it is never taken for the truth (D67)."""
    play = Play(HOST, OTHER)

    assert [HostsSightedPayload((HOST, OTHER), "cache")] == play.sighted
    assert (0, [], []) == (play.searches, play.said(Public.CONNECTION_DISCOVERY), play.files.writes)
    play.find(HOST, source="cache")
    play.elapse(WRITE_AFTER_S)
    assert [(HOST,)] == [discovery.hosts for discovery in play.said(Public.CONNECTION_DISCOVERY)]
    assert [] == play.files.writes


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("missing", {}),
        ("empty", {"text": ""}),
        ("of nobody", {"text": lan_cache_text((), (), time_out_in_minutes=30)}),
        ("truncated", {"text": lan_cache_text((HOST,), (), time_out_in_minutes=30)[:40]}),
        ("wrong", {"text": '{"addresses": 7}'}),
        ("too old", {"cached": HOST, "age_s": 1801.0}),
        ("of tomorrow", {"cached": HOST, "age_s": -1801.0}),
        (
            "of long ago, with long validity",
            {"text": lan_cache_text((HOST,), (), time_out_in_minutes=1e9), "age_s": 1801.0},
        ),
        ("older than the setting allows", {"cached": HOST, "age_s": 301.0, "minutes": 5}),
        ("of a near future, beyond what the setting allows", {"cached": HOST, "age_s": -301.0, "minutes": 5}),
        ("never to be used", {"cached": HOST, "minutes": 0}),
    ],
)
def test_any_other_cache_is_a_search(name, arguments):
    """An empty result, above all, is not believed for half an hour (D9, D60, D61, D68)."""
    arguments = dict(arguments)
    cached = arguments.pop("cached", None)
    play = Play(*([cached] if cached else []), **arguments)

    assert ("discover_network", 1, []) == (play.play.state, play.searches, play.sighted)


@pytest.mark.parametrize("text", ["{", '{"addresses": 7}', "[]"])
def test_a_wrong_cache_is_a_reason_until_a_search_has_replaced_it(text):
    """The reason names file, line and column; the daemon finds its hosts as ever."""
    play = Play(text=text)
    assert play.board.reasons["lan_cache"].startswith(f"{CACHE} line 1 column")
    assert (play.board.reasons["lan_cache"], ()) == (play.board.lan_cache.problem, play.board.lan_cache.addresses)
    play.find(HOST)
    play.complete(HOST)

    assert ({}, [[HOST]]) == (play.board.reasons, play.written)


def test_a_disk_that_takes_no_cache_is_a_reason_until_it_does():
    """Full or read-only: hosts are published all the same, the old file stays, and the cure is noticed."""
    play = Play(HOST, age_s=1801.0)
    play.files.broken[CACHE] = "No space left on device"
    play.find(OTHER)
    play.complete(OTHER)
    assert {"lan_cache": f"{CACHE}: No space left on device"} == play.board.reasons
    assert [(OTHER,)] == [discovery.hosts for discovery in play.said(Public.CONNECTION_DISCOVERY)]
    assert [HOST] == json.loads(play.files.files[CACHE][0])["addresses"]
    play.elapse(5 * WRITE_AGAIN_S)
    play.files.broken.clear()
    play.elapse(WRITE_AGAIN_S)

    assert ({}, [[OTHER]]) == (play.board.reasons, play.written)
    play.elapse(5 * WRITE_AGAIN_S)
    assert [[OTHER]] == play.written


@pytest.mark.parametrize("cached", [(), (HOST,)])
def test_the_lan_is_searched_again_when_the_cache_is_too_old(cached):
    """Half an hour after a search, or after the cached one; discovery never ends (D15)."""
    play = Play(*cached, age_s=600.0)
    if not cached:
        play.complete()
    before = play.searches
    play.elapse(1200.0 if cached else 1800.0 - 1.0)
    assert before + bool(cached) == play.searches
    play.elapse(1.0)
    assert before + 1 == play.searches
    play.complete(HOST)
    play.elapse(1799.0)
    assert before + 1 == play.searches
    play.elapse(2.0)
    assert before + 2 == play.searches


def test_a_search_that_never_ends_is_asked_for_again():
    """Whatever became of it."""
    play = Play()
    play.elapse(1801.0)

    assert 2 == play.searches


def test_without_cache_minutes_there_is_one_search_at_the_start():
    """And the file says that it is never fresh."""
    play = Play(minutes=0)
    play.find(HOST)
    play.complete(HOST)
    play.elapse(7200.0)

    assert (1, 0) == (play.searches, json.loads(play.files.files[CACHE][0])["time_out_in_minutes"])


def test_the_cache_holds_who_was_found_now_and_earlier_and_is_not_gone():
    """A host that did not answer this search, and is alive, stays; one that is gone does not."""
    play = Play()
    play.find(HOST, OTHER, "10.0.0.9")
    play.gone("10.0.0.9")
    play.complete(HOST)

    assert [[HOST, OTHER]] == play.written


def test_hosts_found_one_by_one_are_one_write():
    """Two seconds after the first; found again, they are none."""
    play, found = Play(HOST), [f"10.0.1.{n}" for n in range(30)]
    for host in found:
        play.find(host)
        play.elapse(0.1)
    assert [[*found[:20], HOST]] == play.written
    play.elapse(WRITE_AFTER_S)
    assert [[*found[:20], HOST], [*found, HOST]] == play.written

    play.find(*found)
    play.elapse(60.0)
    assert 2 == len(play.written)
    play.find(OTHER)
    play.elapse(WRITE_AFTER_S)
    assert 3 == len(play.written)


def test_a_searchs_end_writes_at_once_and_the_later_write_is_spared():
    """One write for a search whose hosts were found in its course."""
    play = Play()
    play.find(HOST)
    play.elapse(1.5)
    play.complete(HOST)
    play.elapse(60.0)

    assert [[HOST]] == play.written


def test_a_host_that_was_gone_and_is_found_again_is_published_again():
    """What ProducerFactoryChart forgot it must hear anew (D14)."""
    play = Play()
    play.find(HOST)
    play.gone(HOST)
    play.find(HOST)

    assert [(HOST,), (HOST,)] == [discovery.hosts for discovery in play.said(Public.CONNECTION_DISCOVERY)]


def test_flushing_empties_the_file_and_searches():
    """Also while a search is on; what is alive is found again, and written."""
    play = Play(HOST)
    play.find(HOST)
    for searches in (1, 2):
        play.publish(Public.LAN_CACHE_FLUSH)
        assert (searches, [[]] * searches) == (play.searches, play.written)
    assert ((), 0.0) == (play.board.lan_cache.addresses, play.board.lan_cache.expires_s)
    play.complete(HOST)

    assert [[], [], [HOST]] == play.written


def test_people_see_the_cache_with_its_age():
    """What is shown is what was read: age and expiry in seconds from then."""
    play = Play(HOST, age_s=60.0)
    cache = play.board.lan_cache
    assert ((HOST,), 30, 60.0, 1740.0, 0.0, "") == (
        cache.addresses,
        cache.time_out_in_minutes,
        cache.age_s,
        cache.expires_s,
        cache.read_s,
        cache.problem,
    )
    play.elapse(10.0)
    play.complete(OTHER)

    cache = play.board.lan_cache
    assert ((OTHER,), ("amqp://10.0.0.8:5673/",), 0.0, 1800.0, 10.0) == (
        cache.addresses,
        cache.amqp_urls,
        cache.age_s,
        cache.expires_s,
        cache.read_s,
    )


def test_a_cache_with_an_address_that_is_none_is_made_anew():
    """Whoever wrote it: the chart has no fault, and says what was wrong."""
    play = Play(HOST, "not a host")
    assert "not a host" in play.board.lan_cache.problem
    play.find(HOST)
    play.elapse(WRITE_AGAIN_S)

    assert [HOST] == play.written[-1]
    assert "" == play.board.lan_cache.problem


def test_a_url_is_as_the_settings_make_it():
    """In what is published, and in the cache."""
    play = Play(url_of=lambda host: f"url of {host}")
    play.find(HOST, "[fe80::1%eth0]:5672")
    play.chart.write_cache((HOST,))

    assert [(f"url of {HOST}", "url of [fe80::1%eth0]:5672")] == [
        discovery.amqp_urls for discovery in play.said(Public.CONNECTION_DISCOVERY)
    ]
    assert [f"url of {HOST}"] == json.loads(play.said(Public.CACHE_FILE_WRITE)[-1].json)["amqp_urls"]


def test_no_password_is_in_file_event_or_trace(capsys):
    """There is none to be had: addresses hold no account, and that of the ancestor's caches is left out (D53)."""
    text = (
        '{"addresses": ["10.0.0.7"], "amqp_urls": ["amqp://bob:do@b/bs@10.0.0.7:5672/%2F"], "time_out_in_minutes": 30}'
    )
    play = Play(text=text, live_trace=True, live_spy=True)
    assert ("amqp://10.0.0.7:5672/%2F",) == play.board.lan_cache.amqp_urls
    play.find(HOST)
    play.elapse(1800.0)
    play.complete(HOST)
    said = [event.payload for event in play.play.published]
    writer, is_printed = InstrumentionWriter(), threading.Event()  # miros prints in a thread, one line after the other
    if not writer.is_alive():
        writer.start()
    writer._print(lambda _: is_printed.set(), "")
    assert is_printed.wait(30)
    printed = capsys.readouterr().out

    assert "e->start_at()" in printed and "LAN_HOST_FOUND:" in printed
    assert "bob" in text
    assert "bob" not in repr((said, play.files.files, play.board.lan_cache, printed))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["find", "gone", "complete"]), st.sampled_from([HOST, OTHER, "10.0.0.9"]))
        | st.tuples(st.sampled_from(["flush", "wait", "busy", "free", "break", "mend", "long"]), st.none()),
        max_size=30,
    )
)
def test_any_order_of_events_ends_with_a_cache_of_those_who_are_there(steps):
    """Whatever the disk does meanwhile; two timers at the most; never a file that does not parse."""
    play = Play(HOST)
    for step, host in steps:
        match step:
            case "find" | "gone" | "complete":
                getattr(play, step)(host)
            case "flush":
                play.publish(Public.LAN_CACHE_FLUSH)
            case "wait":
                play.elapse(1.0)
            case "long":
                play.elapse(1800.0)
            case "busy":
                play.files.busy.add(CACHE)
            case "free":
                play.files.busy.clear()
            case "break":
                play.files.broken[CACHE] = "disk"
            case "mend":
                play.files.broken.clear()
        assert len(play.chart._timed) <= 2
        parse_lan_cache(play.files.files[CACHE][0])
    play.files.busy.clear()
    play.files.broken.clear()
    play.elapse(60.0)
    play.complete()
    play.elapse(60.0)

    assert set(play.chart.found) == set(play.written[-1])
    assert {} == play.board.reasons
