"""Which of a client's routing keys reached nobody, so that it is told once and not with every event.

A wrong routing key is the commonest mistake there is, and silent by itself.
"""

from collections.abc import Callable

MAX_KEYS = 64
"""Keys of one client that are remembered; one that has more makes them up as it goes, and has been told."""

AGAIN_S = 10.0
"""A key whose listener comes and goes is told of no more often than this."""


class Unheard:
    """The keys that a client has been told of. Thread: loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told_s: dict[str, float] = {}

    def is_news(self, routing_key: str) -> bool:
        """Nobody was bound to a key: tell whether that is worth telling."""
        if routing_key in self._told_s or len(self._told_s) >= MAX_KEYS:
            return False
        self._told_s[routing_key] = self._clock()
        return True

    def heard(self, routing_key: str) -> None:
        """Somebody was bound to a key: should that end, it is news again."""
        told_s = self._told_s.get(routing_key)
        if told_s is not None and self._clock() - told_s >= AGAIN_S:
            del self._told_s[routing_key]
