"""mirosctl peers: who is in the mesh, how they were found, and why one is not alive."""

from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.options import Options, common_options
from mirosctl.output import duration, show_json, show_table


@click.command()
@click.option("--why", is_flag=True, help="Show how each was found and every stage of its last scouting.")
@common_options
@click.pass_obj
def peers(options: Options, why: bool) -> None:
    """List the peers that this host knows."""
    rows, _ = options.ask("peers")
    rows.sort(key=lambda row: (row["name"], row["node"], row["address"]))
    if options.as_json:
        show_json("peers", {"peers": [row if why else _without_stages(row) for row in rows]})
    elif why:
        for row in rows:
            _show_why(row)
    else:
        show_table(("NAME", "NODE", "ADDRESS", "STATE", "NETWORKS", "RTT", "LAST SEEN"), [_cells(row) for row in rows])


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
