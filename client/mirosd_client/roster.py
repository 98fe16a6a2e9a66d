"""The charts of a process, as people may list them: held weakly, so that being listed keeps none alive."""

import time
import weakref
from collections.abc import Callable
from typing import Any

from mirosd_client.chart_row import ChartRow
from mirosd_client.dial import Dial, matches
from mirosd_client.shell.decoration import is_decorated
from mirosd_client.spy_switch import SpySwitch
from mirosd_client.wire import Network

STOPPED_S = 60.0
"""How long a chart that was stopped stays on the list: people who wonder where it is look within a minute."""


class Member:
    """One chart on the roster.

    Attributes:
        number: of the chart in this process.
        receives, transmits: its routing keys.
        enabled: whether its program shows it, by snoop network.
        undecorated: the state for which a viewer was refused the spy; "" if none was.
    """

    def __init__(self, chart: Any, number: int, receives: str, transmits: str, forget: Callable[[int], object]) -> None:
        self.number = number
        self.receives, self.transmits = receives, transmits
        self.enabled = {Network.SNOOP_TRACE: False, Network.SNOOP_SPY: False}
        self.undecorated = ""
        self.stopped_s: float | None = None
        self._chart = weakref.ref(chart, lambda _: forget(number))

    @property
    def chart(self) -> Any:
        """The chart; None once it is gone."""
        return self._chart()

    @property
    def name(self) -> str:
        """The chart's name; "" if it has none yet, or is gone."""
        return str(getattr(self._chart(), "name", None) or "")

    @property
    def spy(self) -> SpySwitch | None:
        """The chart's spy; None once the chart is gone."""
        switch: SpySwitch | None = getattr(self._chart(), "spy_switch", None)
        return switch


class Roster:
    """The charts of a process. Any thread may call it.

    Args:
        client: the id of the process, 32 hex digits.
        program, pid: for people.
        clock: seconds that never go back.

    Attributes:
        on_join: called with each that is added, or added again, in the thread that does so.
        on_leave: called with the number of one that is gone, in any thread.
    """

    def __init__(
        self, client: str, program: str = "", pid: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.client, self.program, self.pid = client, program, pid
        self.on_join: Callable[[Member], object] = _nothing
        self.on_leave: Callable[[int], object] = _nothing
        self._clock = clock
        self._members: dict[int, Member] = {}

    def add(self, chart: Any, number: int, *, receives: str = "", transmits: str = "") -> Member:
        """List a chart under its number, 1 to 65535; one that is listed already stays as it is."""
        member = self._members.get(number)
        if member is None or member.chart is not chart:
            member = self._members[number] = Member(chart, number, receives, transmits, self._forget)
        self.on_join(member)
        self._sweep()
        return member

    def member(self, number: int) -> Member | None:
        """Give the chart of a number; None if there is none any more."""
        return self._members.get(number)

    def is_traced(self, number: int) -> bool:
        """Tell whether a program shows the moves of a chart; False for one that is gone."""
        member = self._members.get(number)
        return member is not None and member.enabled[Network.SNOOP_TRACE]

    def members(self) -> list[Member]:
        """Give all of them."""
        return list(self._members.values())

    def rows(self, host: str, dial: Dial) -> list[ChartRow]:
        """Give a row for each chart that a dial takes, by name."""
        self._sweep()
        found = [(member, member.chart) for member in self.members()]
        rows = [self._row(member, chart, host) for member, chart in found if chart is not None]
        return sorted((row for row in rows if matches(row.chart, dial.charts)), key=lambda row: (row.chart, row.number))

    def _row(self, member: Member, chart: Any, host: str) -> ChartRow:
        state = _state(chart)
        vitals = getattr(chart, "vitals", None)
        since_s = None if vitals is None else vitals.state_since_s
        return ChartRow(
            host=host,
            client=self.client,
            number=member.number,
            chart=member.name,
            program=self.program,
            pid=self.pid,
            state="" if state is None else str(state.__name__),
            since_s=0.0 if since_s is None else max(0.0, chart.reactor.now() - since_s),
            queue=len(getattr(chart, "queue", ())),
            signal="" if vitals is None else vitals.last_signal,
            handled=0 if vitals is None else vitals.handled,
            faults=getattr(chart, "faults", 0),
            dropped=getattr(chart, "dropped", 0),
            receives=member.receives,
            transmits=member.transmits,
            trace=member.enabled[Network.SNOOP_TRACE],
            spy=member.enabled[Network.SNOOP_SPY],
            spy_unavailable=_spy_unavailable(member, state),
            is_running=state is not None and not _is_stopped(chart),
        )

    def _sweep(self) -> None:
        """Let go of charts that have been stopped for long: from when that was first seen."""
        now_s = self._clock()
        for member in self.members():
            chart = member.chart
            if chart is None or not _is_stopped(chart):
                member.stopped_s = None
            elif member.stopped_s is None:
                member.stopped_s = now_s
            elif now_s - member.stopped_s > STOPPED_S:
                self._forget(member.number)

    def _forget(self, number: int) -> None:
        if self._members.pop(number, None) is not None:
            self.on_leave(number)


def _state(chart: Any) -> Any:
    """Give the settled state; None before the start."""
    return getattr(getattr(chart, "state", None), "fun", None)


def _is_stopped(chart: Any) -> bool:
    is_closed = getattr(getattr(chart, "queue", None), "is_closed", None)  # of the shell's charts
    if is_closed is not None:
        return bool(is_closed)
    thread = getattr(chart, "thread", None)
    return thread is not None and not thread.is_alive()


def _spy_unavailable(member: Member, state: Any) -> str:
    if member.undecorated:
        return member.undecorated
    return "" if state is None or is_decorated(state) or state.__name__ == "top" else str(state.__name__)


def _nothing(_: Any) -> None:
    """Who listens is told later."""
