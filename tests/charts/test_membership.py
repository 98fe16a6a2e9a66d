"""Listing, searching, scouting, liveness and producers together: whatever happens in whatever order, they agree."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts.peer_life import OWED
from mirosd.core.peers import GONE_AFTER_S, standing
from mirosd.signals import Public
from tests.charts.fakes import node_of
from tests.charts.whole_play import Whole

OWED_NAMES = {state.__name__ for state in OWED}


def check(whole):
    """What holds at any moment at which all charts are quiet."""
    rows = [row for row in whole.board.rows if row.node]
    assert [] == [node for node, count in Counter(row.node for row in rows).items() if count > 1], "one row per node"
    addresses = Counter(address for life in whole.lives.values() for address in life.seen.addresses)
    assert set(addresses.values()) <= {1}, "an address is one node's"
    assert whole.alarms <= 2 * len(whole.lives)
    now_s, resumed_s = whole.reactor.now(), whole.peers.hearing.resumed_s
    shown = {row.node: (row.state, row.reason) for row in rows}
    for node, life in whole.lives.items():
        assert tuple(standing(life.seen, whole.peers.hearing.now_s(now_s), resumed_s)) == shown[node]
        assert life._target() is life.state.fun, "the state is what was seen"
    sets = whole.bridge.sets.all
    assert len(sets) == len({each.address for each in sets}), "no broker has two"
    assert len(whole.served) == sum(len(each.nodes) for each in sets), "no node is behind two"
    assert whole.served.keys() <= whole.owed, "who has producers is owed something"
    proved = {node for node in whole.owed if any(map(whole.is_proof, whole.lives[node].seen.addresses))}
    assert proved <= whole.served.keys(), "who is owed something has producers, while its proof stands"
    astray = [life for life in whole.lives.values() if life.seen.down and any(map(whole.is_proof, life.seen.addresses))]
    assert [] == astray, "where our link does not get no proof stands"
    going = [r for r in whole.records if r.start_state in OWED_NAMES and r.end_state not in OWED_NAMES]
    gone = Counter(payload.node for payload in whole.said(Public.PEER_GONE))
    for node, count in Counter(record.chart for record in going).items():
        assert count <= gone[node] <= count + whole.retired[node], "PEER_GONE once per going"


def test_a_mesh_of_three_from_nothing_to_nothing():
    """Listed, found, heard, unplugged, back, ended: each node has one set of producers for as long as it is owed."""
    whole = Whole("a")
    whole.retired = Counter()
    whole.answer_probe("a")
    whole.lan_answer("b")
    whole.answer_probe("b")
    assert {node_of("a"): "a", node_of("b"): "b"} == whole.served
    for _ in range(3):
        whole.elapse(1.0)
        for host in "ab":
            whole.heard(host)
            whole.sign("peer_routed", host)
    check(whole)
    whole.elapse(30.0)
    assert {"failed"} == {row.state for row in whole.board.rows if row.node}
    assert 2 == len(whole.served)
    whole.elapse(GONE_AFTER_S)
    assert {} == whole.served
    whole.answer_probe("a")
    assert {node_of("a"): "a"} == whole.served
    whole.left("a")
    assert {node_of("a"): "a"} == whole.served  # it may be restarting
    whole.elapse(GONE_AFTER_S)
    check(whole)

    assert {} == whole.served


def test_a_host_that_moves_takes_its_producers_along_and_back():
    """Proved at its other address before our link is seen to be down, or after: there is a way, and one alone."""
    whole = Whole("a", "b")
    whole.retired = Counter()
    whole.answer_probe("a")
    whole.sign("peer_link_up", "a")
    for here, there in (("a", "b"), ("b", "a")):
        whole.elapse(4.0)
        whole.heard("a")
        whole.answer_probe(there, who="a")
        assert {node_of("a"): here} == whole.served
        whole.sign("peer_link_down", "a", detail="lost")
        whole.answer_probe(here, "tcp(silent)")
        whole.answer_probe(there, who="a")
        assert {node_of("a"): there} == whole.served
        (row,) = (row for row in whole.board.rows if row.node)
        assert (there, [here]) == (row.address, [address for address, _ in row.previous])
        whole.sign("peer_link_up", "a")
        check(whole)


def test_a_host_that_moves_on_before_our_link_is_up_is_found_again():
    """Proved where it has gone by the time that our link gets there: at each of its addresses it is searched anew."""
    whole = Whole("a", "b")
    whole.retired = Counter()
    whole.answer_probe("a")
    whole.sign("peer_link_up", "a")
    whole.sign("peer_link_down", "a", detail="lost")
    for here, there in (("a", "b"), ("b", "a"), ("a", "b")):
        whole.answer_probe(here, "tcp(silent)")
        whole.answer_probe(there, who="a")
        assert {node_of("a"): there} == whole.served
        whole.sign("peer_link_down", "a", detail="tcp(silent)")  # the first attempt there: it is gone already
        whole.elapse(4.0)
        whole.heard("a")
        check(whole)


def test_an_alien_that_moves_is_found_where_it_says():
    """Nobody lists it and the LAN is silent: its next word is enough."""
    whole = Whole()
    whole.retired = Counter()
    for host in ("here", "there"):
        whole.heard("a")
        whole.alien("a", host)
        whole.answer_probe(host, who="a")
        assert {node_of("a"): host} == whole.served
        whole.sign("peer_link_up", "a")
        whole.elapse(60.0)
        whole.heard("a")
        whole.sign("peer_link_down", "a", detail="lost")
        check(whole)


def test_a_host_found_on_the_lan_is_asked_again_when_it_is_adrift():
    """Its broker may be back, or elsewhere: the search does not wait for the next one."""
    whole = Whole()
    whole.retired = Counter()
    whole.lan_answer("a")
    whole.answer_probe("a")
    whole.sign("peer_link_up", "a")
    whole.sign("peer_link_down", "a", detail="lost")
    asked = len(whole.lan.asked)
    for _ in range(5):
        whole.elapse(1.0)
        whole.heard("a")
    assert ["a"] in whole.lan.asked[asked:]
    whole.lan.answer("b", node=node_of("a"))
    whole.settle()
    whole.answer_probe("b", who="a")

    assert {node_of("a"): "b"} == whole.served
    check(whole)


HOSTS = st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("prove", "prove", "other", "fail", "refuse", "heard", "heard", "old", "routed", "returned", "up"),
                *("down", "left", "lan", "alien", "gossip", "blocked", "free", "forget", "allow", "list", "unlist"),
                *("wait", "long"),
            ]
        ),
        HOSTS,
        st.integers(1, 3),
    ),
    max_size=60,
)


@pytest.mark.parametrize("aliens", ["allow", "quarantine", "deny"])
@settings(deadline=None, max_examples=150)
@given(steps=STEPS)
def test_any_order_of_everything_keeps_the_promises(aliens, steps):
    """After each step all agree; two minutes after the last nobody is owed anything, and no timer of a life runs."""
    whole = Whole("a", aliens=aliens)
    whole.retired = Counter()
    listed = ["a"]
    for step, host, n in steps:
        spoken = (host, f"{host}:1")[n % 2]
        match step:
            case "prove":
                whole.answer_probe(spoken, who=host)
            case "other":
                whole.answer_probe(spoken, who="abc"[n - 1])
            case "fail":
                whole.answer_probe(spoken, "tcp(refused)")
            case "refuse":
                whole.answer_probe(spoken, "auth")
            case "heard":
                whole.heard(host, start=n)
            case "old":
                whole.sign("peer_left", host, start=0, sequence=1)
            case "routed" | "returned":
                whole.sign(f"peer_{step}", host)
            case "up" | "down":
                whole.sign(f"peer_link_{step}", host, detail="lost")
            case "left":
                whole.left(host)
            case "lan":
                whole.lan_answer(host)
            case "alien":
                whole.alien(host)
            case "gossip":
                whole.gossip(host)
            case "blocked" | "free":
                whole.own(f"peer_own_{step}")
            case "forget":
                whole.retired[node_of(host)] += 1
                whole.forget(host)
            case "allow":
                whole.allow(host)
            case "list":
                listed = sorted({*listed, host})
                whole.list(*listed)
            case "unlist":
                listed = [other for other in listed if other != host]
                whole.list(*listed)
            case "wait":
                whole.elapse(n)
            case "long":
                whole.elapse(30.0 * n)
        check(whole)
    whole.own("peer_own_free")
    whole.elapse(120.0)

    assert (0, {}, set()) == (whole.alarms, whole.served, whole.owed)
    check(whole)
