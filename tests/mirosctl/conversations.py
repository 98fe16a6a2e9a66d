"""Made-up conversations of charts over hosts: the lines that they leave, and what is known to have happened."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mirosd_client.event_id import EventId
from mirosd_client.hlc import HybridClock
from mirosd_client.snoop_line import SnoopLine

BEGUN_S = 1_525_353_863.0
CHARTS = (("h1", "archer"), ("h1", "lead"), ("h2", "archer"), ("h3", "scout"), ("h3", "archer"))
"""Five charts, a program each; three of one name."""
FAST_HOST, FAST_S = "h2", 5.0
"""Its wall clock is wrong."""


class Sent(NamedTuple):
    """An event on its way."""

    event: EventId
    signal: str
    hlc: int
    cause: EventId | None


class Program:
    """A chart in a program of its own."""

    def __init__(self, number: int, now_s: Callable[[], float]) -> None:
        self.host, self.name = CHARTS[number]
        skew_s = FAST_S if self.host == FAST_HOST else 0.0
        self.wall_s = lambda: now_s() + skew_s
        self.clock = HybridClock(self.wall_s)
        self.client = bytes([number + 1]) * 16
        self.inbox: deque[Sent] = deque()
        self.sequence = 0
        self.state = 0


class Conversation:
    """Charts that talk as a script says, with the clocks of the product.

    Attributes:
        lines: all that was recorded, in the order of its happening.
        happened_s: when each line of them did, by a clock that is right.
        arrows: how often each signal was handled; each event has a signal of its own.
        order: pairs of lines of which the first must stand before the second.
    """

    def __init__(self) -> None:
        self.now_s = BEGUN_S
        self.lines: list[SnoopLine] = []
        self.happened_s: list[float] = []
        self.arrows: dict[str, int] = {}
        self.order: list[tuple[SnoopLine, SnoopLine]] = []
        self._programs = [Program(number, lambda: self.now_s) for number in range(len(CHARTS))]
        self._last: dict[bytes, SnoopLine] = {}
        self._sends: dict[EventId, SnoopLine] = {}
        for program in self._programs:
            self._leave(program, program.clock.now(), "trace", None, None, None)

    def play(self, script: list[tuple[int, set[int], bool, int]]) -> "Conversation":
        """Do a step for each (chart, whom it tells, whether it moves, milliseconds later), then all that is left."""
        for number, told, is_moving, later_ms in script:
            self.now_s += later_ms / 1000
            self._step(self._programs[number], told, is_moving=is_moving)
        for program in self._programs:
            while program.inbox:
                self._step(program, set(), is_moving=True)
        return self

    def _step(self, program: Program, told: set[int], *, is_moving: bool) -> None:
        """A chart handles what waits for it, or wakes by itself, and tells others."""
        sent = program.inbox.popleft() if program.inbox else None
        if sent is not None:
            program.clock.merge(sent.hlc)
        if sent is not None or is_moving:
            kind = "trace" if is_moving else "event"
            cause = sent.cause if sent is not None else None
            event = sent.event if sent is not None else None
            signal = sent.signal if sent is not None else "TICK"
            self._leave(program, program.clock.now(), kind, signal, event, cause)
        for number in sorted(told):
            self._send(program, self._programs[number], sent.event if sent is not None else None)

    def _send(self, program: Program, other: Program, cause: EventId | None) -> None:
        if other is program:
            return
        program.sequence += 1
        event = EventId(program.client, 1, program.sequence)
        signal = f"E{program.client[0]}_{program.sequence}"
        hlc = program.clock.now()
        self._sends[event] = self._leave(program, hlc, "send", signal, event, cause)
        self.arrows[signal] = 1
        other.inbox.append(Sent(event, signal, hlc, cause))

    def _leave(
        self, program: Program, hlc: int, kind: str, signal: str | None, event: EventId | None, cause: EventId | None
    ) -> SnoopLine:
        before, program.state = f"s{program.state}", program.state + (kind == "trace")
        is_move = kind == "trace"
        line = SnoopLine(
            kind,  # type: ignore[arg-type]
            program.name,
            program.wall_s(),
            signal,
            before if is_move else "",
            f"s{program.state}" if is_move else "",
            host=program.host,
            client=program.client.hex(),
            number=1,
            hlc=hlc,
            event=str(event or ""),
            cause=str(cause or ""),
        )
        if program.client in self._last:
            self.order.append((self._last[program.client], line))
        if kind != "send" and event is not None:
            self.order.append((self._sends[event], line))
        self._last[program.client] = line
        self.lines.append(line)
        self.happened_s.append(self.now_s)
        return line
