"""A memory broker's end of one link: what is asked of it, in the order it arrives, and what it answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from mirosd.backends.memory_channel import Channel
from mirosd.backends.memory_pipe import Pipe
from mirosd.backends.memory_queue import Message
from mirosd.backends.memory_vhost import Vhost
from mirosd.core.broker import DIRECT_REPLY, Incoming
from mirosd.errors import BrokerError


class Near(Protocol):
    """The link at the other end, as frames reach it."""

    def answered(self, answer: "asyncio.Future[Any]", result: Any) -> None:
        """A call has its result, or the BrokerError that refuses it."""

    def returned(self, tag: int) -> None:
        """The mandatory body `tag` found no queue; its confirm follows."""

    def confirmed(self, tag: int, is_taken: bool) -> None:
        """The body `tag` is settled."""

    def replied(self, incoming: Incoming) -> None:
        """An answer came by direct reply-to."""

    def blocked(self, is_blocked: bool) -> None:
        """The broker has stopped, or resumed, reading what this link publishes."""

    def lost(self, error: BrokerError) -> None:
        """The connection ended without being asked to."""

    def closed(self) -> None:
        """The connection ended as it was asked to."""


class ConsumerEnd(Protocol):
    """The link's end of one consumer."""

    def deliver(self, incoming: Incoming) -> None:
        """Take one delivery."""

    def ended(self, code: str) -> None:
        """The broker ended the consumer."""


class Connection:
    """One link's counterpart. Thread: loop; its methods are frames of the pipe from the link.

    Args:
        up, down: the pipes from the link and to it.
        on_gone: called when nothing comes from the link any more.
    """

    def __init__(self, near: Near, vhost: Vhost, *, up: Pipe, down: Pipe, on_gone: Callable[[], None]) -> None:
        self._near, self._vhost, self._up, self._down, self._on_gone = near, vhost, up, down, on_gone
        self._is_blocked = False
        self._reply_name = ""
        self._channels: dict[Channel, None] = {}
        self._unsynced: list[int] = []

    def call(self, operation: Callable[[], Any], answer: "asyncio.Future[Any]") -> None:
        """Do something that is answered."""
        result: Any
        try:
            result = operation()
        except BrokerError as error:
            result = error
        self._down.send(self._near.answered, answer, result)

    def publish(self, tag: int, message: Message, is_mandatory: bool) -> None:
        """Route one body, and say so. A missing exchange ends the link; in an alarm no more is read of it."""
        if self._vhost.is_alarmed:
            self._is_blocked = True
            self._up.hold(self.publish, tag, message, is_mandatory)
            self._down.send(self._near.blocked, True)
            return
        try:
            message = self._with_reply_name(message)
            queues = self._vhost.route(message)
        except BrokerError as error:
            self.end(error)
            return
        self._vhost.reply(message)
        if is_mandatory and not queues:  # RabbitMQ says so of an answer too, though it hands it over
            self._down.send(self._near.returned, tag)
        refusing = [queue for queue in queues if not queue.put(message)]
        if message.is_persistent and not refusing and any(queue.is_durable for queue in queues):
            self._confirm_synced(tag)
        else:
            self.confirm(tag, not refusing)

    def confirm(self, tag: int, is_taken: bool) -> None:
        """Tell the link that one body is settled."""
        self._down.send(self._near.confirmed, tag, is_taken)

    def consume(self, queue: str, prefetch: int, end: ConsumerEnd) -> Channel:
        """Give a channel to a queue; nothing is delivered before it is started."""

        def ended(channel: Channel, code: str) -> None:
            self._channels.pop(channel, None)
            self._down.send(end.ended, code)

        channel = Channel(
            self._vhost.queue(queue, self),
            prefetch,
            on_delivery=lambda incoming: self._down.send(end.deliver, incoming),
            on_ended=ended,
        )
        self._channels[channel] = None
        return channel

    def leave(self, channel: Channel) -> None:
        """End a channel; what is out with it is back in its queue."""
        self._channels.pop(channel, None)
        channel.close()

    def listen_for_replies(self) -> None:
        """Hear answers from now on; a second time ends the link, as RabbitMQ closes the channel."""
        if self._reply_name:
            error = BrokerError("closed", "406 PRECONDITION_FAILED - reply consumer already set")
            self.end(error)
            raise error
        self._reply_name = self._vhost.add_asker(self._pass_reply)

    def close(self) -> None:
        """End in an orderly way."""
        self.gone()
        self._down.send(self._near.closed)

    def end(self, error: BrokerError) -> None:
        """The broker ends the connection, and says why behind all it has said."""
        self.gone()
        self._down.send(self._near.lost, error)

    def gone(self) -> None:
        """Nothing comes from the link any more: consumers give back what they have, exclusive queues die."""
        self._up.cut()
        self._vhost.remove_asker(self._reply_name)
        for channel in list(self._channels):
            self.leave(channel)
        self._vhost.delete_owned(self)
        self._on_gone()

    def unblock(self) -> None:
        """The alarm is over."""
        if self._is_blocked:
            self._is_blocked = False
            self._down.send(self._near.blocked, False)
            self._up.go_on()

    def _confirm_synced(self, tag: int) -> None:
        """Confirm a turn later, as if it had to reach a disk: what needs none overtakes it, as at RabbitMQ."""
        self._unsynced.append(tag)
        if len(self._unsynced) == 1:
            self._vhost.loop.call_soon(self._synced)

    def _synced(self) -> None:
        synced, self._unsynced = self._unsynced, []
        for tag in synced:
            self.confirm(tag, True)

    def _with_reply_name(self, message: Message) -> Message:
        if message.reply_to != DIRECT_REPLY:
            return message
        if not self._reply_name:
            raise BrokerError("closed", "406 PRECONDITION_FAILED - fast reply consumer does not exist")
        return replace(message, reply_to=self._reply_name)

    def _pass_reply(self, message: Message) -> None:
        incoming = Incoming(
            0, message.routing_key, message.body, False, message.headers, message.reply_to, message.correlation_id
        )
        self._down.send(self._near.replied, incoming)
