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
        number: tells it apart on its broker.
        peers: all connections of the broker by their numbers, this one too while it lasts.
        is_alarmed: tells whether the broker takes no more bodies for now.
        up, down: the pipes from the link and to it.
    """

    def __init__(
        self,
        number: int,
        near: Near,
        vhost: Vhost,
        peers: "dict[int, Connection]",
        is_alarmed: Callable[[], bool],
        *,
        loop: asyncio.AbstractEventLoop,
        up: Pipe,
        down: Pipe,
    ) -> None:
        self._number, self._near, self._vhost, self._peers = number, near, vhost, peers
        self._is_alarmed, self._loop, self._up, self._down = is_alarmed, loop, up, down
        self._is_blocked = False
        self._hears_replies = False
        self._channels: dict[Channel, None] = {}
        self._unsynced: list[tuple[int, bool]] = []
        peers[number] = self

    def call(self, operation: Callable[[], Any], answer: "asyncio.Future[Any]") -> None:
        """Do something that is answered."""
        result: Any
        try:
            result = operation()
        except BrokerError as error:
            result = error
        self._down.send(self._near.answered, answer, result)

    def publish(self, tag: int, message: Message, is_mandatory: bool) -> None:
        """Route one body, and say so; a missing exchange ends the link."""
        if self._is_alarmed():
            self._block(tag, message, is_mandatory)
            return
        try:
            if message.reply_to == DIRECT_REPLY:
                message = replace(message, reply_to=self._reply_name())
            queues = [] if self._is_reply(message) else self._vhost.route(message)
        except BrokerError as error:
            self.end(error)
            return
        if is_mandatory and not queues:  # RabbitMQ says that of direct replies too, though it delivers them
            self._down.send(self._near.returned, tag)
        is_taken = all([queue.put(message) for queue in queues])
        if is_taken and message.is_persistent and any(queue.is_durable for queue in queues):
            self._confirm_synced(tag)
        else:
            self.confirm(tag, is_taken)

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
        """Hear answers from now on."""
        self._hears_replies = True

    def close(self) -> None:
        """End in an orderly way."""
        self.gone()
        self._down.send(self._near.closed)

    def end(self, error: BrokerError) -> None:
        """The broker ends the connection, and says why behind all it has said."""
        self.gone()
        self._down.send(self._near.lost, error)

    def gone(self) -> None:
        """Nothing comes from the link any more: consumers give back what they have, exclusive queues die. Idempotent."""
        self._up.cut()
        self._peers.pop(self._number, None)
        for channel in list(self._channels):
            self.leave(channel)
        self._vhost.leave(self)

    def unblock(self) -> None:
        """The alarm is over."""
        if self._is_blocked:
            self._is_blocked = False
            self._down.send(self._near.blocked, False)
            self._up.go_on()

    def _block(self, tag: int, message: Message, is_mandatory: bool) -> None:
        self._is_blocked = True
        self._up.hold(self.publish, tag, message, is_mandatory)
        self._down.send(self._near.blocked, True)

    def _confirm_synced(self, tag: int) -> None:
        """Confirm a turn later, when it is on the disk: bodies that need none overtake it, as they do at RabbitMQ."""
        self._unsynced.append((tag, True))
        if len(self._unsynced) == 1:
            self._loop.call_soon(self._synced)

    def _synced(self) -> None:
        synced, self._unsynced = self._unsynced, []
        for tag, is_taken in synced:
            self.confirm(tag, is_taken)

    def _reply_name(self) -> str:
        if not self._hears_replies:
            raise BrokerError("closed", "406 PRECONDITION_FAILED - fast reply consumer does not exist")
        return f"{DIRECT_REPLY}.{self._number}"

    def _is_reply(self, message: Message) -> bool:
        """Tell whether a message is an answer to a link, and send it there if that is still connected."""
        name, _, number = message.routing_key.rpartition(".")
        if message.exchange or name != DIRECT_REPLY or not number.isdecimal():
            return False
        asker = self._peers.get(int(number))
        if asker is not None and asker._hears_replies:
            asker.reply(message)
        return True

    def reply(self, message: Message) -> None:
        """Hand an answer to this link."""
        incoming = Incoming(
            0, message.routing_key, message.body, False, message.headers, message.reply_to, message.correlation_id
        )
        self._down.send(self._near.replied, incoming)
