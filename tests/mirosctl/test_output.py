"""Answers as people see them."""

import io

import pytest

from mirosctl.output import show_table


class Terminal(io.StringIO):
    """What stands on a terminal that knows no bold letters."""

    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_gets_all_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too wide is folded within its column, none of it cut: names are typed into the next command."""
    row = ("raspberrypi-kitchen", "producer_factory_chart", "waiting_to_advance", "弓手弓手弓手")
    terminal = Terminal()
    for name, value in (("COLUMNS", "40"), ("LINES", "50"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", terminal)
    show_table(("HOST", "CHART", "STATE", "NAME"), [row])
    _, *lines = terminal.getvalue().splitlines()
    columns = zip(*(line.split() for line in lines if len(line.split()) == len(row)), strict=True)

    assert len(lines) > 2
    assert all(text.startswith("".join(parts)) for text, parts in zip(row, columns, strict=True))
    assert sorted("".join(row)) == sorted("".join(lines).replace(" ", ""))
