"""The heap of timers, by a clock that is a number."""

import gc
import weakref

import pytest

from mirosd_client.shell.timers import CANCELLED_KEPT, CATCH_UP_S, Timers


class Recorder:
    """Timers whose functions write their names down."""

    def __init__(self) -> None:
        self.timers, self.names = Timers(), []

    def add(self, due_s, name, every_s=None):
        return self.timers.add(due_s, lambda: self.names.append(name), every_s)

    def run(self, now_s):
        while (fn := self.timers.take_due(now_s)) is not None:
            fn()
        names, self.names = self.names, []
        return names


def test_due_times_rule_and_equal_ones_keep_their_order():
    """What is due comes by due time, then by order of adding; what is not due stays."""
    recorder = Recorder()
    for due_s, name in ((3.0, "d"), (1.0, "a"), (2.0, "b"), (2.0, "c")):
        recorder.add(due_s, name)

    assert recorder.run(0.9) == []
    assert recorder.run(2.0) == ["a", "b", "c"]
    assert recorder.timers.next_due_s() == 3.0
    assert recorder.run(3.0) == ["d"]
    assert recorder.timers.next_due_s() is None


def test_the_owner_learns_when_a_timer_comes_first():
    """Only a timer that is now the first to come due shortens anybody's wait."""
    recorder = Recorder()

    assert [recorder.add(due_s, "x")[1] for due_s in (2.0, 3.0, 1.0)] == [True, False, True]


def test_periods_count_from_the_due_time():
    """However late each call is, the next is due a period after the last was due."""
    recorder = Recorder()
    recorder.add(1.0, "tick", every_s=0.5)

    assert recorder.run(1.4) == ["tick"]
    assert recorder.timers.next_due_s() == 1.5
    assert recorder.run(1.5 + CATCH_UP_S) == ["tick", "tick", "tick"]


def test_a_stopped_process_does_not_make_up_for_hours():
    """A periodic timer later than the bound is called once, and keeps its phase."""
    recorder = Recorder()
    recorder.add(1.0, "tick", every_s=0.25)

    assert recorder.run(3600.1) == ["tick"]
    assert recorder.timers.next_due_s() == 3600.25


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan")])
def test_a_period_is_positive(every_s):
    """Any other would never let the thread rest."""
    with pytest.raises(ValueError, match="period"):
        Timers().add(0.0, print, every_s)


def test_cancelled_timers_let_go_at_once():
    """A cancelled function is freed before its time, is not called, and may be cancelled again."""

    class Big:
        """Something worth freeing."""

        def work(self):
            """Never called."""
            raise AssertionError("was cancelled")

    big, timers = Big(), Timers()
    timer, _ = timers.add(1.0, big.work, None)
    freed = weakref.ref(big)
    timer.cancel()
    timer.cancel()
    del big
    gc.collect()

    assert freed() is None
    assert timers.take_due(2.0) is None


def test_cancelled_timers_do_not_pile_up():
    """A million timeouts that never happen leave a heap of some dozens."""
    timers = Timers()
    live, _ = timers.add(60.0, print, None)
    for n in range(2000):
        timers.add(30.0 + n, print, None)[0].cancel()

    assert len(timers._heap) <= CANCELLED_KEPT + 2
    assert timers._cancelled == len(timers._heap) - 1
    assert live.fn is print
    assert timers.take_due(1e9) is print
    assert timers.take_due(1e9) is None
    assert timers._cancelled == 0


def test_cancelling_after_the_call_changes_nothing():
    """A spent timer is not counted as one to be cleared away."""
    recorder = Recorder()
    timer, _ = recorder.add(1.0, "once")

    assert recorder.run(1.0) == ["once"]
    timer.cancel()
    assert recorder.timers._cancelled == 0
