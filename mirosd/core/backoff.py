"""How long to wait before trying again.

Both laws are random, so that hosts which failed together do not come back together;
both are bounded, so that a host which is there again is noticed within the bound.
The dice are an argument.
"""

from collections.abc import Callable

Dice = Callable[[], float]
"""Gives a number from 0.0 up to, not including, 1.0: `random.random`."""

LISTED_HOST_FIRST_S = 0.5
"""A broker that was restarting is often there again within half a second."""

LISTED_HOST_CAP_S = 4.0
"""A listed host that appears must be alive within 5 s: 4 s to be tried again, 1 s to be proved."""

LAN_HOST_FIRST_S = 0.5
LAN_HOST_CAP_S = 30.0
"""A host that was seen on the LAN announces itself when it comes back; asking it is for when that was lost."""

CACHE_FILE_FIRST_S = 0.1
CACHE_FILE_CAP_S = 5.0
CACHE_FILE_LEAST_S = 0.001
"""The cache file's law: random between 1 ms and a limit that grows to 5 s."""

_MAX_EXPONENT = 32
"""Beyond this every law has long met its cap; it keeps `2.0 ** attempt` a float after days of failures."""


def delay_s(attempt: int, *, first_s: float, cap_s: float, random: Dice) -> float:
    """Give the seconds to wait after failure number `attempt` (from 0).

    Between half and the whole of `first_s * 2**attempt`, which never exceeds `cap_s`:
    the half that is fixed keeps failures apart, the other half keeps hosts apart.
    """
    whole_s = min(cap_s, first_s * 2.0 ** min(attempt, _MAX_EXPONENT))
    return whole_s * (0.5 + 0.5 * random())


def cache_retry_s(attempt: int, *, random: Dice) -> float:
    """Give the seconds until a busy file is tried again: uniform(1 ms, min(5 s, 0.1 + 1.2**attempt))."""
    limit_s = min(CACHE_FILE_CAP_S, CACHE_FILE_FIRST_S + 1.2 ** min(attempt, _MAX_EXPONENT))
    return CACHE_FILE_LEAST_S + (limit_s - CACHE_FILE_LEAST_S) * random()
