"""Durations as people write them: 60s, 10m, 1h, 2d; a number alone is seconds."""

import re
from collections.abc import Callable

import click

_UNITS_S = {"ms": 0.001, "s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) *([a-z]*)", re.ASCII)


def duration(max_s: float) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Give what makes an option's text into seconds, as its callback; an option that is not there stays None.

    Args:
        max_s: the longest; what is longer is wrong usage.
    """

    def convert(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
        if text is None:
            return None
        match = _DURATION.fullmatch(text)
        unit_s = _UNITS_S.get(match[2]) if match is not None else None
        if match is None or unit_s is None:
            raise click.BadParameter(f"{text!a} is no duration; one looks like 60s, 10m or 1h")
        duration_s = float(match[1]) * unit_s
        if duration_s > max_s:
            raise click.BadParameter(f"{text} is too long; at most {max_s / 3600:g}h")
        return duration_s

    return convert
