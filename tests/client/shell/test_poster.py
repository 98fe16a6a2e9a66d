"""What a chart posts while it handles an event of the mesh follows from that."""

import threading

import pytest

from mirosd_client.shell.posting import Consequence
from mirosd_client.shell.testing import threadless
from tests.client.shell.charts import Noting, resting, told
from tests.client.shell.seeing import Seeing, arrived
from tests.lab.waiting import until


@pytest.fixture
def play():
    """A started chart with a witness that has forgotten the start."""
    made = threadless(Noting())
    made.chart.witness = Seeing()
    made.start_at(resting)
    made.chart.witness.steps.clear()
    return made


def handle(play, sequence, act):
    """Have the chart do something as it handles an event of the mesh."""
    play.chart.post_fifo(arrived("DO", sequence, act))
    play.drain()


def test_a_chain_goes_on_through_own_posts(play):
    """Posted to the end or the front, and posted by what was posted: all follow from the event of the mesh."""

    def act(chart):
        chart.post_fifo(told("DO", lambda chart: chart.post_fifo(told("AGAIN"))))
        chart.post_lifo(told("GO"))

    handle(play, 1, act)

    assert [("DO", 1, None), ("GO", None, 1), ("AGAIN", None, 1)] == play.chart.witness.causes


def test_a_chain_goes_on_through_a_one_shot_timer(play):
    """Posted once, later: a consequence. What comes again and again, or was posted before, follows from nothing."""

    def act(chart):
        chart.post_fifo(told("GO"), period=1.0, times=1)
        chart.post_fifo(told("GO"), period=2.0, times=2)

    handle(play, 1, act)
    play.elapse(5.0)
    play.chart.post_fifo(told("GO"))
    play.drain()

    follow = [("GO", None, cause) for cause in (1, None, None, None)]
    assert [("DO", 1, None), *follow] == play.chart.witness.causes


def test_another_thread_handles_nothing(chart):
    """What a thread posts that a handler has started follows from nothing."""
    chart.witness = Seeing()
    done = threading.Event()

    def act(chart):
        worker = threading.Thread(target=chart.post_fifo, args=(told("GO"),))
        worker.start()
        worker.join(30)

    chart.post_fifo(arrived("DO", 1, act))
    chart.post_call(done.set)
    assert done.wait(30)
    until(lambda: len(chart.witness.steps) == 2)

    assert [("DO", 1, None), ("GO", None, None)] == chart.witness.causes


def test_an_event_that_is_posted_often_carries_nothing_over(play):
    """One Event object, posted after two events of the mesh and after none, by two charts: each post for itself."""
    go = told("GO")
    other = threadless(Noting("other"), play.reactor)
    other.chart.witness = Seeing()
    other.start_at(resting)
    for sequence in (1, 2):
        handle(play, sequence, lambda chart: chart.post_fifo(go))
    for chart in (play.chart, other.chart):
        chart.post_fifo(go)
    play.drain()

    follow = [step for step in play.chart.witness.causes if step[0] == "GO"]
    assert [("GO", None, 1), ("GO", None, 2), ("GO", None, None)] == follow
    assert [(None, None, None), ("GO", None, None)] == other.chart.witness.causes
    assert vars(go).keys() == vars(told("GO")).keys()


def test_what_one_chart_posts_to_another_follows_too(play):
    """The chain goes on through all charts of the process."""
    other = threadless(Noting("other"), play.reactor)
    other.chart.witness = Seeing()
    other.start_at(resting)
    handle(play, 1, lambda chart: other.chart.post_fifo(told("GO")))

    assert ("GO", None, 1) == other.chart.witness.causes[-1]


def test_an_event_of_the_mesh_stays_what_it_is(play):
    """Posted again while another one is handled, at once or later, it is handled as itself, and waits as itself."""
    event = arrived("DO", 1, lambda chart: None)
    play.chart.post_fifo(event)
    play.drain()

    def again(chart):
        chart.post_fifo(event)
        assert event is chart.queue.deque[0]
        chart.post_fifo(event, period=1.0, times=1)

    handle(play, 2, again)
    play.elapse(1.0)

    assert [("DO", 1, None), ("DO", 2, None), ("DO", 1, None), ("DO", 1, None)] == play.chart.witness.causes


@pytest.mark.parametrize("instrumented", [False, True])
def test_deferred_events_keep_what_they_follow_from(instrumented):
    """Of the mesh, a consequence, or neither: recalled in the step of yet another event, each is what it was."""
    play = threadless(Noting(instrumented=instrumented))
    play.chart.witness = Seeing()
    play.start_at(resting)
    recalled = []

    def defer_own(chart):
        chart.defer(told("AGAIN"))

    play.tell("GO")
    play.tell("DO", defer_own)
    handle(play, 1, defer_own)
    handle(play, 2, lambda chart: chart.defer(chart._event))
    assert 3 == len(play.chart.defer_queue)
    assert ["AGAIN", "AGAIN", "DO"] == [waiting.signal_name for waiting in play.chart.defer_queue]
    play.chart.witness.steps.clear()
    handle(play, 3, lambda chart: [recalled.append(chart.recall()) for _ in range(4)])

    assert ["AGAIN", "AGAIN", "DO"] == [event.signal_name for event in recalled[:3]]
    assert recalled[3] is None
    assert not any(isinstance(event, Consequence) for event in recalled)
    assert [("DO", 3, None), ("AGAIN", None, None), ("AGAIN", None, 1), ("DO", 2, None)] == play.chart.witness.causes


def test_a_consequence_waits_as_its_event_would(play):
    """miros sees signal and name in the queue, a full queue refuses it, and delayed ones are cancelled as ever."""
    act_on = []

    def act(chart):
        chart.post_fifo(told("GO"))
        act_on.append((chart.queue.deque[0].signal, chart.queue.deque[0].signal_name))
        chart.post_fifo(told("GO"), period=1.0, times=1)
        chart.cancel_events(told("GO"))
        for _ in range(chart.QUEUE_SIZE):
            chart.post_fifo(told("NOTE"))

    handle(play, 1, act)
    play.elapse(1.0)

    assert [(told("GO").signal, "GO")] == act_on
    assert [("DO", 1, None), ("GO", None, 1)] == play.chart.witness.causes
    assert 1 == play.chart.dropped
