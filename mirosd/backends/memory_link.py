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

    def join(self, queue: str, prefetch: int) -> None:
        """At the broker: begin to consume."""
        self._channel = self._link.far.consume(queue, prefetch, self)

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
        vhost: Vhost,
        *,
        make_pipe: Callable[..., Pipe],
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None,
        on_gone: Callable[[], None],
    ) -> None:
        self.address = address
        self.is_blocked = False
        self.blocked_by = "low on memory"  # it knows no other alarm
        self._loop, self._vhost = vhost.loop, vhost
        self._up, self._down = make_pipe(vhost.loop), make_pipe(vhost.loop, self._fault)
        self.far = Connection(self, vhost, up=self._up, down=self._down, on_gone=on_gone)
        self._on_lost, self._on_blocked = on_lost, on_blocked
        self._is_over = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._last_tag = 0
        self._waiting: dict[int, Callable[[Outcome], None]] = {}
        self._returned: set[int] = set()
        self._answers: dict[asyncio.Future[Any], None] = {}  # ordered, as a set of futures is not
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
        self._up.send(self.far.publish, self._last_tag, message, mandatory)

    def flush(self) -> None:
        """Nothing is kept back."""

    async def declare_exchange(self, name: str, *, kind: str = "topic") -> None:
        """Declare an exchange."""
        await self.ask(self._vhost.declare_exchange, name, kind)

    async def check_exchange(self, name: str) -> None:
        """Raise BrokerError("exchange") unless the exchange is there."""
        await self.ask(self._vhost.exchange, name)

    async def declare_queue(self, name: str, *, durable: bool, exclusive: bool, arguments: dict[str, Any]) -> str:
        """Declare a queue and give its name."""
        owner = self.far if exclusive else None
        return str(await self.ask(self._vhost.declare_queue, name, durable, owner, arguments, self.far))

    async def has_queue(self, name: str) -> bool:
        """Say whether a queue is there."""
        return bool(await self.ask(self._vhost.has_queue, name))

    async def bind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind; when this returns it is done."""
        await self.ask(self._vhost.bind_queue, queue, exchange, routing_key, self.far)

    async def unbind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Undo a binding."""
        await self.ask(self._vhost.unbind_queue, queue, exchange, routing_key, self.far)

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue and all in it; no error when it is gone already."""
        await self.ask(self._vhost.delete_queue, queue, self.far)

    async def consume(
        self,
        queue: str,
        on_delivery: Callable[[Incoming], None],
        *,
        prefetch: int,
        on_cancelled: Callable[[str], None] | None = None,
    ) -> MemoryConsumer:
        """Consume; deliveries begin in a later turn of the loop than this returns."""
        consumer = MemoryConsumer(self, on_delivery, on_cancelled)
        try:
            await self.ask(consumer.join, queue, prefetch)
        except BaseException:
            self.tell(consumer.leave)  # whoever asked has given up, and it may have begun
            raise
        self.tell(consumer.start)
        return consumer

    async def listen_for_replies(self, on_reply: Callable[[Incoming], None]) -> None:
        """Consume direct reply-to."""
        self._on_reply = on_reply
        await self.ask(self.far.listen_for_replies)

    async def close(self) -> None:
        """Close in an orderly way; at most 1 s, then abort."""
        if not self._is_over:
            self._end()
            self._up.send(self.far.close)
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._ended)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once: what has not arrived never will."""
        self._end()
        self._down.cut()
        self.far.gone()
        self.closed()

    def cut(self) -> None:
        """The wire breaks: what is on its way is gone, and both ends notice."""
        self._down.cut()
        self.far.gone()
        self._loop.call_soon(self.lost, BrokerError("lost", f"{self.address.display}: the connection was cut"))

    def tell(self, frame: Callable[..., None], *arguments: Any) -> None:
        """Have something done at the broker, without an answer."""
        self._up.send(frame, *arguments)

    async def ask(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Give the broker's answer to something done there; BrokerError when it refuses, or the link ends first."""
        if self._is_over:
            raise self._over()
        answer = self._loop.create_future()
        self._answers[answer] = None
        self._up.send(self.far.call, partial(operation, *arguments), answer)
        try:
            return await answer
        finally:
            del self._answers[answer]

    # frames from the broker, see memory_connection.Near

    def answered(self, answer: "asyncio.Future[Any]", result: Any) -> None:
        """A call has its result, or the BrokerError that refuses it."""
        if answer.done():
            return  # who asked has given up
        if isinstance(result, BrokerError):
            answer.set_exception(BrokerError(result.code, f"{self.address.display}: {result}"))
        else:
            answer.set_result(result)

    def returned(self, tag: int) -> None:
        """A mandatory body found no queue; its confirm follows."""
        if tag in self._waiting:
            self._returned.add(tag)

    def confirmed(self, tag: int, is_taken: bool) -> None:
        """A body is settled."""
        on_outcome = self._waiting.pop(tag, None)
        is_returned = tag in self._returned
        self._returned.discard(tag)
        if on_outcome is not None:
            on_outcome(Outcome.NACKED if not is_taken else Outcome.RETURNED if is_returned else Outcome.CONFIRMED)

    def replied(self, incoming: Incoming) -> None:
        """An answer came by direct reply-to."""
        if self._on_reply is not None and not self._is_over:
            self._on_reply(incoming)

    def blocked(self, is_blocked: bool) -> None:
        """The broker has stopped, or resumed, reading what this link publishes."""
        self.is_blocked = is_blocked
        if self._on_blocked is not None and not self._is_over:
            self._on_blocked(is_blocked)

    def lost(self, error: BrokerError) -> None:
        """The connection ended without being asked to."""
        if not self._is_over:
            self.abort()
            self._on_lost(error)
        self.closed()

    def closed(self) -> None:
        """The connection ended."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _fault(self, exc: Exception) -> None:
        """What a callback cannot bear ends this link and no other."""
        self._loop.call_exception_handler({"message": "a callback of a memory link failed", "exception": exc})
        self.lost(BrokerError("lost", f"{self.address.display}: {exc!r} in a callback"))

    def _end(self) -> None:
        self._is_over = True
        self._waiting.clear()
        self._returned.clear()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(self._over())

    def _over(self) -> BrokerError:
        return BrokerError("lost", f"{self.address.display}: the link has ended")
