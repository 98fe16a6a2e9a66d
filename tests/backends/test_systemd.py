"""Messages to the service manager, read from a real datagram socket."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mirosd.backends.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket where the service manager would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_the_manager_hears_the_life_of_the_service(manager: socket.socket) -> None:
    """Each step of the service is one datagram, its text in one line."""
    notifier = Notifier()
    notifier.ready("2 peers")
    notifier.status("1 peer\nREADY=0\x1b")
    notifier.reloading()
    notifier.ready()
    notifier.stopping("asked to")
    heard = [manager.recv(4096).decode() for _ in range(5)]

    assert heard == [
        "READY=1\nSTATUS=2 peers",
        "STATUS=1 peer\N{REPLACEMENT CHARACTER}READY=0\N{REPLACEMENT CHARACTER}",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1\nSTATUS=asked to",
    ]


def test_without_a_manager_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, the daemon neither notifies nor warns, with the module or without."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    with structlog.testing.capture_logs() as logs:
        Notifier().ready()

    assert logs == []


def test_a_missing_module_is_one_warning(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the manager waits and systemd-python is missing, one warning tells the cure."""
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    with structlog.testing.capture_logs() as logs:
        notifier = Notifier()
        notifier.ready()
        notifier.stopping()

    assert [line["event"] for line in logs] == ["systemd_module_missing"]
    assert "python3-systemd" in logs[0]["cure"]


def test_a_manager_that_went_away_ends_nothing(manager: socket.socket) -> None:
    """A notification that cannot be sent is one warning."""
    notifier = Notifier()
    manager.close()
    with structlog.testing.capture_logs() as logs:
        notifier.ready()
        notifier.stopping()

    assert [line["event"] for line in logs] == ["systemd_not_notified"]


def test_the_status_is_told_when_it_changes(manager: socket.socket) -> None:
    """The same line again is no message, whichever message it came with; a keep-alive always is."""
    notifier = Notifier()
    notifier.ready("ready")
    for text in ("ready", "degraded", "degraded", "ready"):
        notifier.status(text)
    notifier.keep_alive()
    notifier.keep_alive()
    heard = [manager.recv(4096).decode() for _ in range(5)]

    assert ["READY=1\nSTATUS=ready", "STATUS=degraded", "STATUS=ready", "WATCHDOG=1", "WATCHDOG=1"] == heard


@pytest.mark.parametrize(
    ("usec", "pid", "watchdog_s"),
    [
        ("30000000", None, 30.0),
        ("500000", "ours", 0.5),
        ("30000000", "1", None),
        ("0", "ours", None),
        ("soon", "ours", None),
        (None, None, None),
    ],
)
def test_how_long_the_manager_waits(
    manager: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    usec: str | None,
    pid: str | None,
    watchdog_s: float | None,
) -> None:
    """The time is taken from the environment, unless it was announced to another process."""
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert watchdog_s == Notifier().watchdog_s


def test_nobody_waits_where_no_manager_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog that was announced to a parent is nothing to a daemon that nobody listens to."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")

    assert Notifier().watchdog_s is None
