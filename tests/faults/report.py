"""What a run has shown: as a table, and as data."""

from collections.abc import Sequence
from typing import Any

from tests.faults.experiment import Result

HEADINGS = ("fault", "accepted", "unconfirmed", "handled", "missing", "counted as", "well after")


def results(rows: Sequence[Result]) -> dict[str, Any]:
    """Give all of it as data."""
    return {"schema": "faults/1", "rows": [row._asdict() for row in rows]}


def render(rows: Sequence[Result]) -> str:
    """Give it as text; the last line is the verdict."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(HEADINGS))]
    lines = [
        "  "
        + "  ".join(
            text.ljust(width) if column in (0, 5) else text.rjust(width)
            for column, (text, width) in enumerate(zip(cell, widths, strict=True))
        )
        for cell in cells
    ]
    lines += [f"  {row.name}: {row.remark}" for row in rows if row.remark]
    lines += [f"  FOUND  {row.name}: {finding}" for row in rows for finding in row.findings]
    failed = sum(bool(row.findings) for row in rows)
    lines += ["", f"FAILED: {failed} of {len(rows)} faults" if failed else f"PASSED: {len(rows)} faults"]
    return "\n".join(lines)


def _cells(row: Result) -> tuple[str, ...]:
    lost = ", ".join(f"{name} {count}" for name, count in row.lost.items())
    lost += f", perhaps unconfirmed {row.perhaps}" if row.perhaps else ""
    figures = (row.accepted, row.unconfirmed, row.handled, row.missing)
    return (row.name, *map(str, figures), lost or "-", f"{row.well_after_s:.1f} s")
