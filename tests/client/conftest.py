"""A fake daemon, a client of it, and a reactor that ends with the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosd_client.client import Client
from mirosd_client.shell.reactor import Reactor
from tests.client.fake_daemon import FakeDaemon


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor of this test alone; no callback may have failed on it."""
    made = Reactor(name="test reactor")
    yield made
    assert made.stop()
    assert made.failures == 0


@pytest.fixture
def socket_file(tmp_path: Path) -> Path:
    """Where the daemon's socket is, or will be."""
    return tmp_path / "mirosd.sock"


@pytest.fixture
def daemon(socket_file: Path) -> Iterator[FakeDaemon]:
    """A daemon that welcomes, binds, and settles nothing."""
    with FakeDaemon(socket_file) as made:
        yield made


@pytest.fixture
def client(socket_file: Path, reactor: Reactor) -> Iterator[Client]:
    """A client of that socket, whether a daemon is there or not."""
    made = Client(str(socket_file), reactor=reactor)
    yield made
    made.close(timeout_s=0)
