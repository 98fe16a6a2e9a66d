"""One run-to-completion step of a statechart, kept from going wrong quietly.

miros' engine decides every step; this wraps it. A handler that raises is a fault: logged,
counted, told to whoever asked, and the chart lives on in the state it last settled in. A
step that moved the chart makes a `TraceRecord`, whether miros' instrumentation is on or
off and whether states are decorated or not. Each step starts from the settled state,
which miros' instrumentation does not guarantee where an undecorated state is involved.

An exception in the middle of a transition leaves exit and entry handlers undone; the shell
cannot undo that. Who needs certainty makes a new chart in `on_fault`.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from types import MethodType
from typing import Any, NamedTuple

from miros.event import Event, return_status
from miros.hsm import Attribute, HsmEventProcessor

from mirosd_client.cause import HANDLING, Origin
from mirosd_client.fault import as_fault
from mirosd_client.shell.decoration import is_decorated
from mirosd_client.shell.signal_table import INTERNAL_SIGNALS
from mirosd_client.shell.witness import Step, Witness

log = logging.getLogger("mirosd_client.chart")

State = Callable[..., Any]
"""A state: a function `(chart, event) -> status`, or a method of an object that is called in the same way."""

SUPER: int = return_status.SUPER


class TraceRecord(NamedTuple):
    """One move of a chart. `signal` is None for the start, whose `start_state` is "top"; states by name."""

    chart: str
    signal: str | None
    start_state: str
    end_state: str
    wall_time_s: float


def format_trace(record: TraceRecord) -> str:
    """The record as miros writes it: `[YYYY-mm-dd HH:MM:SS.ffffff] [name] e->SIGNAL() from->to`, local time."""
    when = datetime.fromtimestamp(record.wall_time_s)
    signal = "start_at" if record.signal is None else record.signal
    return f"[{when:%Y-%m-%d %H:%M:%S.%f}] [{record.chart}] e->{signal}() {record.start_state}->{record.end_state}"


def checked(event: Any) -> Any:
    """The event, if it may be posted or published; raised here, in the poster's thread, it harms no chart.

    Raises:
        TypeError: it is not an Event.
        ValueError: its signal is one that drives miros itself.
    """
    if not isinstance(event, Event):
        raise TypeError(f"{event!r} is not an Event: write Event(signal=signals.NAME, payload=...)")
    if event.signal_name in INTERNAL_SIGNALS:
        raise ValueError(f"{event.signal_name} is miros' own signal; posted from outside it would break a chart")
    return event


class Guard(HsmEventProcessor):  # type: ignore[misc]
    """Stands in the order of resolution just before miros' event processor: an instrumented step starts right.

    Before an instrumented step miros asks the settled state for its name; one without `@spy_on` takes
    that for an event and moves `temp.fun` to its parent, which would then get the real event. After the step
    it asks again, wherever the chart has come to; that is kept from a state which would take it for an event.
    """

    instrumented: bool

    def dispatch(self, e: Any) -> None:
        """One step, from the settled state."""
        if not self.instrumented:
            super().dispatch(e)
            return
        self.temp.fun = self.state.fun
        super().dispatch(e)
        if not is_decorated(self.state.fun):
            self.event.ignored = True  # miros asks only after a step that was not


class _Temp(Attribute):  # type: ignore[misc]
    """Where the engine is. Bound-method states are pinned: equal ones become one object, as the engine uses `is`."""

    def __init__(self) -> None:
        self.__dict__["pins"] = {}

    def __setattr__(self, name: str, state: State) -> None:
        # `top` is compared by value, and its pin would keep a dropped region alive.
        if type(state) is MethodType and state.__name__ != "top":
            state = self.pins.setdefault(state, state)
        self.__dict__[name] = state


class Stepped:
    """The wrapping of a step, common to charts and regions; mixed in before one of miros' classes.

    Attributes:
        faults: steps that raised.
    """

    name: Any
    queue: Any
    state: Any
    instrumented: bool
    witness: Witness | None
    spy_rtc: Callable[[], list[str]]

    def _init_stepped(self) -> None:
        self.faults = 0
        self.temp: Any = _Temp()
        self._has_moved = False
        self._event: Any = None
        self._wanted_instrumented: bool | None = None

    def parent(self, state: State) -> int:
        """What the last line of a flat state returns: `return chart.parent(outer)`; the outermost names `chart.top`."""
        self.temp.fun = state
        return SUPER

    def trans(self, fn: State) -> int:
        """As in miros; the shell takes note."""
        self._has_moved = True
        status: int = super().trans(fn)  # type: ignore[misc]
        return status

    def instrument(self, on: bool) -> None:
        """Switches miros' spy and trace from the next step on; any thread may ask."""
        self._wanted_instrumented = on

    def init(self) -> None:
        """miros' first transition, into the start state."""
        witness = self.witness
        began = 0 if witness is None else witness.now()
        super().init()  # type: ignore[misc]
        self._note_move(None, "top")
        if witness is not None:
            self._testify(witness, began, None, "top", None, has_moved=True)

    def dispatch(self, e: Any) -> None:
        """One step, with its trace record, and its witness; what a handler raises goes to the caller."""
        origin = e.__dict__.get("origin")  # origin_of(e), without a call for each step
        outer = HANDLING.event
        if origin is not None:
            HANDLING.event = origin.event
        self._event = e
        self._has_moved = False
        start = self.state.fun
        if self.temp.fun is not start:  # after a fault, or a question for the state's name
            self.temp.fun = start
        witness = self.witness
        began = 0 if witness is None else witness.now()
        has_moved = False
        try:
            super().dispatch(e)  # type: ignore[misc]
            has_moved = self._has_moved or self.state.fun is not start
            if has_moved:
                self._note_move(e.signal_name, start.__name__)
        finally:
            HANDLING.event = outer
            if witness is not None and (has_moved or origin is not None):
                self._testify(witness, began, e.signal_name, start.__name__, origin, has_moved=has_moved)

    def next_rtc(self) -> bool:
        """The step of the oldest event in the queue; False if there is none. Raises nothing that a handler raised."""
        if self._wanted_instrumented is not None:
            self.instrumented, self._wanted_instrumented = self._wanted_instrumented, None
        try:
            was_made: bool = super().next_rtc()  # type: ignore[misc]
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a handler is anybody's code, and may not end a chart
            self._note_fault(as_fault(error))
            return True
        return was_made

    def _note_move(self, signal: str | None, start_state: str) -> None:
        if self._is_traced():
            self._tell(TraceRecord(str(self.name), signal, start_state, self.state.fun.__name__, time.time()))

    def _testify(
        self,
        witness: Witness,
        began: int,
        signal: str | None,
        start_state: str,
        origin: Origin | None,
        *,
        has_moved: bool,
    ) -> None:
        event, cause = (None, HANDLING.event) if origin is None else (origin.event, origin.cause)
        end_state = self.state.fun.__name__
        witness.stepped(
            Step(
                witness.number,
                str(self.name),
                signal,
                start_state,
                end_state,
                has_moved,
                time.time(),
                began,
                event,
                cause,
            )
        )

    def _note_fault(self, error: Exception) -> None:
        signal, state = getattr(self._event, "signal_name", "?"), self.state.fun.__name__
        spy = f"; spy of the step: {self.spy_rtc()}" if self.instrumented else ""
        log.error("%s: %s failed in %s%s", self.name, signal, state, spy, exc_info=error)
        self._tell_fault(self._event, error)

    def _is_traced(self) -> bool:
        raise NotImplementedError

    def _tell(self, record: TraceRecord) -> None:
        raise NotImplementedError

    def _tell_fault(self, event: Any, error: Exception) -> None:
        raise NotImplementedError


def attempt(what: str, fn: Callable[..., object], *args: Any) -> None:
    """Calls a listener; what it raises is logged and goes no further."""
    try:
        fn(*args)
    except (Exception, SystemExit) as error:  # a listener is anybody's code, in a thread that has other things to do
        log.exception("%s failed", what, exc_info=as_fault(error))
