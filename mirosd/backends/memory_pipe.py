"""One direction of a connection to a memory broker: the wire between a link and the broker's end of it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class Pipe:
    """Frames arrive in the order they were sent, each in a later turn of the loop than it was sent, or never once cut.

    A frame is a function of the other end with its arguments. Thread: loop.

    Args:
        on_fault: told the exception of a frame, which is the receiver's own; by default the loop's handler is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_fault: Callable[[Exception], None] | None = None) -> None:
        self._loop, self._on_fault = loop, on_fault
        self._frames: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._is_awake = False
        self._is_held = False
        self._is_cut = False

    def send(self, frame: Callable[..., None], *arguments: Any) -> None:
        """Have `frame(*arguments)` called at the other end."""
        if not self._is_cut:
            self._frames.append((frame, arguments))
            self._wake()

    def hold(self, frame: Callable[..., None], *arguments: Any) -> None:
        """Let nothing through any more until go_on(), and then `frame` first."""
        self._frames.appendleft((frame, arguments))
        self._is_held = True

    def go_on(self) -> None:
        """End hold()."""
        self._is_held = False
        self._wake()

    def cut(self) -> None:
        """Drop what is on its way, and all that is sent from now on."""
        self._is_cut = True
        self._frames.clear()

    def pass_on(self, frame: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Hand one frame to the other end. A simulation that loses or delays frames does it here."""
        frame(*arguments)

    def _wake(self) -> None:
        if self._frames and not self._is_awake and not self._is_held:
            self._is_awake = True
            self._loop.call_soon(self._arrive)

    def _arrive(self) -> None:
        self._is_awake = False
        try:
            for _ in range(len(self._frames)):  # what is sent meanwhile is for a later turn
                if self._is_held or not self._frames:
                    break
                self.pass_on(*self._frames.popleft())
        except Exception as exc:  # the boundary: a frame calls what the link's user gave
            if self._on_fault is None:
                raise
            self._on_fault(exc)
        finally:
            self._wake()
