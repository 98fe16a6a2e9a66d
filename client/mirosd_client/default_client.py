"""The client that all networked charts of a process share: one connection for all of them."""

import os
import threading

from mirosd_client.client import Client
from mirosd_client.socket_path import StrPath, path_text


def default_client(socket: StrPath | None = None) -> Client:
    """Give the shared client, one per socket argument."""
    path = path_text(socket)
    with _lock:
        client = _defaults.get(path)
        if client is None or client.is_closed:
            client = _defaults[path] = Client(path)
        return client


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 -- whoever held it in the parent does not exist here
    _lock = threading.Lock()


_lock = threading.Lock()
_defaults: dict[str | None, Client] = {}
os.register_at_fork(after_in_child=_after_fork_in_child)
