"""A loop whose clock jumps: when nothing is left to do now, it is already the time of the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: what was to be waited goes on the clock."""

    now_s = 0.0
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to do, and no timer is set: a real loop would hang"
        self.now_s += max(timeout, 0.0)
        self.turns += 1
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for what does no I/O and has no threads. Its time begins at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Give the seconds since the loop began."""
        return self._jumping.now_s

    def spend(self, seconds: float) -> None:
        """Be busy for so long: what is due meanwhile comes late."""
        self._jumping.now_s += seconds

    @property
    def turns(self) -> int:
        """How often the loop has gone round."""
        return self._jumping.turns


def run_virtually(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in no time. What only the loop's handler heard is an AssertionError."""
    unheard: list[dict[str, Any]] = []

    async def heard() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        await work

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(heard())
    assert unheard == []
