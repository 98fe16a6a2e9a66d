"""What a program follows: an iterator that waits for what comes, on a connection of its own, until it is closed."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from mirosd_client.errors import MirosdError

T = TypeVar("T")

UNENDING_S = 365 * 86_400.0
"""How long the daemon may have nothing to tell; one that ends is noticed at once."""


class Interruptible(Protocol):
    """A connection that one thread waits at."""

    def interrupt(self) -> None:
        """Let go of who waits, by DaemonUnavailableError; any thread may call it."""

    def close(self) -> None:
        """End it."""


class Watch(Generic[T]):
    """One thread iterates, and waits; `close` may be called by any, and ends the iteration.

    Args:
        connection: that of `items`.

    Raises:
        DaemonUnavailableError: the daemon has gone, while iterating: make another watch.
    """

    def __init__(self, connection: Interruptible, items: Iterator[T]) -> None:
        self._connection, self._items = connection, items
        self._reading = threading.RLock()
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._reading:
            if self._is_closed:
                raise StopIteration
            try:
                return next(self._items)
            except MirosdError:
                if self._is_closed:
                    raise StopIteration from None
                self._connection.close()
                raise

    def close(self) -> None:
        """End the watch; whoever waits for something is let go."""
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
