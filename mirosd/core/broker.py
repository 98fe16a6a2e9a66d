"""What the bridge may ask of a broker, whatever stands behind it: connections, publishing, consuming.

Everything here is the loop's: one asyncio loop, no other thread. Implementations
are held to one contract by one set of tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from mirosd_client.limits import MAX_RECORDS


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and who we are there; port 0: in this process. The password never shows in a repr."""

    host: str
    port: int = 5672
    vhost: str = "/"
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    tls: bool = False

    @property
    def display(self) -> str:
        """host:port, for people and logs; the host alone where there is no port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


class Outcome(Enum):
    """What a broker said to one published body."""

    CONFIRMED = "confirmed"  # taken by at least one queue
    RETURNED = "returned"  # mandatory, and no queue is bound (the confirm has come too)
    NACKED = "nacked"  # the broker could not take it


@dataclass(frozen=True, slots=True)
class Incoming:
    """One delivery from a broker. `headers` as AMQP gave them."""

    tag: int
    routing_key: str
    body: bytes
    redelivered: bool = False
    headers: dict[str, Any] | None = None
    reply_to: str | None = None
    correlation_id: str | None = None

    @property
    def records(self) -> int:
        """How many events are in it by its header; 0 when that says nothing, or what cannot be: it is not sealed."""
        said = (self.headers or {}).get("records")
        return said if isinstance(said, int) and 0 < said <= MAX_RECORDS else 0


class Consumer(Protocol):
    """A consumer on a channel of its own. Thread: loop."""

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Take a delivery off the queue; with multiple, all before it too. Does nothing once the link is lost."""

    def nack(self, tag: int, *, requeue: bool) -> None:
        """Give a delivery back (requeue) or drop it to the dead letters."""

    async def cancel(self) -> None:
        """Stop consuming and close the channel; what is unacknowledged goes back to its queue."""


class Link(Protocol):
    """One open connection to a broker. Thread: loop.

    Publishing happens on one channel in confirm mode. Every coroutine raises
    BrokerError; a channel closed by the broker while publishing loses the link.
    """

    address: BrokerAddress
    is_blocked: bool
    blocked_by: str  # what the broker said when it last stopped reading: "low on memory", "low on disk"

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
        """Hand one body to the connection. `on_outcome` is called once, unless the link is lost first."""

    def flush(self) -> None:
        """Send now what was published; else it goes in the next turn of the loop, with what follows by then."""

    async def declare_exchange(self, name: str, *, kind: str = "topic") -> None:
        """Declare a durable exchange."""

    async def check_exchange(self, name: str) -> None:
        """Raise BrokerError("exchange") unless the exchange is there; creates nothing, harms no other channel."""

    async def declare_queue(self, name: str, *, durable: bool, exclusive: bool, arguments: dict[str, Any]) -> str:
        """Declare a queue (name "" lets the broker choose) and give its name."""

    async def has_queue(self, name: str) -> bool:
        """Say whether a queue is there; creates nothing."""

    async def bind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Bind; when this returns the broker has confirmed it."""

    async def unbind_queue(self, queue: str, exchange: str, routing_key: str) -> None:
        """Undo a binding."""

    async def delete_queue(self, queue: str) -> None:
        """Delete a queue and all in it; no error when it is gone already."""

    async def consume(
        self,
        queue: str,
        on_delivery: Callable[[Incoming], None],
        *,
        prefetch: int,
        on_cancelled: Callable[[str], None] | None = None,
    ) -> Consumer:
        """Consume on a new channel; `on_cancelled(code)` when the broker ends it (queue deleted, channel closed)."""

    async def listen_for_replies(self, on_reply: Callable[[Incoming], None]) -> None:
        """Consume RabbitMQ's direct reply-to on the publishing channel; publish with reply_to=DIRECT_REPLY."""

    async def close(self) -> None:
        """Close in an orderly way; at most 1 s, then abort."""

    def abort(self) -> None:
        """Drop the connection at once (reset), so that nothing of it can still be published."""


DIRECT_REPLY = "amq.rabbitmq.reply-to"
"""RabbitMQ's pseudo-queue for answers: no queue to declare, so peers.user needs no configure right
(RabbitMQ documentation, "Direct Reply-to")."""


class BrokerErrorLike(Protocol):
    """What on_lost tells: errors.BrokerError."""

    code: str


class BrokerConnector(Protocol):
    """Opens connections; one attempt each, retries are the caller's. Thread: loop."""

    async def open(
        self,
        address: BrokerAddress,
        *,
        deadline_s: float,
        name: str,
        on_lost: Callable[[BrokerErrorLike], None],
        on_blocked: Callable[[bool], None] | None = None,
    ) -> Link:
        """Give an open link within `deadline_s`, or raise BrokerError with the stage that failed.

        `on_lost` is called exactly once when a link that was given ends for any reason
        but its own close() or abort().
        """
