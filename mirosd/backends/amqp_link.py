"""One open connection to a RabbitMQ: publishing with confirms, declaring, consuming. Thread: loop.

One channel publishes, in confirm mode; its end is the end of the link, since nobody could tell any more what was
taken. Each consumer has a channel of its own, so that a slow or refused one harms nobody else, and each declaration
a brief one, so that a 404 or 406 hurts that call alone.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from pika.spec import Basic, BasicProperties

from mirosd.backends.amqp_channel import AmqpChannel, Confirms, brief_channel
from mirosd.backends.amqp_errors import closed_error
from mirosd.backends.amqp_frames import Publishing
from mirosd.backends.amqp_wire import Wire
from mirosd.core.broker import DIRECT_REPLY, BrokerAddress, Incoming, Outcome
from mirosd.errors import BrokerError

CLOSE_S = 1.0
"""Time an orderly close may take; a broker in alarm does not read, and so never answers."""


class AmqpConsumer:
    """A consumer on its own channel. Thread: loop; does nothing once it, or the link, has ended."""

    def __init__(self, channel: AmqpChannel) -> None:
        self._channel = channel

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Take a delivery off the queue; with multiple, all before it too."""
        if self._channel.raw.is_open:
            self._channel.raw.basic_ack(tag, multiple)

    def nack(self, tag: int, *, requeue: bool) -> None:
        """Give a delivery back (requeue) or drop it to the dead letters."""
        if self._channel.raw.is_open:
            self._channel.raw.basic_nack(tag, requeue=requeue)

    async def cancel(self) -> None:
        """Close the channel; when this returns, what was unacknowledged is back in its queue."""
        await self._channel.close()


class AmqpLink:
    """See core.broker.Link. Made by AmqpConnector.open."""

    def __init__(
        self,
        address: BrokerAddress,
        wire: Wire,
        publishing: AmqpChannel,
        confirms: Confirms,
        *,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None,
    ) -> None:
        self.address = address
        self.is_blocked = False
        self.blocked_by = ""
        self._wire = wire
        self._connection = wire.connection
        self._publishing = publishing
        self._frames = Publishing(publishing.raw.channel_number, wire.connection.params.frame_max)
        self._confirms = confirms
        self._on_lost = on_lost
        self._on_blocked = on_blocked
        self._is_over = False
        publishing.on_closed = self._lose
        self._connection.add_on_close_callback(lambda _, reason: self._lose(closed_error(address, reason)))
        self._connection.add_on_connection_blocked_callback(lambda _, frame: self._block(True, frame.method.reason))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._block(False, self.blocked_by))

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
        tag = self._confirms.next_tag(on_outcome)
        self._wire.write(
            self._frames.encode(
                exchange,
                routing_key,
                body,
                persistent=persistent,
                mandatory=mandatory,
                expiration=None if expiration_ms is None else str(expiration_ms),
                headers=headers,
                reply_to=reply_to,
                correlation_id=correlation_id,
                message_id=str(tag) if mandatory else None,  # see Confirms
            )
        )

    def flush(self) -> None:
        """Send now what was published."""
        self._wire.flush()

    async def declare_exchange(self, name: str, *, kind: str = "topic") -> None:
        """Declare a durable exchange."""
        async with brief_channel(self._connection, self.address) as channel:
            await channel.call(channel.raw.exchange_declare, exchange=name, exchange_type=kind, durable=True)

    async def check_exchange(self, name: str) -> None:
        """Raise BrokerError("exchange") unless the exchange is there."""
        async with brief_channel(self._connection, self.address) as channel:
            await channel.call(channel.raw.exchange_declare, exchange=name, passive=True)

    async def declare_queue(self, name: str, *, durable: bool, exclusive: bool, arguments: dict[str, Any]) -> str:
        """Declare a queue and give its name."""
        async with brief_channel(self._connection, self.address) as channel:
            answer = await channel.call(
                channel.raw.queue_declare, queue=name, durable=durable, exclusive=exclusive, arguments=arguments
            )
            return str(answer.method.queue)

    async def has_queue(self, name: str) -> bool:
        """Say whether a queue is there."""
        async with brief_channel(self._connection, self.address) as channel:
            try:
                await channel.call(channel.raw.queue_declare, queue=name, passive=True)
            except BrokerError:
                if self._is_over:
                    raise
                return False
            return True

    async def bind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind; when this returns the broker has confirmed it."""
        async with brief_channel(self._connection, self.address) as channel:
            await channel.call(channel.raw.queue_bind, queue=queue, exchange=exchange, routing_key=routing_key)

    async def unbind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Undo a binding."""
        async with brief_channel(self._connection, self.address) as channel:
            await channel.call(channel.raw.queue_unbind, queue=queue, exchange=exchange, routing_key=routing_key)

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue and all in it; RabbitMQ makes no error of one that is gone."""
        async with brief_channel(self._connection, self.address) as channel:
            await channel.call(channel.raw.queue_delete, queue=queue)

    async def consume(
        self,
        queue: str,
        on_delivery: Callable[[Incoming], None],
        *,
        prefetch: int,
        on_cancelled: Callable[[str], None] | None = None,
    ) -> AmqpConsumer:
        """Consume on a new channel; deliveries begin in a later turn of the loop than this returns.

        `on_cancelled` hears "cancelled" when the queue went away, else the code of the channel's end.
        """
        channel = await AmqpChannel.open(self._connection, self.address)
        early: list[Incoming] | None = []

        def deliver(incoming: Incoming) -> None:
            if early is not None:
                early.append(incoming)
            elif not self._is_over and channel.raw.is_open:
                on_delivery(incoming)

        def begin() -> None:
            nonlocal early
            held, early = early or [], None
            for incoming in held:
                if not self._is_over:
                    on_delivery(incoming)

        def end(code: str) -> None:
            if on_cancelled is not None and not self._is_over:
                on_cancelled(code)

        def cancelled(_frame: Any) -> None:
            if channel.raw.is_open:
                channel.raw.close()
            end("cancelled")

        try:
            await channel.call(channel.raw.basic_qos, prefetch_count=prefetch)
            channel.raw.add_on_cancel_callback(cancelled)
            channel.on_gone = self._wire.deliveries.forget
            self._wire.deliveries.takers[channel.raw.channel_number] = deliver
            await channel.call(channel.raw.basic_consume, queue=queue, on_message_callback=_from_pika(deliver))
        except BaseException:
            if channel.raw.is_open:
                channel.raw.close()
            raise
        channel.on_closed = lambda error: end(error.code)
        asyncio.get_running_loop().call_soon(begin)
        return AmqpConsumer(channel)

    async def listen_for_replies(self, on_reply: Callable[[Incoming], None]) -> None:
        """Consume direct reply-to on the publishing channel, without acknowledgements."""

        def deliver(incoming: Incoming) -> None:
            if not self._is_over:
                on_reply(incoming)

        await self._publishing.call(
            self._publishing.raw.basic_consume,
            queue=DIRECT_REPLY,
            on_message_callback=_from_pika(deliver),
            auto_ack=True,
        )

    async def close(self) -> None:
        """Close in an orderly way; at most 1 s, then abort."""
        if not self._is_over:
            self._end()
            self._connection.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._wire.ended)
        except TimeoutError:
            await self._wire.dispose()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._end()
        self._wire.reset()

    def _end(self) -> None:
        self._is_over = True
        self._confirms.forget()

    def _lose(self, error: BrokerError) -> None:
        if not self._is_over:
            self.abort()
            self._on_lost(error)

    def _block(self, is_blocked: bool, by: str) -> None:
        self.is_blocked, self.blocked_by = is_blocked, by
        if self._on_blocked is not None and not self._is_over:
            self._on_blocked(is_blocked)


def _from_pika(take: Callable[[Incoming], None]) -> Callable[..., None]:
    """Give what pika calls with a delivery that it has read itself (see Wire)."""

    def taken(_channel: Any, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        take(
            Incoming(
                tag=method.delivery_tag,
                routing_key=method.routing_key,
                body=body,
                redelivered=method.redelivered,
                headers=properties.headers,
                reply_to=properties.reply_to,
                correlation_id=properties.correlation_id,
            )
        )

    return taken
