"""The window: what is kept, in which order it goes, and what leaves it why."""

from collections.abc import Callable

import pytest

from mirosd_client.errors import WindowFullError
from mirosd_client.limits import MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.record import decode_records
from mirosd_client.window import ENTRY_BYTES, Window
from mirosd_client.wire import Network
from tests.client.fake_daemon import record

RECORD_BYTES = len(record(1))
ENTRY = RECORD_BYTES + ENTRY_BYTES


def make(payload: bytes = b"null") -> Callable[[int], bytes]:
    """Give what makes the record of a sequence number."""
    return lambda sequence: record(sequence, payload=payload)


def accept(window: Window, key: str = "k", now_s: float = 0.0, payload: bytes = b"null", **policy: str) -> bool:
    """Accept one event."""
    return window.accept(Network.MESH, key, make(payload), now_s, **policy)  # type: ignore[arg-type]


def sequences(window: Window, now_s: float = 0.0) -> list[tuple[str, list[int]]]:
    """Take every batch there is: (routing key, sequence numbers)."""
    taken = []
    while (batch := window.take_batch(now_s)) is not None:
        taken.append((batch.routing_key, [r.sequence for r in decode_records(batch.records)]))
    return taken


def test_events_leave_in_order_and_together() -> None:
    """What is there goes in one batch; another routing key or network begins a new one."""
    window = Window()
    for key in ("a", "a", "b", "a"):
        accept(window, key)
    window.accept(Network.SNOOP_TRACE, "a", make(), 0.0)

    assert sequences(window) == [("a", [1, 2]), ("b", [3]), ("a", [4]), ("a", [5])]
    assert window.take_batch(0.0) is None


def test_a_batch_has_at_most_64_records() -> None:
    """The bound in bodies is a bound in events."""
    window = Window()
    for _ in range(2 * MAX_RECORDS + 1):
        accept(window)

    assert [len(run) for _, run in sequences(window)] == [MAX_RECORDS, MAX_RECORDS, 1]


def test_a_batch_has_at_most_64_kib_but_one_larger_record_travels_alone() -> None:
    """Bytes close a batch too, and a record above the bound is a batch of its own."""
    window = Window()
    for size in (MAX_BODY_BYTES // 2, MAX_BODY_BYTES // 2 - 200, 100, MAX_BODY_BYTES * 2, 10):
        accept(window, payload=b"x" * size)

    assert [run for _, run in sequences(window)] == [[1, 2], [3], [4], [5]]


def test_age_is_written_at_hand_over() -> None:
    """Each record says how long it waited here, also when it goes a second time."""
    window = Window()
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
    window = Window()
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
    window = Window()
    accept(window)
    sequences(window)
    accept(window)

    window.settle(safe=99, settled=99)

    assert (len(window), window.unsafe) == (1, 1)
    assert sequences(window) == [("k", [2])]


def test_rewind_begins_with_the_oldest_unsettled() -> None:
    """After a reconnect everything unsettled is unsent again, in order, and none of it is safe."""
    window = Window()
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
    window = Window()
    for _ in range(3):
        accept(window)
    sequences(window)
    window.rewind()

    window.settle(safe=2, settled=2)

    assert sequences(window) == [("k", [3])]


def test_events_leave_when_their_time_is_over() -> None:
    """After 50 s nobody delivers an event any more: it goes, counted, sent or not."""
    window = Window()
    accept(window, now_s=0.0)
    accept(window, now_s=1.0)
    sequences(window)
    accept(window, now_s=2.0)
    window.settle(safe=1, settled=0)

    window.expire(50.0)
    assert len(window) == 3
    window.expire(51.5)

    assert (len(window), window.expired) == (1, 1), "the safe one is the daemon's to count"
    assert window.take_batch(60.0) is None
    assert (len(window), window.expired, window.unsafe) == (0, 2, 0)


def test_full_refuses() -> None:
    """Without room the new event is refused and counted, and its number is not used."""
    window = Window(window_bytes=2 * ENTRY)
    assert accept(window)
    assert accept(window)

    assert not accept(window)

    assert (window.refused, window.last_sequence) == (1, 2)
    sequences(window)
    window.settle(1, 1)
    assert accept(window)
    assert window.last_sequence == 3


def test_full_raises_when_asked_to() -> None:
    """The policy "raise" says it with an exception."""
    window = Window(window_bytes=ENTRY)
    accept(window)

    with pytest.raises(WindowFullError):
        accept(window, on_full="raise")
    assert (len(window), window.refused) == (1, 1)


def test_full_drops_the_oldest_when_asked_to() -> None:
    """The policy "drop_oldest" makes room, sent or not, and counts what it cost."""
    window = Window(window_bytes=2 * ENTRY)
    accept(window)
    window.take_batch(0.0)
    accept(window)

    assert accept(window, on_full="drop_oldest")
    assert accept(window, on_full="drop_oldest")

    assert (window.evicted, sequences(window)) == (2, [("k", [3, 4])])


def test_full_first_lets_go_of_what_is_safe() -> None:
    """An event that is safe makes way before any is refused, and is counted."""
    window = Window(window_bytes=2 * ENTRY)
    accept(window)
    accept(window)
    sequences(window)
    window.settle(safe=1, settled=0)

    assert accept(window)
    assert not accept(window)

    assert (window.uninsured, window.refused, len(window)) == (1, 1, 2)


def test_an_event_larger_than_the_window_is_refused() -> None:
    """No policy makes room for what can never fit, and a refusing one loses nothing else over it."""
    window = Window(window_bytes=ENTRY)
    accept(window)

    assert not accept(window, payload=b"x" * 1000)
    assert len(window) == 1
    assert not accept(window, payload=b"x" * 1000, on_full="drop_oldest")


def test_time_makes_room() -> None:
    """Expired events do not keep new ones out."""
    window = Window(window_bytes=ENTRY)
    accept(window, now_s=0.0)

    assert accept(window, now_s=51.0)
    assert (window.expired, window.refused) == (1, 0)


def snoop(window: Window, now_s: float = 0.0) -> bool:
    """Accept one line of instrumentation."""
    return window.accept(Network.SNOOP_TRACE, "snoop.trace", make(), now_s)


def test_instrumentation_has_half_of_the_window() -> None:
    """Beyond it lines are dropped and counted; events still have the other half."""
    window = Window(window_bytes=4 * ENTRY)

    assert [snoop(window) for _ in range(3)] == [True, True, False]
    assert [accept(window) for _ in range(2)] == [True, True]
    assert not snoop(window)
    assert (window.snoop_dropped, window.refused, len(window)) == (2, 0, 4)


def test_events_push_old_instrumentation_out() -> None:
    """No event is refused while lines could go; those are counted, unless they are safe."""
    window = Window(window_bytes=4 * ENTRY)
    snoop(window)
    snoop(window)
    sequences(window)
    window.settle(safe=1, settled=0)

    assert [accept(window) for _ in range(5)] == [True, True, True, True, False]
    assert (window.snoop_dropped, window.uninsured, window.refused) == (1, 0, 1)


def test_instrumentation_that_is_too_old_is_counted_apart() -> None:
    """Nobody shall think that events expired."""
    window = Window()
    snoop(window)
    accept(window)
    window.expire(60.0)

    assert (window.snoop_dropped, window.expired, len(window)) == (1, 1, 0)
