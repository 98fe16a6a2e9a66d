"""SECURITY.md is true as far as this can be seen from here: each test that it names is there."""

import re
from pathlib import Path

import pytest

from tests.test_defects import docstrings

ROOT = Path(__file__).parents[1]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "SECURITY.md").read_text())))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=["::".join(filter(None, named)) for named in NAMED])
def test_what_holds_has_its_test(path: str, name: str) -> None:
    """The file, and the function in it."""
    assert (ROOT / path).exists()
    assert not name or name in docstrings(path)


def test_every_attempt_names_one() -> None:
    """What nobody has tried does not hold."""
    rows = [
        row for row in (ROOT / "SECURITY.md").read_text().splitlines() if row.count(" | ") == 2 and row[2:5] == "to "
    ]

    assert [] == [row for row in rows if "`tests/" not in row]
    assert len(rows) >= 10
