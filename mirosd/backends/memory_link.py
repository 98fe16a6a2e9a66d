"""A link to a memory broker, as the bridge holds it. Thread: loop."""

import asyncio
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from mirosd.backends.memory_channel import Channel
from mirosd.backends.memory_connection import Connection
from mirosd.backends.memory_pipe import Pipe
from mirosd.backends.memory_queue import Message
from mirosd.backends.memory_vhost import Vhost
from mirosd.core.broker import BrokerAddress, Incoming, Outcome
from mirosd.errors import BrokerError

CLOSE_S = 1.0
"""Time an orderly close may take: a broker in alarm does not read."""


class MemoryConsumer:
    """See core.broker.Consumer. Does nothing once it, or the link, has ended."""

    def __init__(
        self, link: "MemoryLink", on_delivery: Callable[[Incoming], None], on_cancelled: Callable[[str], None] | None
    ) -> None:
        self._link, self._on_delivery, self._on_cancelled = link, on_delivery, on_cancelled
        self._channel: Channel | None = None
        self._is_over = False

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Take a delivery off the queue; with multiple, all before it too."""
        if self._channel is not None:
            self._link.tell(self._channel.ack, tag, multiple)

    def nack(self, tag: int, *, requeue: bool) -> None:
        """Give a delivery back (requeue) or drop it to the dead letters."""
        if self._channel is not None:
            self._link.tell(self._channel.nack, tag, requeue)

    async def cancel(self) -> None:
        """Stop consuming; when this returns, what was unacknowledged is back in its queue."""
        self._is_over = True
        try:
            await self._link.ask(self.leave)
        except BrokerError:
            pass  # the link has ended, and given it back already

    # frames

    def join(self, far: Connection, queue: str, prefetch: int) -> None:
        """At the broker: begin to consume."""
        self._channel = far.consume(queue, prefetch, self)

    def start(self) -> None:
        """At the broker: begin to deliver."""
        if self._channel is not None:
            self._channel.start()

    def leave(self) -> None:
        """At the broker: end, if it ever began."""
        if self._channel is not None:
            self._link.far.leave(self._channel)

    def deliver(self, incoming: Incoming) -> None:
        """From the broker: a delivery."""
        if not self._is_over:
            self._on_delivery(incoming)

    def ended(self, code: str) -> None:
        """From the broker: the consumer's end."""
        if not self._is_over:
            self._is_over = True
            if self._on_cancelled is not None:
                self._on_cancelled(code)


class MemoryLink:
    """See core.broker.Link. Made by MemoryBroker.connect."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        loop: asyncio.AbstractEventLoop,
        make_pipe: Callable[..., Pipe],
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None,
    ) -> None:
        self.address = address
        self.is_blocked = False
        self.far: Connection
        self.up, self.down = make_pipe(loop), make_pipe(loop, self._fault)
        self._loop, self._on_lost, self._on_blocked = loop, on_lost, on_blocked
        self._is_over = False
        self._ended: asyncio.Future[None] = loop.create_future()
        self._last_tag = 0
        self._waiting: dict[int, Callable[[Outcome], None]] = {}
        self._returned: set[int] = set()
        self._answers: set[asyncio.Future[Any]] = set()
        self._on_reply: Callable[[Incoming], None] | None = None

    def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        persistent: bool = False,
        mandatory: bool = False,
        expiration_ms: int | None = None,
        headers: dict[str, Any] | None = None,
        reply_to: str | None = None,
        correlation_id: str | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        """Hand one body to the connection; nothing happens once the link is over. See core.broker.Link."""
        if self._is_over:
            return
        self._last_tag += 1
        if on_outcome is not None:
            self._waiting[self._last_tag] = on_outcome
        message = Message(
            exchange, routing_key, body, persistent, expiration_ms, copy(headers), reply_to, correlation_id
        )
        self.tell(self.far.publish, self._last_tag, message, mandatory)
