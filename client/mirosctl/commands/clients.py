"""mirosctl clients: the programs that are connected, what each hears, and how far its events have come."""

import pwd
from collections.abc import Iterator
from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.output import show_json, show_table

COLUMNS = ("CLIENT", "PROGRAM", "PID", "USER", "SENT", "SETTLED", "UNREAD", "CHART", "NETWORK", "HEARS", "STATE")


@click.command()
@common_options
@click.pass_obj
def clients(options: Options) -> None:
    """List the connected programs; UNREAD are bytes that one leaves waiting."""
    rows, _ = options.ask("clients")
    for row in rows:
        row["user"] = _user(row["uid"])
    rows.sort(key=lambda row: (row["program"], row["pid"], row["client"]))
    if options.as_json:
        show_json("clients", {"clients": rows})
    else:
        show_table(COLUMNS, [line for row in rows for line in _lines(row)])


def _lines(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Give a line for each chart; those after the first leave out whose it is."""
    who = (
        row["client"][:8],
        row["program"] or "-",
        str(row["pid"]),
        row["user"],
        str(row["last_taken"]),
        str(row["last_settled"]),
        str(row["unsent_bytes"]),
    )
    charts = [
        (chart["chart"] or "-", chart["network"], chart["binding_key"], chart["state"]) for chart in row["charts"]
    ]
    for number, chart in enumerate(charts or [("-",) * 4]):
        yield (*(("",) * len(who) if number else who), *chart)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user of a container, or one that is gone
        return str(uid)
