"""A daemon to ask, and the command that asks it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mirosctl.main import main
from tests.mirosctl.fake_daemon import FakeDaemon
from tests.mirosctl.setup_rig import FakeRabbit, Place

Run = Callable[..., Result]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon that answers what a test writes into its `answers`."""
    with FakeDaemon(tmp_path / "mirosd.sock", {}) as running:
        yield running


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    """Run mirosctl with the given words against the daemon; an exception that is no exit is the test's."""

    def run_mirosctl(*words: str) -> Result:
        return CliRunner(env={"MIROSD_SOCKET": daemon.path}, catch_exceptions=False).invoke(main, words)

    return run_mirosctl


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A host to set up, in a folder of its own; whoever runs the test is its root."""
    return Place(tmp_path / "host", monkeypatch)


@pytest.fixture
def rabbit(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> FakeRabbit:
    """The RabbitMQ of that host."""
    return FakeRabbit(tmp_path, place, monkeypatch)
