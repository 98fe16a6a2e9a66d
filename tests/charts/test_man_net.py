"""ManNetChart: listed hosts are found whenever they are there, and no wrong file or dead host stops that."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.man_net import MAX_SCOUTS, ManNetChart, evaluate_network, read_and_evaluate_network_details
from mirosd.core.addresses import AddressError
from mirosd.core.cache_document import hosts_text, parse_hosts
from mirosd.payloads import AMQPConsumerCheckPayload, PeerGonePayload
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import ManualReactor, RecordingBus, check_structure, threadless
from tests.charts.fakes import STAGES, FakeBoard, FakeFileStore, FakeProber, introduction, node_of

LISTED, LOCAL = "/etc/mirosd/hosts.json", "/var/lib/mirosd/hosts.json"
KEYS = ("heya.man", "miros.mesh.exchange")


class Play:
    """The manual network with its two cache files, a fake disk and fake probes."""

    def __init__(self, *hosts, local=(), start=True, **arguments):
        self.files, self.prober, self.board = FakeFileStore(), FakeProber(), FakeBoard()
        self.reactor, self.bus = ManualReactor(), RecordingBus()
        if hosts:
            self.files.put(LISTED, hosts_text(hosts))
        if local:
            self.files.put(LOCAL, hosts_text(local))
        self.chart = ManNetChart(
            *KEYS, LISTED, local_file_path=LOCAL, prober=self.prober, board=self.board, dice=lambda: 0.5, **arguments
        )
        caches = [CacheFileChart(path, self.files, parse=parse_hosts) for path in (LISTED, LOCAL)]
        self.plays = [threadless(chart, self.reactor, self.bus) for chart in (*caches, self.chart)]
        if start:
            for chart in (*caches, self.chart):
                chart.start()
            self.reactor.run_ready()

    def publish(self, signal, payload=None):
        self.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.reactor.run_ready()

    def edit(self, *hosts, path=LISTED, text=None):
        self.files.put(path, hosts_text(hosts) if text is None else text)
        self.publish(Public.EVALUATE_HOSTS_FILE)

    def complete(self, host, code="", who=None):
        self.prober.current[host].complete(code, who or (None if code else introduction(host)), STAGES)
        self.reactor.run_ready()

    def elapse(self, dt_s):
        self.reactor.advance(dt_s)

    @property
    def discoveries(self):
        return [event.payload for event in self.bus.published if event.signal == Public.CONNECTION_DISCOVERY]

    @property
    def discovered(self):
        return [host for payload in self.discoveries for host in payload.hosts]

    @property
    def listings(self):
        return [event.payload.hosts for event in self.bus.published if event.signal == Public.HOSTS_LISTED]

    @property
    def timers(self):
        return len(self.chart._timed)

    @property
    def out(self):
        return [host for host, node in self.chart.candidates.items() if node.scout is not None]


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    check_structure(Play(start=False).chart, [read_and_evaluate_network_details, evaluate_network])


def test_a_url_is_as_the_settings_make_it():
    """With TLS or without."""
    play = Play("10.0.0.7", url_of=lambda host: f"url of {host}")
    play.complete("10.0.0.7")

    assert [("url of 10.0.0.7",)] == [each.amqp_urls for each in play.discoveries]


def test_listed_hosts_are_scouted_and_the_proved_are_published():
    """The seeds' conversation: CACHE, a scout per host, CONNECTION_DISCOVERY with the live ones (D8)."""
    play = Play("192.168.1.75", "10.0.0.7:5673", "dead.example", local=["[fe80::1%eth0]"])
    assert "evaluate_network" == play.plays[-1].state
    assert ["192.168.1.75", "10.0.0.7:5673", "dead.example", "[fe80::1%eth0]"] == play.out
    play.complete("dead.example", "resolve")
    play.complete("10.0.0.7:5673")
    play.complete("[fe80::1%eth0]")

    assert [
        (
            ("10.0.0.7:5673",),
            ("amqp://10.0.0.7:5673/",),
            "man_net_chart",
            (introduction("10.0.0.7:5673"),),
            ("manual",),
        ),
        (
            ("[fe80::1%eth0]",),
            ("amqp://[fe80::1%25eth0]:5672/",),
            "man_net_chart",
            (introduction("[fe80::1%eth0]"),),
            ("manual",),
        ),
    ] == play.discoveries
    assert ["192.168.1.75"] == play.out


def test_hosts_proved_in_one_moment_are_one_discovery():
    """What is posted together is published together, the introductions in the order of the hosts."""
    play = Play("b", "a")
    for host in ("a", "b"):
        play.prober.current[host].complete("", introduction(host))
    play.reactor.run_ready()

    assert [("a", "b")] == [payload.hosts for payload in play.discoveries]
    assert [(introduction("a"), introduction("b"))] == [payload.introductions for payload in play.discoveries]


@pytest.mark.parametrize("hosts", [(), ("a",)])
def test_nothing_is_published_for_nothing(hosts):
    """Neither an empty list, nor a dead host, nor somebody else's verdicts make a discovery (D24)."""
    play = Play(*hosts)
    for host in hosts:
        play.complete(host, "tcp(refused)")
    for address, keys in (("10.9.9.9", KEYS), ("a", ("other", KEYS[1]))):
        play.publish(
            Public.AMQP_CONSUMER_CHECK,
            AMQPConsumerCheckPayload(address, True, *keys, "", STAGES, introduction(address)),
        )

    assert [] == play.discoveries


def test_files_that_are_not_there_list_nobody():
    """The chart waits for the first edit."""
    play = Play()
    assert (((), ()), {}, "evaluate_network") == (play.board.hosts, play.board.reasons, play.plays[-1].state)
    play.edit("a")

    assert ["a"] == play.out


def test_a_wrong_file_leaves_the_last_good_list_in_force():
    """The reason names file, line and column; the other file still counts; a good edit clears it."""
    play = Play("a", local=["b"])
    play.edit(text='{"hosts": [\n  "a",\n  "no good"]}')
    assert f"{LISTED} line 3 column 3: 'no good' is not a host" in play.board.reasons["hosts_file"]
    assert (("a",), ("b",)) == play.board.hosts
    assert ["a", "b"] == play.out

    play.edit(path=LOCAL, text="{")
    assert f"; {LOCAL} line 1 column 2" in play.board.reasons["hosts_file"]
    play.edit("a", "c")
    assert play.board.reasons["hosts_file"].startswith(f"{LOCAL} line 1")
    play.edit("b", path=LOCAL)
    assert ({}, ["a", "c", "b"]) == (play.board.reasons, play.out)


def test_a_file_that_is_wrong_from_the_start_stops_nothing():
    """The other file's hosts are searched, and the wrong one's once it is right."""
    play = Play(local=["b"], start=False)
    play.files.put(LISTED, "[")
    for each in play.plays:
        each.chart.start()
    play.reactor.run_ready()
    assert (["b"], ["hosts_file"]) == (play.out, list(play.board.reasons))

    play.edit("a")
    assert (["a", "b"], {}) == (play.out, play.board.reasons)


def test_a_dead_host_is_scouted_for_ever_at_most_4_s_apart():
    """0.375, 0.75, 1.5, 3, 3, ... with these dice, for an hour, with one timer (D15)."""
    play = Play("a")
    times = []
    for _ in range(1200):
        times.append(play.reactor.now())
        play.complete("a", "tcp(refused)")
        while not play.out:
            play.elapse(0.005)
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]

    assert [0.375, 0.75, 1.5, 3.0, 3.0] == pytest.approx(gaps[:5], abs=0.006)
    assert max(gaps) < 4.0
    assert 1 == play.timers + len(play.out)
    play.complete("a")
    assert ["a"] == play.discovered


def test_a_scout_whose_answer_is_lost_is_sent_again():
    """The scout's deadline ends it, the back-off sends the next."""
    play = Play("a")
    play.elapse(10.0)
    assert [] == play.out
    play.elapse(0.4)

    assert 2 == play.prober.asked("a")


def test_a_host_that_comes_back_begins_its_back_off_anew():
    """What failed before it was proved is forgotten."""
    play = Play("a")
    for _ in range(6):
        play.complete("a", "tcp(refused)")
        play.elapse(4.0)
    play.complete("a")
    play.publish(Public.PEER_GONE, PeerGonePayload(node_of("a"), ("a",)))
    play.complete("a", "tcp(refused)")
    play.elapse(0.38)

    assert ["a"] == play.out


def test_a_peer_that_is_gone_is_scouted_again_and_proved_anew():
    """PEER_GONE of a listed host sends a scout at once; its next proof is a new discovery (D14, D15)."""
    play = Play("a", "b")
    play.complete("a")
    play.complete("b")
    play.publish(Public.PEER_GONE, PeerGonePayload(node_of("a"), ("10.9.9.9", "a")))
    assert ["a"] == play.out
    play.complete("a", "tcp(refused)")
    play.elapse(4.0)
    play.complete("a")

    assert ["a", "b", "a"] == play.discovered


def test_a_peer_that_is_adrift_is_scouted_again_and_proved_anew():
    """Our link to its broker was lost: it may be at another of its listed addresses, or come back to this one."""
    play = Play("a", "b")
    play.complete("a")
    play.complete("b", who=introduction("a"))
    play.publish(Public.PEER_ADRIFT, PeerGonePayload(node_of("a"), ("a", "b")))
    assert ["a", "b"] == play.out
    play.complete("a", "tcp(silent)")
    play.complete("b", who=introduction("a"))

    assert ["a", "b", "b"] == play.discovered


def test_our_own_daemon_is_final_until_the_next_evaluation():
    """`self` is not tried again by itself."""
    play = Play("me", "a")
    play.complete("me", "self")
    play.elapse(3600.0)
    assert 1 == play.prober.asked("me")

    play.edit("me", "a")
    assert 2 == play.prober.asked("me")


def test_an_evaluation_scouts_at_once_what_is_not_proved():
    """Dead hosts wait no longer; proved ones are left in peace."""
    play = Play("dead", "alive")
    play.complete("alive")
    for _ in range(6):
        play.complete("dead", "tcp(refused)")
        play.elapse(4.0)
    play.complete("dead", "tcp(refused)")
    asked = play.prober.asked("dead")
    play.publish(Public.EVALUATE_HOSTS_FILE)

    assert 0 == play.timers
    assert (asked + 1, 1) == (play.prober.asked("dead"), play.prober.asked("alive"))
    play.complete("dead", "tcp(refused)")
    play.elapse(0.38)
    assert asked + 2 == play.prober.asked("dead")


def test_reading_an_unchanged_file_again_changes_nothing():
    """Somebody else's CACHE_FILE_READ starts nothing and publishes no list."""
    play = Play("a", "b")
    play.complete("a")
    play.complete("b", "tcp(refused)")
    probes, listings = len(play.prober.probes), play.listings
    play.publish(Public.CACHE_FILE_READ)

    assert (probes, [("a", "b")], listings) == (len(play.prober.probes), listings, play.listings)


def test_a_host_that_is_listed_no_more_is_let_go():
    """Its probe is abandoned, its timer gone, its late proof nobody's; the new list is published."""
    play = Play("out", "waits", "kept")
    play.complete("waits", "tcp(refused)")
    out = play.prober.current["out"]
    play.edit("kept")
    out.complete("", introduction("out"))
    assert 0 == play.timers
    play.elapse(60.0)

    assert ["connect", "abandon"] == out.asked
    assert (1, 1, []) == (play.prober.asked("out"), play.prober.asked("waits"), play.discovered)
    assert [("out", "waits", "kept"), ("kept",)] == play.listings
    assert (("kept",), ()) == play.board.hosts


def test_at_most_32_scouts_are_out_and_each_verdict_sends_the_next():
    """A thousand listed hosts, one answer at a time; all have their turn."""
    hosts = [f"h{n}" for n in range(100)]
    play = Play(*hosts)
    assert hosts[:MAX_SCOUTS] == play.out
    for n, host in enumerate(hosts):
        play.complete(host)
        assert hosts[n + 1 : n + 1 + MAX_SCOUTS] == play.out

    assert hosts == play.discovered


def test_another_scouts_proof_counts_its_failure_does_not():
    """The LAN search may prove a listed host first; that it fails there proves nothing about ours."""
    play = Play("a", "b")

    def other(host, code):
        who = None if code else introduction(host)
        play.publish(Public.AMQP_CONSUMER_CHECK, AMQPConsumerCheckPayload(host, not code, *KEYS, code, STAGES, who))

    other("a", "tcp(refused)")
    assert ["a", "b"] == play.out
    other("a", "")
    other("a", "")
    assert (["b"], ["a"], "abandon") == (play.out, play.discovered, play.prober.current["a"].asked[-1])
    play.complete("b", "tcp(refused)")
    other("b", "auth")
    play.elapse(0.37)
    assert [] == play.out
    play.elapse(0.01)
    assert ["b"] == play.out


def test_refactor_search_reaches_the_scout_that_is_out():
    """The new search's verdict ends it, though its keys are others; for any other address nothing happens."""
    play = Play("a")
    keys = {"routing_key": "archer.bob", "exchange_name": "other"}
    play.publish(Public.REFACTOR_SEARCH, keys | {"ip_address": "b"})
    play.publish(Public.REFACTOR_SEARCH, keys | {"ip_address": "a"})
    assert (["a"], 2) == (play.out, play.prober.asked("a"))
    play.complete("a")

    assert ([], ["a"]) == (play.out, play.discovered)


def test_hosts_are_added_and_removed_in_the_local_file():
    """Both edits are written there, in one spelling, and take effect at once; the operator's file stays."""
    play = Play("a", local=["b"])
    play.chart.add_host("C.example")
    play.chart.add_host("d")
    play.reactor.run_ready()
    assert ["a", "b", "c.example", "d"] == play.out
    assert {"hosts": ["b", "c.example", "d"]} == parse_hosts(play.files.files[LOCAL][0])

    play.chart.remove_host("B")
    play.chart.remove_host("a")
    play.reactor.run_ready()
    assert (("a",), ("c.example", "d")) == play.board.hosts
    assert {LOCAL} == {path for path, _ in play.files.writes}


def test_an_edit_keeps_what_others_wrote_meanwhile():
    """The file is read before it is written."""
    play = Play(local=["b"])
    play.files.put(LOCAL, hosts_text(["b", "theirs"]))
    play.chart.add_host("ours")
    play.reactor.run_ready()

    assert (((), ("b", "theirs", "ours")), ["b", "theirs", "ours"]) == (play.board.hosts, play.out)


def test_an_edit_that_changes_nothing_writes_nothing():
    """Adding what is there, removing what is not."""
    play = Play(local=["b"])
    play.chart.add_host("b")
    play.chart.remove_host("c")
    play.reactor.run_ready()

    assert [] == play.files.writes


def test_an_edit_of_a_wrong_file_leaves_it_to_be_repaired():
    """Nothing is written over what somebody may want back; the reason is shown; after the repair edits work again."""
    play = Play()
    play.files.put(LOCAL, '{"hosts": ["precious"')
    play.chart.add_host("b")
    play.reactor.run_ready()
    assert ([], ["hosts_file"]) == (play.files.writes, list(play.board.reasons))

    play.files.put(LOCAL, '{"hosts": ["precious"]}')
    play.chart.add_host("c")
    play.reactor.run_ready()
    assert (("precious", "c"), {}) == (play.board.hosts[1], play.board.reasons)


def test_an_edit_that_cannot_be_written_is_a_reason_until_it_works():
    """A full disk does not make the host listed, nor the daemon forget the others."""
    play = Play("a", local=["b"])
    play.files.is_held = True
    play.chart.add_host("c")
    play.reactor.run_ready()
    play.files.serve(1)
    play.files.broken[LOCAL] = "No space left on device"
    play.reactor.run_ready()
    play.files.is_held = False
    play.files.serve()
    play.reactor.run_ready()
    assert ({"hosts_file": f"{LOCAL}: No space left on device"}, ["a", "b"]) == (play.board.reasons, play.out)

    play.files.broken.clear()
    play.chart.add_host("c")
    play.reactor.run_ready()
    assert ({}, ["a", "b", "c"]) == (play.board.reasons, play.out)


@pytest.mark.parametrize("method", ["add_host", "remove_host"])
def test_junk_is_refused_where_it_is_said(method):
    """The caller hears of it, the chart does not."""
    with pytest.raises(AddressError):
        getattr(Play().chart, method)("bob:pw@10.0.0.7")


NAMES = st.sampled_from([f"h{n}" for n in range(40)])
STEPS = st.lists(
    st.tuples(st.just("list"), st.lists(NAMES, max_size=40))
    | st.tuples(st.sampled_from(["prove", "fail", "self", "gone", "add", "remove", "connect"]), NAMES)
    | st.tuples(st.sampled_from(["wait", "lose"]), st.none()),
    max_size=30,
)


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_any_order_of_events_keeps_the_promises(steps):
    """At most 32 out; one discovery per proof anew; in the end every listed host is proved, out, waiting or our own."""
    play = Play(*[f"h{n}" for n in range(34)])
    proofs = 0
    for step, what in steps:
        probe = play.prober.current.get(what) if isinstance(what, str) else None
        match step:
            case "list":
                play.edit(*what)
            case "prove" if probe and what in play.out:
                proofs += not play.chart.candidates[what].result
                play.complete(what)
            case "fail" if probe:
                play.complete(what, "tcp(refused)")
            case "self" if probe:
                play.complete(what, "self")
            case "connect" if probe:
                probe.connected()
            case "gone":
                play.publish(Public.PEER_GONE, PeerGonePayload(node_of(what), (what,)))
            case "add":
                play.chart.add_host(what)
            case "remove":
                play.chart.remove_host(what)
            case "wait":
                play.elapse(0.7)
            case "lose":
                play.elapse(10.0)
        play.reactor.run_ready()
        assert len(play.out) <= MAX_SCOUTS
        assert proofs == len(play.discovered)
    while any(not node.result for node in play.chart.candidates.values()):
        play.publish(Public.EVALUATE_HOSTS_FILE)
        for host in play.out:
            play.complete(host)

    assert [] == play.out
    assert set(play.chart.candidates) == {*play.board.hosts[0], *play.board.hosts[1]}
