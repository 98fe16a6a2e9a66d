"""mirosctl charts: every statechart of every host, with its state and what it has to do."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from mirosctl.known import complete_charts, complete_peers
from mirosctl.options import Options, common_options
from mirosctl.output import duration, live_table, show_json, show_json_line, show_table
from mirosctl.recalling import chart_order, charts_of, nobody_meant, silent, tell_missing
from mirosctl.snoop_options import globs
from mirosctl.streams import has_reader, watching
from mirosd_client.chart_row import ChartRow
from mirosd_client.dial import Dial
from mirosd_client.recollection import Recollection
from mirosd_client.snoop_view import SnoopView

COLUMNS = ("HOST", "CHART", "STATE", "FOR", "QUEUE", "LAST EVENT", "HANDLED", "PROGRAM")
TROUBLE = ("FAULTS", "DROPPED")
"""Further columns, where any chart has some."""
PERIOD_S = 1.0
"""Between two looks of a watch."""

Key = tuple[str, int]
Look = tuple[list[ChartRow], Recollection]


@click.command(short_help="List the statecharts of all hosts, with their states.")
@click.argument("charts", metavar="[CHART]...", nargs=-1, callback=globs, shell_complete=complete_charts)
@click.option(
    "--host", "hosts", multiple=True, metavar="GLOB", callback=globs, shell_complete=complete_peers, help="Only these."
)
@click.option("--watch", is_flag=True, help="Look again each second until Ctrl-C; with --json an object a line.")
@common_options
@click.pass_obj
def charts(options: Options, charts: tuple[str, ...], hosts: tuple[str, ...], watch: bool) -> None:
    """List the statecharts of all programs on all hosts, those of the daemons too.

    CHART is a name, or a glob of names. QUEUE is how many events wait for a chart, FOR how long it has been in its
    state, FAULTS how many events its handlers failed at, DROPPED how many found its queue full.

    \b
    mirosctl charts
    mirosctl charts 'archer*' --host 'h[23]' --watch
    mirosctl charts --json | jq '.charts[] | select(.queue > 100).chart'
    """
    dial = Dial(hosts=list(hosts), charts=list(charts))
    with SnoopView(options.socket) as view:
        if watch:
            _watch(options, view, dial)
            return
        rows, recollection = charts_of(view, dial)
    if options.as_json:
        show_json("charts", _document(rows, recollection))
        return
    tell_missing(recollection)
    if hosts and not recollection.hosts:
        click.echo(f"warning: {nobody_meant(hosts)}", err=True)
    columns = (*COLUMNS, *TROUBLE) if any(row.faults or row.dropped for row in rows) else COLUMNS
    show_table(columns, [_cells(row)[: len(columns)] for row in rows])


def _watch(options: Options, view: SnoopView, dial: Dial) -> None:
    show = _print_json if options.as_json else _draw if sys.stdout.isatty() else _print_changes
    with watching():
        show(_looks(view, dial))


def _looks(view: SnoopView, dial: Dial) -> Iterator[Look]:
    due_s = time.monotonic()
    while has_reader():
        yield charts_of(view, dial)
        now_s = time.monotonic()
        due_s = max(due_s + PERIOD_S, now_s)
        time.sleep(due_s - now_s)


def _print_json(looks: Iterator[Look]) -> None:
    for rows, recollection in looks:
        show_json_line("charts", _document(rows, recollection))


def _draw(looks: Iterator[Look]) -> None:
    """Draw the table, again with each look, as much of it as fits; the last one stays as a whole."""
    columns, cells = (*COLUMNS, *TROUBLE), list[tuple[str, ...]]()
    try:
        with live_table(columns, is_passing=True) as draw:
            for rows, recollection in looks:
                cells = [_cells(row) for row in rows]
                draw(cells, "; ".join(recollection.missing()))
    finally:
        if cells:
            show_table(columns, cells)


def _print_changes(looks: Iterator[Look]) -> None:
    """Print the table, and then a line for each chart that is not as it was at the look before."""
    before: dict[Key, ChartRow] | None = None
    told: list[str] = []
    for rows, recollection in looks:
        told, was_told = [*recollection.missing()], told
        for text in told:
            if text not in was_told:
                click.echo(f"warning: {text}", err=True)
        now = {(row.client, row.number): row for row in rows}
        if before is None:
            show_table((*COLUMNS, *TROUBLE), [_cells(row) for row in rows])
        else:
            for change, row in _changes(before, now):
                click.echo(" ".join((time.strftime("%X"), change, *_cells(row))))
        before = now


def _changes(before: dict[Key, ChartRow], now: dict[Key, ChartRow]) -> Iterator[tuple[str, ChartRow]]:
    for row in sorted((before | now).values(), key=chart_order):
        key = row.client, row.number
        if key not in now:
            yield "gone", row
        elif key not in before:
            yield "appeared", row
        elif _said(before[key]) != _said(row):
            yield "changed", row


def _said(row: ChartRow) -> ChartRow:
    """Give a row without what changes while nothing happens."""
    return msgspec.structs.replace(row, since_s=0.0)


def _document(rows: list[ChartRow], recollection: Recollection) -> dict[str, Any]:
    return {"charts": [msgspec.structs.asdict(row) for row in rows], "silent": silent(recollection)}


def _cells(row: ChartRow) -> tuple[str, ...]:
    return (
        row.host or "-",
        row.chart or "-",
        (row.state or "-") if row.is_running else f"{row.state} (ended)".lstrip(),
        duration(row.since_s) if row.state else "-",
        str(row.queue),
        row.signal or "-",
        str(row.handled),
        row.program or "-",
        str(row.faults),
        str(row.dropped),
    )
