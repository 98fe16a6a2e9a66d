"""The table of counters: what a client counts is in it, and nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mirosd_client.client import Client
from mirosd_client.counters import COUNTERS

SOURCE = Path(__file__).parents[2] / "client/mirosd_client"
NAMED_BY_FUNCTIONS = {"internal_signal", "bad_signal_name", "too_many_signal_names"}
"""What mesh.py counts by the name that a function gives."""


def counted() -> Iterator[str]:
    """Give each name that the client's source counts under."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="count") | ast.Name(id="count"), args=[argument]):
                    leaves = (leaf.value for leaf in ast.walk(argument) if isinstance(leaf, ast.Constant))
                    yield from (value for value in leaves if isinstance(value, str) and value.isidentifier())
                case ast.Subscript(value=ast.Attribute(attr="counts" | "_counts"), slice=ast.Constant(str(name))):
                    yield name


def test_everything_counted_is_in_the_table(client: Client) -> None:
    """A name that is counted stands in the table with its meaning, and is there from the start."""
    assert set(counted()) | NAMED_BY_FUNCTIONS <= set(COUNTERS)
    assert set(COUNTERS) == set(client.counters())
    assert set(client.counters().values()) == {0}


def test_everything_in_the_table_is_counted() -> None:
    """Each name is counted by somebody: by name, or as an attribute of the window."""
    attributes = {
        node.attr
        for node in ast.walk(ast.parse((SOURCE / "window.py").read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    special = {"accepted", "waiting", "duplicates", "undecodable"}

    assert set(COUNTERS) == set(counted()) | NAMED_BY_FUNCTIONS | (attributes & set(COUNTERS)) | special


def test_lines_that_a_closed_client_refuses_are_added_to_those_of_the_window(client: Client) -> None:
    """Both are `snoop_refused`: one number does not hide the other."""
    client.count("snoop_refused")
    client._session.window.snoop_refused += 2

    assert client.counters()["snoop_refused"] == 3
