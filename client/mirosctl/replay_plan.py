"""What a replay does: which events of a recording, when, to whom, and by which routing key."""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from mirosctl.recording import RecordedEvent, Recording
from mirosd_client.chart_row import ChartRow
from mirosd_client.errors import MirosdError
from mirosd_client.event_id import SHOWN_CLIENT_DIGITS, Addressee
from mirosd_client.signal_name import is_sane
from mirosd_client.snoop_line import SnoopLine

A_WORD = "x"
"""For a `*` of a binding key: not longer than that, so that what fitted still fits."""
MAX_CHART_NUMBER = 0xFFFF
MAX_NAMED = 20
"""Charts in an error: a screen."""

_CLIENT = re.compile(r"[0-9a-f]{32}")
Who = TypeVar("Who", SnoopLine, ChartRow)


class UnclearChartError(MirosdError):
    """No chart, or more than one, is meant by a name; the text lists those that there are."""

    code = "unclear_chart"


class Step(NamedTuple):
    """An event to be sent, `at_s` seconds after the first one."""

    at_s: float
    event: RecordedEvent


class Plan(NamedTuple):
    """The steps in their order, and how many events the recording does not have (`missing`), or has with a signal's
    name of which no receiver makes an event (`nameless`)."""

    steps: list[Step]
    missing: int
    nameless: int


def plan(recording: Recording, name: str) -> Plan:
    """Give the events that the recorded chart of this name handled, spaced as it handled them.

    Raises:
        UnclearChartError: none of that name handled any, or more than one did.
    """
    handled = [line for line in recording.lines if line.event and line.kind in ("trace", "event")]
    chart = the_one(name, handled, "in the recording")
    events = {event.id: event for event in recording.events}
    steps: list[Step] = []
    seen: set[str] = set()
    at_s, before_s, missing, nameless = 0.0, None, 0, 0
    for line in handled:
        if not _is_same(line, chart) or line.event in seen:
            continue
        seen.add(line.event)
        event = events.get(line.event)
        if event is None:
            missing += 1
        elif not is_sane(event.signal):
            nameless += 1
        else:
            # by the chart's own wall clock, as a hybrid time stands still behind a host whose clock is ahead
            at_s += max(0.0, line.time - before_s) if before_s is not None else 0.0
            before_s = line.time
            steps.append(Step(at_s, event))
    return Plan(steps, missing, nameless)


def the_one(name: str, charts: Iterable[Who], where: str) -> Who:
    """Give the chart that is meant by its name, host/name, or the beginning of its client id and its number.

    Raises:
        UnclearChartError: as it says.
    """
    apart = {(chart.client, chart.number, chart.chart): chart for chart in charts}
    meant = [chart for chart in apart.values() if _is_meant(name, chart)]
    if len(meant) == 1:
        return meant[0]
    listed = ", ".join(sorted(map(full_name, meant or apart.values()))[:MAX_NAMED])
    if meant:
        raise UnclearChartError(f"{len(meant)} charts {where} are named {name}: say which of {listed}")
    raise UnclearChartError(f"no chart {where} is named {name}: there is {listed or 'none at all'}")


def full_name(chart: SnoopLine | ChartRow) -> str:
    """Give a chart's name as people can tell it from all others."""
    return f"{chart.host}/{chart.chart} ({chart.client[:SHOWN_CLIENT_DIGITS]}-{chart.number})"


def address(row: ChartRow) -> tuple[Addressee, str]:
    """Give a live chart's address, and a routing key that its subscription matches.

    Raises:
        UnclearChartError: it has none: it is not on the mesh, or its row makes no sense.
    """
    if not row.receives or not row.is_running:
        raise UnclearChartError(f"{full_name(row)} hears nothing of the mesh, so that no event can be sent to it")
    if not _CLIENT.fullmatch(row.client) or row.number > MAX_CHART_NUMBER:
        raise UnclearChartError(
            f"{full_name(row)} is not named as charts are; is its mirosd_client of another version?"
        )
    return Addressee(bytes.fromhex(row.client), row.number), concrete_key(row.receives)


def concrete_key(binding_key: str) -> str:
    """Give a routing key that a binding key matches: `*` is a word, and `#` none, or a word where nothing else is."""
    words = [A_WORD if word == "*" else word for word in binding_key.split(".")]
    key = ".".join(word for word in words if word != "#")
    return key or ".".join(A_WORD if word == "#" else word for word in words)


def _is_meant(name: str, chart: SnoopLine | ChartRow) -> bool:
    client, _, number = name.rpartition("-")
    is_id = len(client) >= SHOWN_CLIENT_DIGITS and chart.client.startswith(client) and number == str(chart.number)
    return is_id or name in (chart.chart, f"{chart.host}/{chart.chart}")


def _is_same(one: SnoopLine, other: SnoopLine) -> bool:
    return (one.source, one.chart) == (other.source, other.chart)
