"""What the broker contract is written with: a rig, a link that must live, an inbox, and waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Protocol

from mirosd.core.broker import Incoming, Link, Outcome
from mirosd.errors import BrokerError

DEADLINE_S = 30.0
MESH = "mirosd.t.mesh"


class Rig(Protocol):
    """A backend with an empty broker behind it."""

    async def open(
        self, on_lost: Callable[[BrokerError], None], on_blocked: Callable[[bool], None] | None = None
    ) -> Link:
        """Give a new link."""

    def fused(self, on_lost: Callable[[BrokerError], None], frames: int) -> AbstractAsyncContextManager[Link]:
        """Give a new link that breaks behind so many frames more, counted both ways."""

    async def cut(self) -> None:
        """Break every connection of the broker, without a word."""

    async def block(self, is_blocked: bool) -> None:
        """Raise or end the broker's alarm."""


async def eventually(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Give the first true value of `condition`, letting the loop run; AssertionError after 30 s of its clock."""
    clock = asyncio.get_running_loop().time
    started_s = clock()
    while not (value := condition()):
        if clock() - started_s > DEADLINE_S:
            raise AssertionError(f"{what}: not within {DEADLINE_S:g} s")
        await asyncio.sleep(0.005)
    return value


@asynccontextmanager
async def linked(rig: Rig) -> AsyncIterator[Link]:
    """Give a link that must not be lost, closed at the end."""
    lost: list[BrokerError] = []
    link = await rig.open(lost.append)
    try:
        yield link
        assert lost == []
    finally:
        await link.close()


class Inbox:
    """A consumer that keeps what it gets; `acks` says whether it takes it off the queue at once."""

    def __init__(self, *, acks: bool = True) -> None:
        self.got: list[Incoming] = []
        self.cancelled: list[str] = []
        self._acks = acks
        self.consumer: Any = None

    async def on(self, link: Link, queue: str, prefetch: int = 100) -> "Inbox":
        """Consume `queue`."""
        self.consumer = await link.consume(queue, self._deliver, prefetch=prefetch, on_cancelled=self.cancelled.append)
        return self

    def _deliver(self, incoming: Incoming) -> None:
        self.got.append(incoming)
        if self._acks:
            self.consumer.ack(incoming.tag)

    def has(self, count: int) -> bool:
        """Tell whether exactly so many came."""
        return len(self.got) == count

    def has_body(self, body: bytes) -> bool:
        """Tell whether this came."""
        return body in self.bodies

    @property
    def bodies(self) -> list[bytes]:
        """What came, in order."""
        return [incoming.body for incoming in self.got]


async def make_queue(link: Link, name: str = "q", key: str = "a.#", **arguments: Any) -> str:
    """Give a durable queue bound to the mesh exchange; `x_message_ttl=5` means the argument x-message-ttl."""
    await link.declare_exchange(MESH)
    spelled = {argument.replace("_", "-"): value for argument, value in arguments.items()}
    queue = await link.declare_queue(name, durable=True, exclusive=False, arguments=spelled)
    await link.bind_queue(queue, MESH, key)
    return queue


async def published(link: Link, *bodies: bytes, key: str = "a.b", **options: Any) -> list[Outcome]:
    """Publish to the mesh exchange, one after the other, and give the outcomes when all are there."""
    outcomes: dict[int, Outcome] = {}
    for number, body in enumerate(bodies):
        link.publish(MESH, key, body, on_outcome=partial(outcomes.__setitem__, number), **options)
    await eventually(lambda: len(outcomes) == len(bodies), "all outcomes")
    return [outcomes[number] for number in range(len(bodies))]
