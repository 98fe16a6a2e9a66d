"""The checker bites: what is lost, doubled, reordered, made up, or counted wrongly is told, and nothing else is."""

from collections import Counter

import pytest

from tests.faults.history import History, violations


def history(**counted: int) -> History:
    """Give what two programs, a and b, said and what one of them and a third heard: all of it, once, in order."""
    said = {name: [(number, float(number)) for number in range(1, 6)] for name in "ab"}
    numbers = [1, 2, 3, 4, 5]
    heard = {name: {"a": list(numbers), "b": list(numbers)} for name in "bc"}
    return History(said, heard, counted=Counter(counted))


def test_all_is_well() -> None:
    """Nothing is found where every event was handled once and in order, whatever harmless counters say."""
    good = history(duplicates=7, lan_sent=3, accepted=10, replayed=2)

    assert [] == violations(good)
    assert (20, 0, {}) == (good.handled, good.total_missing, good.lost)


def test_a_lost_event() -> None:
    """An event that one chart misses and no counter names is told, with its number."""
    bad = history()
    bad.heard["c"]["a"].remove(3)

    assert ["1 events are missing (1 of a at c: 3), counted are none"] == violations(bad)


def test_a_lost_last_event() -> None:
    """The end of what was said can be missing too, and so can all of it."""
    bad = history()
    del bad.heard["c"]["a"][3:], bad.heard["b"]["b"]

    assert ["7 events are missing (2 of a at c: 4-5; 5 of b at b: 1-5), counted are none"] == violations(bad)


def test_a_doubled_event() -> None:
    """An event that was handled twice is told, even where each came in its place."""
    bad = history()
    bad.heard["c"]["a"].insert(3, 3)

    assert ["c handled 1 events of a more than once: 3"] == violations(bad)


def test_a_reordered_event() -> None:
    """An event that came after a later one of its source is told."""
    bad = history()
    bad.heard["b"]["a"] = [1, 3, 2, 4, 5]

    assert ["b handled 1 events of a out of order: 2"] == violations(bad)


def test_an_event_out_of_nowhere() -> None:
    """An event that was never accepted, or of somebody who said nothing, is told."""
    bad = history()
    bad.heard["c"]["a"].append(6)
    bad.heard["b"]["x"] = [1]

    assert ["b handled events of x, who said nothing", "c handled 1 events of a that it was never given: 6"] == sorted(
        violations(bad)
    )


@pytest.mark.parametrize("counted", [1, 3])
def test_a_sum_that_does_not_add_up(counted: int) -> None:
    """Two are missing: one that is counted is too few, three are too many."""
    bad = history(expired=counted)
    del bad.heard["c"]["a"][1:3]

    assert [f"2 events are missing (2 of a at c: 2-3), counted are {{'expired': {counted}}}"] == violations(
        bad, frozenset({"expired"})
    )


@pytest.mark.parametrize(("maybe", "is_well"), [(0, False), (1, True), (2, True)])
def test_what_may_have_arrived(maybe: int, is_well: bool) -> None:
    """What was sent and never confirmed explains what is missing beyond the other counters, and need not be missing."""
    bad = history(expired=1, unconfirmed=maybe)
    del bad.heard["c"]["a"][1:3]

    assert is_well == ([] == violations(bad, frozenset({"expired"})))


def test_counted_and_not_missing() -> None:
    """A loss that is counted while every event was handled is told: each event is one or the other."""
    assert ["0 events are missing (), counted are {'overflow': 1}"] == violations(history(overflow=1), {"overflow"})


def test_a_loss_that_the_promise_leaves_open() -> None:
    """What is missing and counted passes where that reason is left open, and nowhere else."""
    counted = history(expired=1, overflow=1)
    del counted.heard["c"]["a"][1:3]

    assert [] == violations(counted, frozenset({"expired", "overflow"}))
    assert ["counted as lost, which this fault must not cost: {'overflow': 1}"] == violations(counted, {"expired"})


def test_refused_and_evicted() -> None:
    """What the window refused or let go of unsafe is told, though it was never accepted or is counted."""
    assert ["2 events were refused", "1 events were evicted"] == violations(history(refused=2, evicted=1))


def test_a_body_that_did_not_open() -> None:
    """Bodies are counted one by one, whatever is in them: it is told, however many events are missing."""
    assert violations(history(unopened_forged=1))


def test_who_subscribed_later() -> None:
    """Of what was accepted before, it may have any end; of what was accepted from then on, all."""
    late = history()
    late.since_s["c"] = 4.0
    for heard in ([4, 5], [3, 4, 5]):
        late.heard["c"]["a"] = heard
        assert [] == violations(late)
    late.heard["c"]["a"] = [5]
    assert ["1 events are missing (1 of a at c: 4), counted are none"] == violations(late)
    late.heard["c"]["a"] = [2, 4, 5]
    assert ["1 events are missing (1 of a at c: 3), counted are none"] == violations(late)
