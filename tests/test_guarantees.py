"""docs/guarantees.md is true as far as this can be seen from here: each test that it names is there."""

import re
from pathlib import Path

import pytest

from tests.test_defects import docstrings

ROOT = Path(__file__).parents[1]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/guarantees.md").read_text())))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=["::".join(filter(None, named)) for named in NAMED])
def test_a_sentence_has_its_test(path: str, name: str) -> None:
    """The file, and the function in it."""
    assert (ROOT / path).exists()
    assert not name or name in docstrings(path)


def test_every_row_of_the_promise_names_one() -> None:
    """A sentence without a test is no promise."""
    promise = (ROOT / "docs/guarantees.md").read_text().partition("## The promise")[2].partition("## What is not")[0]
    rows = [row for row in promise.splitlines() if row.startswith("| ") and not row.startswith("| sentence")]

    assert [] == [row for row in rows if "`tests/" not in row]
    assert len(rows) >= 20
