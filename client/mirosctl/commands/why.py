"""mirosctl why: what led to an event, over all hosts, and what followed from it."""

from typing import Any

import click

from mirosctl.chain import MAX_DEPTH, Chains, Deed, Link
from mirosctl.durations import duration
from mirosctl.line_text import line_fields, viewer_text
from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosctl.recalling import history_of, silent, tell_missing
from mirosctl.snoop_options import MAX_SINCE_S
from mirosd_client.dial import Dial
from mirosd_client.errors import LocalProtocolError
from mirosd_client.event_id import EventId, parse_event_id
from mirosd_client.snoop_line import SnoopLine
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Network

EXIT_NOT_FOUND = 1
GAPS = {
    "missing": "nothing of it is on record: its program keeps none, has let go of it, or did not answer",
    "cycle": "this is where the chain has come from: it goes in a circle",
    "deeper": f"the chain goes on, beyond {MAX_DEPTH} events",
}

ABOVE = ("cycle", "deeper")
"""Of the first event of a chain, these tell why nothing is above it."""


def _event_id(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, int, int]:
    try:
        return parse_event_id(text)
    except LocalProtocolError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command()
@click.argument("event", metavar="EVENT-ID", callback=_event_id)
@click.option(
    "--since",
    "since_s",
    metavar="TIME",
    callback=duration(MAX_SINCE_S),
    default="10m",
    show_default=True,
    help="How far back to look.",
)
@common_options
@click.pass_context
def why(context: click.Context, event: tuple[str, int, int], since_s: float) -> None:
    """Tell what led to an event, from the first cause down, who handled it, and what followed from it.

    EVENT-ID is as `mirosctl trace --events` shows it: the beginning of the sending program's id, and two numbers.
    What programs have let go of, and what programs without mirosd's client do, is missing, and told.

    \b
    mirosctl why 3f9a1c02-1-4711
    mirosctl why 3f9a1c02-1-4711 --since 1h --json
    """
    options = context.ensure_object(Options)
    with SnoopView(options.socket) as view:
        lines, recollection = history_of(view, Dial(events=True), since_s)
    chains = Chains(lines)
    found = chains.find(event)
    tell_missing(recollection)
    if any(end.older for end in recollection.ends.values()):
        click.echo("warning: some programs have let go of lines within that time", err=True)
    if len(found) != 1:
        named = "-".join(map(str, event))
        if found:
            click.echo(f"{len(found)} events begin with {named} in the last {since_s:g} s", err=True)
        else:
            click.echo(f"no event is named {named} in the last {since_s:g} s; --since looks further back", err=True)
        for other in found:
            click.echo(f"  {other}", err=True)
        context.exit(EXIT_NOT_FOUND)
    first = chains.why(found[0])
    if options.as_json:
        show_json("why", {"event": found[0], "chain": _document(first), "silent": silent(recollection)})
    else:
        if first.gap in ABOVE:
            click.echo(f"({GAPS[first.gap]})")
        _tell(first, 0)


def _tell(link: Link, depth: int) -> None:
    """Print an event, and one step to the right all that followed from it."""
    event, indent = link.event, "  " * depth
    if event.sent is not None:
        said = viewer_text(event.sent, Network.SNOOP_TRACE)
    elif link.sender is not None:
        said = f"{link.sender.host} [{link.sender.chart}] transmit->{event.signal}()"
    else:
        said = f"transmit->{event.signal}()"
    click.echo(f"{indent}{said} {_short(event.id)}{'  <- asked for' if link.is_asked else ''}")
    if link.gap and (depth or link.gap not in ABOVE):
        click.echo(f"{indent}  ({GAPS[link.gap]})")
    elif not link.deeds:
        click.echo(f"{indent}  (no chart on record handled it)")
    for act in (act for deed in link.deeds for act in deed.acts):
        if isinstance(act, Link):
            _tell(act, depth + 1)
        else:
            click.echo(f"{indent}  {viewer_text(act, Network.SNOOP_TRACE)}")


def _short(event_id: str) -> str:
    client, chart, sequence = event_id.split("-")
    return EventId(bytes.fromhex(client), int(chart), int(sequence)).short


def _document(link: Link) -> dict[str, Any]:
    sender = link.sender
    return {
        "event": link.event.id,
        "signal": link.event.signal,
        "host": sender.host if sender else "",
        "chart": sender.chart if sender else "",
        "hlc": str(link.event.hlc),
        "cause": link.event.cause,
        "asked": link.is_asked,
        "gap": link.gap,
        "deeds": [_deed_document(deed) for deed in link.deeds],
    }


def _deed_document(deed: Deed) -> dict[str, Any]:
    return {
        "host": deed.host,
        "chart": deed.chart,
        "client": deed.source[0],
        "number": deed.source[1],
        "steps": [line_fields(act) for act in deed.acts if isinstance(act, SnoopLine)],
        "sent": [_document(act) for act in deed.acts if isinstance(act, Link)],
    }
