"""Queues of a memory broker, as RabbitMQ's classic ones behave where mirosd can see it.

A body expires when its time is over *and* it is at the head: behind one that lives longer it waits, and counts. What
was delivered and comes back goes to its old place. Only bodies that are not out with a consumer count for the length.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import merge
from math import inf
from typing import Any, Protocol

ARGUMENTS = {
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-queue-mode",  # where a queue lies is nothing to this one
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
}
"""All that a queue may be declared with; a broker's double that ignored another would mislead."""


@dataclass(frozen=True, slots=True)
class Message:
    """One published body with what AMQP carries beside it."""

    exchange: str
    routing_key: str
    body: bytes
    is_persistent: bool = False
    expiration_ms: int | None = None
    headers: dict[str, Any] | None = None
    reply_to: str | None = None
    correlation_id: str | None = None


@dataclass(slots=True)
class Held:
    """A message in one queue: its place there, and until when (seconds of the loop's clock)."""

    place: int
    message: Message
    expires_s: float
    is_redelivered: bool = False


class Taker(Protocol):
    """What a queue delivers to."""

    @property
    def has_room(self) -> bool:
        """More may be delivered now."""

    def take(self, held: Held) -> None:
        """Take one delivery."""

    def queue_deleted(self) -> None:
        """There is nothing to take any more."""


class Queue:
    """One queue. Thread: loop.

    Args:
        owner: who alone may use it, None unless it is exclusive.
        on_dead: told what dies here, and why: expired, maxlen or rejected.
        on_unused: called when nobody has used the queue for its x-expires.
    """

    def __init__(
        self,
        name: str,
        *,
        is_durable: bool,
        owner: object | None,
        arguments: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        on_dead: Callable[["Queue", Message, str], None],
        on_unused: Callable[["Queue"], None],
    ) -> None:
        self.name, self.is_durable, self.owner, self.arguments = name, is_durable, owner, dict(arguments)
        self._loop, self._on_dead, self._on_unused = loop, on_dead, on_unused
        self._ready: deque[Held] = deque()
        self._ready_bytes = 0
        self._next_place = 0
        self._takers: deque[Taker] = deque()
        self._expiry: asyncio.TimerHandle | None = None
        self._disuse: asyncio.TimerHandle | None = None
        self._is_deleted = False
        self.used()

    def put(self, message: Message) -> bool:
        """Take a message at the tail; False when the queue is full and refuses it."""
        if self.arguments.get("x-overflow") == "reject-publish" and self._is_beyond(1, len(message.body)):
            return False
        self._ready.append(Held(self._next_place, message, self._expires_s(message)))
        self._ready_bytes += len(message.body)
        self._next_place += 1
        self.deliver()
        return True

    def give_back(self, returned: Iterable[Held]) -> None:
        """Have what was delivered and not settled again, each in its place."""
        if self._is_deleted:
            return
        back = sorted(returned, key=_place)
        for held in back:
            held.is_redelivered = True
            self._ready_bytes += len(held.message.body)
        self._ready = deque(merge(back, self._ready, key=_place))
        self.deliver()

    def reject(self, held: Held) -> None:
        """A consumer refuses a delivery for good."""
        self._on_dead(self, held.message, "rejected")

    def add(self, taker: Taker) -> None:
        """Begin to deliver to `taker`, in turn with others."""
        self._takers.append(taker)
        self.used()

    def remove(self, taker: Taker) -> None:
        """Deliver to `taker` no more."""
        if taker in self._takers:
            self._takers.remove(taker)
            self.used()

    def used(self) -> None:
        """Somebody uses the queue: its x-expires begins anew, once no consumer is left."""
        if self._disuse is not None:
            self._disuse.cancel()
            self._disuse = None
        expires_ms = self.arguments.get("x-expires")
        if expires_ms is not None and not self._takers and not self._is_deleted:
            self._disuse = self._loop.call_later(expires_ms / 1000, self._on_unused, self)

    def delete(self) -> None:
        """Be gone, with all that is in it; consumers hear it."""
        self._is_deleted = True
        self._ready.clear()
        takers, self._takers = self._takers, deque()
        self.used()
        if self._expiry is not None:
            self._expiry.cancel()
        for taker in takers:
            taker.queue_deleted()

    def deliver(self) -> None:
        """Hand out what consumers have room for, from the head; drop what is too much then."""
        while self._ready and (taker := self._next_taker()) is not None:
            held = self._take_head()
            if held.expires_s < self._loop.time():
                self._on_dead(self, held.message, "expired")
            else:
                taker.take(held)
        while self._is_beyond(0, 0):
            self._drop_one()
        self._watch_head()

    def _next_taker(self) -> Taker | None:
        for _ in range(len(self._takers)):
            self._takers.rotate(-1)
            if self._takers[-1].has_room:
                return self._takers[-1]
        return None

    def _take_head(self) -> Held:
        held = self._ready.popleft()
        self._ready_bytes -= len(held.message.body)
        return held

    def _drop_one(self) -> None:
        self._on_dead(self, self._take_head().message, "maxlen")

    def _is_beyond(self, more: int, more_bytes: int) -> bool:
        """Tell whether so many more would be too many."""
        most, most_bytes = self.arguments.get("x-max-length", inf), self.arguments.get("x-max-length-bytes", inf)
        return bool(len(self._ready) + more > most or self._ready_bytes + more_bytes > most_bytes)

    def _expires_s(self, message: Message) -> float:
        own_ms: float = inf if message.expiration_ms is None else message.expiration_ms
        return self._loop.time() + min(own_ms, float(self.arguments.get("x-message-ttl", inf))) / 1000

    def _watch_head(self) -> None:
        """Wake when the head expires; a timer that comes too early looks again."""
        due_s = self._ready[0].expires_s if self._ready else inf
        if due_s == inf or (self._expiry is not None and self._expiry.when() <= due_s):
            return
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self._loop.call_at(due_s, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        while self._ready and self._ready[0].expires_s <= self._loop.time():
            self._on_dead(self, self._take_head().message, "expired")
        self._watch_head()


def _place(held: Held) -> int:
    return held.place
