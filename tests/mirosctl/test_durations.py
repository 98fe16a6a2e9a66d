"""Durations on the command line."""

from typing import Any

import click
import pytest

from mirosctl.durations import duration

CONTEXT: Any = None
PARAMETER: Any = None


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("60s", 60.0), ("10m", 600.0), ("1h", 3600.0), ("0s", 0.0), ("1.5 min", 90.0), ("250ms", 0.25), ("90", 90.0)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, expected_s: float) -> None:
    """As people write it; without a unit, seconds."""
    assert expected_s == duration(86_400)(CONTEXT, PARAMETER, text)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1x", "1m30s", "1e3", "\u0661s", "9" * 50 + "s", "nan", "s1"])
def test_what_is_none_says_what_one_looks_like(text: str) -> None:
    """Wrong usage, with an example."""
    with pytest.raises(click.BadParameter, match="looks like 60s, 10m or 1h"):
        duration(86_400)(CONTEXT, PARAMETER, text)


def test_too_long_says_how_long() -> None:
    """The longest is part of the error."""
    with pytest.raises(click.BadParameter, match="at most 24h"):
        duration(86_400)(CONTEXT, PARAMETER, "2d")


def test_an_option_that_is_not_there_stays_so() -> None:
    """Its absence means something else in each command."""
    assert duration(86_400)(CONTEXT, PARAMETER, None) is None
