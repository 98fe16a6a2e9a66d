"""The order in which lines are shown."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosctl.causal_order import HOLD_S, LONGEST_HOLD_S, CausalOrder, Once, in_order
from mirosd_client.snoop_line import SnoopLine
from tests.mirosctl.conversations import CHARTS, FAST_S, Conversation
from tests.properties import EXAMPLES, TOTAL

SOME = settings(TOTAL, max_examples=min(EXAMPLES, 300))  # each is a conversation of dozens of lines

SCRIPTS = st.lists(
    st.tuples(
        st.integers(0, len(CHARTS) - 1),
        st.sets(st.integers(0, len(CHARTS) - 1), max_size=3),
        st.booleans(),
        st.integers(0, 2000),
    ),
    max_size=30,
)


def line(hlc: int, client: str = "aa", chart: str = "archer", **fields: object) -> SnoopLine:
    """Give a line with a time."""
    return SnoopLine("trace", chart, 0.0, client=client, number=1, hlc=hlc, **fields)  # type: ignore[arg-type]


@given(SCRIPTS, st.randoms(use_true_random=False))
@SOME
def test_causes_stand_before_what_follows(script: list[tuple[int, set[int], bool, int]], dice: random.Random) -> None:
    """Every pair on one chart or linked by an event is in order, though one host's wall clock is 5 s ahead."""
    said = Conversation().play(script)
    coming = [*said.lines, *dice.sample(said.lines, len(said.lines) // 2)]  # half of them come twice
    dice.shuffle(coming)
    shown = in_order(coming)
    places = {id_of(each): at for at, each in enumerate(shown)}

    assert len(said.lines) == len(shown)
    assert all(places[id_of(first)] < places[id_of(second)] for first, second in said.order)


@given(SCRIPTS, st.randoms(use_true_random=False))
@SOME
def test_live_causes_stand_first_too(script: list[tuple[int, set[int], bool, int]], dice: random.Random) -> None:
    """Where each line is on its way for less than the hold, no effect is shown before its cause."""
    said = Conversation().play(script)
    on_its_way_s = [happened_s + dice.uniform(0.0, HOLD_S - 0.01) for happened_s in said.happened_s]
    order, shown = CausalOrder(), list[SnoopLine]()
    for now_s, at in sorted(zip(on_its_way_s, range(len(said.lines)), strict=True)):
        shown += order.due(now_s)
        order.put([said.lines[at]], now_s)
    shown += order.rest()
    places = {id_of(each): at for at, each in enumerate(shown)}

    assert len(said.lines) == len(shown)
    assert all(places[id_of(first)] < places[id_of(second)] for first, second in said.order)


def id_of(each: SnoopLine) -> tuple[str, int, int]:
    """Give what names a line."""
    return (*each.source, each.hlc)


def test_the_conversation_has_a_wrong_clock() -> None:
    """One host's times are 5 s off, so that the wall clock would order them wrongly."""
    said = Conversation().play([(0, {2}, False, 0), (2, {0}, False, 0)])
    first, second = next(pair for pair in said.order if pair[0].host == "h2" and pair[1].host == "h1")

    assert FAST_S == first.time - second.time
    assert first.hlc < second.hlc


def test_a_line_is_held_until_those_before_it_have_had_time() -> None:
    """It is given after the hold, and what goes before it with it, though that came later."""
    order = CausalOrder()
    order.put([line(20)], 100.0)
    order.put([line(10), line(30)], 100.2)
    order.put([line(40)], 100.4)

    assert [] == order.due(100.49)
    assert 0.0 < order.wait_s(100.49, 1.0) < 0.02
    assert [line(10), line(20), line(30)] == order.due(100.51)
    assert [line(40)] == order.due(100.71)
    assert order.wait_s(100.71, 1.0) == 1.0


def test_a_clock_far_ahead_holds_a_line_no_longer_than_this() -> None:
    """While others go on behind it a line waits, and then it does not."""
    order, given_at_s = CausalOrder(), list[int]()
    order.put([line(10_000)], 100.0)
    for second in range(20):
        order.put([line(second + 1)], 100.0 + second)
        given_at_s += [second for each in order.due(100.0 + second) if each.hlc == 10_000]

    assert [LONGEST_HOLD_S] == given_at_s


def test_a_late_line_is_given_all_the_same() -> None:
    """What comes after its place was given is given as it comes."""
    order = CausalOrder()
    order.put([line(20)], 100.0)
    order.due(101.0)
    order.put([line(10)], 101.0)

    assert [line(10)] == order.due(101.4)
    assert order.wait_s(101.4, 1.0) == 1.0


def test_history_goes_before_all_and_comes_once() -> None:
    """While it comes nothing is given; what came live meanwhile is in its place, and once."""
    order = CausalOrder(is_gathering=True)
    order.put([line(30, line=7)], 100.0)
    order.put([line(20), line(10), line(30)], 105.0)

    assert [] == order.due(110.0)
    assert order.wait_s(110.0, 1.0) == 1.0
    order.settle()
    order.put([line(40)], 110.0)
    assert [line(10), line(20), line(30, line=7)] == order.due(110.0)
    assert [line(40)] == order.due(110.4)


def test_history_has_a_bound() -> None:
    """Where there is no room the oldest are dropped, and counted."""
    order = CausalOrder(is_gathering=True, max_held=2)
    order.put([line(20), line(10), line(30)], 100.0)

    assert 1 == order.dropped
    assert [line(20), line(30)] == order.rest()


def test_a_flood_has_a_bound() -> None:
    """Where there is no room live lines are given early: nothing is lost, and no memory is filled."""
    order = CausalOrder(max_held=2)
    order.put([line(20), line(10), line(30), line(40)], 100.0)
    given_lines = order.due(100.0)

    assert [line(10), line(20)] == given_lines
    assert [line(30), line(40)] == order.rest()


def test_lines_without_a_name_are_all_shown() -> None:
    """Of a sender that gives no hybrid time, no two lines are taken for one."""
    order = CausalOrder()
    order.put([line(0), line(0)], 100.0)

    assert 2 == len(order.rest())
    assert 2 == len(in_order([line(0), line(0)]))


def test_the_memory_of_what_was_there_is_bounded() -> None:
    """The oldest is forgotten first."""
    once = Once(max_remembered=2)

    assert [True, True, True, False, True] == [once.is_first(key) for key in (1, 2, 3, 3, 1)]
