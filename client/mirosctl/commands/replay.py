"""mirosctl replay: the events that a recorded chart handled, sent again to a chart that runs."""

import math
import time
from dataclasses import dataclass
from typing import Any

import click

from mirosctl.known import complete_charts, complete_peers
from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosctl.recalling import charts_of, tell_missing
from mirosctl.recording import read_recording
from mirosctl.replay_plan import Plan, address, full_name, plan, the_one
from mirosctl.snoop_options import globs
from mirosd_client.chart_row import ChartRow
from mirosd_client.control import ControlConnection
from mirosd_client.dial import Dial
from mirosd_client.event_id import encode_extension
from mirosd_client.printable import printable
from mirosd_client.snoop_view import SnoopView


@dataclass
class Replay:
    """What is to be sent to whom, and how far it has come.

    Attributes:
        sent: events that were sent.
        safe: those of them that the mesh has.
        unheard: those of them that no broker had a queue for.
    """

    planned: Plan
    chart: ChartRow
    speed: float
    sent: int = 0
    safe: int = 0
    unheard: int = 0

    def __post_init__(self) -> None:
        self.addressee, self.routing_key = address(self.chart)

    def send(self, connection: ControlConnection) -> None:
        """Send each event when its time has come, or when the one before is safe, if that is later."""
        extension, begun_s = encode_extension(None, self.addressee), time.monotonic()
        for at_s, event in self.planned.steps:
            due_s = begun_s + at_s / self.speed
            while (left_s := due_s - time.monotonic()) > 0:
                connection.receive(left_s)
            self.sent += 1
            fate = connection.transmit_bytes(
                event.signal,
                event.payload,
                self.routing_key,
                content_type=event.content_type,
                extension=extension,
                settle_s=0.0,
            )
            self.safe += 1
            self.unheard += fate is not None and fate.outcome == "unheard"


def _number(_context: click.Context, _parameter: click.Parameter, speed: float) -> float:
    if math.isnan(speed):
        raise click.BadParameter("nan is no number")
    return speed


@click.command(short_help="Send the events of a recording again, to a chart that runs.")
@click.argument("path", metavar="FILE")
@click.option(
    "--to", required=True, metavar="CHART", shell_complete=complete_charts, help="The chart that gets the events."
)
@click.option(
    "--host", "hosts", multiple=True, metavar="GLOB", callback=globs, shell_complete=complete_peers, help="Where it is."
)
@click.option("--from", "source", metavar="CHART", help="The recorded chart that handled them; else of the same name.")
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    callback=_number,
    default=1.0,
    show_default=True,
    help="Times as fast.",
)
@click.option("--dry-run", is_flag=True, help="Send nothing; print what would be sent when.")
@common_options
@click.pass_obj
def replay(
    options: Options,
    path: str,
    *,
    to: str,
    hosts: tuple[str, ...],
    source: str | None,
    speed: float,
    dry_run: bool,
) -> None:
    """Send the events that a chart of the recording FILE handled, once more, to one chart that runs.

    Other charts that hear its routing key do not get them. A chart is named as CHART, HOST/CHART, or by the beginning
    of its client id and its number (3f9a1c02-1). An event that does not become safe with the mesh ends it.

    \b
    mirosctl replay battle.jsonl --to archer
    mirosctl replay battle.jsonl --from h2/archer --to test_archer --speed 10
    mirosctl replay battle.jsonl --to archer --dry-run
    """
    recording = read_recording(path)
    planned = plan(recording, source or to)
    _warn(recording.warning)
    if planned.missing:
        _warn(f"handled, and not in the recording as they were sent before it began: {planned.missing}")
    if planned.nameless:
        _warn(f"left out, as no receiver makes an event of a signal so named: {planned.nameless}")
    with SnoopView(options.socket) as view:
        rows, recollection = charts_of(view, Dial(hosts=list(hosts)))
    tell_missing(recollection)
    run = Replay(planned, the_one(to, [row for row in rows if row.is_running], "on the mesh"), speed)
    try:
        if not dry_run:
            with ControlConnection(options.socket) as connection:
                run.send(connection)
    finally:
        _tell(options, run, is_dry=dry_run)


def _warn(text: str) -> None:
    if text:
        click.echo(f"warning: {text}", err=True)


def _tell(options: Options, run: Replay, *, is_dry: bool) -> None:
    steps, chart = run.planned.steps, full_name(run.chart)
    if options.as_json:
        show_json("replay", {**_document(run), "dry_run": is_dry})
    elif is_dry:
        click.echo(f"to {chart} by the routing key {run.routing_key}:")
        for at_s, event in steps:
            content_type = printable(event.content_type)
            click.echo(f"{at_s / run.speed:12.3f} s  {event.signal}  {len(event.payload)} bytes of {content_type}")
    else:
        click.echo(f"sent {run.sent} of {len(steps)} event{'' if len(steps) == 1 else 's'} to {chart}: {run.safe} safe")
    if run.unheard:
        _warn(f"{run.unheard} of them found no queue on any host: has the chart ended?")


def _document(run: Replay) -> dict[str, Any]:
    return {
        "to": full_name(run.chart),
        "routing_key": run.routing_key,
        "events": [
            {"event": event.id, "signal": event.signal, "at_s": round(at_s / run.speed, 6)}
            for at_s, event in run.planned.steps
        ],
        "sent": run.sent,
        "safe": run.safe,
        "unheard": run.unheard,
        "missing": run.planned.missing,
        "nameless": run.planned.nameless,
    }
