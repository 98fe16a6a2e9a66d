"""The clients of this process that are not closed: finished at exit, and others in a forked child."""

import atexit
import os
import time
from typing import Protocol

from mirosd_client.shell.reactor import Reactor as Reactor  # noqa: PLC0414 -- its hook after a fork has to be the first

CLOSE_S = 2.0
"""How long closing waits for accepted events to be safe."""


class OpenClient(Protocol):
    """A client, as the process sees it."""

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is safe, then disconnect."""

    def become_another(self) -> None:
        """In a forked child: begin anew, under an identity of its own."""


def _finish_all() -> None:
    """At exit: two seconds for all clients together. They still accept: charts may be running to the last."""
    deadline_s = time.monotonic() + CLOSE_S
    for client in list(OPEN_CLIENTS):
        client.finish(max(0.0, deadline_s - time.monotonic()))


def _after_fork_in_child() -> None:
    for client in OPEN_CLIENTS:
        client.become_another()


OPEN_CLIENTS: set[OpenClient] = set()
atexit.register(_finish_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
