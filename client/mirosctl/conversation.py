"""A conversation of charts, out of the lines of their traces: who said what to whom, and what became of them.

An arrow is an event from the network that was handled, drawn where its receiver handled it;
its name says who sent it (event_id.py). All lifelines have names of their own: host/chart,
with a number behind it where a host has two of that name.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mirosctl.causal_order import Once
from mirosd_client.event_id import SHOWN_CLIENT_DIGITS
from mirosd_client.hlc import MAX_TIMESTAMP, wall_time_s
from mirosd_client.snoop_line import SnoopLine

UNKNOWN = "?"
"""The lifeline of all senders that no line names."""


class Arrow(NamedTuple):
    """An event crossed."""

    time_s: float
    sender: str
    receiver: str
    signal: str


class Move(NamedTuple):
    """A chart came into a state, or began in it."""

    time_s: float
    lifeline: str
    state: str
    is_start: bool


class Remark(NamedTuple):
    """A chart's program said something."""

    time_s: float
    lifeline: str
    text: str


Step = Arrow | Move | Remark
Chart = tuple[str, int, str]
"""Client id, number and name: the regions of a chart share its number."""


class Conversation:
    """What has been said so far. For one thread."""

    def __init__(self) -> None:
        self._senders: dict[tuple[str, int], Chart] = {}
        self._lifelines: dict[Chart, str] = {}
        self._names: set[str] = {UNKNOWN}
        self._hosts: dict[Chart, str] = {}
        self._arrows = Once()
        self._begun_s: float | None = None

    def steps(self, lines: Sequence[SnoopLine]) -> list[Step]:
        """Give what these lines add; times are seconds since the first line of all.

        Args:
            lines: in causal order, each once; all of a recording together, so that each sender is known by name.
        """
        for line in lines:
            self._meet(line)
        return [step for line in lines for step in self._steps(line)]

    def _meet(self, line: SnoopLine) -> None:
        """Learn whose number it is: a chart begins before its regions, and one that sends is the one that is meant."""
        chart = (*line.source, line.chart)
        self._hosts.setdefault(chart, line.host)
        if line.kind == "send":
            self._senders[line.source] = chart
        else:
            self._senders.setdefault(line.source, chart)

    def _steps(self, line: SnoopLine) -> list[Step]:
        time_s = self._time_s(line)
        if line.kind not in {"trace", "event", "scribble", "spy"}:
            return []
        lifeline, steps = self._lifeline((*line.source, line.chart)), list[Step]()
        if line.event and line.kind in {"trace", "event"} and self._arrows.is_first((line.event, lifeline)):
            steps.append(Arrow(time_s, self._sender(line.event), lifeline, line.signal or ""))
        if line.kind == "trace":
            steps.append(Move(time_s, lifeline, line.to_state, is_start=line.signal is None))
        elif line.kind != "event":
            steps.append(Remark(time_s, lifeline, line.text))
        return steps

    def _time_s(self, line: SnoopLine) -> float:
        """Give a time that never runs backwards on the page: the wall clocks of hosts differ."""
        now_s = wall_time_s(min(line.hlc, MAX_TIMESTAMP)) if line.hlc else line.time
        if self._begun_s is None:
            self._begun_s = now_s
        return now_s - self._begun_s

    def _sender(self, event: str) -> str:
        client, _, numbers = event.partition("-")
        number = numbers.partition("-")[0]
        chart = self._senders.get((client, int(number))) if number.isdecimal() else None
        return UNKNOWN if chart is None else self._lifeline(chart)

    def _lifeline(self, chart: Chart) -> str:
        if chart not in self._lifelines:
            host, name = self._hosts[chart], chart[2] or chart[0][:SHOWN_CLIENT_DIGITS]
            label = wanted = f"{host}/{name}" if host else name
            number = 1
            while label in self._names:
                number += 1
                label = f"{wanted}~{number}"
            self._lifelines[chart] = label
            self._names.add(label)
        return self._lifelines[chart]


def lifelines_of(step: Step) -> tuple[str, ...]:
    """Give the lifelines that a step stands on."""
    return (step.sender, step.receiver) if isinstance(step, Arrow) else (step.lifeline,)
