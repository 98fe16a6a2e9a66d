"""A host's broker: the memory broker as a process of its own, which tells what it takes and what it buries."""

import asyncio
from collections.abc import Callable
from typing import Any

from mirosd.backends.memory import MemoryBroker
from mirosd.backends.memory_link import MemoryLink
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from tests.simulation.processes import Process, ProcessLoop
from tests.simulation.wires import SimPipe

Frame = Callable[..., None]


class SimBroker(MemoryBroker):
    """One broker.

    Args:
        on_taken: told (host, routing key, body, number of queues) before the broker takes a body of the mesh.
        exchange: the mesh's.
        on_delivered: passes a delivery on, and sees it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        *,
        exchange: str,
        on_taken: Callable[[str, str, bytes, int], None],
        on_delivered: Callable[[str, Frame, tuple[Any, ...]], None],
    ) -> None:
        self.host = host
        self.process = Process(f"{host} broker")
        self.is_up = True
        self._exchange, self._on_taken, self._on_delivered = exchange, on_taken, on_delivered
        self._opening: list[SimPipe] = []
        self._pipe_options: dict[str, Any] = {}
        super().__init__(ProcessLoop(loop, self.process), self._new_pipe)  # type: ignore[arg-type]

    @property
    def is_alarmed(self) -> bool:
        """It reads nothing that is published."""
        return self._vhost.is_alarmed

    def open(
        self,
        address: BrokerAddress,
        name: str,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None = None,
        *,
        owner: Process,
        way_s: Callable[[], float],
    ) -> tuple[MemoryLink, SimPipe, SimPipe]:
        """Give a link with its directions. `owner` is whose callbacks its deliveries are."""
        self._opening, self._pipe_options = [], {"way_s": way_s}
        self._owner = owner
        link = self.connect(address, name, on_lost, on_blocked)
        up, down = self._opening
        return link, up, down

    def _new_pipe(self, loop: ProcessLoop, on_fault: Callable[[Exception], None] | None = None) -> SimPipe:
        is_down = on_fault is not None
        pipe = SimPipe(
            loop,
            on_fault,
            context=(self._owner if is_down else self.process).context,
            pass_on=self._pass_down if is_down else self._pass_up,
            **self._pipe_options,
        )
        self._opening.append(pipe)
        return pipe

    def _pass_up(self, frame: Frame, arguments: tuple[Any, ...]) -> None:
        if frame.__name__ == "publish" and not self.is_alarmed:
            message = arguments[1]
            if message.exchange == self._exchange and self._exchange in self._vhost._exchanges:
                self._on_taken(self.host, message.routing_key, message.body, len(self._vhost.route(message)))
        frame(*arguments)

    def _pass_down(self, frame: Frame, arguments: tuple[Any, ...]) -> None:
        if frame.__name__ == "deliver":
            self._on_delivered(self.host, frame, arguments)
        else:
            frame(*arguments)
