"""mirosctl recce: search the LAN now, and show what each address answered."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.options import Options, common_options
from mirosctl.output import live_table, show_json, show_table
from mirosctl.wsl import is_wsl, windows_neighbours

EXIT_NOT_OVER = 1
PROVED = "proved"
GRACE_S = 10.0
"""For the daemon's last word after its time is up, on a busy host."""
COLUMNS = ("ADDRESS", "NEIGHBOUR", "MAC", "WHO", "VERDICT", "MS")
PHASES = {
    "private_search": "the search is over",
    "fill_arp_table": "asking the LAN",
    "identify_all_ip_addresses": "reading who is there",
    "recce_rabbit_consumers": "scouting who answered",
}
"""The states of a search, for people; others are their own names."""
SILENT = "silent"
SILENCE = "it is there, and no mirosd with our key answers: none runs there, or a firewall drops UDP 27672"
"""What it means that a neighbour is silent; as a peer's state the word means another thing (cures.py)."""

Rows = dict[str, dict[str, Any]]
Draw = Callable[[Rows, str], None]


@click.command()
@click.option("--all", "is_all", is_flag=True, help="Show the addresses without any sign of life too.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0, 600), default=30.0, show_default=True, help="Seconds.")
@common_options
@click.pass_context
def recce(context: click.Context, is_all: bool, timeout_s: float) -> None:
    """Search the LAN now, show what each address answered, and how many hosts were found.

    Exit status 1 when the search was not over in time. In WSL the neighbours that Windows knows (arp.exe -a)
    are asked too.

    \b
    mirosctl recce
    mirosctl recce --all --timeout 60
    mirosctl recce --json | jq '.addresses[] | select(.verdict == "proved").name'
    """
    options = context.ensure_object(Options)
    addresses = windows_neighbours() if is_wsl() else []
    rows: Rows = {}
    answer = options.stream("recce", {"addresses": addresses, "timeout_s": timeout_s}, timeout_s=timeout_s + GRACE_S)
    with _drawing(options) as draw:
        number = 0
        while True:
            try:
                row = next(answer)
            except StopIteration as end:
                result: dict[str, Any] = end.value
                break
            if "address" in row:
                rows[row["address"]] = row
                continue  # what changed with it follows, and then the state
            if row["number"] != number:
                number = row["number"]
                rows.clear()  # another search has followed: it sees the LAN anew
            draw(rows, row["state"])
    if options.as_json:
        told = {"number": result["number"], "complete": result["is_complete"], "found": result["found"]}
        show_json("recce", {**told, "addresses": _sorted(rows)})
    else:
        _show(_sorted(rows), result["found"], is_all=is_all)
    if not result["is_complete"]:
        if not options.as_json:
            click.echo(f"the search was not over after {timeout_s:g} s", err=True)
        context.exit(EXIT_NOT_OVER)


@contextmanager
def _drawing(options: Options) -> Iterator[Draw]:
    if options.as_json or not sys.stdout.isatty():
        yield lambda _rows, _state: None
        return
    with live_table(COLUMNS, is_passing=True) as draw:
        yield lambda rows, state: draw(
            [_cells(row) for row in _sorted(rows) if not _is_silent(row)], PHASES.get(state, state)
        )


def _show(rows: list[dict[str, Any]], found: int, *, is_all: bool) -> None:
    shown = [row for row in rows if is_all or not _is_silent(row)]
    if shown:
        show_table(COLUMNS, [_cells(row) for row in shown])
        click.echo()
    for code in sorted({row["verdict"] for row in shown}):
        if advice := _advice(code):
            click.echo(f"{code}: {advice}")
    hidden = len(rows) - len(shown)
    silent = (
        f"; {hidden} address{'' if hidden == 1 else 'es'} gave no sign of life (--all shows them)" if hidden else ""
    )
    click.echo(f"found {found} host{'' if found == 1 else 's'}{silent}")


def _advice(verdict: str) -> str:
    return SILENCE if verdict == SILENT else cure(verdict)


def _is_silent(row: dict[str, Any]) -> bool:
    """Say that nothing at all came from an address, and that no scout was sent there."""
    is_scouted = row["verdict"] == PROVED or bool(_advice(row["verdict"]))
    return row["neighbour"] in ("dead", "unknown") and not row["node"] and not is_scouted


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["address"],
        row["neighbour"],
        row["mac"] or "-",
        row["name"] or row["node"][:8] or "-",
        row["verdict"] or "-",
        "-" if row["took_ms"] is None else f"{row['took_ms']:.1f}",
    )


def _sorted(rows: Rows) -> list[dict[str, Any]]:
    """Give the rows by their addresses as numbers, IPv4 first; what is no address last."""
    from ipaddress import ip_address  # noqa: PLC0415 -- for this command alone

    def order(address: str) -> tuple[int, int, str]:
        try:
            parsed = ip_address(address.strip("[]"))
        except ValueError:
            return 9, 0, address
        return parsed.version, int(parsed), address

    return [rows[address] for address in sorted(rows, key=order)]
