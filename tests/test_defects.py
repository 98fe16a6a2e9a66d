"""docs/defects.md is true: each defect of the ancestor that it lists has a test that names it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (D\d+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [match.groups() for line in (ROOT / "docs/defects.md").read_text().splitlines() if (match := ROW.match(line))]


def numbered(*ranges: tuple[int, int]) -> list[str]:
    """Give the defects of some ranges, both ends included."""
    return [f"D{number}" for first, last in ranges for number in range(first, last + 1)]


@cache
def docstrings(path: str) -> dict[str, str]:
    """Give the docstring of each test of a file."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name: ast.get_docstring(function) or "" for function in functions}


def test_it_is_complete() -> None:
    """Every defect of the ancestor's discovery, files, delivery, security and instrumentation is listed."""
    assert set(numbered((4, 68), (71, 75))) <= {number for number, _ in ROWS}


@pytest.mark.parametrize(("number", "tests"), ROWS, ids=[number for number, _ in ROWS])
def test_a_defect_has_a_test_that_names_it(number: str, tests: str) -> None:
    """Each test of a row exists and says the number in its docstring."""
    named = TEST.findall(tests)
    assert named
    for path, name in named:
        assert re.search(rf"\b{number}\b", docstrings(path)[name]), f"{path}::{name} does not name {number}"
