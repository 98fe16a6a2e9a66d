"""The way out to the daemon: what is to be written, gathered and written by the reactor's thread.

A thread that transmits only puts its event into the window and wakes the reactor, once
for all events until it runs. (To write from the transmitting thread itself was measured:
it brings an event to the daemon 0.03 ms earlier, and makes `transmit` three times as
slow while a daemon listens.)

No event is left behind: the reactor lowers `_is_woken` before it looks for events, and a
transmitter looks at it after its event is in.

Writes keep the interpreter's lock (shell/send_now.py): beside a thread that transmits
without a pause, each write would else cost the wait for it, 5 ms.
"""

import enum
import socket
from collections.abc import Callable

from mirosd_client.messages import Follow, encode_message
from mirosd_client.shell.send_now import send_now
from mirosd_client.window import Window
from mirosd_client.wire import encode_ack, encode_events

GATHER_BYTES = 128 * 1024
"""Written at once: two full bodies, about what a Unix socket takes."""
ROUNDS = 4
"""Writes before the reactor reads again: acknowledgements must keep pace with a flood."""


class Written(enum.Enum):
    """How far a write came."""

    ALL = enum.auto()
    SOME = enum.auto()
    BLOCKED = enum.auto()


class Outlet:
    """Output of one connection after the other. Thread: reactor, but for `kick`.

    Args:
        wake: has the reactor's thread call `write`; any thread may call it.
        now: seconds, the clock of the window.
    """

    def __init__(self, window: Window, wake: Callable[[], None], now: Callable[[], float]) -> None:
        self.is_open = False
        self.error: OSError | None = None
        self._window = window
        self._wake = wake
        self._now = now
        self._is_woken = False
        self._messages: list[bytes] = []
        self._acks: dict[int, int] = {}
        self._socket: socket.socket | None = None
        self._unwritten = b""

    def attach(self, connection: socket.socket) -> None:
        """Write to this socket from now on; events only once `open_events` was called."""
        self._socket = connection

    def open_events(self) -> None:
        """The daemon takes events now: all that it has not settled."""
        with self._window.lock:
            self._window.rewind()
            self.is_open = True

    def detach(self) -> None:
        """Write no more, and forget what was half written: the window has all of it."""
        self._socket = self.error = None
        self.is_open = False
        self._unwritten = b""
        self._messages.clear()
        self._acks.clear()

    def put(self, message: bytes) -> None:
        """Add a frame; goes out with the next `write`."""
        self._messages.append(message)

    def acknowledge(self, subscription: int, tag: int) -> None:
        """Report that everything up to `tag` is taken; goes out with the next `write`."""
        self._acks[subscription] = tag

    def kick(self) -> None:
        """There is something in the window. Thread: any."""
        if self.is_open and not self._is_woken:
            self._is_woken = True
            self._wake()

    def write(self) -> Written:
        """Write what there is; after SOME it has arranged to be called again. With `error` set the link is broken."""
        self._is_woken = False
        if self._socket is None:
            return Written.ALL
        for _ in range(ROUNDS):
            if not self._unwritten:
                self._unwritten = self._gather()
                if not self._unwritten:
                    return Written.ALL
            try:
                sent = send_now(self._socket, self._unwritten)
            except BlockingIOError:
                return Written.BLOCKED
            except OSError as exc:
                self.error = exc
                return Written.BLOCKED
            self._unwritten = self._unwritten[sent:]
            if not self._unwritten and not self._window.has_unsent:
                return Written.ALL
        self.kick()
        return Written.SOME

    def _gather(self) -> bytes:
        frames = [*self._messages, *(encode_ack(subscription, tag) for subscription, tag in self._acks.items())]
        self._messages.clear()
        self._acks.clear()
        size = 0
        while self.is_open and size < GATHER_BYTES:
            with self._window.lock:
                batch = self._window.take_batch(self._now())
                followed = self._window.take_asks()
            if followed:
                frames.append(encode_message(Follow(followed)))
            if batch is None:
                break
            frames.append(encode_events(*batch))
            size += len(frames[-1])
        return b"".join(frames)
