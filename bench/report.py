"""Medians and ranges over the rounds, ratios within a round, and how they stand to the goals."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.rounds import Figures


class Goal(NamedTuple):
    """A bound for the ratio, or for the figure of a row that has no baseline."""

    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float) -> bool:
        """Tell whether a value is within the bound."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        return f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"


class Row(NamedTuple):
    """A line of the table: a figure of rounds.py, beside the figure `base` of the same round."""

    text: str
    figure: str
    base: str = ""
    goal: Goal | None = None


TABLE: dict[str, tuple[Row, ...]] = {
    "one way, idle (200 events/s), ms": (
        *(
            Row(
                f"{text}, p{percent}", f"{way}.p{percent}_ms", f"raw.p{percent}_ms" * (way != "raw"), goals.get(percent)
            )
            for way, text, goals in (
                ("raw", "raw pika", {}),
                ("blocking", "blocking pika", {}),
                ("client", "client to client", {50: Goal(at_most=2)}),
                ("chart", "chart to chart", {50: Goal(at_most=1.6), 99: Goal(at_most=2)}),
                ("chart_spied", "chart to chart, spied", {}),
                ("alone", "miros alone", {}),
            )
            for percent in (50, 95, 99)
        ),
    ),
    "sustained, events/s": (
        Row("raw pika", "raw.events_per_s"),
        Row("blocking pika", "blocking.events_per_s"),
        Row("client to client", "client.events_per_s", "raw.events_per_s", Goal(at_least=5)),
        Row("client to client", "client.events_per_s", "blocking.events_per_s"),
        Row("miros alone", "alone.events_per_s"),
        Row("chart to chart", "chart.events_per_s", "alone.events_per_s", Goal(at_least=0.8)),
        Row("miros alone, spied", "alone_spied.events_per_s"),
        Row("chart to chart, spied", "chart_spied.events_per_s", "alone_spied.events_per_s", Goal(at_least=0.8)),
    ),
    "to be seen": (
        Row("a moving chart, unrecorded, events/s", "unrecorded.events_per_s"),
        Row("recorded, events/s", "recorded.events_per_s", "unrecorded.events_per_s", Goal(at_least=0.8)),
        Row("and watched, events/s", "watched.events_per_s", "unrecorded.events_per_s", Goal(at_least=0.8)),
        Row("of its lines, dropped, %", "watched.dropped_percent"),
        Row("client to client, idle, p50, ms", "mesh_untraced.p50_ms"),
        Row("beside 20,000 traces/s, p50, ms", "mesh_traced.p50_ms", "mesh_untraced.p50_ms", Goal(at_most=1.2)),
        Row("client to client, idle, p99, ms", "mesh_untraced.p99_ms"),
        Row("beside 20,000 traces/s, p99, ms", "mesh_traced.p99_ms", "mesh_untraced.p99_ms"),
        Row("of these at the viewer, traces/s", "traces.seen_per_s"),
        Row("dropped on their way to it, traces", "traces.missing"),
    ),
    "of all ways together, events": (
        Row("accepted and not arrived", "all.lost", "", Goal(at_most=0)),
        Row("twice or out of order", "all.astray", "", Goal(at_most=0)),
    ),
    "transmit() in the chart's thread, us": (
        Row("json.dumps + send, p50", "transmit_baseline.p50_us"),
        Row("json.dumps + send, p99", "transmit_baseline.p99_us"),
        Row("daemon alive, p50", "transmit_alive.p50_us", "transmit_baseline.p50_us"),
        Row("daemon alive, p99", "transmit_alive.p99_us", "transmit_baseline.p99_us", Goal(at_most=3)),
        Row("daemon stopped, p99", "transmit_stopped.p99_us", "transmit_alive.p99_us", Goal(at_most=1.2)),
        Row("daemon dead, p99", "transmit_dead.p99_us", "transmit_alive.p99_us", Goal(at_most=1.2)),
    ),
    "processes": (
        Row("python -c pass, ms", "command.nothing_ms"),
        Row("mirosctl peers, ms", "command.peers_ms", "", Goal(at_most=150)),
        Row("daemon start to ready, s", "daemon.start_s", "", Goal(at_most=1)),
        Row("daemon, idle, resident MB", "daemon.idle_mb", "", Goal(at_most=60)),
        Row("daemon, after the floods, resident MB", "daemon.flooded_mb", "", Goal(at_most=60)),
        Row("daemon, idle, % of a core", "daemon.cpu_percent", "", Goal(at_most=1)),
        Row("daemon, idle, wake-ups/s", "daemon.switches_per_s"),
        Row("threads of a program, miros alone", "alone.threads"),
        Row("threads of a program, networked", "chart.threads"),
    ),
}


def summary(rounds: Sequence[Figures]) -> list[dict[str, Any]]:
    """Give a dict per row: median, low and high of the figure; `ratio` likewise where it has a baseline; the goal.

    Rows of what was not measured, or whose baseline was not, are left out.
    """
    return [
        _summed(row, section, rounds)
        for section, rows in TABLE.items()
        for row in rows
        if all({row.figure, row.base or row.figure} <= figures.keys() for figures in rounds)
    ]


def _summed(row: Row, section: str, rounds: Sequence[Figures]) -> dict[str, Any]:
    values = [figures[row.figure] for figures in rounds]
    line: dict[str, Any] = {"section": section, "text": row.text, "figure": row.figure, **_spread(values)}
    judged = line["high"] if row.goal == Goal(at_most=0) else line["median"]  # one loss in one round is a loss
    if row.base:
        line["base"] = row.base
        line["ratio"] = _spread([figures[row.figure] / figures[row.base] for figures in rounds])
        judged = line["ratio"]["median"]
    if row.goal is not None:
        line |= {"goal": str(row.goal), "is_met": row.goal.is_met(judged)}
    return line


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def render(machine: dict[str, str], rounds: Sequence[Figures]) -> str:
    """Give the table as text."""
    lines = [", ".join(f"{name} {value}" for name, value in machine.items())]
    lines.append(f"{len(rounds)} rounds; median (low - high); a ratio is of two figures of one round")
    section = ""
    for line in summary(rounds):
        if line["section"] != section:
            section = line["section"]
            lines += ["", section]
        ratio = f"{line['ratio']['median']:6.2f} x {_short(line['base'])}" if "ratio" in line else ""
        goal = f"{line['goal']:>7} {'' if line['is_met'] else 'MISSED'}" if "goal" in line else ""
        spread = f"({_number(line['low'])} - {_number(line['high'])})"
        lines.append(f"  {line['text']:38}{_number(line['median']):>10} {spread:22}{ratio:28}{goal}".rstrip())
    return "\n".join(lines)


def _short(figure: str) -> str:
    return figure.partition(".")[0]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
