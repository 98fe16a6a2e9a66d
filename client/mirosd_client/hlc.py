"""A hybrid logical clock: timestamps that are close to wall time and never contradict cause and effect.

A timestamp is an unsigned 64 bit number: 48 bits of milliseconds since the epoch, then
a 16 bit counter. Reading the clock always gives more than any timestamp it gave or
merged before, so an effect is later than its cause even between hosts whose clocks
differ. The counter runs over into the milliseconds, which is harmless.

Source: Kulkarni and others, "Logical Physical Clocks", 2014.
"""

import threading
from collections.abc import Callable

COUNTER_BITS = 16
MAX_TIMESTAMP = 2**64 - 1
MAX_AHEAD_MS = 60_000
"""A remote clock further ahead than this is wrong, and must not pull ours along."""


class HybridClock:
    """The clock of one process. Any thread may call it.

    Args:
        wall_clock: seconds since the epoch, as `time.time`; it may jump, even backwards.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._last = 0

    def now(self) -> int:
        """Give a timestamp above every one that was given or merged before."""
        wall = int(self._wall_clock() * 1000) << COUNTER_BITS
        with self._lock:
            if wall <= self._last:
                wall = self._last + 1
            self._last = wall if wall <= MAX_TIMESTAMP else MAX_TIMESTAMP
            return self._last

    def merge(self, remote: int) -> bool:
        """Learn of a remote timestamp; False when it is too far ahead (or none at all) and was left out."""
        if not 0 <= remote <= self._wall() + (MAX_AHEAD_MS << COUNTER_BITS):
            return False
        with self._lock:
            self._last = max(self._last, remote)
        return True

    def _wall(self) -> int:
        return min(max(int(self._wall_clock() * 1000) << COUNTER_BITS, 0), MAX_TIMESTAMP)


def wall_time_s(timestamp: int) -> float:
    """Give the seconds since the epoch that a timestamp stands for."""
    return (timestamp >> COUNTER_BITS) / 1000
