"""The Unix socket between a program and its daemon, and the thread that a program's client has.

As the kernel has it: each direction holds SOCKET_BYTES. What one end has written there outlives it, and is read
before the end of the stream; what it could not write yet dies with it.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from mirosd.localapi.desk import Desk
from mirosd.localapi.session import Session
from tests.simulation.processes import Process

SOCKET_BYTES = 8 * 1024
"""Linux has 208 KiB; less makes a reader that is behind matter within a few hundred events."""

HIGH_WATER_BYTES = 64 * 1024
"""Beyond, asyncio tells a protocol to write no more for now."""

WAKE_S = 0.002
"""The longest until a process that can read does."""


class LocalSession(Session):
    """A daemon's end, whose socket is no kernel's."""

    def is_peer_gone(self) -> bool:
        """Say whether the program has closed."""
        return bool(self._transport.get_extra_info("is_peer_gone"))


class LocalSocket:
    """The program's end, and all between it and the daemon's transport."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, random: Random, program: Process, daemon: Process, desk: Desk
    ) -> None:
        self.program, self.daemon = program, daemon
        self.to_daemon, self.to_program = bytearray(), bytearray()
        self.is_closed_here = self.is_closed_there = False
        self.on_readable: Callable[[], object] | None = None
        self.on_writable: Callable[[], object] | None = None
        self._loop, self._random = loop, random
        self._is_woken = False
        self.transport = LocalTransport(self)
        daemon.run(self.transport.begin, desk)

    # what the client library calls

    def send(self, data: bytes) -> int:
        """Write what there is room for."""
        if self.is_closed_there:
            raise BrokenPipeError(32, "the daemon is gone")
        room = SOCKET_BYTES - len(self.to_daemon)
        if room <= 0:
            raise BlockingIOError
        self.to_daemon += data[:room]
        self.transport.wake()
        return min(room, len(data))

    def recv(self, size: int) -> bytes:
        """Read what is there; b"" at the end."""
        if not self.to_program and not self.is_closed_there:
            raise BlockingIOError
        data = bytes(self.to_program[:size])
        del self.to_program[:size]
        self.transport.drained()
        if self.to_program or self.is_closed_there:
            self.wake()
        return data

    def shutdown(self, _how: int) -> None:
        """End both ways, after a write that failed: what the daemon wrote is still read, and then the end."""
        self.wake()

    def close(self) -> None:
        """Close: the daemon reads what was written, then the end."""
        self.is_closed_here = True
        self.transport.wake()

    # what stands for the kernel

    def wake(self) -> None:
        """There is something to read for the program."""
        if not self._is_woken and not self.is_closed_here:
            self._is_woken = True
            self._loop.call_later(self.way_s(), self._readable, context=self.program.context)

    def writable(self) -> None:
        """There is room again."""
        if not self.is_closed_here and self.on_writable is not None:
            self._loop.call_soon(self.on_writable, context=self.program.context)

    def way_s(self) -> float:
        """Give how long it takes a process to be woken."""
        return self._random.random() * WAKE_S

    def _readable(self) -> None:
        self._is_woken = False
        if not self.is_closed_here and self.on_readable is not None:
            self.on_readable()


class LocalTransport(asyncio.Transport):
    """The daemon's end."""

    def __init__(self, socket: LocalSocket) -> None:
        super().__init__()
        self._socket = socket
        self._unwritten = bytearray()
        self._is_paused = self._is_woken = self._is_closing = self._is_over = self._is_full = False
        self._loop = asyncio.get_running_loop()

    def begin(self, desk: Desk) -> None:
        """The daemon accepts."""
        self._session = LocalSession(desk)
        self._loop.call_soon(self._session.connection_made, self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell what the session asks for."""
        return self._socket.is_closed_here if name == "is_peer_gone" else default

    def write(self, data: Any) -> None:
        """Write, into the socket as far as there is room."""
        if self._is_closing or self._is_over:
            return
        self._unwritten += data
        self.drained()
        if not self._is_full and len(self._unwritten) > HIGH_WATER_BYTES:
            self._is_full = True
            self._session.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Give the bytes that the socket had no room for."""
        return len(self._unwritten)

    def pause_reading(self) -> None:
        """Read no more."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Read again."""
        self._is_paused = False
        self.wake()

    def close(self) -> None:
        """End when all is written."""
        self._is_closing = True
        self.drained()

    def abort(self) -> None:
        """End now."""
        self._unwritten.clear()
        self._is_closing = True
        self.drained()

    def farewell(self) -> None:
        """The daemon stops in order."""
        self._session.farewell("stopping", "the daemon stops; connect again when it is back")

    def died(self) -> None:
        """The daemon's process is gone."""
        self._is_over = True
        self._unwritten.clear()
        self._end()

    def drained(self) -> None:
        """The program has read: there may be room."""
        socket = self._socket
        if socket.daemon.is_stopped:  # it writes when it goes on
            self._loop.call_soon(self.drained, context=socket.daemon.context)
            return
        if self._unwritten:
            room = SOCKET_BYTES - len(socket.to_program)
            socket.to_program += self._unwritten[:room]
            del self._unwritten[: max(room, 0)]
        if socket.to_program:
            socket.wake()
        if self._unwritten:
            return
        if self._is_full:
            self._is_full = False
            self._loop.call_soon(self._session.resume_writing, context=socket.daemon.context)
        if self._is_closing and not self._is_over:
            self._is_over = True
            self._end()
            self._loop.call_soon(self._session.connection_lost, None, context=socket.daemon.context)

    def wake(self) -> None:
        """There is something to read for the daemon."""
        if not self._is_woken and not self._is_over:
            self._is_woken = True
            self._loop.call_later(self._socket.way_s(), self._read, context=self._socket.daemon.context)

    def _read(self) -> None:
        self._is_woken = False
        socket = self._socket
        if self._is_paused or self._is_over:
            return
        if socket.to_daemon:
            data = bytes(socket.to_daemon)
            socket.to_daemon.clear()
            self._session.data_received(data)
            socket.writable()
            self.wake()
        elif socket.is_closed_here:
            self._session.eof_received()
            self.abort()

    def _end(self) -> None:
        self._socket.is_closed_there = True
        self._socket.to_daemon.clear()
        self._socket.wake()


class SimReactor:
    """The client's thread (mirosd_client.shell.reactor.Reactor), as callbacks of a program's process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: Process) -> None:
        self._loop, self._process = loop, process
        self.now = loop.time

    def call(self, function: Callable[[], object]) -> None:
        """Call it soon."""
        self._loop.call_soon(function, context=self._process.context)

    def after(self, delay_s: float, function: Callable[[], object]) -> asyncio.TimerHandle:
        """Call it later."""
        return self._loop.call_later(delay_s, function, context=self._process.context)

    def in_thread(self) -> bool:
        """Always: there is no other."""
        return True

    def watch(
        self, socket: LocalSocket, *, on_readable: Callable[[], object], on_writable: Callable[[], object]
    ) -> None:
        """Call when there is something to read."""
        socket.on_readable, self._on_writable = on_readable, on_writable
        socket.wake() if socket.to_program or socket.is_closed_there else None

    def set_writable(self, socket: LocalSocket, wanted: bool) -> None:
        """Call when there is room, too."""
        socket.on_writable = self._on_writable if wanted else None
        if wanted and len(socket.to_daemon) < SOCKET_BYTES:
            socket.writable()

    def unwatch(self, socket: LocalSocket) -> None:
        """Call no more."""
        socket.on_readable = socket.on_writable = None
