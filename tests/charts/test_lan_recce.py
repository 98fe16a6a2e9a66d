"""LanRecceChart: a search is the seeds' trace, and ends when everybody has a verdict."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts.lan_recce import (
    SURVEY_DEADLINE_S,
    fill_arp_table,
    identify_all_ip_addresses,
    lan_recce,
    private_search,
    recce_rabbit_consumers,
)
from mirosd.charts.scout import DEADLINE_S, MAX_SCOUTS
from mirosd.payloads import LanHostFoundPayload, RecceCompletePayload
from mirosd.signals import Public
from mirosd_client.shell.testing import check_structure
from tests.charts.fakes import introduction, node_of
from tests.charts.lan_play import ARP_S, RECCE, ReccePlay

STATES = [private_search, lan_recce, fill_arp_table, identify_all_ip_addresses, recce_rabbit_consumers]


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    check_structure(ReccePlay().chart, STATES)


def test_a_search_is_the_seeds_trace():
    """Two hosts answer, one is proved: LAN_RECCE_COMPLETE names it, and our own address."""
    play = ReccePlay()
    play.search()
    play.answer("10.0.0.7")
    play.answer("10.0.0.8")
    play.complete("10.0.0.8", "daemon")
    play.elapse(ARP_S)
    assert RECCE[:-1] == play.moves
    play.complete("10.0.0.7")

    assert RECCE == play.moves
    assert [RecceCompletePayload(("10.0.0.7",), "10.0.0.1")] == play.said(Public.LAN_RECCE_COMPLETE)


def test_a_search_that_finds_nobody_ends_all_the_same():
    """Nothing is pinged, no table is read in the chart's thread, nobody has to be there (D17, D19)."""
    play = ReccePlay()
    play.whole_search()

    assert (RECCE, [()], 0) == (play.moves, play.completes, play.timers)
    assert ([[]], 1, []) == (play.lan.searches, play.lan.surveys, play.probed)


def test_who_answers_is_found_at_once():
    """The proof is published while the search still waits for others."""
    play = ReccePlay()
    play.search()
    play.answer("10.0.0.7")
    play.complete("10.0.0.7")

    assert [LanHostFoundPayload("10.0.0.7", introduction("10.0.0.7"), "lan")] == play.said(Public.LAN_HOST_FOUND)
    assert ([], "fill_arp_table") == (play.completes, play.play.state)


@pytest.mark.parametrize("timeout_s", [0.25, 20.0])
def test_the_time_for_answers_is_a_setting(timeout_s):
    """It ends then and not before, and its timer with it (D23)."""
    play = ReccePlay(arp_timeout_s=timeout_s)
    play.search()
    play.elapse(timeout_s - 0.01)
    assert "fill_arp_table" == play.play.state
    play.elapse(0.02)

    assert ("private_search", 0) == (play.play.state, play.timers)


def test_searches_asked_for_during_a_search_are_one_more():
    """However many ask, one RECCE_LAN is deferred, and recalled at the end (D7)."""
    play = ReccePlay()
    for _ in range(3):
        play.search()
    play.elapse(ARP_S)
    assert [*RECCE, RECCE[1]] == play.moves
    play.search()
    play.elapse(2 * ARP_S)
    assert 3 * RECCE[1:] == play.moves[1:]
    play.elapse(60.0)

    assert (3, 3) == (len(play.lan.searches), len(play.completes))


@pytest.mark.parametrize("is_searching", [False, True])
def test_a_lan_that_changes_is_searched(is_searching):
    """A cable, an address or a network that comes: another search, for all to hear (D15, D19)."""
    play = ReccePlay()
    if is_searching:
        play.search()
    play.lan.change()
    play.elapse(2 * ARP_S)

    assert 1 + is_searching == len(play.lan.searches)
    assert 1 + is_searching == len(play.said(Public.RECCE_LAN))


def test_a_survey_that_is_lost_delays_a_search_and_does_not_end_it():
    """The chart goes on with what answered."""
    play = ReccePlay()
    play.lan.is_deaf = True
    play.search()
    play.answer("10.0.0.7")
    play.complete("10.0.0.7")
    play.elapse(ARP_S + SURVEY_DEADLINE_S - 0.01)
    assert "identify_all_ip_addresses" == play.play.state
    play.elapse(0.02)

    assert (RECCE, [("10.0.0.7",)], 0) == (play.moves, play.completes, play.timers)


def test_a_search_waits_for_every_verdict_and_no_longer():
    """A scout whose answer is lost has its verdict after its deadline; who answers meanwhile is not waited for."""
    play = ReccePlay()
    play.search()
    play.answer("10.0.0.7")
    play.answer("10.0.0.8")
    play.elapse(ARP_S)
    play.complete("10.0.0.7")
    play.elapse(DEADLINE_S - ARP_S - 0.01)
    play.answer("10.0.0.9")
    assert [] == play.completes
    play.elapse(0.02)

    assert [("10.0.0.7",)] == play.completes
    assert "10.0.0.9" in play.out
    play.complete("10.0.0.9")
    assert 1 == len(play.completes)


def test_an_earlier_proof_counts_if_its_host_answers():
    """It is not scouted again, and is among the found; a proved host that does not answer is not."""
    play = ReccePlay()
    for host in ("10.0.0.7", "10.0.0.8"):
        play.answer(host)
        play.complete(host)
    play.search()
    play.answer("10.0.0.7")
    play.elapse(ARP_S)

    assert [("10.0.0.7",)] == play.completes
    assert ["10.0.0.7", "10.0.0.8"] == play.probed
    assert [["10.0.0.7", "10.0.0.8"]] == play.lan.searches


def test_every_neighbour_is_scouted_if_so_set():
    """As the seeds do: who is alive, whatever the network's numbers, and never ourselves (D16, D18, D20)."""
    play = ReccePlay(scout="all")
    for address in ("10.0.0.1", "10.0.0.7", "172.16.5.8", "192.168.77.9", "203.0.113.4", "fe80::7%eth0"):
        play.lan.see(address)
    play.lan.see("10.0.0.66", "dead")
    play.lan.see("10.0.0.67", "stale", age_s=9.0)
    play.whole_search()
    expected = ["10.0.0.7", "172.16.5.8", "192.168.77.9", "203.0.113.4", "[fe80::7%eth0]"]
    assert expected == play.out
    for host in expected:
        play.complete(host, "" if host == "10.0.0.7" else "tcp(refused)")
    assert ([("10.0.0.7",)], 0) == (play.completes, play.timers)

    play.whole_search()
    assert expected[1:] == play.out


def test_by_default_no_neighbour_is_scouted_that_does_not_answer():
    """Our account goes to nobody who merely is there (D51)."""
    play = ReccePlay()
    for n in range(2, 9):
        play.lan.see(f"10.0.0.{n}")
    play.whole_search()

    assert ([], [()]) == (play.probed, play.completes)


def test_hosts_that_people_named_are_asked_and_come_first_in_the_next_search():
    """Windows' neighbours, say: asked once, and scouted only where every neighbour is."""
    named = ("10.0.0.7", "no good host", "10.0.0.8:5673")
    play, all_play = ReccePlay(), ReccePlay(scout="all")
    for each in (play, all_play):
        each.sight("lan", *named)
        each.whole_search()
        assert ([["10.0.0.7", "10.0.0.8"]], [["10.0.0.7", "10.0.0.8"]]) == (each.lan.asked, each.lan.searches)
    assert ([], ["10.0.0.7", "10.0.0.8"]) == (play.out, all_play.out)
    play.elapse(600.0)
    play.search()

    assert (1, []) == (len(play.lan.asked), play.lan.searches[-1])


def test_at_most_32_scouts_are_out_and_each_verdict_sends_the_next():
    """A /24 whose every host answers; each has its turn, and the search waits for all (D27)."""
    hosts = [f"10.0.0.{n}" for n in range(2, 255)]
    play = ReccePlay()
    play.search()
    for host in hosts:
        play.answer(host)
    play.elapse(ARP_S)
    for n, host in enumerate(hosts):
        assert hosts[n : n + MAX_SCOUTS] == play.out
        assert [] == play.completes
        play.complete(host)

    assert [tuple(hosts)] == play.completes


def test_people_see_what_each_address_answered():
    """The table of `mirosctl recce`: neighbour, who answered, and the verdict, as they come."""
    play = ReccePlay()
    play.sight("cache", "10.0.0.66", "10.0.0.67")
    play.search()
    play.answer("10.0.0.7", took_ms=0.7)
    assert (1, "fill_arp_table", False) == (play.recce.number, play.recce.state, play.recce.is_complete)
    assert [
        ("10.0.0.7", "unknown", node_of("10.0.0.7"), "", ""),
        ("10.0.0.66", "unknown", "", "", ""),
        ("10.0.0.67", "unknown", "", "", ""),
    ] == play.rows
    play.complete("10.0.0.7")
    play.answer("10.0.0.8", broker="")
    play.answer("10.0.0.9")
    play.complete("10.0.0.9", "auth")
    play.lan.see("10.0.0.7", mac="02:00:00:00:00:07", verdict="answered")
    for address in ("10.0.0.66", "10.0.0.99"):
        play.lan.see(address, "dead", verdict="nobody there")
    play.lan.see("10.0.0.98", "unknown", verdict="asked")
    play.lan.see("10.0.0.97", "stale", verdict="silent")
    play.elapse(ARP_S)

    assert (1, "private_search", True) == (play.recce.number, play.recce.state, play.recce.is_complete)
    assert [
        ("10.0.0.7", "alive", node_of("10.0.0.7"), "name-10.0.0.7", "proved"),
        ("10.0.0.97", "stale", "", "", "silent"),
        ("10.0.0.8", "unknown", node_of("10.0.0.8"), "", "no_broker"),
        ("10.0.0.9", "unknown", node_of("10.0.0.9"), "", "auth"),
        ("10.0.0.66", "dead", "", "", "nobody there"),
        ("10.0.0.67", "unknown", "", "", ""),
    ] == play.rows
    assert ("02:00:00:00:00:07", 0.7) == (play.recce.rows[0].mac, play.recce.rows[0].took_ms)
    play.search()
    assert (2, {"10.0.0.9", "10.0.0.66", "10.0.0.67"}) == (play.recce.number, {row[0] for row in play.rows})


def test_nothing_is_shown_twice():
    """The board hears of changes alone."""
    play = ReccePlay()
    play.search()
    play.answer("10.0.0.7")
    play.complete("10.0.0.7")
    shown = len(play.board.recces)
    play.answer("10.0.0.7")
    play.gone("10.9.9.9")
    play.check("10.9.9.9")

    assert shown == len(play.board.recces)
    assert len(play.board.recces) == len(set(play.board.recces))


HOSTS = [f"10.0.0.{n}" for n in range(2, 40)]
NAMES = st.sampled_from(HOSTS)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer", "hear", "alien", "cache", "gossip", "lan", "prove", "fail", "gone", "forget", "see", "other"]
        ),
        NAMES,
    )
    | st.tuples(st.sampled_from(["search", "change", "wait", "lose", "remember"]), st.none()),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(STEPS, st.sampled_from(["proved", "all"]))
def test_any_order_of_events_keeps_the_promises(steps, scout):
    """At most 32 out; every search ends once; one find per proof and source; in the end no scout and no timer."""
    play = ReccePlay(scout=scout, cache_minutes=5)
    told, count = set(), 0
    for step, host in steps:
        match step:
            case "search":
                play.search()
            case "change":
                play.lan.change()
            case "wait":
                play.elapse(0.7)
            case "lose":
                play.elapse(DEADLINE_S)
            case "remember":
                play.forget()
            case "answer" | "hear":
                getattr(play, step)(host)
            case "alien" | "cache" | "gossip" | "lan":
                play.sight(step, host)
            case "prove" | "fail" if host in play.prober.current:
                play.complete(host, "" if step == "prove" else "tcp(refused)")
            case "gone" | "forget":
                getattr(play, step)(host)
            case "see":
                play.lan.see(host)
            case "other":
                play.check(host)
        play.play.drain()
        assert len(play.out) <= MAX_SCOUTS
        if step in ("gone", "forget"):
            told = {one for one in told if one[0] != host}
        for one in play.found[count:]:
            assert one not in told
            told.add(one)
        count = len(play.found)
        for address, candidate in play.chart.candidates.of.items():
            is_pending = address in play.chart.party.addresses or address in play.chart.pursuit._timers
            is_covered = play.chart.candidates.cover(address)
            assert is_covered or is_pending or candidate.wanted_until_s < play.play.reactor.now()
    play.elapse(2000.0)

    assert len(play.lan.searches) == len(play.completes)
    assert ("private_search", [], 0) == (play.play.state, play.out, play.timers)
