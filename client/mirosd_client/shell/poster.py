"""How events come into a chart's inbox: now, later and again, at its end or its front, or back from being deferred."""

import functools
import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from mirosd_client.cause import HANDLING, handling
from mirosd_client.shell.inbox import Inbox
from mirosd_client.shell.posting import Call, Consequence, TimedPost, with_cause
from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.step import checked

log = logging.getLogger("mirosd_client.chart")

_post_ids = itertools.count(1)


class Poster:
    """What a chart takes its events by; any thread may post. Mixed in before one of miros' classes."""

    name: Any
    queue: Inbox
    defer_queue: deque[Any]
    reactor: Reactor
    instrumented: bool
    _timed: dict[str, TimedPost]

    @property
    def dropped(self) -> int:
        """Events that found the queue full, or the chart stopped."""
        return self.queue.dropped

    def post_fifo(
        self, e: Any, period: float | None = None, times: int | None = None, deferred: bool | None = None
    ) -> str | None:
        """Queues the event; or, with a `period` in seconds, has it posted later and again.

        Args:
            times: how often; None or 0 is until cancelled. Without a period it means nothing.
            deferred: False posts the first at once, otherwise it comes after one period.

        Returns:
            With a period an id for `cancel_event`, otherwise None.
        """
        checked(e)
        if period is not None:
            return self._post_later(self.queue.append, e, period, times, deferred)
        self._post_now(self.queue.append, e, "POST_FIFO")
        return None

    def post_lifo(
        self, e: Any, period: float | None = None, times: int | None = None, deferred: bool | None = None
    ) -> str | None:
        """As `post_fifo`, but to the front of the queue."""
        checked(e)
        if period is not None:
            return self._post_later(self.queue.appendleft, e, period, times, deferred)
        self._post_now(self.queue.appendleft, e, "POST_LIFO")
        return None

    def post_call(self, fn: Callable[[], object]) -> bool:
        """Has `fn` called in the chart's thread, between steps, in its turn; False if the queue took no more."""
        return self.queue.append(Call(fn))

    def _post_now(self, put: Callable[[Any], bool], e: Any, spy_word: str) -> None:
        if not put(e if HANDLING.event is None else with_cause(e)) and self.dropped == 1:
            log.warning("%s: %s was dropped: %d events wait already", self.name, e.signal_name, len(self.queue))
        if self.instrumented:
            self.rtc.spy.append(f"{spy_word}:{e.signal_name}")  # type: ignore[attr-defined]

    def _post_later(
        self, put: Callable[[Any], bool], e: Any, period_s: float, times: int | None, deferred: bool | None
    ) -> str:
        post_id = str(next(_post_ids))
        post = TimedPost(e, times or 0, put, forget=functools.partial(self._timed.pop, post_id, None))
        self._timed[post_id] = post
        post.start(self.reactor, 0.0 if deferred is False else period_s, period_s)
        return post_id

    def cancel_event(self, uuid: str | None = None) -> None:
        """Ends one delayed post by its id; what of it is queued already does not arrive either."""
        post = self._timed.pop(uuid, None) if uuid is not None else None
        if post is not None:
            post.cancel()

    def cancel_events(self, e: Any) -> None:
        """Ends all delayed posts whose signal is that of the event."""
        for post_id, post in list(self._timed.items()):
            if post.signal_name == e.signal_name:
                self.cancel_event(post_id)

    def defer(self, e: Any) -> None:
        """As in miros: keeps the event for `recall`; what it follows from is kept with it."""
        super().defer(with_cause(e))  # type: ignore[misc]

    def recall(self) -> Any:
        """As in miros: posts the oldest deferred event to the end of the queue, and gives it; None if there is none."""
        oldest, cause = self.defer_queue[0] if self.defer_queue else None, None
        if isinstance(oldest, Consequence):
            self.defer_queue[0], cause = oldest.event, oldest.cause
        with handling(cause):
            return super().recall()  # type: ignore[misc]
