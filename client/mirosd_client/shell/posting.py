"""What waits in a chart's inbox beside plain events: timed events, and calls.

Both stand in the queue as themselves and are opened when their turn comes. So a
timed event that was cancelled meanwhile is still taken back.
"""

from collections.abc import Callable
from typing import Any, Protocol

from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.timers import Timer


class Letter(Protocol):
    """Something in the inbox that is no event yet. The two names are what miros looks at in a queue."""

    signal: int
    signal_name: str

    def open(self) -> Any:
        """The event to dispatch, or None. Called once for each time it was queued, in the chart's thread."""


class Call:
    """A function for the chart's thread, between two steps."""

    signal = 0  # the number of no signal
    signal_name = "post_call"

    def __init__(self, fn: Callable[[], object]) -> None:
        self._fn = fn

    def open(self) -> None:
        """Calls it."""
        self._fn()


class TimedPost:
    """An event that a timer posts, `times` times (0: until cancelled).

    Args:
        post: puts it in the inbox; False if there was no room.
        forget: called once nothing of it is to come nor waits in the inbox any more.
    """

    def __init__(self, event: Any, times: int, post: Callable[[Letter], bool], forget: Callable[[], object]) -> None:
        self.event = event
        self.signal: int = event.signal
        self.signal_name: str = event.signal_name
        self._left = times or -1  # counting down from -1 never ends
        self._post, self._forget = post, forget
        self._timer: Timer | None = None
        self._is_live = True
        self._posted = 0  # written by the reactor's thread alone
        self._opened = 0  # written by the chart's thread alone

    def start(self, reactor: Reactor, first_s: float, period_s: float) -> None:
        """Sets the timer: first post after `first_s`, the next ones `period_s` apart."""
        self._timer = reactor.after(first_s, self._fire, every_s=None if self._left == 1 else period_s)

    def cancel(self) -> None:
        """Takes it back, what is queued already included; any thread."""
        self._is_live = False
        if self._timer is not None:
            self._timer.cancel()

    def open(self) -> Any:
        """The event, unless it was cancelled after it was queued."""
        self._opened += 1
        self._end_if_spent()
        return self.event if self._is_live else None

    def _fire(self) -> None:
        if self._is_live and self._left:
            self._left -= 1
            self._posted += 1
            if not self._post(self):
                self._posted -= 1
        self._end_if_spent()

    def _end_if_spent(self) -> None:
        if self._is_live and self._left:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._opened >= self._posted:
            self._forget()
