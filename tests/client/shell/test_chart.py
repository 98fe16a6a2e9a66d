"""Charts: their life with a real thread, and their steps without one."""

import gc
import logging
import threading
import weakref

import pytest
from miros import ActiveObject, Factory
from miros.hsm import HsmEventProcessor, InstrumentedHsmEventProcessor

from mirosd_client.shell import Chart, ChartFactory, TraceRecord, default_reactor, format_trace, signals
from mirosd_client.shell.step import Guard
from mirosd_client.shell.testing import ManualReactor, threadless
from tests.client.shell.both import outcomes
from tests.client.shell.charts import outer, resting, told, watched
from tests.lab.waiting import until


class Noting(Chart):
    """A chart that keeps what it was told by NOTE."""

    def __init__(self, name="c", **options):
        super().__init__(name, **options)
        self.seen = []


@pytest.fixture
def chart():
    """A running chart, stopped afterwards."""
    made = Noting()
    made.start_at(resting)
    yield made
    assert made.stop(30)


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


# Steps.


def test_a_fault_is_logged_counted_told_and_survived(caplog):
    """The log says which event failed in which state, but not the payload."""
    play = threadless(Noting(), raise_faults=False)
    faults = []
    play.chart.on_fault = lambda *fault: faults.append(fault)
    play.start_at(resting)
    event = told("DO", lambda chart: 1 / 0)
    play.chart.post_fifo(event)
    play.tell("GO")

    [(faulty, failed, error)] = faults
    assert (faulty, failed, type(error)) == (play.chart, event, ZeroDivisionError)
    assert play.chart.faults == 1
    assert play.state == "working"
    [record] = caplog.records
    assert (record.name, record.message) == ("mirosd_client.chart", "c: DO failed in resting")


def test_a_fault_in_the_middle_of_a_transition_leaves_the_last_state():
    """The next event is handled from the state that the chart last settled in."""

    def broken(chart, e):
        if e.signal == signals.ENTRY_SIGNAL:
            raise ValueError("no entry")
        return chart.parent(outer)

    def start(chart, e):
        if e.signal == signals.GO:
            return chart.trans(broken)
        return chart.parent(outer)

    play = threadless(Noting(), raise_faults=False)
    play.start_at(start)
    play.tell("GO")
    play.tell("NOTE", 1)

    assert (play.chart.faults, play.state, play.chart.seen) == (1, "start", [1])


def test_a_faulty_call_or_listener_is_survived(caplog):
    """post_call, on_trace, after_step and on_fault: whatever raises, the chart goes on."""
    play = threadless(Noting(), raise_faults=False)
    play.start_at(resting)
    for listeners in (play.chart.on_trace, play.chart.after_step):
        listeners.append(lambda *args: 1 / 0)
    play.chart.on_fault = lambda *args: 1 / 0
    play.chart.post_call(lambda: 1 / 0)
    play.tell("GO")

    assert play.state == "working"
    assert play.chart.faults == 1
    assert [record.message for record in caplog.records] == [
        "c: post_call failed in resting",
        "c: on_fault failed",
        "c: a listener to steps failed",
        "c: a listener to traces failed",
        "c: a listener to steps failed",
    ]


def test_after_step_comes_with_the_room_made():
    """Its listeners see the queue without the event just handled."""
    play = threadless(Noting())
    play.start_at(resting)
    waiting = []
    play.chart.after_step.append(lambda: waiting.append(len(play.chart.queue)))
    for n in range(3):
        play.chart.post_fifo(told("NOTE", n))
    play.drain()

    assert waiting == [2, 1, 0]


def test_busy_since_is_the_running_steps():
    """For a watchdog: set while a handler runs, None between steps."""
    play = threadless(Noting())
    play.start_at(resting)
    play.elapse(7.0)
    busy = []
    play.tell("DO", lambda chart: busy.append(chart.busy_since))

    assert busy == [7.0]
    assert play.chart.busy_since is None


# Being watched.


@pytest.mark.parametrize("instrumented", [False, True])
def test_every_move_has_a_record(instrumented):
    """The start, transitions, and a state left for itself; hooks and ignored events have none. Undecorated is fine."""
    play = threadless(Noting(instrumented=instrumented))
    play.start_at(resting)
    for name in ("GO", "NOTE", "AGAIN", "UNHEARD_OF", "GO"):
        play.tell(name)

    assert play.moves == [
        (None, "top", "resting"),
        ("GO", "resting", "working"),
        ("AGAIN", "working", "working"),
        ("GO", "working", "resting"),
    ]
    assert {record.chart for record in play.records} == {"c"}


def test_records_are_told_in_the_charts_thread(chart):
    """Once it runs; the start's is told by who starts it."""
    threads = []
    chart.on_trace.append(lambda record: threads.append(threading.current_thread()))
    chart.post_fifo(told("GO"))
    until(lambda: threads)

    assert threads == [chart.thread]


def test_a_record_reads_as_in_miros():
    """The text is that of miros' own trace, for moves and for the start."""
    play = threadless(Noting(instrumented=True))
    play.start_at(watched)
    [start] = play.records
    [_, line] = play.chart.trace().splitlines()

    assert format_trace(start).split("] ", 1)[1] == line.split("] ", 1)[1] == "[c] e->start_at() top->watched"
    moved = TraceRecord("c", "GO", "a", "b", start.wall_time_s)
    assert format_trace(moved)[: len("[2026-01-01 00:00:00.000000]")] == format_trace(start).split("] ")[0] + "]"
    assert format_trace(moved).endswith("] [c] e->GO() a->b")


@pytest.mark.parametrize("instrumented", [False, True])
def test_live_trace_prints_each_move_once(instrumented):
    """On or off, miros' live_trace and its callback work, for decorated states."""
    lines = []
    chart = Noting(instrumented=instrumented)
    chart.live_trace = True
    chart.register_live_trace_callback(lines.append)
    chart.start_at(watched)
    chart.post_fifo(told("DO", lambda chart: None))
    chart.post_fifo(told("NOTE", 1))
    until(lambda: chart.seen and lines)
    assert chart.stop(30)
    chart.writer._queue.join()

    assert [line.strip().split("] ", 1)[1] for line in lines] == ["[c] e->start_at() top->watched"]


def test_live_spy_works_when_instrumented():
    """miros' spy, through a callback that may raise."""
    lines = []
    chart = Noting(instrumented=True)
    chart.live_spy = True
    chart.register_live_spy_callback(lines.append)
    chart.start_at(watched)
    until(lambda: "ENTRY_SIGNAL:watched" in lines)

    assert chart.stop(30)


def test_instrumented_means_what_it_says():
    """The argument holds, the class gives the default."""

    class Spied(Chart):
        INSTRUMENTED_BY_DEFAULT = True

    assert [Chart("c").instrumented, Chart("c", instrumented=True).instrumented] == [False, True]
    assert [Spied("c").instrumented, Spied("c", instrumented=False).instrumented] == [True, False]


def test_instrumentation_is_switched_between_steps():
    """A handler that switches it finds it as before until its step has ended; spy and trace then fill."""
    play = threadless(Noting())
    play.start_at(watched)
    now = []
    play.tell("DO", lambda chart: (chart.instrument(True), now.append(chart.instrumented)))
    play.tell("NOTE", 1)

    assert now == [False]
    assert "NOTE:watched:HOOK" in play.chart.spy()
    play.chart.instrument(False)
    play.tell("NOTE", 2)
    assert play.chart.spy() is None
    assert play.chart.trace() is None


def test_posts_publications_and_subscriptions_stand_in_the_spy():
    """As miros writes them."""
    play = threadless(Noting(instrumented=True))
    play.start_at(watched)

    def speak(chart):
        chart.post_fifo(told("NOTE", 1))
        chart.post_lifo(told("NOTE", 2))
        chart.subscribe(told("NEWS"))
        chart.publish(told("NEWS"))

    play.tell("DO", speak)
    spy = play.chart.spy()

    for line in (
        "POST_FIFO:NOTE",
        "POST_LIFO:NOTE",
        "SUBSCRIBING TO:(NEWS, TYPE:fifo)",
        "PUBLISH:(NEWS, PRIORITY:1000)",
    ):
        assert line in spy


def test_a_trace_may_be_taken_at_any_moment():
    """Another thread takes traces while the chart moves as fast as it can; plain miros raises in the reader."""
    program = """
        @spy_on
        def ping(chart, e):
            if e.signal == signals.GO: return chart.trans(pong)
            chart.temp.fun = listening
            return SUPER
        @spy_on
        def pong(chart, e):
            if e.signal == signals.GO: return chart.trans(ping)
            chart.temp.fun = listening
            return SUPER
        sys.setswitchinterval(1e-5)
        chart = Chart("c")
        chart.instrumented = True
        chart.start_at(ping)
        errors = []
        for turn in range(10):
            for n in range(200): chart.post_fifo(told("GO"))
            chart.post_fifo(told("NOTE", turn))
            while turn not in seen:
                try:
                    chart.trace()
                except RuntimeError:
                    errors.append(turn)
        print(bool(errors))
    """

    assert outcomes(program) == ("True", "False")


def test_the_log_of_an_instrumented_fault_holds_the_steps_spy(caplog):
    """What the failed step did stands nowhere else."""
    caplog.set_level(logging.ERROR)
    play = threadless(Noting(instrumented=True), raise_faults=False)
    play.start_at(watched)
    play.tell("DO", lambda chart: 1 / 0)

    assert "spy of the step: ['DO:watched']" in caplog.text
