"""Regions: statecharts that live in their owner's thread."""

import gc
import threading
import weakref

import pytest

from mirosd_client.shell import Chart, Region
from mirosd_client.shell.testing import threadless
from tests.client.shell.charts import outer, resting, told, watched
from tests.lab.waiting import until


class Part(Region):
    """A region that keeps what NOTE brings."""

    def __init__(self, owner, name="part"):
        super().__init__(owner, name)
        self.seen = []


@pytest.fixture
def play():
    """An owner with one region, in the test's hands."""
    made = threadless(Chart("owner"), raise_faults=False)
    made.chart.part = Part(made.chart)
    made.start_at(resting)
    made.chart.part.start_at(resting)
    return made


def test_it_steps_when_told(play):
    """tell() returns when the region is quiet again; its moves are heard by who listens to the owner."""
    play.chart.part.tell(told("GO"))
    play.chart.part.tell(told("NOTE", 1))

    assert play.chart.part.seen == [1]
    assert [(record.chart, *record[1:4]) for record in play.records] == [
        ("owner", None, "top", "resting"),
        ("part", None, "top", "resting"),
        ("part", "GO", "resting", "working"),
    ]


def test_a_step_is_never_inside_another(play):
    """What a handler tells its own region, directly or through the owner, waits for the end of the step."""
    part, order = play.chart.part, []

    def nested(region):
        region.tell(told("DO", lambda region: order.append("second")))
        region.post_lifo(told("DO", lambda region: order.append("urgent")))
        order.append("first")

    part.tell(told("DO", nested))

    assert order == ["first", "urgent", "second"]


def test_what_the_start_state_posts_is_stepped(play):
    """start_at leaves a quiet region, and tells nothing before it has settled."""

    def eager(region, e):
        if e.signal_name == "ENTRY_SIGNAL":
            region.tell(told("NOTE", region.state.fun.__name__))
        return outer(region, e)

    part = Part(play.chart)
    part.start_at(eager)

    assert part.seen == ["top"]


def test_its_fault_is_its_owners(play):
    """The region lives on, the owner counts and hears of it, and the owner's own step goes on."""
    faults = []
    play.chart.on_fault = lambda *fault: faults.append((fault[0], type(fault[2])))
    play.chart.part.tell(told("DO", lambda region: 1 / 0))
    play.chart.part.tell(told("NOTE", 1))

    assert faults == [(play.chart.part, ZeroDivisionError)]
    assert (play.chart.faults, play.chart.part.faults, play.chart.part.seen) == (1, 1, [1])


def test_wrong_events_are_refused(play):
    """Where they are told or armed."""
    for call in (play.chart.part.tell, play.chart.part.post_lifo, lambda event: play.chart.part.arm(event, 1.0)):
        with pytest.raises(TypeError):
            call("GO")
        with pytest.raises(ValueError, match="own signal"):
            call(told("EXIT_SIGNAL"))


def test_an_armed_event_arrives_in_its_time(play):
    """Once, through the owner's queue."""
    alarm = play.chart.part.arm(told("NOTE", 1), after_s=2.0)
    play.elapse(1.9)
    assert play.chart.part.seen == []

    play.elapse(5.0)
    assert play.chart.part.seen == [1]
    assert not alarm.is_armed


def test_a_disarmed_event_never_arrives(play):
    """Disarmed in time, or when it waits in the owner's queue already; again, or spent, or None does no harm."""
    part = play.chart.part
    early, late = part.arm(told("NOTE", 1), 1.0), part.arm(told("NOTE", 2), 1.0)
    part.disarm(early)
    play.reactor.steppers.clear()
    play.elapse(1.0)
    assert len(play.chart.queue) == 1
    part.disarm(late)
    while play.chart.next_rtc():
        pass
    for alarm in (early, late, None):
        part.disarm(alarm)

    assert part.seen == []


def test_a_dropped_region_is_freed_at_once(play):
    """By reference counting, with events armed and queued; what was armed does nothing when its time comes."""
    part = play.chart.part
    part.tell(told("GO"))
    part.arm(told("DO", lambda region: 1 / 0), 1.0)
    freed = weakref.ref(part)
    del part, play.chart.part

    assert freed() is None
    play.elapse(2.0)
    assert play.chart.faults == 0


def test_it_publishes_through_its_owner(play):
    """A region has no bus of its own."""
    play.chart.part.publish(told("NEWS"))

    assert [event.signal_name for event in play.published] == ["NEWS"]


def test_its_moves_are_printed_with_the_owners():
    """live_trace of the owner prints its regions too, whatever is instrumented."""
    lines = []
    owner = Chart("owner", instrumented=True)
    owner.live_trace_callback = lines.append
    owner.live_trace = True
    play = threadless(owner)
    play.start_at(watched)
    part = Part(owner)
    part.start_at(resting)

    assert [line.strip().split("] ", 1)[1] for line in lines] == [
        "[owner] e->start_at() top->watched",
        "[part] e->start_at() top->resting",
    ]


@pytest.mark.parametrize("is_instrumented", [False, True])
@pytest.mark.parametrize("is_owner_live", [False, True])
def test_its_own_live_trace_prints_each_move_once(capsys, is_instrumented, is_owner_live):
    """Whether its owner's is on or off, and its instrumentation too; a region beside it stays quiet."""
    owner = threadless(Chart("owner")).chart
    owner.live_trace = is_owner_live
    owner.live_trace_callback = lambda line: print(line.strip())
    part = Part(owner)
    part.instrumented, part.live_trace = is_instrumented, True
    part.start_at(resting)
    if not is_owner_live:
        Part(owner).start_at(resting)

    printed = [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["[part] e->start_at() top->resting"] == printed


def test_its_alarms_ring_in_the_owners_thread():
    """With real threads: the timer is the reactor's, the step is the owner's."""
    owner = Chart("owner")
    threads = []
    owner.start_at(resting)

    def make(chart):
        chart.part = Part(chart)
        chart.part.start_at(resting)
        chart.part.arm(told("DO", lambda region: threads.append(threading.current_thread())), 0.01)

    owner.post_fifo(told("DO", make))
    until(lambda: threads)

    assert threads == [owner.thread]
    assert owner.stop(30)


def test_an_owner_may_be_gone_before_the_alarm():
    """A timer that comes after the owner was dropped finds nobody."""
    play = threadless(Chart("owner"))
    part = Part(play.chart)
    alarm = part.arm(told("NOTE"), 1.0)
    reactor, freed = play.reactor, weakref.ref(play.chart)
    reactor.steppers.clear()
    del play, part
    gc.collect()
    assert freed() is None
    reactor.advance(2.0)

    assert alarm.is_armed
    assert reactor.failures == 0
