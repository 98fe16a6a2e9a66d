"""What waits in a chart's inbox beside plain events: timed events, consequences of others, and calls.

All stand in the queue as themselves and are opened when their turn comes. So a timed
event that was cancelled meanwhile is still taken back, and what an event follows from
is noted on its letter: the Event itself may be posted again elsewhere.
"""

from collections.abc import Callable
from typing import Any, Protocol

from mirosd_client.cause import HANDLING, origin_of
from mirosd_client.event_id import EventId
from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.timers import Timer


class Letter(Protocol):
    """Something in the inbox that is no event yet. The two names are what miros looks at in a queue.

    `cause` is the event of the mesh that was being handled when it was posted.
    """

    signal: int
    signal_name: str
    cause: EventId | None

    def open(self) -> Any:
        """The event to dispatch, or None. Called once for each time it was queued, in the chart's thread."""


class Call:
    """A function for the chart's thread, between two steps."""

    signal = 0  # the number of no signal
    signal_name = "post_call"
    cause: EventId | None = None

    def __init__(self, fn: Callable[[], object]) -> None:
        self._fn = fn

    def open(self) -> None:
        """Calls it."""
        self._fn()


class Consequence:
    """An event that was posted while one of the mesh was handled."""

    __slots__ = ("cause", "event", "signal", "signal_name")

    def __init__(self, event: Any, cause: EventId) -> None:
        self.event = event
        self.cause: EventId | None = cause
        self.signal: int = event.signal
        self.signal_name: str = event.signal_name

    def open(self) -> Any:
        """The event."""
        return self.event


def with_cause(event: Any) -> Any:
    """What to queue for an event that is posted now: itself, or a letter if it follows from one of the mesh."""
    cause = HANDLING.event
    if cause is None or origin_of(event) is not None:  # what came from the mesh stands for itself
        return event
    return Consequence(event, cause)


class TimedPost:
    """An event that a timer posts, `times` times (0: until cancelled).

    What is posted once follows from what was being handled then; what comes again and again follows from nothing.

    Args:
        post: puts it in the inbox; False if there was no room.
        forget: called once nothing of it is to come nor waits in the inbox any more.
    """

    def __init__(self, event: Any, times: int, post: Callable[[Letter], bool], forget: Callable[[], object]) -> None:
        self.event = event
        self.signal: int = event.signal
        self.signal_name: str = event.signal_name
        self.cause = HANDLING.event if times == 1 else None
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
