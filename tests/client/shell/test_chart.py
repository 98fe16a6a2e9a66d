"""Charts: their life, and what is posted to them."""

import gc
import threading
import weakref

import pytest
from miros import ActiveObject, Factory
from miros.hsm import HsmEventProcessor, InstrumentedHsmEventProcessor

from mirosd_client.shell import Chart, ChartFactory, default_reactor
from mirosd_client.shell.step import Guard
from mirosd_client.shell.testing import ManualReactor, threadless
from tests.client.shell.charts import Noting, resting, told
from tests.lab.waiting import until


def test_they_are_miros_classes():
    """isinstance holds, and the guard stands right before miros' event processor."""
    assert issubclass(Chart, ActiveObject)
    assert issubclass(ChartFactory, Factory)
    order = Chart.__mro__
    assert order.index(InstrumentedHsmEventProcessor) < order.index(Guard) < order.index(HsmEventProcessor)


# Life.


def test_a_chart_is_one_thread(chart):
    """It is a daemon with the chart's name; its timers share the reactor's."""
    assert chart.thread.name == "c"
    assert chart.thread.daemon
    assert chart.reactor is default_reactor()


def test_stop_from_its_own_handler(chart):
    """It cannot wait for itself: False; the thread ends when the handler returns."""
    answers = []
    chart.post_fifo(told("DO", lambda chart: answers.append(chart.stop())))
    until(lambda: not chart.thread.is_alive())

    assert answers == [False]


def test_stop_in_the_entry_of_the_start_state():
    """A chart that stops itself before it has a thread ends when it gets one."""
    chart = Noting()
    chart.on_trace.append(lambda record: chart.stop())
    chart.start_at(resting)

    until(lambda: not chart.thread.is_alive())


def test_a_stopped_chart_handles_nothing_more():
    """What waits when stop() is called is dropped."""
    chart = Noting()
    inside, go_on = threading.Event(), threading.Event()
    chart.start_at(resting)
    chart.post_fifo(told("DO", lambda chart: (inside.set(), go_on.wait(30))))
    chart.post_fifo(told("NOTE", 1))
    assert inside.wait(30)

    assert not chart.stop(0.0)
    go_on.set()
    assert chart.stop(30)
    assert chart.seen == []


def test_a_step_that_was_about_to_begin_does_not():
    """The chart's thread may have seen the event just before stop() came."""
    play = threadless(Noting())
    play.start_at(resting)
    play.chart.post_fifo(told("NOTE", 1))
    play.chart.stop()

    assert not play.chart.next_rtc()
    assert play.chart.seen == []


def test_a_chart_starts_once(chart):
    """Neither a running nor a stopped chart starts again; one whose entry raised may be tried again."""
    with pytest.raises(RuntimeError, match="make a new one"):
        chart.start_at(resting)
    chart.stop()
    with pytest.raises(RuntimeError, match="make a new one"):
        chart.start_at(resting)


def test_an_error_of_the_first_entry_is_the_callers():
    """There is no thread then, and the chart may be started otherwise."""
    chart = Noting()
    with pytest.raises(ZeroDivisionError):
        chart.start_at(lambda chart, e: 1 / 0)
    assert chart.thread is None

    chart.start_at(resting)
    assert chart.stop(30)


def test_a_stopped_chart_is_freed_with_its_pending_timers_and_subscriptions():
    """Nothing in the process remembers it."""
    chart = Noting()
    chart.start_at(resting)
    chart.subscribe(told("NEWS"))
    chart.post_fifo(told("NOTE", 1), period=30.0)
    assert chart.stop(30)
    freed = weakref.ref(chart)
    del chart
    gc.collect()

    assert freed() is None


def test_a_chart_never_started_is_freed():
    """With a timer pending, too: the timer knows the queue alone."""
    chart = Noting()
    chart.post_fifo(told("NOTE", 1), period=30.0)
    freed = weakref.ref(chart)
    del chart
    gc.collect()

    assert freed() is None


# Posting.


def test_many_timeouts_cost_no_threads(chart):
    """254 pending timeouts, all cancelled by one call, are no thread more."""
    chart.post_fifo(told("NOTE", 0), period=0.001, times=1)
    until(lambda: chart.seen)
    before = threading.active_count()
    for _ in range(254):
        chart.post_fifo(told("NOTE", 1), period=60.0, times=1)

    assert threading.active_count() == before
    assert len(chart._timed) == 254
    chart.cancel_events(told("NOTE"))
    assert chart._timed == {}


@pytest.mark.parametrize(
    ("options", "times_s"),
    [
        ({"period": 1.0}, [1, 2, 3, 4]),
        ({"period": 1.0, "times": 0}, [1, 2, 3, 4]),
        ({"period": 1.0, "times": 1}, [1]),
        ({"period": 1.0, "times": 3}, [1, 2, 3]),
        ({"period": 1.0, "times": 2, "deferred": False}, [0, 1]),
        ({"period": 1.0, "times": 1, "deferred": False}, [0]),
        ({"period": 0.0, "times": 1}, [0]),
        ({"times": 3, "deferred": True}, [0]),
    ],
)
def test_delayed_posts_follow_miros_words(options, times_s):
    """Period, times and deferred mean what miros documents; what is spent is forgotten."""
    play = threadless(Noting())
    play.start_at(resting)
    arrived = []
    play.chart.post_fifo(told("DO", lambda chart: arrived.append(play.reactor.now_s)), **options)
    play.drain()
    play.elapse(4.5)

    assert arrived == times_s
    assert len(play.chart._timed) == (1 if len(times_s) == 4 else 0)


def test_delayed_posts_to_the_front():
    """post_lifo overtakes what waits, also by a timer."""
    play = threadless(Noting())
    play.start_at(resting)
    play.chart.post_fifo(told("NOTE", "last"))
    play.chart.post_lifo(told("NOTE", "second"))
    play.chart.post_lifo(told("NOTE", "first"), period=1.0, times=1)
    play.reactor.steppers.clear()
    play.elapse(1.0)
    while play.chart.next_rtc():
        pass

    assert play.chart.seen == ["first", "second", "last"]


def test_cancelling_one_of_two():
    """An id cancels its own post alone; unknown and spent ids do no harm."""
    play = threadless(Noting())
    play.start_at(resting)
    first = play.chart.post_fifo(told("NOTE", 1), period=1.0)
    play.chart.post_fifo(told("NOTE", 2), period=1.0)
    play.chart.cancel_event(first)
    play.chart.cancel_event(first)
    play.chart.cancel_event(uuid=None)
    play.elapse(2.0)

    assert play.chart.seen == [2, 2]


def test_a_timeout_that_found_no_room_is_forgotten():
    """A full queue counts it; the chart keeps no record of what cannot arrive any more."""
    chart = Noting(reactor=ManualReactor())
    for n in range(500):
        chart.post_fifo(told("NOTE", n))
    chart.post_fifo(told("NOTE", 500), period=1.0, times=1)
    chart.reactor.advance(1.0)

    assert chart.dropped == 1
    assert chart._timed == {}


def test_what_finds_no_room_is_counted_and_said_once(caplog):
    """The queue keeps the oldest 500 (or what the class says), in order."""
    play = threadless(Noting())
    for n in range(510):
        play.chart.post_fifo(told("NOTE", n))
    play.chart.post_lifo(told("NOTE", "urgent"))
    play.start_at(resting)

    assert play.chart.seen == list(range(500))
    assert play.chart.dropped == 11
    assert [record.message for record in caplog.records] == ["c: NOTE was dropped: 500 events wait already"]


def test_the_bound_is_the_classes():
    """A subclass' QUEUE_SIZE holds for its charts."""

    class Small(Chart):
        QUEUE_SIZE = 2

    chart = Small("c")
    for _ in range(3):
        chart.post_fifo(told("NOTE"))

    assert (len(chart.queue), chart.dropped) == (2, 1)


@pytest.mark.parametrize("method", ["post_fifo", "post_lifo", "publish"])
def test_wrong_posts_raise_where_they_are_made(method):
    """TypeError for what is no Event; ValueError for a signal that drives miros."""
    post = getattr(Chart("c"), method)
    with pytest.raises(TypeError, match="is not an Event"):
        post("GO")
    with pytest.raises(ValueError, match="REFLECTION_SIGNAL"):
        post(told("REFLECTION_SIGNAL"))


def test_calls_take_their_turn(chart):
    """post_call runs in the chart's thread between the steps around it; refused once stopped."""
    called = []
    chart.post_fifo(told("NOTE", 1))
    assert chart.post_call(lambda: called.append((threading.current_thread(), list(chart.seen))))
    chart.post_fifo(told("NOTE", 2))
    until(lambda: len(chart.seen) == 2)

    assert called == [(chart.thread, [1])]
    assert chart.stop(30)
    assert not chart.post_call(print)


def test_defer_and_recall():
    """miros' deferring works on the shell's queue, for a timed event too."""
    play = threadless(Noting())
    play.start_at(resting)
    play.chart.post_fifo(told("DO", lambda chart: chart.defer(told("NOTE", "later"))), period=1.0, times=1)
    play.elapse(1.0)
    assert play.chart.seen == []

    play.tell("DO", lambda chart: chart.recall())
    assert play.chart.seen == ["later"]
