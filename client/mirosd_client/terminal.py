"""Where a program's people look: lines are shown in order, by a thread of their own.

A terminal may stand still (a pipe nobody reads, Ctrl-S). That must hold up neither the
chart that has something to say nor the thread that serves the network, so lines wait
here, boundedly. The thread begins with the first line: programs that show none have none.
"""

import atexit
import os
import queue
import threading
from collections.abc import Callable, Hashable

MAX_WAITING = 10_000
"""Lines: some seconds of a busy mesh, about 10 MB."""
MAX_REMEMBERED = 4096
"""Lines that are known to have been shown: charts of one program hear the same line within moments."""
FLUSH_S = 0.5
"""How long the end of the program waits for its last lines."""


class Terminal:
    """The lines of a process, waiting to be shown. Any thread may call it."""

    _thread: threading.Thread | None

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._begin()

    def show(self, print_line: Callable[[], object]) -> bool:
        """Have `print_line`, which must not raise, called in its turn; False when too many wait."""
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mirosd-terminal", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(print_line)
        except queue.Full:
            return False
        return True

    def is_first(self, key: Hashable) -> bool:
        """True the first time it is asked for a key. Thread: the terminal's."""
        if key in self._remembered:
            return False
        self._remembered[key] = None
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return True

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until everything so far was shown; False when that took too long."""
        shown = threading.Event()
        return self._thread is None or (self.show(shown.set) and shown.wait(timeout_s))

    def _begin(self) -> None:
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(self._max_waiting)
        self._remembered: dict[Hashable, None] = {}
        self._start_lock = threading.Lock()
        self._thread = None

    def _run(self) -> None:
        while True:
            self._waiting.get()()


TERMINAL = Terminal()
"""The one of this process."""
atexit.register(TERMINAL.flush)
os.register_at_fork(after_in_child=TERMINAL._begin)  # its thread, and what waited for it, is the parent's
