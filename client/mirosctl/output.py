"""How answers are printed: JSON with the name of its schema, or tables for people.

All texts that come here were made printable when they came from the daemon (options.py).
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from rich.table import Table

WIDE_COLUMNS = 1000
"""A pipe has no width: nothing is cut or wrapped for whoever reads it."""


def show_json(command: str, document: dict[str, Any]) -> None:
    """Print one object. `command` and the version behind it name its shape; new keys do not change the version."""
    click.echo(json.dumps({"schema": f"mirosctl.{command}/1", **document}, indent=2, sort_keys=True))


def show_json_line(command: str, document: dict[str, Any]) -> None:
    """Print one object in one line, for what goes on until the caller ends it."""
    click.echo(json_line(command, document))


def json_line(command: str, document: dict[str, Any]) -> str:
    """Give one object in one line."""
    return json.dumps({"schema": f"mirosctl.{command}/1", **document}, sort_keys=True)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows beneath their columns' names."""
    from rich.console import Console  # noqa: PLC0415 -- 60 ms, for tables alone

    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else WIDE_COLUMNS)
    console.print(_table(columns, rows), no_wrap=not is_terminal, crop=False)


class Draw(Protocol):
    """Draws rows, and a line beneath them, in place of what was drawn before."""

    def __call__(self, rows: Sequence[Sequence[str]], caption: str = "") -> None:
        """Draw."""


@contextmanager
def live_table(columns: Sequence[str], *, is_passing: bool = False) -> Iterator[Draw]:
    """Give what draws a table; for a terminal.

    Args:
        is_passing: the table goes away at the end, and is cut to the terminal's height meanwhile.
    """
    from rich.live import Live  # noqa: PLC0415

    with Live(
        auto_refresh=False, vertical_overflow="ellipsis" if is_passing else "visible", transient=is_passing
    ) as live:

        def draw(rows: Sequence[Sequence[str]], caption: str = "") -> None:
            table = _table(columns, rows)
            table.caption, table.caption_justify = caption or None, "left"
            live.update(table, refresh=True)

        yield draw


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.table import Column, Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # folded, not cut, where the terminal is narrow: names are typed into the next command
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text, so that [brackets] of a name are not rich's markup
    return table


def show_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values beneath each other."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name:{width}}  {value}")


def duration(seconds: float | None) -> str:
    """Give a duration in the unit that people would take: 0.4 s, 12 s, 5 min, 3.1 h, 2.0 d; None is "-"."""
    if seconds is None:
        return "-"
    for limit, divisor, unit, digits in (
        (10, 1, "s", 1),
        (120, 1, "s", 0),
        (7200, 60, "min", 0),
        (172_800, 3600, "h", 1),
    ):
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} d"
