"""The network between hosts and brokers: connections that delay, stall and break, with what is on them.

Within a connection frames keep their order, as TCP has it; between connections there is none. When one breaks, some
of what had been sent still arrives, and the rest never does: so acknowledgements are lost (and bodies delivered again),
and confirms (and bodies published again).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Any, NamedTuple, Protocol

from mirosd.backends.memory_link import MemoryLink
from mirosd.backends.memory_pipe import Pipe
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from tests.simulation.processes import Process, ProcessLoop

HERE_S = 0.001
"""The longest way over loopback."""

RETRY_S = 0.25
"""How often an unanswered SYN is sent again."""

Observer = Callable[[str, Callable[..., None], tuple[Any, ...]], None]
"""Passes a frame on to the other end: broker's host, frame, arguments."""


class SimPipe(Pipe):
    """One direction of a connection.

    Args:
        context: whose callback the arrival of frames is.
        way_s: gives the seconds until what has gathered arrives.
    """

    def __init__(
        self,
        loop: ProcessLoop,
        on_fault: Callable[[Exception], None] | None,
        *,
        context: Context,
        way_s: Callable[[], float],
        pass_on: Callable[[Callable[..., None], tuple[Any, ...]], None],
    ) -> None:
        super().__init__(loop, on_fault)  # type: ignore[arg-type]  # as much of a loop as it needs
        self._context, self._way_s, self._pass_on = context, way_s, pass_on
        self._is_stalled = False

    def stall(self, is_stalled: bool) -> None:
        """Let nothing through for a while: packets are lost, and sent again."""
        self._is_stalled = is_stalled
        self._wake()

    def gasp(self, share: float) -> None:
        """The connection is about to break: a share of what is on the wire has arrived."""
        for _ in range(0 if self._is_stalled or self._is_held else int(len(self._frames) * share)):
            if self._frames and not self._is_held:
                self.pass_on(*self._frames.popleft())

    def pass_on(self, frame: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Hand one frame to the other end, seen by whoever observes."""
        self._pass_on(frame, arguments)

    def _wake(self) -> None:
        if self._frames and not (self._is_awake or self._is_held or self._is_stalled):
            self._is_awake = True
            self._loop.call_later(self._way_s(), self._arrive, context=self._context)

    def _arrive(self) -> None:
        if self._is_stalled:
            self._is_awake = False
        else:
            super()._arrive()


class Wire(NamedTuple):
    """One connection: whose, to which host's broker, its two directions."""

    owner: Process
    name: str
    source: str
    target: str
    link: MemoryLink
    up: SimPipe
    down: SimPipe
    random: Random


class BrokerEnd(Protocol):
    """A broker, as connections reach it."""

    process: Process
    is_up: bool

    def open(
        self,
        address: BrokerAddress,
        name: str,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None,
        *,
        owner: Process,
        way_s: Callable[[], float],
    ) -> tuple[MemoryLink, SimPipe, SimPipe]:
        """Give a link with its directions."""


class Network:
    """All connections between hosts' daemons and brokers.

    Each has dice of its own, so that its fate does not depend on the order in which others are served.

    Args:
        seed: decides delays, and what of a broken connection arrived.
        slowest_s: the longest way between two hosts.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, slowest_s: float) -> None:
        self.brokers: dict[str, BrokerEnd] = {}
        self._loop, self._seed, self._slowest_s = loop, seed, slowest_s
        self._opened: Counter[str] = Counter()
        self._wires: dict[MemoryLink, Wire] = {}
        self._severed: dict[tuple[str, str], int] = {}  # by direction: how many faults sever it

    @property
    def wires(self) -> list[Wire]:
        """The connections that are open, the oldest first."""
        self._wires = {link: wire for link, wire in self._wires.items() if not link._is_over}
        return list(self._wires.values())

    def passes(self, source: str, target: str) -> bool:
        """Say whether packets get through both ways."""
        return not (self._severed.get((source, target)) or self._severed.get((target, source)))

    def sever(self, source: str, target: str, is_severed: bool) -> None:
        """Lose all packets of one direction, or no more."""
        way = source, target
        self._severed[way] = self._severed.get(way, 0) + (1 if is_severed else -1)
        for wire in self.wires:
            if (wire.source, wire.target) in (way, way[::-1]):
                self._stall(wire)

    def break_(self, wire: Wire) -> None:
        """End a connection: both ends hear of it."""
        self.gasp(wire)
        wire.link.cut()

    def gasp(self, wire: Wire) -> None:
        """Some of what was sent by a daemon has arrived."""
        wire.up.gasp(wire.random.choice((0.0, 0.5, 1.0)))

    def connector(self, source: str, owner: Process) -> "Connector":
        """Give what a daemon of a host connects by."""
        return Connector(self, source, owner)

    async def open(
        self, source: str, owner: Process, address: BrokerAddress, deadline_s: float, name: str, **options: Any
    ) -> MemoryLink:
        """Give a link; see core.broker.BrokerConnector."""
        target, until_s = address.host, self._loop.time() + deadline_s
        broker = self.brokers[target]
        self._opened[f"{source} {name}"] += 1
        random = Random(f"{self._seed} {source} {name} {self._opened[f'{source} {name}']}")
        longest_s = HERE_S if source == target else self._slowest_s
        await asyncio.sleep(2 * random.random() * longest_s)
        while not self.passes(source, target) or broker.process.is_stopped:
            if self._loop.time() >= until_s:
                raise BrokerError("tcp(timeout)", f"{address.display}: no answer")
            await asyncio.sleep(RETRY_S)
        if not broker.is_up:
            raise BrokerError("tcp(refused)", f"{address.display}: nobody listens")
        link, up, down = broker.open(address, name, owner=owner, way_s=lambda: random.random() * longest_s, **options)
        self._wires[link] = Wire(owner, name, source, target, link, up, down, random)
        return link

    def _stall(self, wire: Wire) -> None:
        wire.up.stall(bool(self._severed.get((wire.source, wire.target))))
        wire.down.stall(bool(self._severed.get((wire.target, wire.source))))


class Connector:
    """core.broker.BrokerConnector of one daemon."""

    def __init__(self, network: Network, source: str, owner: Process) -> None:
        self._network, self._source, self._owner = network, source, owner

    async def open(self, address: BrokerAddress, *, deadline_s: float, name: str, **options: Any) -> MemoryLink:
        """Give an open link."""
        return await self._network.open(self._source, self._owner, address, deadline_s, name, **options)
