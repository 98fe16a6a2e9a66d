"""What one subscription takes in: once, in order, and no faster than there is room."""

import pytest

from mirosd_client.intake import FORGET_SOURCE_S, Intake
from mirosd_client.messages import Subscribe
from mirosd_client.record import Record
from mirosd_client.wire import Delivery
from tests.client.fake_daemon import OTHER, record

ME = b"\x01" * 16
REQUEST = Subscribe(1, "mesh", "#")


class Chart:
    """A taker with room for so many."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.taken: list[Record] = []

    def take(self, taken: Record) -> None:
        self.room -= 1
        self.taken.append(taken)

    def has_room(self) -> bool:
        return self.room > 0

    @property
    def sequences(self) -> list[int]:
        return [r.sequence for r in self.taken]


def delivery(tag: int, *records: bytes) -> Delivery:
    return Delivery(1, tag, 0, False, b"".join(records))


def make(chart: Chart) -> Intake:
    return Intake(REQUEST, (ME, 3), chart.take, chart.has_room)


def test_deliveries_are_taken_in_order_and_the_last_tag_is_given() -> None:
    """Everything is passed on, and one tag stands for all that is."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(1), record(2)), 0.0)
    intake.deliver(delivery(2, record(5)), 0.0)

    assert intake.drain() == 2
    assert chart.sequences == [1, 2, 5]
    assert intake.drain() is None


def test_repeats_are_left_out_per_source() -> None:
    """A number not above the highest of its source is a repeat; another source has its own."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(5), record(3), record(5), record(6), record(4, chart=2)), 0.0)

    assert intake.drain() == 1
    assert [(r.chart, r.sequence) for r in chart.taken] == [(1, 5), (1, 6), (2, 4)]
    assert intake.duplicates == 2


def test_the_charts_own_events_are_left_out_and_its_neighbours_are_not() -> None:
    """Only the very chart that sent an event never gets it back."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(1, client=ME, chart=3), record(2, client=ME, chart=4), record(3, chart=3)), 0.0)

    assert intake.drain() == 1
    assert chart.sequences == [2, 3]
    assert intake.duplicates == 0


def test_a_delivery_of_repeats_alone_is_still_acknowledged() -> None:
    """The broker must be rid of it."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(1)), 0.0)
    intake.deliver(delivery(2, record(1)), 0.0)

    assert intake.drain() == 2


def test_without_room_the_rest_waits_and_is_not_acknowledged() -> None:
    """A half-taken delivery has no tag yet; room makes it go on where it was."""
    chart = Chart(room=3)
    intake = make(chart)
    intake.deliver(delivery(1, record(1), record(2)), 0.0)
    intake.deliver(delivery(2, record(3), record(4)), 0.0)

    assert intake.drain() == 1
    assert (chart.sequences, intake.is_waiting) == ([1, 2, 3], True)
    intake.deliver(delivery(3, record(5)), 0.0)
    assert intake.drain() is None
    chart.room = 10
    assert intake.drain() == 3
    assert (chart.sequences, intake.is_waiting) == ([1, 2, 3, 4, 5], False)


def test_room_made_at_the_last_moment_is_seen() -> None:
    """Room that appears between the look and the note that something waits is not missed."""
    answers = iter([False, True, True])
    taken: list[Record] = []
    intake = Intake(REQUEST, (ME, 3), taken.append, lambda: next(answers))
    intake.deliver(delivery(1, record(1), record(2)), 0.0)

    assert intake.drain() == 1
    assert not intake.is_waiting


def test_after_a_reconnect_what_waits_is_passed_on_once_and_acknowledged_by_its_new_tag() -> None:
    """The lost connection's tag is never used; the repeat on the new one waits its turn."""
    chart = Chart(room=1)
    intake = make(chart)
    intake.deliver(delivery(7, record(1), record(2)), 0.0)
    intake.drain()

    intake.detach()
    intake.deliver(delivery(1, record(1), record(2), record(3)), 0.0)
    assert intake.drain() is None
    chart.room = 1
    assert intake.drain() is None
    chart.room = 10

    assert intake.drain() == 1
    assert chart.sequences == [1, 2, 3]


def test_a_source_is_forgotten_ten_minutes_after_its_last_event() -> None:
    """The table of sources does not grow with every program that ever ran."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(9), record(9, client=ME)), 0.0)
    intake.deliver(delivery(2, record(10)), FORGET_SOURCE_S / 2)
    intake.deliver(delivery(3), FORGET_SOURCE_S + 1)
    intake.deliver(delivery(4, record(9, client=ME), record(9)), FORGET_SOURCE_S + 2)
    intake.drain()

    assert [(r.client, r.sequence) for r in chart.taken] == [(OTHER, 9), (ME, 9), (OTHER, 10), (ME, 9)]


def test_the_newest_clock_reading_is_given() -> None:
    """It is merged once per delivery."""
    intake = make(Chart())

    assert intake.deliver(delivery(1, record(1, hlc=5), record(2, hlc=9), record(3, hlc=7)), 0.0) == 9
    assert intake.deliver(delivery(2), 0.0) == 0


NO_TEXT = record(3).replace(b"json", b"\xff\xff\xff\xff")
NO_FIT = b"".join((record(3)[:42], b"\xff", record(3)[43:]))  # a content type longer than the record


@pytest.mark.parametrize("poison", [NO_TEXT, NO_FIT], ids=["no text", "no fit"])
def test_what_is_no_record_is_counted_and_the_rest_is_taken(poison: bytes) -> None:
    """A sender elsewhere cannot keep others' events back with one that nobody can read."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(1), poison, record(2), poison, record(5)), 0.0)

    assert intake.drain() == 1
    assert (chart.sequences, intake.undecodable) == ([1, 2, 5], 2)


@pytest.mark.parametrize("tail", [b"junk", b"\x00" * 50, b"\xff" * 50, record(3)[:-1]])
def test_after_a_size_that_is_wrong_nothing_more_can_be_read(tail: bytes) -> None:
    """What came before it is taken, the rest is one that is counted, and the delivery is over."""
    chart = Chart()
    intake = make(chart)
    intake.deliver(delivery(1, record(1), tail), 0.0)
    intake.deliver(delivery(2, record(2)), 0.0)

    assert intake.drain() == 2
    assert (chart.sequences, intake.undecodable) == ([1, 2], 1)


def test_closing_drops_what_waits_even_while_it_is_passed_on() -> None:
    """A callback that ends its own subscription gets nothing more."""
    taken: list[int] = []

    def take(one: Record) -> None:
        taken.append(one.sequence)
        intake.close()

    intake = Intake(REQUEST, (ME, 3), take)
    intake.deliver(delivery(1, record(1), record(2)), 0.0)
    intake.deliver(delivery(2, record(3)), 0.0)

    assert intake.drain() is None
    assert taken == [1]
