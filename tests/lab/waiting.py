"""The one place of the tests that waits: for a condition, never for a time."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # so that pytest keeps what is said here whatever the root logger's level

POLL_S = 0.02  # short beside everything that is waited for, long beside the cost of asking


def until(condition: Callable[[], T], deadline_s: float = 30.0, what: str = "the condition") -> T:
    """Give the first true value of `condition`; AssertionError with the last one after `deadline_s`.

    An AssertionError or OSError of the condition itself counts as "not yet". The time it took is logged, so that
    pytest shows it beside a failure.
    """
    started_s = time.monotonic()
    while True:
        seen: object
        try:
            value = condition()
            if value:
                log.info("%s: after %.2f s", what, time.monotonic() - started_s)
                return value
            seen = value
        except (AssertionError, OSError) as exc:
            seen = exc
        if time.monotonic() - started_s > deadline_s:
            raise AssertionError(f"{what}: not within {deadline_s:g} s; last seen: {seen!r}")
        time.sleep(POLL_S)
