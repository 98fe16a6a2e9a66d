"""A pika channel whose calls can be awaited, and the queue of what was published on one and not confirmed yet."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic, BasicProperties

from mirosd.backends.amqp_errors import closed_error
from mirosd.core.broker import BrokerAddress, Outcome
from mirosd.errors import BrokerError


class AmqpChannel:
    """One channel; calls on it follow each other. Thread: loop.

    Attributes:
        raw: pika's channel, for what needs no answer.
        on_closed: called with the reason when the broker closes this channel alone.
        on_gone: called with the channel's number when it is closed, for whatever reason.
        closed: done when the channel is closed, for whatever reason.
    """

    def __init__(self, connection: AsyncioConnection, address: BrokerAddress) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        self.on_closed: Callable[[BrokerError], None] | None = None
        self.on_gone: Callable[[int], None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        try:
            self.raw = connection.channel(on_open_callback=self._answers(self._answer))
        except AMQPError as exc:
            raise closed_error(address, exc) from exc
        self.raw.add_on_close_callback(self._on_close)

    @classmethod
    async def open(cls, connection: AsyncioConnection, address: BrokerAddress) -> "AmqpChannel":
        """Give an open channel; BrokerError when the connection is gone or goes."""
        channel = cls(connection, address)
        await channel._answer
        return channel

    async def call(self, operation: Callable[..., Any], /, **arguments: Any) -> Any:
        """Give the broker's answer to a method of `raw`; BrokerError when the channel is closed instead."""
        answer = self._answer = self._loop.create_future()
        try:
            operation(callback=self._answers(answer), **arguments)
        except AMQPError as exc:
            raise closed_error(self._address, exc) from exc
        return await answer

    async def close(self) -> None:
        """Close the channel; return when the broker has: what was unacknowledged is back in its queue."""
        if self.raw.is_open:
            self.raw.close()
        await asyncio.shield(self.closed)  # whoever waits may be cancelled; the broker answers all the same

    def _answers(self, answer: "asyncio.Future[Any]") -> Callable[[Any], None]:
        return lambda frame: None if answer.done() else answer.set_result(frame)  # done: its caller gave up

    def _on_close(self, _channel: Any, reason: BaseException) -> None:
        error = closed_error(self._address, reason)
        self.closed.set_result(None)
        if self.on_gone is not None:
            self.on_gone(self.raw.channel_number)
        if not self._answer.done():
            self._answer.set_exception(error)
        if self.on_closed is not None and isinstance(reason, ChannelClosedByBroker):
            self.on_closed(error)


@asynccontextmanager
async def brief_channel(connection: AsyncioConnection, address: BrokerAddress) -> AsyncIterator[AmqpChannel]:
    """Give a channel for one piece of work: what the broker refuses (404, 406) closes this channel and no other."""
    channel = await AmqpChannel.open(connection, address)
    try:
        yield channel
    finally:
        if channel.raw.is_open:
            channel.raw.close()  # nobody waits for it: a number is free again when the broker has answered


class Confirms:
    """What was published on one channel and is not confirmed yet, oldest first.

    A broker returns an unroutable body before it confirms it, but may confirm several at once afterwards; so a
    mandatory body carries its tag as message id, and the return names it.
    """

    def __init__(self) -> None:
        self._last_tag = 0
        self._waiting: OrderedDict[int, Callable[[Outcome], None]] = OrderedDict()
        self._returned: set[int] = set()

    def next_tag(self, on_outcome: Callable[[Outcome], None] | None) -> int:
        """Count one more publish; its outcome goes to `on_outcome`."""
        self._last_tag += 1
        if on_outcome is not None:
            self._waiting[self._last_tag] = on_outcome
        return self._last_tag

    def forget(self) -> None:
        """Tell nobody anything any more."""
        self._waiting.clear()
        self._returned.clear()

    def on_return(self, _channel: Any, _method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        """A broker has no queue for a mandatory body; its confirm follows."""
        tag = int(properties.message_id)
        if tag in self._waiting:
            self._returned.add(tag)

    def on_confirm(self, frame: Method) -> None:
        """A broker has taken, or could not take, one body or all up to one."""
        tag: int = frame.method.delivery_tag
        is_ack = isinstance(frame.method, Basic.Ack)
        if frame.method.multiple:
            while self._waiting:
                oldest = next(iter(self._waiting))
                if oldest > tag:
                    return
                self._settle(oldest, is_ack)
        else:
            self._settle(tag, is_ack)

    def _settle(self, tag: int, is_ack: bool) -> None:
        on_outcome = self._waiting.pop(tag, None)
        is_returned = tag in self._returned
        self._returned.discard(tag)
        if on_outcome is not None:
            on_outcome(Outcome.NACKED if not is_ack else Outcome.RETURNED if is_returned else Outcome.CONFIRMED)
