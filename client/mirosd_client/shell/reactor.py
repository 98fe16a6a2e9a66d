"""One thread that serves what must happen later or elsewhere: timers, calls from other threads, sockets.

A program gets one such thread for all of its charts and its connection together. It is
started by first use, blocks without a timeout while nothing is due, and is woken by one
byte on a socket pair, which is written only if no earlier byte is still unread.

Callbacks run on the reactor's thread and must not block. One that raises is logged and
counted; it never ends the thread. After a fork the child's reactor is as if new: what
the parent had scheduled or watched stays the parent's.
"""

import logging
import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mirosd_client.fault import as_fault
from mirosd_client.shell.bell import Bell
from mirosd_client.shell.timers import Timer, Timers

log = logging.getLogger("mirosd_client.reactor")


@dataclass(eq=False, slots=True)
class _Watch:
    """What to call when a socket is ready, and whether anybody waits for it to become writable."""

    on_readable: Callable[[], object] | None
    on_writable: Callable[[], object] | None
    waits_to_write: bool = False

    @property
    def events(self) -> int:
        read = selectors.EVENT_READ if self.on_readable else 0
        return read | (selectors.EVENT_WRITE if self.waits_to_write else 0)


class Reactor:
    """The thread, with its work.

    Args:
        clock: seconds that never go back; `now()` is this function.
        name: of the thread.

    `failures` counts callbacks that raised.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, name: str = "mirosd-client") -> None:
        self.now = clock
        self.failures = 0
        self._name = name
        self._fork_hooks: list[Callable[[], object]] = []
        self._begin()
        _reactors.add(self)

    def _begin(self) -> None:
        self._timers = Timers()
        self._calls: deque[Callable[[], object]] = deque()
        self._watches: dict[socket.socket, _Watch] = {}
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector | None = None
        self._bell: Bell | None = None
        self._ringing = False
        self._stopped = False

    # From any thread.

    def after(self, delay_s: float, fn: Callable[[], object], every_s: float | None = None) -> Timer:
        """Calls `fn` in `delay_s` seconds, then every `every_s` (> 0) from the time it was due, without drift."""
        timer, is_next = self._timers.add(self.now() + delay_s, fn, every_s)
        if is_next:
            self._wake()
        return timer

    def call(self, fn: Callable[[], object]) -> None:
        """Calls `fn` on the reactor's thread, soon; calls of one thread keep their order."""
        self._calls.append(fn)
        self._wake()

    def in_thread(self) -> bool:
        """Whether the caller runs on the reactor's thread."""
        return threading.current_thread() is self._thread

    def at_fork(self, fn: Callable[[], object]) -> None:
        """Calls `fn` in each forked child, once this reactor is as new there. The function is kept for good."""
        self._fork_hooks.append(fn)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ends the thread, for good: what is not done by then is forgotten, and using the reactor again raises.

        Returns whether the thread has ended: not if a callback holds it for longer than `timeout_s`,
        nor if the caller is that thread, which ends when its callback returns.
        """
        with self._start_lock:
            self._stopped = True
            thread = self._thread
        if thread is None:
            return True
        self._ring()
        if not self.in_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    # On the reactor's thread only.

    def watch(
        self,
        sock: socket.socket,
        *,
        on_readable: Callable[[], object] | None = None,
        on_writable: Callable[[], object] | None = None,
    ) -> None:
        """Calls back when a non-blocking socket is ready; for writing only while `set_writable(sock, True)`."""
        self._watches[sock] = watch = _Watch(on_readable, on_writable)
        self._listen(sock, watch.events)

    def set_writable(self, sock: socket.socket, wanted: bool) -> None:
        """Begins or ends to call `on_writable` while the socket can take bytes."""
        watch = self._watches[sock]
        if watch.waits_to_write != wanted:
            watch.waits_to_write = wanted
            self._listen(sock, watch.events)

    def unwatch(self, sock: socket.socket) -> None:
        """Calls back no more, not even for what is ready by now. To be done before the socket is closed."""
        if self._watches.pop(sock, None) is not None:
            self._listen(sock, 0)

    def _listen(self, sock: socket.socket, events: int) -> None:
        selector = self._selector
        if selector is None or not self.in_thread():
            raise RuntimeError("sockets are watched from the reactor's thread: use call()")
        known = sock in selector.get_map()
        if events and known:
            selector.modify(sock, events)
        elif events:
            selector.register(sock, events)
        elif known:
            selector.unregister(sock)

    # The thread.

    def _wake(self) -> None:
        if self._thread is None or self._stopped:
            self._start()
        if not self._ringing and not self.in_thread():
            self._ring()

    def _ring(self) -> None:
        self._ringing = True
        bell = self._bell
        if bell is not None:  # else the thread has ended
            bell.ring()

    def _start(self) -> None:
        with self._start_lock:
            if self._stopped:
                raise RuntimeError(f"the reactor {self._name} was stopped")
            if self._thread is None:
                self._selector = selectors.DefaultSelector()
                self._bell = Bell()
                self._selector.register(self._bell, selectors.EVENT_READ)
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread = thread
                thread.start()

    def _run(self) -> None:
        assert self._selector is not None and self._bell is not None, "made before the thread"
        try:
            while not self._stopped and self.in_thread():  # a callback that forks goes on as the child's main thread
                self._turn(self._selector, self._bell)
        finally:
            self._close()

    def _turn(self, selector: selectors.BaseSelector, bell: Bell) -> None:
        """Waits until something is ready, and serves that once."""
        ready = selector.select(self._until_due_s())
        for key, events in ready:
            if key.fileobj is bell:
                bell.hush()
            else:
                self._serve(key.fileobj, events)  # type: ignore[arg-type]
        self._run_ready()

    def _until_due_s(self) -> float | None:
        if self._calls:
            return 0.0
        due_s = self._timers.next_due_s()
        return None if due_s is None else max(0.0, due_s - self.now())

    def _serve(self, sock: socket.socket, events: int) -> None:
        for event, name in ((selectors.EVENT_READ, "on_readable"), (selectors.EVENT_WRITE, "on_writable")):
            watch = self._watches.get(sock)  # an earlier callback of this turn may have ended the watch, or the wish
            if events & event and watch is not None and watch.events & event:
                self._guard(getattr(watch, name))

    def _run_ready(self) -> None:
        # After the bell was read and before the calls are counted: whoever adds one from here on rings again.
        self._ringing = False
        for _ in range(len(self._calls)):  # calls made by these calls wait a turn, so that sockets get theirs
            self._guard(self._calls.popleft())
        now_s = self.now()
        while not self._stopped and (fn := self._timers.take_due(now_s)) is not None:
            self._guard(fn)

    def _guard(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except (Exception, SystemExit) as error:  # the thread serves others too; what one callback raises is its own
            self.failures += 1
            log.exception("a callback of the %s thread failed", self._name, exc_info=as_fault(error))

    def _close(self) -> None:
        if self._selector is not None:
            self._selector.close()
        self._bell = None

    def _reset_in_child(self) -> None:
        # The parent's selector and sockets are other descriptors of the same things: closing ours leaves theirs.
        self._close()
        self._begin()
        for hook in self._fork_hooks:
            self._guard(hook)


_reactors: "weakref.WeakSet[Reactor]" = weakref.WeakSet()
_default_lock = threading.Lock()
_default: list[Reactor] = []  # none or one


def default_reactor() -> Reactor:
    """The reactor that all charts and connections of this process share."""
    with _default_lock:
        if not _default:
            _default.append(Reactor())
        return _default[0]


def _after_fork_in_child() -> None:
    global _default_lock  # noqa: PLW0603 -- who held it in the parent does not exist here
    _default_lock = threading.Lock()
    for reactor in list(_reactors):
        reactor._reset_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
