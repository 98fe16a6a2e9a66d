"""What a chart's witness is told of its steps, and its vital signs."""

import time

import pytest

from mirosd_client.cause import HANDLING, handling
from mirosd_client.shell import Chart, Region
from mirosd_client.shell.testing import threadless
from tests.client.shell.charts import Noting, resting, told
from tests.client.shell.seeing import Seeing, arrived, event_id


@pytest.fixture(params=[False, True])
def play(request):
    """A started chart with a witness, its states undecorated, instrumented or not."""
    made = threadless(Noting(instrumented=request.param), raise_faults=False)
    made.chart.witness = Seeing()
    made.start_at(resting)
    return made


def test_starts_moves_and_events_of_the_mesh_are_told(play):
    """An event of this process that moves nothing is not; of the mesh each one is, and whether it moved the chart."""
    before_s = time.time()
    for event in (told("NOTE"), told("GO"), arrived("NOTE", 5, cause=4), arrived("GO", 6), arrived("UNHEARD_OF", 7)):
        play.chart.post_fifo(event)
    play.drain()

    steps = play.chart.witness.steps
    assert [
        ("c", None, "top", "resting", True),
        ("c", "GO", "resting", "working", True),
        ("c", "NOTE", "working", "working", False),
        ("c", "GO", "working", "resting", True),
        ("c", "UNHEARD_OF", "resting", "resting", False),
    ] == [(step.chart, step.signal, step.start_state, step.end_state, step.moved) for step in steps]
    assert [None, None, event_id(5), event_id(6), event_id(7)] == [step.event for step in steps]
    assert [None, None, event_id(4), None, None] == [step.cause for step in steps]
    assert before_s <= steps[1].wall_time_s <= time.time()


def test_the_clock_is_read_before_the_step(play):
    """What a handler does then is later on the clock than the step itself; the start reads it too."""
    witness, inside = play.chart.witness, []
    play.chart.post_fifo(arrived("DO", 1, lambda chart: inside.append(witness.now())))
    play.drain()

    start, step = witness.steps
    assert start.hlc == 1
    assert [step.hlc + 1] == inside


def test_a_handler_that_raises_handled_its_event(play):
    """An event of the mesh whose handler fails is told, without a move; the thread handles nothing afterwards."""
    play.chart.post_fifo(arrived("DO", 1, lambda chart: 1 / 0))
    play.tell("DO", lambda chart: 1 / 0)

    assert [(None, None, None), ("DO", 1, None)] == play.chart.witness.causes
    assert play.chart.faults == 2
    assert HANDLING.event is None


def test_a_start_within_a_handler_follows_from_its_event(play):
    """A chart that another one makes and starts."""
    inner = threadless(Noting("inner"), play.reactor)
    inner.chart.witness = Seeing()
    play.chart.post_fifo(arrived("DO", 3, lambda chart: inner.chart.start_at(resting)))
    play.drain()

    assert [(None, None, 3)] == inner.chart.witness.causes


def test_regions_report_under_their_own_name():
    """Its moves, and events of the mesh that it is told, go to its owner's witness; its cause is the owner's."""
    play = threadless(Chart("owner"))
    witness = play.chart.witness = Seeing()
    play.start_at(resting)
    part = Region(play.chart, "part")
    part.start_at(resting)
    witness.steps.clear()

    def pass_on(chart):
        part.tell(told("GO"))
        part.tell(told("NOTHING"))
        part.tell(arrived("GO", 9, cause=1))

    play.chart.post_fifo(arrived("DO", 8, pass_on))
    play.drain()
    part.tell(told("GO"))

    assert ["part", "part", "owner", "part"] == [step.chart for step in witness.steps]
    assert [("GO", None, 8), ("GO", 9, 1), ("DO", 8, None), ("GO", None, None)] == witness.causes


def test_an_armed_event_of_a_region_follows_from_what_armed_it():
    """It rings in a step of its own, long after; an owner without a witness is told nothing."""
    play = threadless(Chart("owner"))
    play.start_at(resting)
    part = Region(play.chart, "part")
    part.start_at(resting)
    play.chart.post_fifo(arrived("DO", 8, lambda chart: part.arm(told("GO"), 1.0)))
    play.drain()
    witness = play.chart.witness = Seeing()
    play.elapse(1.0)

    assert [("GO", None, 8)] == witness.causes
    assert HANDLING.event is None


def test_vital_signs():
    """How many events were handled, the last of them, and since when the chart is in its state; calls are no events."""
    play = threadless(Noting(), raise_faults=False)
    vitals = play.chart.vitals
    assert (0, "", None) == (vitals.handled, vitals.last_signal, vitals.state_since_s)
    play.elapse(2.0)
    play.start_at(resting)
    assert (0, "", 2.0) == (vitals.handled, vitals.last_signal, vitals.state_since_s)
    play.elapse(3.0)
    play.tell("GO")
    play.elapse(4.0)
    play.tell("DO", lambda chart: 1 / 0)
    play.chart.post_call(print)
    play.chart.post_fifo(told("NOTE"), period=1.0, times=1)
    play.elapse(1.0)

    assert (3, "NOTE", 5.0) == (vitals.handled, vitals.last_signal, vitals.state_since_s)


def test_one_handling_may_be_inside_another():
    """The outer one is there again afterwards, whatever was raised."""
    with handling(event_id(1)):
        with pytest.raises(ZeroDivisionError), handling(event_id(2)):
            assert event_id(2) == HANDLING.event
            raise ZeroDivisionError
        assert event_id(1) == HANDLING.event
        with handling(None):
            assert HANDLING.event is None
    assert HANDLING.event is None
