"""The window: what is kept, in which order it goes, and what leaves it why."""

from typing import Any

import pytest

from mirosd_client.errors import WindowFullError
from mirosd_client.limits import MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.record import Heading, Record, decode_records
from mirosd_client.window import ENTRY_BYTES, Line, Window
from mirosd_client.wire import Network
from tests.client.fake_daemon import OTHER, record

RECORD_BYTES = len(record(1))
ENTRY = RECORD_BYTES + ENTRY_BYTES
HEADING = Heading(OTHER, 1, "json", "PING")


def new_window(**bounds: Any) -> Window:
    """Give a window whose clock stands still."""
    return Window(lambda: 7, **bounds)


def accept(window: Window, key: str = "k", now_s: float = 0.0, payload: bytes = b"null", **policy: str) -> bool:
    """Accept one event."""
    return window.accept(Line(Network.MESH, key, HEADING), payload, now_s, **policy)  # type: ignore[arg-type]


def sequences(window: Window, now_s: float = 0.0) -> list[tuple[str, list[int]]]:
    """Take every batch there is: (routing key, sequence numbers)."""
    taken = []
    while (batch := window.take_batch(now_s)) is not None:
        taken.append((batch.routing_key, [r.sequence for r in decode_records(batch.records)]))
    return taken


def test_events_leave_in_order_and_together() -> None:
    """What is there goes in one batch; another routing key or network begins a new one."""
    window = new_window()
    for key in ("a", "a", "b", "a"):
        accept(window, key)
    window.accept(Line(Network.SNOOP_TRACE, "a", HEADING), b"null", 0.0)

    assert sequences(window) == [("a", [1, 2]), ("b", [3]), ("a", [4]), ("a", [5])]
    assert window.take_batch(0.0) is None


def test_a_batch_has_at_most_256_records() -> None:
    """The bound in bodies is a bound in events."""
    window = new_window()
    for _ in range(2 * MAX_RECORDS + 1):
        accept(window)

    assert [len(run) for _, run in sequences(window)] == [MAX_RECORDS, MAX_RECORDS, 1]


def test_a_batch_has_at_most_64_kib_but_one_larger_record_travels_alone() -> None:
    """Bytes close a batch too, and a record above the bound is a batch of its own."""
    window = new_window()
    for size in (MAX_BODY_BYTES // 2, MAX_BODY_BYTES // 2 - 200, 100, MAX_BODY_BYTES * 2, 10):
        accept(window, payload=b"x" * size)

    assert [run for _, run in sequences(window)] == [[1, 2], [3], [4], [5]]


def test_batches_of_a_rewind_are_bounded_too() -> None:
    """What went in several frames goes in as few as the bounds allow, and no frame is cut."""
    window = new_window()
    for count in (200, 100, 56, 100, 101):
        for _ in range(count):
            accept(window)
        sequences(window)

    window.rewind()

    assert [len(run) for _, run in sequences(window)] == [200, 256, 101]


def test_records_are_what_was_accepted() -> None:
    """Payload, clock and number stay together, also where the front of a run is gone."""
    readings = iter(range(100, 200))
    window = Window(lambda: next(readings))
    for payload in (b"1", b"2", b"3", b"4"):
        accept(window, payload=payload)
    sequences(window)
    window.settle(safe=2, settled=2)
    window.rewind()
    accept(window, payload=b"5")
    batch = window.take_batch(0.0)
    assert batch is not None

    assert decode_records(batch.records) == [
        Record(OTHER, 1, number, 99 + number, 0, "json", "PING", b"", b"%d" % number) for number in (3, 4, 5)
    ]


def test_age_is_written_at_hand_over() -> None:
    """Each record says how long it waited here, also when it goes a second time."""
    window = new_window()
    accept(window, now_s=1.0)
    accept(window, now_s=2.5)

    def ages(now_s: float) -> list[int]:
        batch = window.take_batch(now_s)
        assert batch is not None
        return [r.age_ms for r in decode_records(batch.records)]

    assert ages(2.5) == [1500, 0]
    window.rewind()
    assert ages(3.0) == [2000, 500]


def test_settled_events_leave_and_safe_ones_stay() -> None:
    """Both numbers are cumulative; what is only safe is kept for a daemon that dies."""
    window = new_window()
    for _ in range(4):
        accept(window)
    sequences(window)

    window.settle(safe=3, settled=1)

    assert (len(window), window.unsafe) == (3, 1)
    window.settle(safe=4, settled=4)
    assert (len(window), window.unsafe) == (0, 0)
    window.settle(safe=2, settled=2)  # late: changes nothing
    assert (len(window), window.safe) == (0, 4)


def test_what_was_never_sent_cannot_be_settled() -> None:
    """A daemon that claims too much settles nothing that it was not given."""
    window = new_window()
    accept(window)
    sequences(window)
    accept(window)

    window.settle(safe=99, settled=99)

    assert (len(window), window.unsafe) == (1, 1)
    assert sequences(window) == [("k", [2])]


def test_rewind_begins_with_the_oldest_unsettled() -> None:
    """After a reconnect everything unsettled is unsent again, in order, and none of it is safe."""
    window = new_window()
    for _ in range(4):
        accept(window)
    sequences(window)
    accept(window)
    window.settle(safe=3, settled=1)

    window.rewind()

    assert window.unsafe == 4
    assert sequences(window) == [("k", [2, 3, 4, 5])]


def test_what_is_unsent_after_a_rewind_can_still_be_settled() -> None:
    """A number that was sent on the lost connection may be settled by the next."""
    window = new_window()
    for _ in range(3):
        accept(window)
    sequences(window)
    window.rewind()

    window.settle(safe=2, settled=2)

    assert sequences(window) == [("k", [3])]


def test_events_leave_when_their_time_is_over() -> None:
    """After 50 s nobody delivers an event any more: it goes, counted, sent or not."""
    window = new_window()
    accept(window, now_s=0.0)
    accept(window, now_s=1.0)
    sequences(window, 1.0)
    accept(window, now_s=2.0)
    window.settle(safe=1, settled=0)

    window.expire(50.0)
    assert len(window) == 3
    window.expire(51.5)

    assert (len(window), window.expired) == (1, 1), "the safe one is the daemon's to count"
    assert window.take_batch(60.0) is None
    assert (len(window), window.expired, window.unsafe) == (0, 2, 0)


def test_what_was_safe_when_its_time_was_over_is_settled_by_the_daemons_word() -> None:
    """Until it says so they wait, without being kept; one that is gone before has counted them nowhere."""
    window = new_window()
    for _ in range(4):
        accept(window)
    sequences(window)
    window.settle(safe=4, settled=0)

    window.expire(50.5)
    assert (0, 4, 0, 0) == (len(window), len(window.overdue), window.settled, window.expired)
    window.settle(safe=4, settled=3)
    assert (1, 3, 0) == (len(window.overdue), window.settled, window.expired)
    window.rewind()

    assert (0, 3, 1) == (len(window.overdue), window.settled, window.expired)


def test_lines_whose_time_is_over_wait_for_no_word() -> None:
    """Nothing more is promised for a line of instrumentation that the daemon has."""
    window = new_window()
    snoop(window)
    sequences(window)
    window.settle(safe=1, settled=0)

    window.expire(50.5)

    assert (0, 1, 0) == (len(window.overdue), window.settled, window.snoop_dropped)


def test_full_refuses() -> None:
    """Without room the new event is refused and counted, and its number is not used."""
    window = new_window(window_bytes=2 * ENTRY)
    assert accept(window)
    assert accept(window)

    assert not accept(window)

    assert (window.refused, window.last_sequence) == (1, 2)
    sequences(window)
    window.settle(1, 1)
    assert accept(window)
    assert window.last_sequence == 3


def test_a_run_that_left_in_parts_leaves_its_room() -> None:
    """No byte of it is still counted, and none twice."""
    payload = b"x" * 1000
    window = new_window(window_bytes=4 * (ENTRY - len(b"null") + len(payload)))
    for _ in range(4):
        accept(window, payload=payload)
    sequences(window)
    for number in range(1, 5):
        window.settle(number, number)

    assert [accept(window, payload=payload) for _ in range(5)] == [True, True, True, True, False]


def test_full_raises_when_asked_to() -> None:
    """The policy "raise" says it with an exception."""
    window = new_window(window_bytes=ENTRY)
    accept(window)

    with pytest.raises(WindowFullError):
        accept(window, on_full="raise")
    assert (len(window), window.refused) == (1, 1)


def test_full_drops_the_oldest_when_asked_to() -> None:
    """The policy "drop_oldest" makes room, sent or not, and counts what it cost."""
    window = new_window(window_bytes=2 * ENTRY)
    accept(window)
    window.take_batch(0.0)
    accept(window)

    assert accept(window, on_full="drop_oldest")
    assert accept(window, on_full="drop_oldest")

    assert (window.evicted, sequences(window)) == (2, [("k", [3, 4])])


def test_full_first_lets_go_of_what_is_safe() -> None:
    """An event that is safe makes way before any is refused, and is counted."""
    window = new_window(window_bytes=2 * ENTRY)
    accept(window)
    accept(window)
    sequences(window)
    window.settle(safe=1, settled=0)

    assert accept(window)
    assert not accept(window)

    assert (window.uninsured, window.refused, len(window)) == (1, 1, 2)


def test_an_event_larger_than_the_window_is_refused() -> None:
    """No policy makes room for what can never fit, and a refusing one loses nothing else over it."""
    window = new_window(window_bytes=ENTRY)
    accept(window)

    assert not accept(window, payload=b"x" * 1000)
    assert len(window) == 1
    assert not accept(window, payload=b"x" * 1000, on_full="drop_oldest")


def test_time_makes_room() -> None:
    """Expired events do not keep new ones out."""
    window = new_window(window_bytes=ENTRY)
    accept(window, now_s=0.0)

    assert accept(window, now_s=51.0)
    assert (window.expired, window.refused) == (1, 0)


def snoop(window: Window, now_s: float = 0.0) -> bool:
    """Accept one line of instrumentation."""
    return window.accept(Line(Network.SNOOP_TRACE, "snoop.trace", HEADING), b"null", now_s)


def test_instrumentation_has_half_of_the_window() -> None:
    """Beyond it lines are dropped and counted; events still have the other half."""
    window = new_window(window_bytes=4 * ENTRY)

    assert [snoop(window) for _ in range(3)] == [True, True, False]
    assert [accept(window) for _ in range(2)] == [True, True]
    assert not snoop(window)
    assert (window.snoop_refused, window.refused, len(window)) == (2, 0, 4)


def test_spy_lines_leave_room_for_traces() -> None:
    """They have a quarter of the window; traces may have as much on top."""
    window = new_window(window_bytes=8 * ENTRY)
    spy = Line(Network.SNOOP_SPY, "snoop.spy", HEADING)

    assert [window.accept(spy, b"null", 0.0) for _ in range(3)] == [True, True, False]
    assert [snoop(window) for _ in range(3)] == [True, True, False]
    assert (window.snoop_refused, len(window)) == (2, 4)


def test_events_push_old_instrumentation_out() -> None:
    """No event is refused while lines could go; those are counted, unless they are safe."""
    window = new_window(window_bytes=4 * ENTRY)
    snoop(window)
    snoop(window)
    sequences(window)
    window.settle(safe=1, settled=0)

    assert [accept(window) for _ in range(5)] == [True, True, True, True, False]
    assert (window.snoop_dropped, window.uninsured, window.refused) == (1, 0, 1)


def test_instrumentation_that_is_too_old_is_counted_apart() -> None:
    """Nobody shall think that events expired."""
    window = new_window()
    snoop(window)
    accept(window)
    window.expire(60.0)

    assert (window.snoop_dropped, window.expired, len(window)) == (1, 1, 0)


def test_what_is_for_a_barred_network_is_let_go_and_nothing_more_taken() -> None:
    """Its bytes are free again, the rest goes in its order, and once it is open events are taken again."""
    window = new_window(window_bytes=6 * ENTRY)
    for key in ("a", "b"):
        accept(window, key)
    window.accept(Line(Network.SNOOP_TRACE, "a", HEADING), b"null", 0.0)

    assert 2 == window.bar(frozenset({Network.MESH}))
    assert (1, 2) == (len(window), window.no_key)
    assert not accept(window, on_full="raise")
    assert 1 == window.refused
    assert [("a", [3])] == sequences(window)
    assert 0 == window.bar(frozenset())
    window.settle(3, 3)
    assert [True] * 6 + [False] == [accept(window) for _ in range(7)]
    assert [("k", [4, 5, 6, 7, 8, 9])] == sequences(window)
