"""A memory broker for the contract, with a fuse that cuts a link after so many frames."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mirosd.backends.memory import MemoryBroker, MemoryConnector
from mirosd.backends.memory_pipe import Pipe
from mirosd.core.broker import BrokerAddress, Link
from mirosd.errors import BrokerError

ADDRESS = BrokerAddress("memory", port=0)


class MemoryRig:
    """See broker_rig.Rig. The broker is made on the loop of the first link."""

    def __init__(self) -> None:
        self._broker: MemoryBroker | None = None
        self._fuse: Fuse | None = None

    @property
    def broker(self) -> MemoryBroker:
        """The broker of this loop."""
        if self._broker is None:
            self._broker = MemoryBroker(asyncio.get_running_loop(), self._make_pipe)
        return self._broker

    async def open(
        self,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None = None,
        *,
        name: str = "contract",
    ) -> Link:
        """Give a new link."""
        connector = MemoryConnector({ADDRESS.host: self.broker})
        return await connector.open(ADDRESS, deadline_s=1.0, name=name, on_lost=on_lost, on_blocked=on_blocked)

    @asynccontextmanager
    async def fused(self, on_lost: Callable[[BrokerError], None], frames: int) -> AsyncIterator[Link]:
        """Give a link that breaks behind so many frames, counted both ways."""
        self._fuse = Fuse(frames, lambda: self.broker.cut("fused"))
        try:
            link = await self.open(on_lost, name="fused")
        finally:
            self._fuse = None
        yield link
        await link.close()

    async def cut(self) -> None:
        """Break every connection of the broker, without a word."""
        self.broker.cut()

    async def block(self, is_blocked: bool) -> None:
        """Raise or end the broker's alarm."""
        self.broker.block(is_blocked)

    def _make_pipe(self, loop: asyncio.AbstractEventLoop, *fault: Any) -> Pipe:
        return Pipe(loop, *fault) if self._fuse is None else FusedPipe(self._fuse, loop, *fault)


class Fuse:
    """Blows behind so many frames."""

    def __init__(self, frames: int, blow: Callable[[], None]) -> None:
        self._frames, self._blow = frames, blow

    def burn(self) -> None:
        """One more frame has passed."""
        self._frames -= 1
        if self._frames == 0:
            self._blow()


class FusedPipe(Pipe):
    """A pipe behind a fuse."""

    def __init__(self, fuse: Fuse, loop: asyncio.AbstractEventLoop, *fault: Any) -> None:
        super().__init__(loop, *fault)
        self._fuse = fuse

    def pass_on(self, frame: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Hand one frame on, and count it."""
        super().pass_on(frame, arguments)
        self._fuse.burn()
