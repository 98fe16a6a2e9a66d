"""The tools for tests: what they would let through unseen, they must not."""

import threading

import pytest
from miros.hsm import HsmWithQueues

from mirosd_client.shell import Chart, Region, TraceRecord, signals, spy_on
from mirosd_client.shell.testing import MAX_STEPS, ManualReactor, check_structure, moves, threadless
from tests.client.shell.charts import HANDLED, outer, resting, told, working


def test_no_thread_is_started():
    """Neither for the chart nor for its timers."""
    before = threading.active_count()
    play = threadless(Chart("c"))
    play.start_at(resting)
    play.chart.post_fifo(told("GO"), period=1.0)
    play.elapse(3.0)

    assert play.state == "working"
    assert threading.active_count() == before


def test_time_stops_at_each_timer():
    """Every callback sees its own due time; what it starts comes due in the same stretch."""
    reactor, seen = ManualReactor(), []

    def note(word):
        seen.append((reactor.now(), word))

    reactor.after(3.0, lambda: note("late"))
    reactor.after(1.0, lambda: (note("early"), reactor.after(1.0, lambda: note("chained"))))
    reactor.call(lambda: note("call"))
    assert seen == []
    reactor.advance(3.5)

    assert seen == [(0.0, "call"), (1.0, "early"), (2.0, "chained"), (3.0, "late")]
    assert reactor.now() == 3.5


def test_run_ready_makes_calls_without_moving_the_time():
    """And timers that are due now."""
    reactor, seen = ManualReactor(now_s=5.0), []
    reactor.call(lambda: seen.append("call"))
    reactor.after(0.0, lambda: seen.append("timer"))
    reactor.after(0.1, lambda: seen.append("not yet"))
    reactor.run_ready()

    assert seen == ["call", "timer"]
    assert reactor.in_thread()


def test_a_fault_fails_the_test():
    """Unless the test says that the chart is to survive it."""
    play = threadless(Chart("c"))
    play.start_at(resting)
    with pytest.raises(ZeroDivisionError):
        play.tell("DO", lambda chart: 1 / 0)


def test_charts_that_never_become_quiet_fail_the_test():
    """A chart that posts to itself for ever would hang it."""

    def restless(chart):
        chart.post_fifo(told("DO", restless))

    play = threadless(Chart("c"))
    play.start_at(resting)
    with pytest.raises(AssertionError, match=str(MAX_STEPS)):
        play.tell("DO", restless)


def test_moves_are_records_without_names_and_times():
    """For comparison."""
    assert moves([TraceRecord("c", "GO", "a", "b", 1.0)]) == [("GO", "a", "b")]


def test_well_formed_charts_pass():
    """Decorated or not, charts and regions; the table of signals does not grow, the state stays."""
    play = threadless(Chart("c"))
    play.start_at(resting)
    size = len(signals)
    region, temp = Region(play.chart, "r"), play.chart.temp.fun
    check_structure(play.chart, [outer, resting, working, spy_on(resting)])
    check_structure(region, [outer, resting, working])
    assert len(signals) == size
    assert play.chart.temp.fun is temp
    play.tell("GO")

    assert play.state == "working"


def nowhere(chart, e):
    """Says SUPER and names nobody: the engine asks it for ever."""
    chart.asked = getattr(chart, "asked", 0) + 1
    if chart.asked > 1000:
        raise RecursionError("asked a thousand times")
    return SUPER


def swallowing(chart, e):
    """Takes every signal for its own."""
    return HANDLED


def ring_a(chart, e):
    """Its parent's parent is itself."""
    return chart.parent(ring_b)


def ring_b(chart, e):
    """As the other."""
    return chart.parent(ring_a)


SUPER = Chart("c").parent(outer)


@pytest.mark.parametrize("state", [nowhere, swallowing, ring_a])
def test_malformed_charts_are_found_before_they_spin(state):
    """Each of these would keep a thread busy for ever, or take every event of its parents."""
    with pytest.raises(AssertionError, match=state.__name__.split("_")[0]):
        check_structure(Chart("c"), [state])


def test_a_state_that_names_no_parent_spins_in_miros():
    """It is no exception there: the engine goes on asking, here until the state itself gives up."""
    chart = HsmWithQueues(instrumented=False)
    chart.start_at(lambda chart, e: HANDLED if e.signal_name in {"ENTRY_SIGNAL", "INIT_SIGNAL"} else _super(chart))
    chart.state.fun = chart.temp.fun = nowhere
    with pytest.raises(RecursionError):
        chart.dispatch(told("GO"))


def _super(chart):
    chart.temp.fun = chart.top
    return SUPER
