"""Exactly one producer set for each distinct broker, however its nodes come, move and go."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mirosd.bridge.producer_set import Proof
from mirosd_client.wire import Network
from tests.bridge.set_play import ALL, SetPlay


def test_a_new_broker_gets_a_set():
    """Started once (D40), its node behind it; told again, nothing happens; the own set is the first of all."""
    play = SetPlay()
    play.adopt("n", "a")
    play.adopt("n", "a")

    assert ({"a": {"n"}}, [("n", "own")]) == (play.where, play.asked)
    assert [False, True] == [each.is_started for each in play.sets.all]


def test_a_broker_that_is_served_gets_no_second_set():
    """The node answers through a connection that is there: the own, or another's."""
    play = SetPlay()
    play.adopt("n", "a")
    play.up("n")
    play.at = {"a": {"n", "m"}, "own": {"o"}}
    play.adopt("m", "b")
    play.adopt("o", "c")

    assert {"a": {"n", "m"}, "own": {"o"}} == play.where


def test_a_node_that_moves_takes_its_set_along():
    """Alone behind its broker, its link down: what is owed to it stays in the set."""
    play = SetPlay()
    play.adopt("n", "a")
    there = play.sets.of("n")
    play.up("n")
    play.adopt("n", "b")
    assert {"a": {"n"}} == play.where
    play.down("n")
    play.adopt("n", "b")

    assert (there, {"b": {"n"}}, []) == (play.sets.of("n"), play.where, play.stopped)


def test_a_node_that_leaves_others_behind_gets_a_set_of_its_own():
    """The others' broker is only away."""
    play = SetPlay()
    play.adopt("n", "a")
    play.up("n")
    play.at = {"a": {"n", "m"}}
    play.adopt("m", "a")
    play.down("n")
    play.adopt("m", "b")

    assert {"a": {"n"}, "b": {"m"}} == play.where


def test_a_node_that_moves_to_a_served_broker_leaves_no_empty_set():
    """The set that nobody is behind any more is stopped."""
    play = SetPlay()
    play.adopt("n", "a")
    play.adopt("m", "b")
    play.up("m")
    play.at = {"b": {"n", "m"}}
    left = play.sets.of("n")
    play.adopt("n", "c")

    assert ({"b": {"n", "m"}}, [left], 2) == (play.where, play.stopped, len(play.sets.all))


def test_an_address_that_another_node_has_now_gets_no_second_set():
    """A lease went to another host: both are behind the one set until the first is gone, or found elsewhere."""
    play = SetPlay()
    play.adopt("old", "a")
    play.adopt("new", "a")
    assert {"a": {"old", "new"}} == play.where
    play.adopt("old", "b")

    assert {"a": {"new"}, "b": {"old"}} == play.where


def test_the_last_node_takes_its_set_along():
    """Not the own one; a node that is unknown takes nothing."""
    play = SetPlay()
    play.at = {"own": {"o"}}
    play.adopt("n", "a")
    play.adopt("o", "b")
    there = play.sets.of("n")
    for node in ("n", "o", "x"):
        play.sets.retire(node)

    assert ({}, [there], [play.own]) == (play.where, play.stopped, play.sets.all)


def test_a_node_that_is_retired_while_it_is_asked_for_gets_nothing():
    """Whether it answers or not: nobody would ever take its producers back."""
    for at in ({}, {"own": {"n"}}):
        play = SetPlay()
        play.at = at
        play.on_ask = lambda play=play: play.sets.retire("n")
        play.adopt("n", "a")
        assert {} == play.where

        play.on_ask = lambda: None
        play.adopt("n", "a")
        assert 1 == len(play.where)


def test_a_node_that_came_by_its_own_word_while_it_was_asked_for_stays_there():
    """The greeter found it behind our own broker meanwhile."""
    play = SetPlay()
    play.on_ask = lambda: play.sets.adopt_here("n", Proof(ALL, 1), play.own)
    play.adopt("n", "a")

    assert {"own": {"n"}} == play.where


def test_people_see_the_sets():
    """Where, who, and whether they are connected."""
    play = SetPlay()
    play.adopt("n", "a")

    assert [("own", True, [], True), ("a", False, ["n"], False)] == [
        (row["broker"], row["is_own"], row["nodes"], row["is_connected"]) for row in play.sets.display()
    ]


NODES, HOSTS = st.sampled_from("nmo"), st.sampled_from("abc")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["adopt", "adopt", "up", "down", "retire", "swap"]), NODES, HOSTS)))
def test_any_order_leaves_one_set_per_broker_and_per_node(steps):
    """No two at one address, no node in two, none without nodes but the own; stopped ones are gone."""
    play = SetPlay()
    for step, node, host in steps:
        match step:
            case "adopt":
                play.adopt(node, host)
            case "up" | "down":
                getattr(play, step)(node)
            case "retire":
                play.sets.retire(node)
            case "swap":
                play.at[host] = play.at.get(host, set()) ^ {node}
        sets = play.sets.all
        assert len(sets) == len({each.address for each in sets})
        assert sum(len(each.nodes) for each in sets) == len(set().union(*(each.nodes for each in sets)))
        assert all(each.nodes or each is play.own for each in sets)
        assert not set(map(id, play.stopped)) & set(map(id, sets))


# --- brokers of an earlier start -----------------------------------------------------


def test_a_former_broker_is_owed_from_the_start():
    """By a lane without a connection, which becomes the lane of the set that is made when its node is proved."""
    play = SetPlay({"a": ["n"], "b": ["m"]})
    before = play.sets.lanes[1:]
    assert (["a", "b"], {}) == ([lane.name for lane in before], play.where)
    play.adopt("n", "a")

    assert ({"a": {"n"}}, before[0]) == (play.where, play.sets.of("n").lane)
    assert [play.own.lane, *before] == play.sets.lanes
    assert ["", ""] == [lane.end for lane in before]


def test_a_former_broker_has_moved():
    """Its node is proved elsewhere: what waited goes there."""
    play = SetPlay({"a": ["n"]})
    lane = play.sets.lanes[1]
    play.adopt("n", "b")

    assert ({"b": {"n"}}, lane) == (play.where, play.sets.of("n").lane)


def test_another_node_of_a_former_broker_comes_first():
    """It is the same broker: its lane is the set's, and the node that comes later joins it."""
    play = SetPlay({"a": ["n"]})
    lane = play.sets.lanes[1]
    play.adopt("m", "a")
    play.up("m")
    play.at = {"a": {"n"}}
    play.adopt("n", "a")

    assert ({"a": {"m", "n"}}, lane) == (play.where, play.sets.of("n").lane)
    assert [play.own.lane, lane] == play.sets.lanes


def test_a_former_broker_is_served_already():
    """It has two addresses: what its lane owes, the set that serves it owes as well."""
    play = SetPlay({"a": ["n"], "b": ["m"]})
    _, first, second = play.sets.lanes
    play.adopt("n", "a")
    play.up("n")
    play.at = {"a": {"m"}}
    play.adopt("m", "b")

    assert ([play.own.lane, first], "", "dissolved") == (play.sets.lanes, first.end, second.end)


def test_a_former_broker_without_nodes_is_owed_nothing():
    """The last of them is forgotten by people, or its time is over."""
    play = SetPlay({"a": ["n", "m"], "b": ["o"]})
    _, first, second = play.sets.lanes
    play.sets.retire("n")
    assert "" == first.end
    play.sets.retire("m")
    assert ("closed", "") == (first.end, second.end)
    play.sets.end_reserve()
    assert ("closed", [play.own.lane]) == (second.end, play.sets.lanes)


def test_a_set_that_nobody_needs_any_more_is_owed_nothing():
    """What its lane still owed is counted before its connections are closed, which a stop may cut short."""
    play = SetPlay()
    play.adopt("n", "a")
    lane = play.sets.of("n").lane
    play.sets.retire("n")

    assert ("closed", ["a"]) == (lane.end, [each.address for each in play.stopped])


def test_a_stop_tells_what_is_left_for_the_next_start():
    """Of every lane, those of former brokers among them; none is closed, which would count its events as lost."""
    play = SetPlay({"former": ["m"]})
    play.adopt("n", "a")
    own, there, former = play.sets.lanes
    there.events, former.events = 3, 5
    with capture_logs() as logged:
        asyncio.run(play.sets.stop())

    assert [True, True] == [each.is_stopped for each in play.sets.all]
    assert ["stopped"] * 3 == [lane.end for lane in (own, there, former)]
    assert [("a", 3), ("former", 5)] == [(line["broker"], line["events"]) for line in logged]


def test_each_change_of_the_delivery_set_is_told_once():
    """The brokers that are waited for among them, until their nodes are proved elsewhere or given up."""
    play = SetPlay({"a": ["n"], "b": ["m"]})
    play.adopt("n", "a")
    play.adopt("n", "a")
    play.adopt("o", "c")
    play.sets.end_reserve()
    play.sets.retire("o")

    assert [{"a": {"n"}, "b": {"m"}, "c": {"o"}}, {"a": {"n"}, "c": {"o"}}, {"a": {"n"}}] == play.told


TRACE = {Network.SNOOP_TRACE}


def test_a_broker_without_the_mesh_key_behind_it_is_owed_no_events():
    """It has its set, and so heartbeats and instrumentation; a proof with the key changes that, and one without."""
    play = SetPlay()
    play.adopt("n", "a", TRACE)
    there = play.sets.of("n")
    assert (True, [play.own.lane], {}) == (there.is_started, play.sets.lanes, play.sets.delivery_set)
    play.adopt("n", "a")
    assert [play.own.lane, there.lane] == play.sets.lanes
    play.adopt("n", "a", TRACE)
    assert [play.own.lane] == play.sets.lanes

    assert [{"a": {"n"}}, {}] == play.told


def test_a_broker_is_owed_events_while_one_behind_it_has_the_mesh_key():
    """The delivery set names the members alone."""
    play = SetPlay()
    play.adopt("n", "a", TRACE)
    play.up("n")
    play.at = {"a": {"m"}}
    play.adopt("m", "b")
    lane = play.sets.of("n").lane
    assert ([play.own.lane, lane], {"a": {"m"}}) == (play.sets.lanes, play.sets.delivery_set)
    play.sets.retire("m")

    assert ([play.own.lane], {"a": {"n"}}) == (play.sets.lanes, play.where)


def test_a_restarted_peer_proves_its_keys_where_it_is_served():
    """By its own answer, through the link to its broker: nothing moves, and its events are owed from then on."""
    play = SetPlay()
    play.adopt("n", "a", TRACE)
    there = play.sets.of("n")
    play.up("n")
    play.sets.adopt_here("n", Proof(ALL, 2), there)

    assert ({"n": Proof(ALL, 2)}, [play.own.lane, there.lane]) == (there.nodes, play.sets.lanes)
    assert [{"a": {"n"}}] == play.told


def test_a_former_broker_whose_node_has_lost_the_mesh_key_is_owed_nothing():
    """What waited for it is given up, and counted; its new set has a lane of its own, that owes nothing."""
    play = SetPlay({"a": ["n"]})
    _, former = play.sets.lanes
    play.adopt("n", "a", TRACE)

    assert ("closed", [play.own.lane]) == (former.end, play.sets.lanes)
    assert former is not play.sets.of("n").lane


def test_what_waited_for_a_former_broker_is_counted_when_no_other_lane_has_it():
    """A set that only a host without the mesh key was behind owed nothing, when a member comes to it."""
    play = SetPlay({"x": ["m"]})
    _, former = play.sets.lanes
    play.adopt("n", "a", TRACE)
    play.up("n")
    play.at = {"a": {"m"}}
    play.adopt("m", "b")

    assert ("closed", [play.own.lane, play.sets.of("m").lane]) == (former.end, play.sets.lanes)
