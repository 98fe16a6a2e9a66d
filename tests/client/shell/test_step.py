"""Steps of a chart: their faults, their listeners, their records."""

import logging
import threading

import pytest

from mirosd_client.shell import Chart, TraceRecord, format_trace, signals
from mirosd_client.shell.testing import threadless
from tests.client.shell.both import outcomes
from tests.client.shell.charts import Noting, outer, resting, told, watched
from tests.lab.waiting import until


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
