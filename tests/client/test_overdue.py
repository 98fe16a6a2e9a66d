"""The events whose end the daemon has yet to tell: they are numbers, however many, and each ends once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd_client.overdue import Overdue
from tests.properties import EXAMPLES, TOTAL

ADD, SETTLE = (st.tuples(st.just(what), st.integers(0, 9)) for what in ("add", "settle"))
STEPS = st.lists(st.one_of(ADD, SETTLE))


@settings(TOTAL, max_examples=EXAMPLES // 10)
@given(STEPS)
def test_each_is_settled_once(steps: list[tuple[str, int]]) -> None:
    """Some by one number of the daemon's, some by the next; what is left is what it has not said."""
    overdue, kept, highest = Overdue(), set[int](), 0
    for what, number in steps:
        if what == "add":
            highest += max(1, number - 6)  # mostly the next one
            overdue.add(highest)
            kept.add(highest)
        else:
            settled = max(0, highest - number)
            assert len({each for each in kept if each <= settled}) == overdue.settle(settled)
            kept = {each for each in kept if each > settled}
        assert len(kept) == len(overdue)

    assert (len(kept), 0) == (overdue.lose(), len(overdue))


def test_a_row_of_them_costs_nothing() -> None:
    """A broker in alarm for hours leaves the end of a million events open."""
    overdue = Overdue()
    for sequence in range(1, 1001):
        overdue.add(sequence)

    assert (1000, 1) == (len(overdue), len(overdue._runs))
