"""A statechart without a thread, that a chart owns and steps.

What exists once per address or per peer is a region: 0.2 ms to make, no thread, no lock,
since all of it runs in the owner's thread. Its faults and its moves are told to who
listens to the owner, its steps to the owner's witness; its timers are the owner's
reactor's, and ring in the owner's thread.

A region lives as long as the owner keeps it: drop it, and it is freed, its armed
events with it. (Its states should be functions; a bound method of the region as
current state makes a cycle, which frees it only when the collector comes by.)
"""

import weakref
from collections.abc import Callable
from typing import Any

from miros.hsm import HsmWithQueues

from mirosd_client.cause import HANDLING, handling
from mirosd_client.shell.chart import ChartMixin
from mirosd_client.shell.step import Guard, State, Stepped, TraceRecord, checked, format_trace
from mirosd_client.shell.timers import Timer
from mirosd_client.shell.witness import Witness


class Alarm:
    """An event that a region will tell itself; `Region.disarm` takes it back, up to its last moment."""

    __slots__ = ("_cause", "_event", "_owner", "_region", "is_armed", "timer")

    def __init__(self, region: "Region", event: Any) -> None:
        self.is_armed = True
        self.timer: Timer | None = None
        self._event = event
        self._cause = HANDLING.event
        # Weak, so that a timer yet to come keeps neither alive.
        self._region = weakref.ref(region)
        self._owner = weakref.ref(region.owner)

    def due(self) -> None:
        """The time has come; in the reactor's thread."""
        owner = self._owner()
        if owner is not None:
            owner.post_call(self.ring)

    def ring(self) -> None:
        """Its turn has come; in the owner's thread."""
        region = self._region()
        if self.is_armed and region is not None:
            self.is_armed = False
            with handling(self._cause):
                region.tell(self._event)


class Region(Stepped, HsmWithQueues, Guard):  # type: ignore[misc]
    """A part of its owner with states of its own. All methods are for the owner's thread.

    The owner's `live_trace` shows its moves too; its own `live_trace`, and with `instrumented` its `live_spy`, show it
    alone.

    Args:
        owner: the chart.
        name: stands in trace records and logs.
    """

    live_trace: bool
    live_trace_callback: Callable[[str], object]

    def __init__(self, owner: ChartMixin, name: str, *, instrumented: bool = False) -> None:
        super().__init__(instrumented=instrumented)
        self.owner = owner
        self.name = name
        self._is_stepping = False
        self._init_stepped()

    @property
    def witness(self) -> Witness | None:  # type: ignore[override]
        """The owner's."""
        return self.owner.witness

    def start_at(self, initial_state: State) -> None:
        """Enters the state, and steps what its entry posted."""
        self._is_stepping = True
        try:
            super().start_at(initial_state)
        finally:
            self._is_stepping = False
        self._settle()

    def tell(self, event: Any) -> None:
        """Posts the event and steps until the region is quiet; from within a step it only posts."""
        self.post_fifo(event)
        self._settle()

    def post_fifo(self, e: Any) -> None:
        """Queues the event, for the region itself to call in a step."""
        super().post_fifo(checked(e))

    def post_lifo(self, e: Any) -> None:
        """Queues the event before all others, for the region itself to call in a step."""
        super().post_lifo(checked(e))

    def arm(self, event: Any, after_s: float) -> Alarm:
        """Will tell itself the event in `after_s` seconds."""
        alarm = Alarm(self, checked(event))
        alarm.timer = self.owner.reactor.after(after_s, alarm.due)
        return alarm

    def disarm(self, alarm: Alarm | None) -> None:
        """Takes it back, even if its time has come and its turn has not; None and spent ones do no harm."""
        if alarm is not None and alarm.timer is not None:
            alarm.is_armed = False
            alarm.timer.cancel()

    def publish(self, event: Any, priority: int | None = None) -> None:
        """Publishes through the owner."""
        self.owner.publish(event, priority)

    def _settle(self) -> None:
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            self.complete_circuit()
        finally:
            self._is_stepping = False

    def _is_traced(self) -> bool:
        return self.live_trace or self.owner._is_traced()

    def _tell(self, record: TraceRecord) -> None:
        is_printed = self.live_trace and self.instrumented  # miros prints its own
        if self.live_trace and not (is_printed or self.owner.live_trace):
            self.live_trace_callback(f"\n{format_trace(record)}\n")
            is_printed = True
        self.owner.hear(record, is_printed=is_printed)

    def _tell_fault(self, event: Any, error: Exception) -> None:
        self.faults += 1
        self.owner.hear_fault(self, event, error)
