"""The one UDP port of the LAN search, IPv4 and IPv6: asked from and answered on, so one firewall rule is enough."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from mirosd.backends.lan_socket import Arrival, LanSocket
from mirosd.core.answering import Budget
from mirosd.core.probe import Address, Instruction
from mirosd.core.shown import Board
from mirosd.logs import LogOnChange

TAKEN = "lan_port_taken"
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class OnArrival(Protocol):
    """Takes a datagram; must not raise."""

    def __call__(self, arrival: Arrival, /) -> None:
        """Take it."""


class LanPort:
    """Two sockets on one port. A family that this host has not is left out.

    When the port is another program's, the reason `lan_port_taken` says so, and any other port is asked from: such a
    host finds others, and is found by what its own probes tell them. Thread: loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        port: int,
        *,
        program: tuple[Instruction, ...],
        board: Board,
        clock: Callable[[], float],
    ) -> None:
        self._loop, self._port, self._program, self._board, self._clock = loop, port, program, board, clock
        self._budget = Budget()
        self._on_arrival: OnArrival | None = None
        self._sockets: dict[int, LanSocket] = {}
        self._log = LogOnChange()
        self.open()

    def open(self) -> None:
        """Take the port, as far as it is not ours yet; call it again now and then: who has it may go."""
        taken = []
        for version, family in FAMILIES.items():
            held = self._sockets.get(version)
            if held is not None and held.port == self._port:
                continue
            try:
                self._replace(version, self._bind(family, self._port))
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    taken.append(f"IPv{version}")
                    self._open_any(version)
                else:
                    self._warn("lan_socket_failed", version, f"{exc}")
        if taken:
            self._board.raise_reason(
                TAKEN,
                f"UDP port {self._port} ({' and '.join(taken)}) is another program's, so nobody finds this host by "
                f"asking; see who with: ss -ulpn sport = :{self._port}",
            )
        else:
            self._board.clear_reason(TAKEN)

    def filter(self, program: tuple[Instruction, ...]) -> None:
        """Hear what this program lets through, from the next datagram on."""
        self._program = program
        for held in self._sockets.values():
            held.filter(program)

    def listen(self, on_arrival: OnArrival) -> None:
        """Hand every datagram to `on_arrival`."""
        self._on_arrival = on_arrival
        for held in self._sockets.values():
            held.listen(on_arrival)

    def send(
        self,
        data: bytes,
        to: Address,
        port: int = 0,
        *,
        ifindex: int = 0,
        source: Address | None = None,
    ) -> bool:
        """Send a datagram (LanSocket.send; port 0: ours, which is everybody's). What fails is counted.

        Returns:
            False: the buffer is full of what waits for ARP; the same may pass a little later.
        """
        held = self._sockets.get(to.version)
        if held is None:
            return True
        try:
            held.send(data, to, port or self._port, ifindex=ifindex, source=source)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.ENOBUFS):
                self._board.count("lan_delayed")
                return False
            if exc.errno == errno.EPERM:
                self._board.count("lan_filtered_here")
                self._warn("lan_send_filtered", to.version, "a filter of this host, or IPAddressDeny= of its unit")
            else:
                self._board.count("lan_unsent")
        else:
            self._board.count("lan_sent")
        return True

    def close(self) -> None:
        """Let go of the port. Again: nothing."""
        for held in self._sockets.values():
            held.close()
        self._sockets.clear()

    def _open_any(self, version: int) -> None:
        if version not in self._sockets:
            try:
                self._replace(version, self._bind(FAMILIES[version], 0))
            except OSError as exc:
                self._warn("lan_socket_failed", version, f"{exc}")

    def _bind(self, family: socket.AddressFamily, port: int) -> LanSocket:
        return LanSocket(self._loop, family, port, program=self._program, budget=self._budget, clock=self._clock)

    def _replace(self, version: int, made: LanSocket) -> None:
        if version in self._sockets:
            self._sockets[version].close()
        self._sockets[version] = made
        if self._on_arrival is not None:
            made.listen(self._on_arrival)

    def _warn(self, event: str, version: int, reason: str) -> None:
        self._log.log(logging.WARNING, event, key=(event, version), value=reason, family=f"IPv{version}", reason=reason)
