"""A subscription as its owner holds it: whether it is bound, and how to end it."""

import logging
import threading
from collections.abc import Callable

from mirosd_client.errors import DaemonRefusedError, LocalProtocolError
from mirosd_client.intake import Intake

log = logging.getLogger("mirosd_client.subscription")


class Subscription:
    """A binding key on a network, with what arrives for it. Its methods may be called by any thread."""

    def __init__(
        self,
        intake: Intake,
        resume: Callable[["Subscription"], None],
        close: Callable[["Subscription"], None],
        in_thread: Callable[[], bool],
    ) -> None:
        self.intake = intake
        self._resume = resume
        self._close = close
        self._in_thread = in_thread  # whether the caller runs on the client's thread
        self._bound = threading.Event()  # or there is nothing to wait for: refused, ended
        self._refusal: DaemonRefusedError | None = None
        self._has_ended = False

    @property
    def number(self) -> int:
        """The subscription's number on the connection."""
        return self.intake.request.subscription

    @property
    def is_bound(self) -> bool:
        """True while the local broker is known to hold the binding."""
        return self._bound.is_set() and self._refusal is None and not self._has_ended

    def wait_bound(self, timeout_s: float | None = None) -> bool:
        """Wait until the local broker has confirmed the binding: what is sent from then on arrives.

        Returns:
            False when time ran out, or the subscription was closed, or its client.

        Raises:
            DaemonRefusedError: the daemon will not have it; says why.
            LocalProtocolError: called from a callback, which runs on the thread that would hear of it.
        """
        if not self._bound.is_set() and self._in_thread():
            raise LocalProtocolError("a callback runs on the client's thread, which cannot wait for a binding")
        is_bound = self._bound.wait(timeout_s)
        if self._refusal is not None:
            raise self._refusal
        return is_bound and not self._has_ended

    def resume(self) -> None:
        """There is room again for what waits."""
        self.intake.is_waiting = False  # said once; whoever finds no room from here on says so again
        self._resume(self)

    def close(self) -> None:
        """End the subscription; what waits is dropped, and who waits is let go."""
        self.end()
        self._close(self)

    def end(self) -> None:
        """It will not be bound any more."""
        self._has_ended = True
        self._bound.set()

    def abandon(self) -> None:
        """In a forked child: it is the parent's, whose threads may hold the old event's lock, for ever."""
        self._bound = threading.Event()
        self.end()

    def bound(self) -> None:
        """The daemon confirmed it."""
        self._refusal = None
        self._bound.set()

    def unbound(self) -> None:
        """The connection is gone; the binding is asked for again on the next."""
        if self._refusal is None:
            self._bound.clear()
        if self._has_ended:  # looked at last, as `end` notes it first: another thread may be there
            self._bound.set()

    def refused(self, error: DaemonRefusedError) -> None:
        """The daemon will not have it: said once, however often it is asked for again."""
        if str(error) != str(self._refusal):
            request = self.intake.request
            log.warning("%s gets nothing from %s: %s", request.chart or "a subscription", request.network, error)
        self._refusal = error
        self._bound.set()
