"""Pursuit: who is asked, who is scouted for which answer, and for how long anybody is wanted."""

import itertools

import pytest

from mirosd.charts.pursuit import HOPE_S, SECOND_S
from mirosd.charts.scout import MAX_SCOUTS
from mirosd.core import lan_candidates
from mirosd.payloads import HostsSightedPayload, LanHostFoundPayload, PeerGonePayload
from mirosd.signals import Public
from tests.charts.fakes import introduction, node_of
from tests.charts.lan_play import ReccePlay

HOST, V6 = "10.0.0.7", "fe80::7%eth0"


def proved(*hosts, **arguments):
    """A play in which these hosts have answered, and were proved."""
    play = ReccePlay(**arguments)
    for host in hosts:
        play.answer(host)
        play.complete(host)
    return play


def test_the_broker_inside_the_answer_is_scouted_not_where_it_came_from():
    """A relay's own address never gets a connection (D51, D52)."""
    play = ReccePlay()
    play.answer("10.0.0.66", broker="10.0.0.7:5672")

    assert ["10.0.0.7"] == play.probed


def test_who_answered_is_told_until_it_is_proved():
    """So that people see a host that answers, and whose broker nobody reaches."""
    play = ReccePlay()
    play.answer(HOST)
    play.complete(HOST, "tcp(silent)")
    play.answer(HOST)
    assert [HostsSightedPayload((HOST,), "lan", node_of(HOST))] * 2 == play.said(Public.LAN_HOST_ANSWERED)
    play.complete(HOST)
    play.answer(HOST)

    assert 2 == len(play.said(Public.LAN_HOST_ANSWERED))


@pytest.mark.parametrize(
    ("port", "broker", "address"),
    [
        (5672, "10.0.0.7:5672", "10.0.0.7"),
        (5672, "10.0.0.7:5673", "10.0.0.7:5673"),
        (5673, "10.0.0.7:5673", "10.0.0.7"),
        (5673, "10.0.0.7:5672", "10.0.0.7:5672"),
        (5672, "[fe80::1%eth0]:5672", "[fe80::1%eth0]"),
        (5672, "172.16.5.9:5672", "172.16.5.9"),
    ],
)
def test_an_address_is_spelled_as_a_hosts_file_would(port, broker, address):
    """So that a host which is listed and found is one host; any network's numbers, IPv6 too (D11, D16, D25)."""
    play = ReccePlay(peer_port=port)
    play.answer("10.0.0.7", broker=broker)
    play.elapse(SECOND_S)
    play.complete(address)

    assert [(address, "lan")] == play.found


@pytest.mark.parametrize("broker", ["", "no broker", "user:pw@10.0.0.7"])
def test_an_answer_without_a_broker_leads_nowhere(broker):
    """It is shown to people, and that is all."""
    play = ReccePlay()
    play.answer(HOST, broker=broker)

    assert ([], 0) == (play.probed, play.timers)


def test_who_searches_is_asked_before_it_is_scouted():
    """A probe is no answer: it proves nothing that is fresh, and its sender may be forged."""
    play = ReccePlay()
    play.hear(HOST, broker="10.0.0.8:5672")
    assert ([HOST], []) == (play.asked, play.probed)
    play.answer(HOST, broker="10.0.0.8:5672")
    assert ["10.0.0.8"] == play.probed
    play.hear(HOST, broker="10.0.0.8:5672")
    play.complete("10.0.0.8", who=introduction(HOST))
    play.hear(HOST, broker="10.0.0.8:5672")

    assert [HOST] == play.asked
    play.hear("10.0.0.9", broker="10.0.0.8:5672", node="another")
    assert [HOST, "10.0.0.9"] == play.asked


@pytest.mark.parametrize("source", ["cache", "gossip"])
def test_who_is_named_is_asked_and_scouted_when_it_has_answered(source):
    """Cached or gossiped, an address gets nothing of ours but a question (D67); its source is told with the proof."""
    play = ReccePlay()
    play.sight(source, HOST, "[fe80::1%eth0]:5673")
    assert ([HOST, "[fe80::1%eth0]"], []) == (play.asked, play.probed)
    play.answer(HOST)
    play.complete(HOST)

    assert ([(HOST, source), (HOST, "lan")], [HOST]) == (play.found, play.probed)


def test_a_named_host_that_answers_for_another_broker_is_asked_no_more():
    """It had its answer; what it was named by is told with that broker's proof."""
    play = ReccePlay()
    play.sight("cache", HOST)
    play.answer(HOST, broker="10.0.0.9:5672")
    play.complete("10.0.0.9")
    play.elapse(3600.0)

    assert ([("10.0.0.9", "lan"), ("10.0.0.9", "cache")], [HOST], 0) == (play.found, play.asked, play.timers)


def test_an_alien_is_scouted_at_once():
    """Its sealed answer came over AMQP, where no LAN may be; another source is told when it comes."""
    play = ReccePlay()
    play.sight("alien", HOST)
    assert ([], [HOST]) == (play.asked, play.probed)
    play.complete(HOST)
    play.answer(HOST)
    play.answer(HOST)

    assert ([(HOST, "alien"), (HOST, "lan")], [HOST]) == (play.found, play.probed)


def test_an_alien_where_another_was_proved_is_proved_too():
    """The address has a new node, or a second one: the find says so."""
    play = proved(HOST)
    play.sight("alien", HOST)
    assert [HOST] == play.probed
    play.sight("alien", HOST, node="node-new")
    play.complete(HOST, who=introduction("new"))

    assert [node_of(HOST), node_of(HOST), "node-new", "node-new"] == [
        found.introduction.node for found in play.said(Public.LAN_HOST_FOUND)
    ]


def test_a_proved_node_is_not_scouted_again():
    """However often it answers, and at however many searches."""
    play = proved(HOST)
    for _ in range(3):
        play.whole_search()
        play.answer(HOST)
        play.sight("cache", HOST)
    play.elapse(3600.0)

    assert ([HOST], [], 0) == (play.probed, play.asked, play.timers)


def test_a_node_that_is_gone_is_asked_again_and_its_next_answer_scouts_it():
    """Gone by any of its addresses, or by its node (D14, D15)."""
    play = proved(HOST, "10.0.0.8")
    play.gone(HOST)
    play.elapse(5.0)
    assert {HOST} == set(play.asked)
    play.answer(HOST)
    play.answer("10.0.0.8")
    assert [HOST, "10.0.0.8", HOST] == play.probed
    play.complete(HOST)

    assert [(HOST, "lan"), ("10.0.0.8", "lan"), (HOST, "lan")] == play.found
    assert 0 == play.timers


def test_an_address_whose_node_changed_is_scouted_again():
    """The new one is proved and told; the old one's proof does not stand for it."""
    play = proved(HOST)
    play.answer(HOST, node="node-new")
    play.complete(HOST, who=introduction("new"))
    play.answer(HOST, node="node-new")

    assert [HOST, HOST] == play.probed
    assert LanHostFoundPayload(HOST, introduction("new"), "lan") == play.said(Public.LAN_HOST_FOUND)[-1]


@pytest.mark.parametrize("order", [(HOST, V6), (V6, HOST)])
def test_a_host_with_two_addresses_is_proved_at_one(order):
    """Whichever answers first, its link-local address is left alone; people see both, and one find (D21)."""
    play = ReccePlay()
    for address in order:
        play.answer(address, node=node_of(HOST))
    play.elapse(SECOND_S)
    play.complete(HOST)
    play.elapse(3600.0)
    play.search()
    for address in order:
        play.answer(address, node=node_of(HOST))
    play.elapse(2.0)

    assert ([HOST], [(HOST, "lan")], [(HOST,)]) == (play.probed, play.found, play.completes)
    assert {HOST: "proved", V6: "proved"} == {row.address: row.verdict for row in play.recce.rows}
    assert (["name-10.0.0.7"] * 2, 0) == ([row.name for row in play.recce.rows], play.timers)


def test_what_a_hosts_other_address_says_counts_for_the_proved_one():
    """It answered this search, and it is on the LAN."""
    play = ReccePlay()
    play.sight("alien", HOST)
    play.complete(HOST)
    play.search()
    play.answer(V6, node=node_of(HOST))
    play.elapse(2.0)

    assert ([(HOST, "alien"), (HOST, "lan")], [(HOST,)]) == (play.found, play.completes)


def test_a_host_with_a_link_local_address_alone_is_proved_there():
    """A moment later."""
    play = ReccePlay()
    play.answer(V6)
    assert [] == play.probed
    play.elapse(SECOND_S)
    play.complete(f"[{V6}]")

    assert [(f"[{V6}]", "lan")] == play.found


def test_a_hosts_other_address_has_its_turn_when_the_first_one_fails():
    """Its answer is fresh still."""
    play = ReccePlay()
    play.answer(HOST)
    play.answer("10.9.9.9", node=node_of(HOST))
    assert [HOST] == play.probed
    play.complete(HOST, "tcp(silent)")
    play.elapse(SECOND_S)
    play.complete("10.9.9.9", who=introduction(HOST))
    play.elapse(3600.0)

    assert ([HOST, "10.9.9.9"], [("10.9.9.9", "lan")], 0) == (play.probed, play.found, play.timers)


def test_a_host_whose_broker_refuses_is_not_tried_at_its_other_addresses():
    """It would refuse there likewise, and people would see two refusals; its first address is tried again."""
    play = ReccePlay()
    play.answer(HOST)
    play.answer(V6, node=node_of(HOST))
    play.complete(HOST, "exchange")
    play.elapse(0.4)
    play.complete(HOST, "daemon")
    play.elapse(0.8)
    play.complete(HOST)
    play.elapse(10.0)

    assert ([HOST] * 3, [(HOST, "lan")], 0) == (play.probed, play.found, play.timers)


def test_addresses_that_were_both_refused_do_not_wait_for_each_other():
    """Each is tried again at its own times."""
    play = ReccePlay()
    play.answer(HOST)
    play.answer("10.9.9.9", node=node_of(HOST))
    play.elapse(HOPE_S + SECOND_S)
    for _ in range(3):
        assert {HOST, "10.9.9.9"} >= set(play.out) != set()
        for host in play.out:
            play.complete(host, "exchange")
        play.elapse(1.0)

    assert len(play.probed) > 4


@pytest.mark.parametrize("is_known", [True, False])
def test_gossip_of_a_node_that_is_proved_is_no_news(is_known):
    """Wherever it is said to be."""
    play = proved(HOST)
    play.sight("gossip", "10.9.9.9", node=node_of(HOST) if is_known else "node-new")

    assert ([] if is_known else ["10.9.9.9"]) == play.asked


def test_a_hosts_other_address_is_not_kept_waiting_by_a_scout_that_is_lost():
    """After 1.5 s it is scouted too; whichever is proved first is the find, and the other is no second one."""
    play = ReccePlay()
    play.answer(HOST)
    play.answer("10.9.9.9", node=node_of(HOST))
    play.elapse(HOPE_S - SECOND_S)
    assert [HOST] == play.probed
    play.elapse(2 * SECOND_S)
    assert [HOST, "10.9.9.9"] == play.probed
    play.complete("10.9.9.9", who=introduction(HOST))
    play.complete(HOST)
    play.whole_search()
    play.answer(HOST)

    assert ([("10.9.9.9", "lan")], [HOST, "10.9.9.9"], 0) == (play.found, play.probed, play.timers)


def test_a_host_that_moved_is_found_where_it_is_once_its_old_address_is_lost():
    """Its new address was noted while the old one's proof stood; then both are asked."""
    play = proved(HOST)
    play.hear("10.9.9.9", node=node_of(HOST))
    play.answer("10.9.9.9", node=node_of(HOST))
    play.hear("10.9.9.9", node=node_of(HOST))
    assert (["10.9.9.9"], [HOST], 0) == (play.asked, play.probed, play.timers)
    play.elapse(60.0)
    play.publish(Public.PEER_ADRIFT, PeerGonePayload(node_of(HOST), (HOST,)))
    play.elapse(0.4)
    assert {HOST, "10.9.9.9"} == set(play.asked[1:])
    play.answer("10.9.9.9", node=node_of(HOST))
    play.complete("10.9.9.9", who=introduction(HOST))
    play.elapse(3600.0)

    assert ([(HOST, "lan"), ("10.9.9.9", "lan")], 0) == (play.found, play.timers)


@pytest.mark.parametrize("is_first_there", [True, False])
def test_an_alien_with_several_addresses_is_scouted_at_one_after_the_other(is_first_there):
    """Until one is proved; a link-local one comes last."""
    play = ReccePlay()
    play.sight("alien", f"[{V6}]", HOST, "10.9.9.9", node=node_of(HOST))
    assert [HOST] == play.probed
    play.complete(HOST, "" if is_first_there else "tcp(refused)")
    play.elapse(SECOND_S)
    if not is_first_there:
        play.complete("10.9.9.9", who=introduction(HOST))
    play.elapse(3600.0)

    assert [HOST, *([] if is_first_there else ["10.9.9.9"])] == play.probed
    assert 0 == play.timers


def test_a_host_that_others_proved_is_found_when_it_answers():
    """A listed one, say, however its list spells it: no second scout, and one find, for the source."""
    play = ReccePlay()
    play.check(f"{HOST}:5672", who=introduction(HOST))
    assert ([], []) == (play.found, play.probed)
    for address in (HOST, V6, HOST):
        play.answer(address, node=node_of(HOST))
    play.elapse(60.0)

    assert ([(HOST, "lan")], [], 0) == (play.found, play.probed, play.timers)


def test_two_nodes_behind_one_broker_are_not_scouted_in_turns():
    """Whoever of them answers the challenge: the broker is proved for both."""
    play = ReccePlay()
    for _ in range(3):
        for address in (HOST, "10.0.0.8"):
            play.answer(address, broker="10.0.0.9:5672")
            if "10.0.0.9" in play.out:
                play.complete("10.0.0.9", who=introduction(HOST))

    assert ["10.0.0.9", "10.0.0.9"] == play.probed


def test_a_host_that_fails_is_tried_again_at_growing_times():
    """0.375, 0.75, 1.5 s with these dice while its answer is fresh; then it is asked first, at last 22.5 s apart."""
    play = ReccePlay()
    play.answer(HOST)
    times, at = [0.0], play.play.reactor
    for _ in range(9):
        play.complete(HOST, "tcp(refused)")
        while not play.out:
            asked = len(play.asked)
            play.elapse(0.005)
            if len(play.asked) > asked:
                play.answer(HOST)
        times.append(at.now())
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]

    assert [0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5, 22.5] == pytest.approx(gaps, abs=0.006)
    assert [HOST] * 6 == play.asked
    play.complete(HOST)
    assert ([(HOST, "lan")], 0) == (play.found, play.timers)


def test_a_host_that_does_not_answer_is_asked_at_growing_times():
    """1.5, 3, 6, 12, 22.5 s with these dice: each question is over before the next."""
    play = ReccePlay()
    play.sight("cache", HOST)
    times = [0.0]
    while len(times) < 8:
        asked = len(play.asked)
        play.elapse(0.005)
        times += [play.play.reactor.now()] * (len(play.asked) - asked)
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]

    assert [1.5, 3.0, 6.0, 12.0, 22.5, 22.5, 22.5] == pytest.approx(gaps, abs=0.006)


@pytest.mark.parametrize(("cache_minutes", "wanted_s"), [(0, 300.0), (30, 1800.0)])
def test_a_host_that_does_not_answer_is_wanted_as_long_as_the_cache_counts(cache_minutes, wanted_s):
    """At the least 5 minutes after its last sign; then nobody asks for it."""
    play = ReccePlay(cache_minutes=cache_minutes)
    play.answer(HOST)
    play.complete(HOST, "daemon")
    play.elapse(wanted_s - 60.0)
    asked = len(play.asked)
    play.elapse(30.0)
    assert len(play.asked) > asked
    play.elapse(100.0)

    asked = len(play.asked)
    play.elapse(3600.0)
    assert (asked, 0, {}) == (len(play.asked), play.timers, play.chart.candidates.of)


def test_a_host_that_has_come_up_begins_its_back_off_anew():
    """What failed before its silence says nothing of it now."""
    play = ReccePlay()
    play.sight("cache", HOST)
    play.elapse(600.0)
    play.answer(HOST)
    play.complete(HOST, "tcp(refused)")
    play.elapse(0.38)

    assert [HOST] == play.out


def test_another_scouts_proof_counts_its_failure_does_not():
    """Compared by value, for our keys alone (D25); a verdict on nobody of ours is nothing to us."""
    play = ReccePlay()
    play.answer(HOST)
    probe = play.prober.current[HOST]
    play.check("".join(["10.0.", "0.7"]), "tcp(refused)")
    play.check(HOST, keys=("other", "miros.mesh.exchange"))
    play.check("10.9.9.9", "tcp(refused)")
    assert ([HOST], [], [HOST]) == (play.out, play.found, list(play.chart.candidates.of))
    play.check(HOST, keys=("".join(["heya", ".man"]), "".join(["miros.mesh", ".exchange"])))
    play.check(HOST)

    assert ([], [(HOST, "lan")], "abandon") == (play.out, play.found, probe.asked[-1])
    play.elapse(60.0)
    assert [HOST] == play.probed


def test_refactor_search_reaches_the_scout_that_is_out():
    """The new search's verdict ends it, though its keys are others (D15)."""
    play = ReccePlay()
    play.answer(HOST)
    keys = {"routing_key": "archer.bob", "exchange_name": "other"}
    for address in (HOST, "10.0.0.8"):
        play.publish(Public.REFACTOR_SEARCH, keys | {"ip_address": address})
    assert [HOST, HOST] == play.probed
    play.complete(HOST)

    assert [(HOST, "lan")] == play.found


def test_forgotten_nodes_are_ignored_until_they_are_not():
    """Their answers, probes and proofs; a scout that is out is called back, and a search does not wait for it."""
    play = proved("10.0.0.8")
    play.search()
    play.answer(HOST)
    play.elapse(1.5)
    play.forget(HOST, "10.0.0.8")
    assert ([()], [], 0, []) == (play.completes, play.out, play.timers, play.rows)
    play.answer(HOST)
    play.hear(HOST)
    play.sight("alien", HOST)
    play.complete(HOST)
    assert [("10.0.0.8", "lan")] == play.found
    assert ([], 0) == (play.asked, play.timers)

    play.forget()
    play.answer(HOST)
    play.complete(HOST)
    assert (HOST, "lan") == play.found[-1]


def test_a_forgotten_node_that_waits_for_its_scout_gets_none():
    """Its turn does not come, and those behind it are served."""
    hosts = [f"10.0.0.{n}" for n in range(2, 2 + MAX_SCOUTS + 2)]
    play = ReccePlay()
    for host in hosts:
        play.answer(host)
    play.forget(hosts[-2])
    for host in hosts[:2]:
        play.complete(host)

    assert hosts[-1] == play.out[-1]
    assert hosts[-2] not in play.probed


def test_made_up_addresses_fill_no_more_than_there_is_room_for(monkeypatch):
    """Beyond it they are counted, those who are known are served, and the room comes back."""
    monkeypatch.setattr(lan_candidates, "MAX_CANDIDATES", 3)
    play = ReccePlay()
    play.sight("gossip", *[f"10.0.0.{n}" for n in range(2, 8)])
    play.answer("10.0.0.3")

    assert (["10.0.0.2", "10.0.0.3", "10.0.0.4"], ["10.0.0.3"]) == (play.asked, play.probed)
    assert {"lan_candidates_refused": 3} == play.board.counters
    play.elapse(3600.0)
    play.answer("10.0.0.9")
    assert ["10.0.0.9"] == play.out
