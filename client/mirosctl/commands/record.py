"""mirosctl record: what charts do and all events of the mesh, in a file."""

import math
import time

import click

from mirosctl.causal_order import HOLD_S
from mirosctl.durations import duration
from mirosctl.gaps import Gaps
from mirosctl.known import complete_charts
from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosctl.recalling import TICK_S, tell_missing
from mirosctl.recording import STDOUT, RecordingWriter, recorded_event
from mirosctl.snoop_options import MAX_SINCE_S, MAX_WATCH_S, globs
from mirosd_client.dial import Dial
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.printable import printable
from mirosd_client.snoop_item import Heard, HostWatched, Lines, WatchOver
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Network

IDLE_S = 1.0
"""How often it is looked whether there is something to tell, while nothing comes."""
ALL_KEYS = "#"


@click.command(short_help="Keep what charts do, and all events, in a file.")
@click.argument("path", metavar="FILE")
@click.argument("charts", metavar="[CHART]...", nargs=-1, callback=globs, shell_complete=complete_charts)
@click.option("--for", "for_s", metavar="TIME", callback=duration(MAX_WATCH_S), help="How long; else until Ctrl-C.")
@click.option("--since", "since_s", metavar="TIME", callback=duration(MAX_SINCE_S), help="What charts did before, too.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@common_options
@click.pass_obj
def record(
    options: Options, path: str, charts: tuple[str, ...], *, for_s: float | None, since_s: float | None, force: bool
) -> None:
    """Write to FILE (- is standard output) what all charts do, or each CHART, and all events with what they carry.

    It is readable for its owner alone, as it holds in the open what crosses the network sealed. Events of before are
    nowhere on record: of that time there are the charts' moves alone.

    \b
    mirosctl record battle.jsonl --for 10m
    mirosctl trace --from battle.jsonl --sequence
    mirosctl replay battle.jsonl --to archer
    """
    if for_s == 0 and not since_s:
        raise click.UsageError("--for 0s keeps only what was: say how far back with --since")
    dial = Dial(charts=list(charts), events=True)
    with SnoopView(options.socket) as view:
        header = {"host": view.welcome.name, "system": view.welcome.system, "time": time.time(), "charts": list(charts)}
        try:
            with RecordingWriter(path, header, is_forced=force) as writer:
                try:
                    _record(view, writer, dial, for_s, since_s or 0.0)
                finally:
                    _say_what_there_is(options, path, writer)
        except (KeyboardInterrupt, BrokenPipeError):
            pass  # which is how a recording ends, and one to a pipe


def _record(view: SnoopView, writer: RecordingWriter, dial: Dial, for_s: float | None, since_s: float) -> None:
    """Write what comes until the time is over, and what was before has come."""
    gaps, unwilling, ends_s = Gaps(), set[str](), 0.0 if for_s == 0 else math.inf
    if ends_s:
        _hear_mesh(view)  # first: an event is here before a chart has handled it
        view.watch(Network.SNOOP_TRACE, dial, for_s)
    recall = view.recall("history", Network.SNOOP_TRACE, dial, since_s) if since_s else None
    try:
        while (left_s := ends_s - time.monotonic()) > 0 or recall is not None:
            item = view.receive(min(left_s, IDLE_S) if left_s > 0 else TICK_S)
            now_s = time.monotonic()
            if isinstance(item, Heard):
                writer.add_events([recorded_event(item.record)])
            elif isinstance(item, Lines):
                writer.add_lines(item.lines)
                for line in item.lines if not item.recall else ():
                    gaps.take(line, item.network)
            elif isinstance(item, HostWatched) and not item.accepts and item.node not in unwilling:
                unwilling.add(item.node)
                _warn(f"{item.host} lets nobody look at its charts (snoop.remote: {item.remote})")
            elif isinstance(item, WatchOver):
                ends_s = now_s + HOLD_S  # for what is on its way
            if recall is not None and recall.is_over(now_s):
                tell_missing(recall)
                view.forget(recall)
                recall = None
            for text in gaps.tell(now_s):
                _warn(text)
    finally:
        for text in gaps.tell(time.monotonic(), is_last=True):
            _warn(text)


def _hear_mesh(view: SnoopView) -> None:
    try:
        view.subscribe(Network.MESH, ALL_KEYS)
    except DaemonRefusedError as exc:
        if exc.code != "no_key":
            raise
        _warn(f"no events are recorded, only what charts do: {exc}")


def _warn(text: str) -> None:
    click.echo(f"warning: {printable(text)}", err=True)


def _say_what_there_is(options: Options, path: str, writer: RecordingWriter) -> None:
    if options.as_json and path != STDOUT:
        show_json("record", {"file": printable(path), "lines": writer.lines, "events": writer.events})
    else:
        lines, events = writer.lines, writer.events
        told = f"{lines} line{'' if lines == 1 else 's'} of charts and {events} event{'' if events == 1 else 's'}"
        click.echo(f"recorded {told}", err=True)
