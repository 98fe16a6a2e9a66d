"""Calls to come, in the order of their due times. No thread, no clock: whoever owns the heap asks what is due."""

import heapq
import itertools
import threading
from collections.abc import Callable

CATCH_UP_S = 1.0
"""A periodic timer later than this skips the periods it missed: its process was stopped, not merely busy."""

CANCELLED_KEPT = 64
"""Cancelled timers may stay in the heap until they are this many and half of it; each costs some 200 bytes."""


class Timer:
    """A call to come, and every `every_s` from then on; any thread may cancel it, more than once."""

    __slots__ = ("_timers", "every_s", "fn")

    def __init__(self, timers: "Timers", fn: Callable[[], object], every_s: float | None) -> None:
        self.fn: Callable[[], object] | None = fn
        self.every_s = every_s
        self._timers = timers

    def cancel(self) -> None:
        """Lets go of the function at once. A call that has begun is not waited for."""
        self._timers.cancel(self)


class Timers:
    """A heap of timers that any thread may use; times are seconds on the owner's clock."""

    def __init__(self) -> None:
        # Re-entrant: the collector may run somebody's __del__ in here, which may cancel.
        self._lock = threading.RLock()
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._cancelled = 0

    def add(self, due_s: float, fn: Callable[[], object], every_s: float | None) -> tuple[Timer, bool]:
        """The timer, and whether it is now the first to come due. Equal times keep their order."""
        if every_s is not None and not every_s > 0:
            raise ValueError(f"a period of {every_s} s would leave no time for anything else")
        timer = Timer(self, fn, every_s)
        with self._lock:
            if self._cancelled > max(CANCELLED_KEPT, len(self._heap) // 2):
                self._heap = [entry for entry in self._heap if entry[2].fn is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0
            heapq.heappush(self._heap, (due_s, next(self._serial), timer))
            return timer, self._heap[0][2] is timer

    def cancel(self, timer: Timer) -> None:
        """Empties the timer; its place in the heap goes later."""
        with self._lock:
            if timer.fn is not None:
                timer.fn = None
                self._cancelled += 1

    def next_due_s(self) -> float | None:
        """When there is something to look at; None: there is nothing to wait for."""
        with self._lock:
            return self._heap[0][0] if self._heap else None

    def take_due(self, now_s: float) -> Callable[[], object] | None:
        """The function of the earliest timer that is due, with a periodic one set for its next time."""
        with self._lock:
            while self._heap and self._heap[0][0] <= now_s:
                due_s, _, timer = heapq.heappop(self._heap)
                fn = timer.fn
                if fn is None:
                    self._cancelled -= 1
                    continue
                if timer.every_s is None:
                    timer.fn = None
                else:
                    # From when it was due, not from now: lateness never adds up.
                    late_s = now_s - due_s
                    missed = late_s // timer.every_s if late_s > CATCH_UP_S else 0
                    due_s += timer.every_s * (1 + missed)
                    heapq.heappush(self._heap, (due_s, next(self._serial), timer))
                return fn
        return None
