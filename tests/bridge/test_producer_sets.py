"""Exactly one producer set for each distinct broker, however its nodes come, move and go."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bridge.set_play import SetPlay


def test_a_new_broker_gets_a_set():
    """Started, its node behind it; told again, nothing happens; the own set is the first of all."""
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
    play.on_ask = lambda: play.sets.adopt_here("n", play.own)
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
