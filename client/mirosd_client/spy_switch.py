"""miros' spy of one chart: on for as long as its program or a viewer wants it, and then as it was before.

The program's wish is its own: it knows its states. A viewer's is granted only while the chart
is in decorated states, since miros' instrumentation could misroute an event in any other;
that is looked at before, and again after each move, in the chart's own thread between steps.
"""

import threading
from collections.abc import Callable
from typing import Any

from mirosd_client.shell.decoration import first_undecorated

OnLine = Callable[[str], object]


class SpySwitch:
    """The spy of one chart. Any thread may call it.

    Args:
        chart: it keeps the switch, and the switch keeps it: both go together.
        record: called with each line while a viewer wants them and the program does not, in the chart's thread; may
            be exchanged while it is off.
    """

    def __init__(self, chart: Any, record: OnLine) -> None:
        self._chart = chart
        self.record = record
        self._lock = threading.RLock()
        self._program: OnLine | None = None
        self._refuse: OnLine | None = None
        self._is_dialled = False
        self._was_instrumented = False
        self._looked_at: Any = None
        self._before: tuple[bool, Any] | None = None

    @property
    def is_on(self) -> bool:
        """True while lines are made for somebody."""
        return self._before is not None

    def enable(self, show: OnLine) -> None:
        """The program wants it; it is called with each line instead of `record`."""
        with self._lock:
            self._program = show
            self._set()

    def disable(self) -> None:
        """The program does not want it any more."""
        with self._lock:
            self._program = None
            self._set()

    def dial(self, refuse: OnLine) -> bool:
        """A viewer wants it. False: the chart's queue is full, ask again.

        Args:
            refuse: called if the spy cannot be on, now or at a later move, with the name of the state that is not
                decorated; "" for a chart of plain miros, which cannot be looked at. It is off then.
        """
        with self._lock:
            if self._refuse is not None:
                self._refuse = refuse
                return True
            self._refuse = refuse
        if not hasattr(self._chart, "post_call"):
            self._give_up("")
        elif not self._chart.post_call(self._begin):
            self.undial()
            return False
        return True

    def undial(self) -> None:
        """No viewer wants it any more."""
        with self._lock:
            self._refuse = None
            self._end()

    def _begin(self) -> None:
        """Turn it on, or refuse. Thread: the chart's, between steps."""
        with self._lock:
            if self._refuse is None or self._is_dialled or not self._may_be_on():
                return
            self._is_dialled = True
            self._was_instrumented = self._chart.instrumented
            self._chart.instrument(True)
            self._chart.after_step.append(self._look)
            self._set()

    def _look(self) -> None:
        """After each step: where the chart has come to must be decorated too. Thread: the chart's."""
        if self._chart.state.fun is not self._looked_at:
            with self._lock:
                if self._is_dialled:
                    self._may_be_on()

    def _may_be_on(self) -> bool:
        state = first_undecorated(self._chart)
        self._looked_at = self._chart.state.fun
        if state is not None:
            self._give_up(state.__name__)
        return state is None

    def _give_up(self, state: str) -> None:
        with self._lock:
            refuse, self._refuse = self._refuse, None
            self._end()
        if refuse is not None:
            refuse(state)

    def _end(self) -> None:
        if self._is_dialled:
            self._is_dialled = False
            self._chart.after_step.remove(self._look)
            self._chart.instrument(self._was_instrumented)
            self._set()

    def _set(self) -> None:
        """Have miros' live spy as it is wanted now."""
        chart = self._chart
        callback = self._program or (self.record if self._is_dialled else None)
        if callback is not None:
            if self._before is None:
                self._before = getattr(chart, "live_spy", False), getattr(chart, "live_spy_callback", print)
            chart.live_spy, chart.live_spy_callback = True, callback
        elif self._before is not None:
            chart.live_spy, chart.live_spy_callback = self._before
            self._before = None
