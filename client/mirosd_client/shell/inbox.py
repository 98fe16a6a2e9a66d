"""The queue of events waiting for a chart.

It takes the place of miros' LockingDeque, whose wake-up tokens and items are two things
that threads can see out of step: full, that one silently exchanges the newest event for
the next or drops it, and under many posters it reorders. This one is exact: what was
accepted stays, in order; what finds no room, or nobody to read it any more, is counted.
"""

import threading
from collections import deque
from typing import Any


class Inbox:
    """A bounded deque that one thread, the chart's, waits for and reads, and any thread adds to."""

    def __init__(self, maxlen: int) -> None:
        self.deque: deque[Any] = deque()
        self.maxlen = maxlen
        self.dropped = 0
        self.is_closed = False
        self._lock = threading.Lock()
        self._is_waiting = False
        self._alarm = threading.Lock()
        self._alarm.acquire()

    def append(self, item: Any) -> bool:
        """Adds at the end; False, and one more `dropped`, if it is full or closed."""
        with self._lock:
            if not self._has_room():
                return False
            self.deque.append(item)
            self._wake()
        return True

    def appendleft(self, item: Any) -> bool:
        """Adds at the front; False, and one more `dropped`, if it is full or closed."""
        with self._lock:
            if not self._has_room():
                return False
            self.deque.appendleft(item)
            self._wake()
        return True

    def popleft(self) -> Any:
        """The oldest; IndexError if there is none. Only for who waits."""
        return self.deque.popleft()

    def wait(self) -> None:
        """Returns once something is there, or the inbox is closed."""
        with self._lock:
            if self.deque or self.is_closed:
                return
            self._is_waiting = True
        self._alarm.acquire()

    def task_done(self) -> None:
        """Called by miros after each event; there is nobody who would wait for it."""

    def close(self) -> None:
        """Accepts nothing more, and lets the waiting thread go. What is queued stays for that thread to drop."""
        with self._lock:
            self.is_closed = True
            self._wake()

    def __len__(self) -> int:
        return len(self.deque)

    def _has_room(self) -> bool:
        if len(self.deque) < self.maxlen and not self.is_closed:
            return True
        self.dropped += 1
        return False

    def _wake(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._alarm.release()
