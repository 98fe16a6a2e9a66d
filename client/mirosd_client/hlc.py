"""A hybrid logical clock: timestamps that are close to wall time and never contradict cause and effect.

A timestamp is an unsigned 64 bit number: 48 bits of milliseconds since the epoch, then
a 16 bit counter. Reading the clock always gives more than any timestamp it gave or
merged before, so an effect is later than its cause even between hosts whose clocks
differ. The counter runs over into the milliseconds, which is harmless.

Each event and each step reads it, so within a millisecond a reading is the next number of
an `itertools.count`, which no other thread can come between (CPython); only the first one
of a millisecond, or after a merge, takes a lock and perhaps begins a new count.

Source: Kulkarni and others, "Logical Physical Clocks", 2014.
"""

import itertools
import math
import threading
from collections.abc import Callable

COUNTER_BITS = 16
MAX_TIMESTAMP = 2**64 - 1
MAX_AHEAD_MS = 60_000
"""A remote clock further ahead than this is wrong, and must not pull ours along."""
MIN_LEAP = 1 << (COUNTER_BITS - 1)
"""By which a new count is ahead of the last: threads that are just taking a number may still take it from that one."""
LAST_QUICK = MAX_TIMESTAMP >> 1
"""Beyond it, which is the year 6429, each reading is looked at whether it is one still."""


class HybridClock:
    """The clock of one process. Any thread may call it.

    Args:
        wall_clock: seconds since the epoch, as `time.time`; it may jump, even backwards.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self._counts_until_s = -math.inf  # wall time at which the count is to be looked at again
        self._merged = 0

    def now(self) -> int:
        """Give a timestamp above every one that was given or merged before."""
        wall_s = self._wall_clock()
        if wall_s < self._counts_until_s:
            return next(self._count)
        with self._lock:
            wall = _timestamp(wall_s)
            reading = next(self._count)
            if (least := max(wall, self._merged + 1)) - reading >= MIN_LEAP:
                self._count = itertools.count(least + 1)
                reading = least
            while reading <= self._merged:
                reading = next(self._count)
            self._counts_until_s = ((wall >> COUNTER_BITS) + 1) / 1000 if reading < LAST_QUICK else -math.inf
            return min(reading, MAX_TIMESTAMP)

    def merge(self, remote: int) -> bool:
        """Learn of a remote timestamp; False when it is too far ahead (or none at all) and was left out."""
        if not 0 <= remote <= _timestamp(self._wall_clock()) + (MAX_AHEAD_MS << COUNTER_BITS):
            return False
        with self._lock:
            if remote > self._merged:
                self._merged = remote
                self._counts_until_s = -math.inf
        return True


def wall_time_s(timestamp: int) -> float:
    """Give the seconds since the epoch that a timestamp stands for."""
    return (timestamp >> COUNTER_BITS) / 1000


def _timestamp(wall_s: float) -> int:
    return min(max(int(wall_s * 1000) << COUNTER_BITS, 0), MAX_TIMESTAMP)
