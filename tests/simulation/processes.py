"""Processes of a simulated machine: every callback of the loop belongs to one, which can be stopped or killed.

Which one, says the context that the callback was made in. So the code under test needs to know nothing of it: its
tasks, timers and futures stand still with their process, and die with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from inspect import iscoroutine
from typing import Any, TypeVar

from tests.backends.virtual_time import VirtualLoop

T = TypeVar("T")

_current: ContextVar["Process | None"] = ContextVar("process", default=None)


class Process:
    """One process. What it is given to `run`, and all that follows from that, is its own.

    Args:
        name: for traces.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = self.is_stopped = False
        self.tasks: dict[asyncio.Task[Any], None] = {}  # in their order: closing them must not depend on addresses
        self._context = copy_context()
        self._context.run(_current.set, self)
        self._late: deque[_Turn] = deque()

    @property
    def context(self) -> Context:
        """A context in which callbacks are this process's."""
        return self._context.copy()

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function as this process."""
        return self.context.run(function, *arguments)

    def stop(self) -> None:
        """SIGSTOP: nothing of it runs; what comes waits."""
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT: all that waited runs, in its order."""
        self.is_stopped = False
        loop = asyncio.get_running_loop()
        for _ in self._late:
            loop.call_soon(self._catch_up, context=self.context)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more."""
        self.is_dead = True
        self._late.clear()
        for task in list(self.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is pending for good
            coroutine: Any = task.get_coro()
            frame = coroutine.cr_frame
            inner = [each for each in frame.f_locals.values() if iscoroutine(each)] if frame is not None else []
            for each in (coroutine, *inner):  # what it was to await may never have begun
                try:
                    each.close()
                except RuntimeError:
                    pass  # it waits even while it is being closed: nobody resumes it
        self.tasks.clear()

    def _catch_up(self) -> None:
        if self._late and not self.is_stopped:
            turn = self._late.popleft()
            if turn.handle is None or not turn.handle.cancelled():  # by one that ran before it
                turn.callback(*turn.arguments)

    def take(self, turn: "_Turn") -> None:
        """Run a callback, now or later or never."""
        if self.is_stopped:
            self._late.append(turn)
        elif not self.is_dead:
            turn.callback(*turn.arguments)


def current() -> Process | None:
    """Give the process whose callback runs."""
    return _current.get()


class _Turn:
    """A callback of a process. The handle is for whoever cancels it while it waits."""

    __slots__ = ("arguments", "callback", "handle")

    def __init__(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.callback, self.arguments = callback, arguments
        self.handle: asyncio.Handle | None = None


class SimLoop(VirtualLoop):
    """A loop in virtual time whose callbacks belong to processes."""

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context  # an empty one is false
        process = context.get(_current)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        turn = _Turn(callback, args)
        turn.handle = super().call_soon(process.take, turn, context=context)
        return turn.handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context  # an empty one is false
        process = context.get(_current)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        turn = _Turn(callback, args)
        turn.handle = handle = super().call_at(when, process.take, turn, context=context)
        return handle

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[T]":
        task = super().create_task(coro, name=name, context=context)
        process = (copy_context() if context is None else context).get(_current)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda done: process.tasks.pop(done, None) and None)
        return task


class ProcessLoop:
    """The loop as one process sees it, whoever's callback asks. For code that is called by others' (a broker)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: Process) -> None:
        self._loop, self._context = loop, process.context
        self.time, self.create_future = loop.time, loop.create_future
        self.call_exception_handler = loop.call_exception_handler

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As the loop's."""
        return self._loop.call_soon(callback, *args, context=self._context if context is None else context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As the loop's."""
        return self._loop.call_later(delay, callback, *args, context=self._context if context is None else context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As the loop's."""
        return self._loop.call_at(when, callback, *args, context=self._context if context is None else context)
