"""mirosctl peers: who is in the mesh, how they were found, and why one is not alive."""

import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.options import Options, common_options
from mirosctl.output import duration, live_table, show_json, show_json_line, show_table

COLUMNS = ("NAME", "NODE", "ADDRESS", "STATE", "NETWORKS")


@click.command()
@click.option("--why", is_flag=True, help="Show how each was found and every stage of its last scouting.")
@click.option("--watch", is_flag=True, help="Go on with each change until Ctrl-C; with --json an object a line.")
@common_options
@click.pass_obj
def peers(options: Options, why: bool, watch: bool) -> None:
    """List the peers that this host knows."""
    if watch:
        if why:
            raise click.UsageError("--watch tells of changes, not --why")
        try:
            _watch(options)
        except KeyboardInterrupt:
            return  # which is how a watch ends
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
    click.echo(f"{row['name'] or row['node'] or 'unknown'} at {row['address']}: {_state(row)}")
    click.echo(f"  found by {', '.join(row['sources']) or 'nobody any more'}")
    for stage in row.get("stages", []):
        click.echo(f"  {stage['stage']:<9} {stage['code']:<13} {stage['took_ms']:7.1f} ms  {stage['detail']}".rstrip())
        if advice := cure(stage["code"]):
            click.echo(f"    {advice}")
    if row["reason"] and not row.get("stages") and (advice := cure(row["reason"])):
        click.echo(f"    {advice}")
