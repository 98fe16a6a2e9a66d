"""A memory broker's end of one consumer: what is out with it, and what became of that."""

from collections.abc import Callable
from copy import copy

from mirosd.backends.memory_queue import Held, Queue
from mirosd.core.broker import Incoming


class Channel:
    """Takes from one queue (see memory_queue.Taker). Thread: loop.

    Args:
        prefetch: how many deliveries may be out at once; 0: any number.
        on_delivery: sends one to the other end.
        on_ended: called with a code when the broker ends the channel: cancelled (no queue any more) or closed.
    """

    def __init__(
        self,
        queue: Queue,
        prefetch: int,
        *,
        on_delivery: Callable[[Incoming], None],
        on_ended: Callable[["Channel", str], None],
    ) -> None:
        self._queue, self._prefetch = queue, prefetch
        self._on_delivery, self._on_ended = on_delivery, on_ended
        self._out: dict[int, Held] = {}
        self._last_tag = 0
        self._is_open = False
        queue.add(self)

    def start(self) -> None:
        """Begin to take: the other end is ready to hear."""
        self._is_open = True
        self._queue.deliver()

    @property
    def has_room(self) -> bool:
        """More may be delivered now."""
        return self._is_open and (self._prefetch == 0 or len(self._out) < self._prefetch)

    def take(self, held: Held) -> None:
        """Deliver one."""
        self._last_tag += 1
        self._out[self._last_tag] = held
        message = held.message
        self._on_delivery(
            Incoming(
                self._last_tag,
                message.routing_key,
                message.body,
                held.is_redelivered,
                copy(message.headers),  # as a wire does: what one consumer changes is not another's
                message.reply_to,
                message.correlation_id,
            )
        )

    def queue_deleted(self) -> None:
        """End: there is nothing to take any more."""
        self._end("cancelled")

    def ack(self, tag: int, multiple: bool) -> None:
        """What is out under `tag` was taken for good; with multiple, all before it too."""
        if self._is_known(tag):
            for done in [older for older in self._out if older <= tag] if multiple else [tag]:
                del self._out[done]
            self._queue.deliver()

    def nack(self, tag: int, requeue: bool) -> None:
        """What is out under `tag` goes back to its place, or dies."""
        if self._is_known(tag):
            held = self._out.pop(tag)
            if requeue:
                self._queue.give_back([held])
            else:
                self._queue.reject(held)
                self._queue.deliver()

    def close(self) -> None:
        """Take no more; what is out goes back. Idempotent."""
        self._is_open = False
        self._queue.remove(self)
        out, self._out = self._out, {}
        if out:
            self._queue.give_back(out.values())

    def _is_known(self, tag: int) -> bool:
        if self._is_open and tag not in self._out:
            self._end("closed")  # RabbitMQ: 406, unknown delivery tag
        return self._is_open

    def _end(self, code: str) -> None:
        self.close()
        self._on_ended(self, code)
