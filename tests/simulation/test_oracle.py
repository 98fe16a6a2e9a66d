"""The oracle bites: each thing that can be wrong with a history is said, and nothing of one that is right."""

from collections.abc import Callable

import pytest

from tests.simulation.history import Accepted, Chart, Event, History, Taking
from tests.simulation.oracle import judge

SENDER, RECEIVER = "aa" * 16, "bb" * 16
FIRST, SECOND = (SENDER, 1), (SENDER, 2)
CHART = "h1.1/0"


def history() -> History:
    """Give a history in which all is well: two events of h0, owed to h1, whose chart handled both."""
    right = History(
        charts={CHART: Chart(CHART, RECEIVER, "h1", "h1", 1, "a.*")},
        hosts={SENDER: "h0", RECEIVER: "h1"},
        handled={CHART: [FIRST, SECOND]},
        let_go={SENDER: 0, RECEIVER: 0},
        unroutable={SENDER: 0, RECEIVER: 0},
        settled={SENDER: 2, RECEIVER: 0},
    )
    for event in (FIRST, SECOND):
        right.accepted[event] = Accepted(1.0, 0, "a.b", frozenset({"h1"}), frozenset())
        right.taken[event, "h1"] = Taking(frozenset({CHART}), copies=1)
    return right


def lose(told: History, event: Event) -> None:
    """Have the chart not handle an event."""
    told.handled[CHART].remove(event)


def never_taken(told: History) -> None:
    lose(told, SECOND)
    del told.taken[SECOND, "h1"]


def never_handled(told: History) -> None:
    lose(told, SECOND)


def handled_twice(told: History) -> None:
    told.handled[CHART].append(SECOND)


def handled_out_of_order(told: History) -> None:
    told.handled[CHART].reverse()


def handled_from_nowhere(told: History) -> None:
    told.handled[CHART].append((SENDER, 3))


def handled_by_its_sender(told: History) -> None:
    told.charts[CHART] = told.charts[CHART]._replace(program=SENDER, number=0)


def counted_twice_at_a_broker(told: History) -> None:
    never_taken(told)
    told.name(SECOND, "h1", "expired")
    told.name(SECOND, "h1", "overflow")


def counted_twice_for_a_chart(told: History) -> None:
    never_handled(told)
    told.name(SECOND, CHART, "expired_in_queue")
    told.name(SECOND, CHART, "overflow_in_queue")


def never_taken_here(told: History) -> None:
    told.accepted[SECOND] = Accepted(1.0, 0, "a.b", frozenset(), frozenset({CHART}))
    never_taken(told)


def unroutable_and_not_told(told: History) -> None:
    lose(told, SECOND)
    told.taken[SECOND, "h1"] = Taking(frozenset(), copies=1, unrouted=1)


def routed_and_told_unroutable(told: History) -> None:
    told.unroutable[SENDER] = 1


def miscounted(told: History) -> None:
    told.miscounted.append("h0: expired 2 of 1 events")


def fault(told: History) -> None:
    told.faults.append("no rest")


WRONGS: dict[Callable[[History], None], str] = {
    never_taken: "aaaa:2 never came to h1",
    never_handled: "h1.1/0 never handled aaaa:2, which h1 took, and no counter says why",
    handled_twice: "h1.1/0 handled aaaa:2 twice",
    handled_out_of_order: "h1.1/0 handled aaaa:1 after 2",
    handled_from_nowhere: "h1.1/0 handled aaaa:3, which nobody sent",
    handled_by_its_sender: "h1.1/0 handled aaaa:1, its own",
    counted_twice_at_a_broker: "aaaa:2 is counted at h1 as each of ['expired', 'overflow']",
    counted_twice_for_a_chart: (
        "h1.1/0 never handled aaaa:2, which h1 took, counted as each of ['expired_in_queue', 'overflow_in_queue']"
    ),
    never_taken_here: "aaaa:2 never came to h1, for h1.1/0",
    unroutable_and_not_told: "aaaa was told that 0 events reached nobody; 1 did not",
    routed_and_told_unroutable: "aaaa was told that 1 events reached nobody; at most 0 did not",
    miscounted: "h0: expired 2 of 1 events",
    fault: "no rest",
}


def test_all_is_well() -> None:
    """A history in which every event was handled once has no violation."""
    assert [] == judge(history())


@pytest.mark.parametrize(("wrong", "sentence"), WRONGS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_wrong_is_said(wrong: Callable[[History], None], sentence: str) -> None:
    """Each thing that goes wrong is told, in a sentence that names the event and the place."""
    told = history()
    wrong(told)

    assert sentence in judge(told)


def test_one_counter_excuses_an_event_at_a_broker() -> None:
    """An event that never came to a broker, and is counted there, is no violation."""
    told = history()
    never_taken(told)
    told.name(SECOND, "h1", "expired")

    assert [] == judge(told)


def test_one_counter_excuses_an_event_for_a_chart() -> None:
    """An event that died in a chart's queue, and is counted, is no violation; for another chart it would be."""
    told = history()
    never_handled(told)
    told.name(SECOND, CHART, "expired_in_queue")

    assert [] == judge(told)


def test_a_windows_counters_excuse_as_many_events_as_they_say() -> None:
    """What the sender's window let go of may be missing at brokers; one event more may not."""
    told = history()
    told.handled[CHART].clear()
    told.taken.clear()
    told.let_go[SENDER] = 2
    assert [] == judge(told)

    told.let_go[SENDER] = 1
    assert "aaaa:1 never came to h1" in judge(told)


def test_killed_programs_are_excused() -> None:
    """A killed receiver handles nothing; a killed sender's events count as far as it was told that they are settled."""
    told = history()
    told.handled[CHART].clear()
    told.killed.add(RECEIVER)
    assert [] == judge(told)

    told = history()
    never_taken(told)
    told.killed.add(SENDER)
    told.settled[SENDER] = 1
    assert [] == judge(told)

    told.settled[SENDER] = 2
    assert ["aaaa:2 never came to h1"] == judge(told)


def test_a_broker_that_joined_later_owes_nothing() -> None:
    """An event that its broker was not owed at `transmit` may come there too late to be handled."""
    told = history()
    never_handled(told)
    told.accepted[SECOND] = Accepted(1.0, 0, "a.b", frozenset(), frozenset())

    assert [] == judge(told)
