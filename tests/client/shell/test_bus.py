"""Publish and subscribe: among charts of the shell, and with plain miros charts."""

import pytest

from mirosd_client.shell import Chart, signals
from mirosd_client.shell.bus import Tap, _Rank
from mirosd_client.shell.inbox import Inbox
from mirosd_client.shell.testing import ManualReactor, RecordingBus, threadless
from tests.client.shell.both import outcome
from tests.client.shell.charts import outer, told
from tests.lab.waiting import until


class Listener(Chart):
    """A chart that keeps what NOTE brings, and stops at the end of the test."""

    made: list["Listener"] = []

    def __init__(self, name):
        super().__init__(name)
        self.seen = []
        self.made.append(self)


@pytest.fixture(autouse=True)
def stop_all():
    """No chart outlives its test."""
    yield
    while Listener.made:
        assert Listener.made.pop().stop(30)


def test_order_is_kept_for_each_of_two_uninstrumented_subscribers():
    """Published fast from a third chart, everything arrives in order."""
    speaker, *listeners = (Listener(name) for name in "abc")
    for chart in listeners:
        chart.subscribe(told("NOTE"))
    for chart in (speaker, *listeners):
        chart.start_at(outer)
    for n in range(200):
        speaker.publish(told("NOTE", n))
    until(lambda: all(len(chart.seen) == 200 for chart in listeners))

    assert [chart.seen for chart in listeners] == [list(range(200))] * 2


def test_a_subscription_can_be_taken_back_and_given_again():
    """Once taken back, nothing arrives; twice given, everything arrives once."""
    speaker, listener = Listener("a"), Listener("b")
    for chart in (speaker, listener):
        chart.start_at(outer)
    for _ in range(2):
        listener.subscribe(signals.NOTE)
    listener.subscribe(told("DO"))
    speaker.publish(told("NOTE", 1))
    until(lambda: listener.seen)
    listener.unsubscribe(signals.NOTE)
    listener.unsubscribe(signals.NEVER_SUBSCRIBED)
    speaker.publish(told("NOTE", 2))
    speaker.publish(told("DO", lambda chart: chart.subscribe(told("NOTE"))))
    speaker.publish(told("DO", lambda chart: chart.seen.append("did")))
    until(lambda: "did" in listener.seen)
    speaker.publish(told("NOTE", 3))
    until(lambda: len(listener.seen) == 3)

    assert listener.seen == [1, "did", 3]


def test_an_event_on_its_way_stops_when_its_subscription_does():
    """The fabric's thread may be handing it out at that moment."""
    listener = Listener("a")
    listener.subscribe(told("NOTE"))
    listener.unsubscribe(told("NOTE"))
    listener._tap.append(told("NOTE"))

    assert len(listener.queue) == 0


def test_a_stopped_chart_leaves_no_subscription():
    """The registry of miros has nothing of it any more (D27)."""
    chart = Listener("a")
    chart.start_at(outer)
    chart.subscribe(told("LEFT_BEHIND"))
    registry = chart.fabric.fifo_subscriptions
    assert registry["LEFT_BEHIND"] == [chart._tap]

    assert chart.stop(30)
    assert registry["LEFT_BEHIND"] == []


def test_plain_charts_take_part():
    """A plain ActiveObject hears the shell's charts, and they hear it."""
    program = """
        chart, plain = Chart("shell"), ActiveObject("plain")
        plain.on_entry = lambda: plain.subscribe(told("TO_PLAIN"))
        plain.start_at(listening)
        chart.start_at(listening)
        chart.subscribe(told("TO_SHELL"))
        for n in range(50):
            chart.publish(told("TO_PLAIN", n))
        until(lambda: len(seen) == 50)
        plain.publish(told("TO_SHELL", "back"))
        until(lambda: len(seen) == 51)
        print(seen == [*range(50), "back"])
    """

    assert outcome("shell", program) == "True"


def test_ranks_put_urgent_first_and_equal_ones_in_line():
    """A plain number of the same priority goes before them all, from either side of the comparison."""
    ranks = [_Rank(1000, 1), _Rank(1000, 2), 1000, _Rank(1, 3), 5]

    assert sorted(ranks) == [1, 5, 1000, 1000, 1000]
    assert [getattr(rank, "place", None) for rank in sorted(ranks)] == [3, None, None, 1, 2]
    assert not _Rank(5, 1) < 5
    assert 5 < _Rank(5, 1)


def test_lifo_subscriptions_come_first():
    """An event subscribed as "lifo" overtakes what waits already."""
    inbox = Inbox(10)
    tap = Tap(inbox)
    tap.queue_type_of.update(A="fifo", B="lifo")
    for name in ("A", "B", "UNWANTED"):
        tap.append(told(name))

    assert [event.signal_name for event in inbox.deque] == ["B", "A"]


def test_arguments_are_checked():
    """Priorities are whole numbers, queue types two, signals those of others."""
    chart = Chart("c")
    for call, error in (
        (lambda: chart.publish(told("X"), priority="high"), TypeError),
        (lambda: chart.subscribe(told("X"), queue_type="filo"), ValueError),
        (lambda: chart.subscribe("X"), TypeError),
        (lambda: chart.subscribe(told("ENTRY_SIGNAL")), ValueError),
    ):
        with pytest.raises(error):
            call()


def test_threadless_charts_hear_each_other():
    """On one bus and reactor; the bus keeps what was published, heard or not."""
    reactor, bus = ManualReactor(), RecordingBus()
    speaker, listener = (threadless(Listener(name), reactor, bus) for name in "ab")
    listener.chart.subscribe(told("NOTE"))
    listener.chart.subscribe(told("NOTE"), "lifo")
    for play in (speaker, listener):
        play.start_at(outer)
    speaker.tell("DO", lambda chart: chart.publish(told("NOTE", 1)))
    listener.chart.unsubscribe(told("NOTE"))
    listener.chart.unsubscribe(told("NOTE"))
    speaker.tell("DO", lambda chart: chart.publish(told("NOTE", 2)))

    assert listener.chart.seen == [1]
    assert [event.payload for event in speaker.published] == [1, 2]
