"""The client that all networked charts of a process share: one connection for all of them."""

import os
import threading

from mirosd_client.client import Client


def default_client(socket: str | None = None) -> Client:
    """Give the shared client, one per socket argument."""
    with _lock:
        client = _defaults.get(socket)
        if client is None or client.is_closed:
            client = _defaults[socket] = Client(socket)
        return client


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 -- whoever held it in the parent does not exist here
    _lock = threading.Lock()


_lock = threading.Lock()
_defaults: dict[str | None, Client] = {}
os.register_at_fork(after_in_child=_after_fork_in_child)
