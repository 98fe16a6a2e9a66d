"""Statecharts driven by a test: no thread, no sleep, time that moves when told to.

    reactor = ManualReactor()
    scout = threadless(Scout("192.0.2.7"), reactor)
    scout.start_at(searching)
    scout.tell("GO")
    scout.elapse(2.1)
    assert scout.moves == [(None, "top", "searching"), ("GO", "searching", "probing"), ("TIMEOUT", "probing", "nobody")]

Charts given the same reactor and bus run together: each `tell`, `elapse` and `drain` goes on
until all of them are quiet. A handler that raises fails the test there and then.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from miros.event import Event, signals
from miros.hsm import HsmWithQueues

from mirosd_client.shell.bus import Bus, Tap
from mirosd_client.shell.chart import ChartMixin
from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.step import SUPER, State, TraceRecord

MAX_STEPS = 10_000
"""Steps after which charts that never become quiet fail the test."""

Move = tuple[str | None, str, str]
"""(signal, from, to)"""

C = TypeVar("C", bound=ChartMixin)


class ManualReactor(Reactor):
    """A reactor without a thread, for the test's own: `now_s` moves by `advance()` alone.

    Sockets may be watched, but are never looked at.
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.steppers: list[Callable[[], bool]] = []  # each makes one step, if there is one to make
        super().__init__(clock=lambda: self.now_s, name="manual")

    def in_thread(self) -> bool:
        """Always: everything runs in the test's thread."""
        return True

    def run_ready(self) -> None:
        """Makes the calls and timers that are due, and the steps of the charts, until all is quiet."""
        for _ in range(MAX_STEPS):
            due_s = self._timers.next_due_s()
            if self._calls or (due_s is not None and due_s <= self.now_s):
                self._run_ready()
            elif not sum(step() for step in self.steppers):  # one step each, in turns
                return
        raise AssertionError(f"not quiet after {MAX_STEPS} steps")

    def advance(self, dt_s: float) -> None:
        """Moves the time on, stopping at each timer that comes due."""
        end_s = self.now_s + dt_s
        self.run_ready()
        while (due_s := self._timers.next_due_s()) is not None and due_s <= end_s:
            self.now_s = due_s
            self.run_ready()
        self.now_s = end_s

    def _wake(self) -> None:
        """Nobody sleeps."""

    def _listen(self, sock: Any, events: int) -> None:
        """Nobody listens."""


class RecordingBus(Bus):
    """A bus that delivers at once, and keeps what was `published`."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self._taps: dict[str, list[Tap]] = {}

    def subscribe(self, tap: Tap, name: str, queue_type: str) -> None:
        """As for every bus."""
        tap.queue_type_of[name] = queue_type
        taps = self._taps.setdefault(name, [])
        if tap not in taps:
            taps.append(tap)

    def unsubscribe(self, tap: Tap, name: str) -> None:
        """As for every bus."""
        if tap.queue_type_of.pop(name, None) is not None:
            self._taps[name].remove(tap)

    def publish(self, event: Any, priority: int) -> None:
        """As for every bus; there is no queue, so a priority changes nothing."""
        self.published.append(event)
        for tap in list(self._taps.get(event.signal_name, ())):
            tap.append(event)

    def start(self) -> None:
        """Nothing to start."""


class Threadless(Generic[C]):
    """A chart in the hands of a test; made by `threadless`. `records` are its moves, those of its regions too."""

    def __init__(self, chart: C, reactor: ManualReactor, bus: RecordingBus, *, raise_faults: bool) -> None:
        self.chart, self.reactor, self.bus = chart, reactor, bus
        self.records: list[TraceRecord] = []
        self._raise_faults = raise_faults
        self._errors: list[Exception] = []
        chart.reactor, chart.bus = reactor, bus
        chart.on_trace.append(self.records.append)
        listener = chart.on_fault

        def note_fault(faulty: Any, event: Any, error: Exception) -> None:
            self._errors.append(error)
            if listener is not None:
                listener(faulty, event, error)

        chart.on_fault = note_fault
        # What ActiveObject adds to this is its thread.
        chart._begin = functools.partial(HsmWithQueues.start_at, chart)  # type: ignore[method-assign]
        reactor.steppers.append(self._step)

    @property
    def moves(self) -> list[Move]:
        """Its moves so far."""
        return moves(self.records)

    @property
    def published(self) -> list[Any]:
        """What the charts on its bus published so far."""
        return self.bus.published

    @property
    def state(self) -> str:
        """The name of the state it settled in."""
        return str(self.chart.state.fun.__name__)

    def start_at(self, state: Any) -> None:
        """Starts the chart, and runs until all is quiet."""
        self.chart.start_at(state)
        self.drain()

    def tell(self, name: str, payload: object = None) -> None:
        """Posts an event, and runs until all is quiet."""
        self.chart.post_fifo(Event(signal=name, payload=payload))
        self.drain()

    def drain(self) -> None:
        """Runs until all is quiet."""
        self.reactor.run_ready()

    def elapse(self, dt_s: float) -> None:
        """Lets time pass."""
        self.reactor.advance(dt_s)

    def _step(self) -> bool:
        was_made = bool(self.chart.queue) and self.chart.next_rtc()
        if self._errors and self._raise_faults:
            raise self._errors.pop()
        return was_made


def threadless(
    chart: C, reactor: ManualReactor | None = None, bus: RecordingBus | None = None, *, raise_faults: bool = True
) -> Threadless[C]:
    """The chart, not started yet, in the hands of the test.

    Args:
        reactor: shared by charts that run together; None makes one.
        bus: likewise.
        raise_faults: False when the chart is to survive what its handlers raise, as in service.
    """
    return Threadless(
        chart,
        ManualReactor() if reactor is None else reactor,
        RecordingBus() if bus is None else bus,
        raise_faults=raise_faults,
    )


def moves(records: Iterable[TraceRecord]) -> list[Move]:
    """The records without names and times, to be compared."""
    return [(record.signal, record.start_state, record.end_state) for record in records]


def check_structure(chart: Any, states: Iterable[State]) -> None:
    """Asserts what a chart that breaks it would show only by spinning for ever.

    Each state names its parent when asked and for a signal it does not know; the chain of parents
    ends in `top`. Handlers run for neither, so the chart need not be started.
    """
    unknown = Event(signal=signals.EMPTY_SIGNAL)
    unknown.signal, unknown.signal_name = -1, "UNKNOWN_TO_ALL"  # so that the table of signals does not grow
    search = Event(signal=signals.SEARCH_FOR_SUPER_SIGNAL)
    before = vars(chart.temp).get("fun")
    for start in states:
        state, chain = start, [start]
        while state != chart.top:
            parents = []
            for event in (search, unknown):
                chart.temp.fun = state
                status = state(chart, event)
                assert status == SUPER, f"{state.__name__} swallows {event.signal_name}: it returns {status}"
                parents.append(chart.temp.fun)
            assert parents[0] == parents[1], f"{state.__name__} has two parents"
            state = parents[0]
            assert state not in chain, f"{chain[-1].__name__} names no parent, or one that is inside it"
            chain.append(state)
    chart.temp.fun = before
