"""miros' ActiveObject, fit for a program that runs for months.

`Chart` is a real subclass (as `ChartFactory` is of Factory); every rule of the statechart stays miros'
own. What is different from miros, each because of a fault that can be shown on it:

* a handler that raises does not end the chart (step.py);
* a delayed post costs no thread, has no lifetime limit, does not drift, and is gone the
  moment it is cancelled, even from the queue; all timers share the reactor's thread;
* publish and subscribe keep their order, work at any time and uninstrumented, and can
  be taken back (bus.py); the queue is exact about what it could not take (inbox.py);
* wrong posts raise where they are made: TypeError for what is no Event, ValueError for
  miros' internal signals;
* `instrumented` is what was asked for, can be switched on a running chart, and traces
  need neither it nor `@spy_on`: `on_trace` gets a record of every move;
* `stop()` has a deadline and works in any state of life. A stopped chart is not started
  again: make a new one. A chart that was started and is dropped without `stop()` lives
  on, since its thread holds it.

After a fork the child has none of the threads, so none of the charts that were running.
"""

import functools
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

from miros import ActiveObject
from miros.event import Event, signals

from mirosd_client.cause import handling
from mirosd_client.shell.bus import DEFAULT_PRIORITY, FABRIC, Bus, Tap
from mirosd_client.shell.inbox import Inbox
from mirosd_client.shell.poster import Poster
from mirosd_client.shell.posting import Letter, TimedPost
from mirosd_client.shell.reactor import Reactor, default_reactor
from mirosd_client.shell.step import Guard, State, Stepped, TraceRecord, attempt, checked, format_trace
from mirosd_client.shell.witness import Vitals, Witness

log = logging.getLogger("mirosd_client.chart")

STOP_TIMEOUT_S = 5.0
"""How long stop() waits for a handler to end: far longer than any handler should take."""


class ChartMixin(Poster, Stepped):
    """What the shell adds to ActiveObject and Factory.

    Args:
        name: of the chart; None makes one of the start state's name when it starts, as miros does.
        instrumented: whether miros' spy and trace are on; None takes `INSTRUMENTED_BY_DEFAULT`.
        reactor: serves the timers; None takes the one of the process.

    Attributes:
        on_trace: called with the TraceRecord of each move, of regions too; in the chart's thread.
        after_step: called with nothing after each step, in the chart's thread.
        on_fault: called with (chart or region, event, exception) after a step that raised.
        busy_since: reactor time at which the running step began; None between steps.
        witness: told of each start, of each move and of each event of the mesh; None, and a step costs nothing more.
        vitals: what people may see of the chart's life.
    """

    INSTRUMENTED_BY_DEFAULT = False

    thread: threading.Thread | None
    live_trace: bool

    def __init__(
        self, name: str | None = None, *, instrumented: bool | None = None, reactor: Reactor | None = None
    ) -> None:
        super().__init__(name)  # type: ignore[call-arg]
        self.instrumented = self.INSTRUMENTED_BY_DEFAULT if instrumented is None else instrumented
        self.reactor = default_reactor() if reactor is None else reactor
        self.bus: Bus = FABRIC
        self.queue: Inbox = Inbox(self.QUEUE_SIZE)  # type: ignore[attr-defined]
        self.locking_deque = self.queue
        self.on_trace: list[Callable[[TraceRecord], object]] = []
        self.after_step: list[Callable[[], object]] = []
        self.on_fault: Callable[[Any, Any, Exception], object] | None = None
        self.busy_since: float | None = None
        self.witness: Witness | None = None
        self.vitals = Vitals()
        self._tap = Tap(self.queue)
        self._timed: dict[str, TimedPost] = {}
        self._init_stepped()

    # Life.

    def start_at(self, initial_state: State) -> None:
        """Enters the state in the caller's thread, then starts the chart's own; an error of the entry is the caller's.

        Raises:
            RuntimeError: it runs already, or was stopped.
        """
        if self.queue.is_closed or self.thread is not None:
            raise RuntimeError(f"{self.name} was started before; a statechart starts once: make a new one")
        if self.name is None:
            self.name = str(uuid.uuid5(uuid.NAMESPACE_DNS, initial_state.__name__))[0:5]
        self.bus.start()
        self._begin(initial_state)
        if self.queue.is_closed:  # stopped by its own entry, before there was a thread to stop
            self.stop()

    def _begin(self, initial_state: State) -> None:
        super().start_at(initial_state)  # type: ignore[misc]

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Ends the chart for good: no exit handlers run, what waits is dropped, timers and subscriptions go.

        Returns whether its thread has ended: not if a handler takes longer than `timeout_s`, nor if the
        caller is a handler of the chart itself (the thread ends when that returns). Any thread, any time.
        """
        self.unsubscribe_all()
        for post_id in list(self._timed):
            self.cancel_event(post_id)
        self.activeobject_task_event.clear()  # type: ignore[attr-defined]
        self.queue.close()
        thread = self.thread
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    # Publish and subscribe.

    def subscribe(self, event_or_signal: Any, queue_type: str | None = None) -> None:
        """Has what is published under the signal put in this chart's queue, at its end or ("lifo") its front."""
        name, queue_type = _signal_name(event_or_signal), queue_type or "fifo"
        if queue_type not in {"fifo", "lifo"}:
            raise ValueError(f'{queue_type!r}: a queue type is "fifo" or "lifo"')
        self.bus.subscribe(self._tap, name, queue_type)
        if self.instrumented:
            self.scribble(f"SUBSCRIBING TO:({name}, TYPE:{queue_type})")  # type: ignore[attr-defined]

    def unsubscribe(self, event_or_signal: Any) -> None:
        """Takes a subscription back; what is in the queue already still arrives."""
        self.bus.unsubscribe(self._tap, _signal_name(event_or_signal))

    def unsubscribe_all(self) -> None:
        """Takes back all subscriptions of this chart."""
        for name in list(self._tap.queue_type_of):
            self.bus.unsubscribe(self._tap, name)

    def publish(self, event: Any, priority: int | None = None) -> None:
        """Hands the event to every chart that subscribed; in order, except that priority 1 overtakes 1000."""
        if priority is None:
            priority = DEFAULT_PRIORITY
        if not isinstance(priority, int):
            raise TypeError(f"{priority!r}: a priority is a whole number")
        self.bus.publish(checked(event), priority)
        if self.instrumented:
            self.rtc.spy.append(f"PUBLISH:({event.signal_name}, PRIORITY:{priority})")  # type: ignore[attr-defined]

    # Steps.

    def dispatch(self, e: Event | Letter) -> None:
        """One step; a letter is opened first."""
        if isinstance(e, Event):
            vitals = self.vitals
            vitals.handled += 1
            vitals.last_signal = e.signal_name
            super().dispatch(e)
            return
        self._event = e
        event = e.open()
        if event is not None:
            with handling(e.cause):
                ChartMixin.dispatch(self, event)

    def next_rtc(self) -> bool:
        """The step of the oldest event; False if there is none."""
        if self.queue.is_closed:
            return False
        self.busy_since = self.reactor.now()
        try:
            return super().next_rtc()
        finally:
            self.busy_since = None
            if self.after_step:
                for listener in list(self.after_step):
                    attempt(f"{self.name}: a listener to steps", listener)

    # Being watched.

    def trace(self) -> str | None:
        """miros' trace as text, at most 500 moves; None if uninstrumented. Any thread."""
        if not self.instrumented or not self.spied_on:  # type: ignore[attr-defined]
            return None
        moves = [move for move in list(self.full.trace) if move.datetime]  # type: ignore[attr-defined]
        return "\n" + "".join(map(self.trace_tuple_to_formatted_string, moves))  # type: ignore[attr-defined]

    def register_live_spy_callback(self, live_spy_callback: Callable[[str], object]) -> None:
        """As in miros; a callback that raises is logged, and ends no thread."""
        super().register_live_spy_callback(functools.partial(attempt, "a live spy callback", live_spy_callback))  # type: ignore[misc]

    def register_live_trace_callback(self, live_trace_callback: Callable[[str], object]) -> None:
        """As in miros; a callback that raises is logged, and ends no thread."""
        super().register_live_trace_callback(functools.partial(attempt, "a live trace callback", live_trace_callback))  # type: ignore[misc]

    def hear(self, record: TraceRecord, *, is_printed: bool = False) -> None:
        """Tells the listeners of a move of this chart or one of its regions; prints it if `live_trace` is on."""
        for listener in list(self.on_trace):
            attempt(f"{self.name}: a listener to traces", listener, record)
        if self.live_trace and not is_printed:
            self.live_trace_callback(f"\n{format_trace(record)}\n")  # type: ignore[attr-defined]

    def hear_fault(self, chart: Any, event: Any, error: Exception) -> None:
        """Counts a fault of this chart or one of its regions, and tells `on_fault`."""
        self.faults += 1
        if self.on_fault is not None:
            attempt(f"{self.name}: on_fault", self.on_fault, chart, event, error)

    def _note_move(self, signal: str | None, start_state: str) -> None:
        self.vitals.state_since_s = self.reactor.now()
        super()._note_move(signal, start_state)

    def _is_traced(self) -> bool:
        return bool(self.on_trace) or self.live_trace

    def _tell(self, record: TraceRecord) -> None:
        self.hear(record, is_printed=self.instrumented)  # miros prints its own

    def _tell_fault(self, event: Any, error: Exception) -> None:
        self.hear_fault(self, event, error)


class Chart(ChartMixin, ActiveObject, Guard):  # type: ignore[misc]
    """An active object: a statechart with a thread of its own, its states written as functions or methods."""


def _signal_name(event_or_signal: Any) -> str:
    if isinstance(event_or_signal, Event):
        return str(checked(event_or_signal).signal_name)
    if isinstance(event_or_signal, int):
        return str(signals.name_for_signal(event_or_signal))
    raise TypeError(f"{event_or_signal!r} is neither an Event nor a signal's number")
