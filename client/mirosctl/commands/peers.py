"""mirosctl peers: who is in the mesh, how they were found, and why one is not alive."""

import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.known import complete_peers
from mirosctl.options import Options, common_options
from mirosctl.output import duration, live_table, show_json, show_json_line, show_table
from mirosctl.stages import stage_lines
from mirosctl.streams import watching

COLUMNS = ("NAME", "NODE", "ADDRESS", "STATE", "NETWORKS")
CHANGED_S = 15.0
"""The daemon says within 10 s that a peer cannot be changed."""


@click.group(invoke_without_command=True)
@click.option("--why", is_flag=True, help="Show how each was found and every stage of its last scouting.")
@click.option("--watch", is_flag=True, help="Go on with each change until Ctrl-C; with --json an object a line.")
@common_options
@click.pass_context
def peers(context: click.Context, why: bool, watch: bool) -> None:
    """List the peers that this host knows, or change what becomes of one.

    \b
    mirosctl peers
    mirosctl peers --why
    mirosctl peers --watch
    mirosctl peers forget raspberrypi
    """
    if context.invoked_subcommand is not None:
        if why or watch:
            raise click.UsageError("--why and --watch list the peers; they go with no further command")
        return
    options = context.ensure_object(Options)
    if watch:
        if why:
            raise click.UsageError("--watch tells of changes, not --why")
        with watching():
            _watch(options)
        return
    rows, _ = options.ask("peers")
    rows.sort(key=_order)
    if options.as_json:
        show_json("peers", {"peers": [row if why else _without_stages(row) for row in rows]})
    elif why:
        for row in rows:
            _show_why(row)
    else:
        show_table((*COLUMNS, "RTT", "LAST SEEN"), [_cells(row) for row in rows])


@peers.command(short_help="Let go of a peer, and ignore it for 24 hours.")
@click.argument("node", shell_complete=complete_peers)
@common_options
@click.pass_obj
def forget(options: Options, node: str) -> None:
    """Let go of NODE, a peer's name or the beginning of its node id, and ignore it for 24 hours.

    Its events are owed nothing any more. It comes back sooner when it is listed (mirosctl hosts add), or with
    `mirosctl peers allow` and its whole id, which is printed.

    \b
    mirosctl peers forget raspberrypi
    mirosctl peers forget 89abcdef
    """
    _change(options, "peers_forget", node, "forgotten for 24 hours")


@peers.command(short_help="Take a peer that was forgotten or is quarantined.")
@click.argument("node", shell_complete=complete_peers)
@common_options
@click.pass_obj
def allow(options: Options, node: str) -> None:
    """Take NODE, a peer's name or the beginning of its node id, that was forgotten or is quarantined, for good.

    One that is not in the peers table is named by its whole id.

    \b
    mirosctl peers allow raspberrypi
    mirosctl peers allow 89abcdef0123456789abcdef01234567
    """
    _change(options, "peers_allow", node, "allowed")


def _change(options: Options, verb: str, node: str, done: str) -> None:
    _, result = options.ask(verb, {"node": node}, timeout_s=CHANGED_S)
    if options.as_json:
        show_json(verb, result)
    else:
        click.echo(f"{result['name'] or 'the peer'} (node {result['node']}) is {done}")


def _watch(options: Options) -> None:
    changes = options.watch("peers_watch")
    table = {_key(row["peer"]): row["peer"] for row in takewhile(lambda row: row["change"] != "complete", changes)}
    if options.as_json:
        show_json_line("peers", {"peers": [_without_stages(peer) for peer in sorted(table.values(), key=_order)]})
        for row in changes:
            show_json_line("peers.change", {"change": row["change"], "peer": _without_stages(row["peer"])})
    elif sys.stdout.isatty():
        _draw(table, changes)
    else:
        show_table(COLUMNS, [_cells(peer)[: len(COLUMNS)] for peer in sorted(table.values(), key=_order)])
        for row in changes:
            click.echo(" ".join((time.strftime("%X"), row["change"], *_cells(row["peer"])[: len(COLUMNS)])))


def _draw(table: dict[str, dict[str, Any]], changes: Iterator[dict[str, Any]]) -> None:
    """Draw the table, again with each change, and when a peer was last seen to change."""
    changed: dict[str, str] = {}
    with live_table((*COLUMNS, "CHANGED")) as draw:
        while True:
            peers = sorted(table.values(), key=_order)
            draw([(*_cells(peer)[: len(COLUMNS)], changed.get(_key(peer), "-")) for peer in peers])
            row = next(changes, None)
            if row is None:
                return
            key = _key(row["peer"])
            changed[key] = time.strftime("%X")
            if row["change"] == "gone":
                del table[key], changed[key]
            else:
                table[key] = row["peer"]


def _order(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["name"], row["node"], row["address"]


def _key(row: dict[str, Any]) -> str:
    return str(row["node"] or row["address"])


def _without_stages(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "stages"}


def _state(row: dict[str, Any]) -> str:
    return f"{row['state']}({row['reason']})" if row["reason"] else str(row["state"])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rtt_ms = row["rtt_ms"]
    return (
        row["name"] or "-",
        row["node"][:8] or "-",
        row["address"],
        _state(row),
        " ".join(row["networks"]) or "-",
        "-" if rtt_ms is None else f"{rtt_ms:.1f} ms",
        duration(row["last_seen_s"]),
    )


def _show_why(row: dict[str, Any]) -> None:
    """Tell of one peer: its state and since when, how it was found, and what stands in its way with the cure."""
    since = f" for {duration(row['since_s'])}" if row.get("since_s") is not None else ""
    click.echo(f"{row['name'] or row['node'] or 'unknown'} at {row['address'] or 'no address'}: {_state(row)}{since}")
    if row["node"]:
        flaps = row.get("flaps", 0)
        click.echo(
            f"  node {row['node']}, start {row.get('incarnation', '-')}, {flaps} flap{'' if flaps == 1 else 's'}"
        )
    click.echo(f"  found by {', '.join(row['sources']) or 'nobody any more'}")
    for before in row.get("previous", []):
        click.echo(f"  before at {before['address']}, {duration(before['age_s'])} ago")
    said = set()
    for stage in row.get("stages", []):
        said.add(cure(stage["code"]))
        for line in stage_lines(stage):
            click.echo(f"  {line}")
    advice = cure(_state(row)) or cure(row["reason"]) or cure(row["state"])
    if advice and advice not in said:
        click.echo(f"  {advice}")
