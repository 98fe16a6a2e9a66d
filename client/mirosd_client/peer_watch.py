"""The peers table followed as it changes: first who is there, then each change, until it is closed."""

import threading
from types import TracebackType
from typing import Any, Self

from mirosd_client.control import ControlConnection
from mirosd_client.errors import MirosdError

UNENDING_S = 365 * 86_400.0
"""How long the daemon may have nothing to tell; one that ends is noticed at once."""


class PeerWatch:
    """An iterator over what happens to the peers, on a connection of its own.

    Gives {"change": "appeared", "peer": {...}} for each peer that there is, then {"change": "complete"}, then
    {"change": "appeared" | "changed" | "gone", "peer": {...}} as it happens, with the fields of `mirosctl peers
    --json`. One thread iterates, and waits; `close` may be called by any, and ends the iteration.

    Raises:
        DaemonUnavailableError: the daemon is not there, or, while iterating, has gone: make another watch.
        NotPermittedError: the caller may not read; says what would permit it.
    """

    def __init__(self, socket: str | None = None, *, program: str = "") -> None:
        self._connection = ControlConnection(socket, program=program)
        self._changes = self._connection.stream("peers_watch", timeout_s=UNENDING_S)
        self._reading = threading.RLock()
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        with self._reading:
            if self._is_closed:
                raise StopIteration
            try:
                return next(self._changes)
            except MirosdError:
                if self._is_closed:
                    raise StopIteration from None
                self._connection.close()
                raise

    def close(self) -> None:
        """End the watch; whoever waits for a change is let go."""
        self._is_closed = True
        self._connection.interrupt()
        with self._reading:  # a descriptor is given back when nobody reads from it: its number may be another's at once
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
