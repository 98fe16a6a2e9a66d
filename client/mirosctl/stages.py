"""The stages of a scouting, for people: a line for each, and what to do about the one that failed."""

from collections.abc import Iterator
from typing import Any

from mirosctl.cures import cure


def stage_lines(stage: dict[str, Any]) -> Iterator[str]:
    """Give the line of a stage, and its cure on a second one when there is one."""
    yield f"{stage['stage']:<9} {stage['code']:<13} {stage['took_ms']:7.1f} ms  {stage['detail']}".rstrip()
    if advice := cure(stage["code"]):
        yield f"  {advice}"
