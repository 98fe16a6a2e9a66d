"""What a shell completes from the daemon's knowledge: peers and listed hosts. Without a daemon, nothing."""

import re
from typing import Any

import click

from mirosd_client.control import ControlConnection
from mirosd_client.dial import Dial
from mirosd_client.errors import MirosdError

PATIENCE_S = 0.5
"""Somebody is waiting behind the tabulator key."""

_PLAIN = re.compile(r"[\w.:%\[\]-]+", re.ASCII)
"""What a shell takes as a word. A peer chooses its name: `$(...)` in it would be run with the completed line."""


def complete_peers(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Give the names and ids of peers that begin so."""
    rows = _ask(context, "peers")
    names = {row["name"] for row in rows}
    ids = {row["node"] for row in rows} if begun else set()  # nobody reads through ids before a letter is typed
    return _beginning(begun, names | ids)


def complete_hosts(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Give the hosts added here that begin so."""
    return _beginning(begun, {row["host"] for row in _ask(context, "hosts_list") if row["source"] == "local"})


def complete_charts(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Give the names of charts, on whichever host, that begin so."""
    from mirosctl.recalling import charts_of  # noqa: PLC0415 -- for these words alone
    from mirosd_client.snoop_view import SnoopView  # noqa: PLC0415

    try:
        with SnoopView(getattr(context.obj, "socket", None), timeout_s=PATIENCE_S) as view:
            rows, _ = charts_of(view, Dial(), PATIENCE_S)
    except MirosdError:
        return []
    return _beginning(begun, {row.chart for row in rows})


def _beginning(begun: str, words: set[str]) -> list[str]:
    return sorted(word for word in words if word.startswith(begun) and _PLAIN.fullmatch(word))


def _ask(context: click.Context, verb: str) -> list[dict[str, Any]]:
    socket = getattr(context.obj, "socket", None)
    try:
        with ControlConnection(socket, timeout_s=PATIENCE_S) as connection:
            return connection.ask(verb)[0]
    except MirosdError:
        return []
