"""Where the daemon's socket is looked for."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosd_client.errors import DaemonUnavailableError
from mirosd_client.socket_path import SYSTEM_SOCKET, candidates, open_socket
from tests.lab.waiting import until

ROOT = Path(__file__).parents[2]


def test_order_of_search() -> None:
    """Argument, environment, the system's, the user's; a named one is the only one."""
    environ = {"XDG_RUNTIME_DIR": "/run/user/1"}

    assert candidates(None, environ) == [SYSTEM_SOCKET, "/run/user/1/mirosd/mirosd.sock"]
    assert candidates(None, {}) == [SYSTEM_SOCKET]
    assert candidates(None, environ | {"MIROSD_SOCKET": "/e"}) == ["/e"]
    assert candidates("/a", environ | {"MIROSD_SOCKET": "/e"}) == ["/a"]


def test_the_first_that_answers_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent system daemon gives way to the user's own."""
    path = tmp_path / "mirosd" / "mirosd.sock"
    path.parent.mkdir()
    monkeypatch.delenv("MIROSD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("mirosd_client.socket_path.SYSTEM_SOCKET", str(tmp_path / "absent"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        open_socket(None, 1.0).close()
    path.unlink()

    with pytest.raises(DaemonUnavailableError) as caught:
        open_socket(None, 1.0)
    assert str(path) in str(caught.value)
    assert str(tmp_path / "absent") in str(caught.value)


FORBIDDEN = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from mirosd_client.control import ControlConnection
from mirosd_client.errors import NotPermittedError
try:
    ControlConnection(sys.argv[1])
except NotPermittedError as exc:
    print(exc.code, exc)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
def test_a_socket_that_may_not_be_used_says_what_would_permit_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A user outside of the group is told how to join it, and to log in again."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path_factory.getbasetemp() / "forbidden.sock"
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", FORBIDDEN, str(path)], capture_output=True, text=True, cwd=ROOT, check=True
        )

    assert done.stdout.startswith("not_permitted ")
    assert "usermod -aG mirosd" in done.stdout
    assert "log in again" in done.stdout


@pytest.fixture
def full(tmp_path: Path) -> Iterator[socket.socket]:
    """A daemon that has one at its door, and no place for another."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as one:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        one.connect(str(tmp_path / "s"))
        yield listener


def test_a_place_at_the_door_is_waited_for(tmp_path: Path, full: socket.socket) -> None:
    """Whoever has a timeout connects once somebody before him was let in."""
    waiting: list[socket.socket] = []
    thread = threading.Thread(target=lambda: waiting.append(open_socket(str(tmp_path / "s"), 30.0)))
    thread.start()
    until(lambda: not thread.is_alive() or " S " in Path(f"/proc/self/task/{thread.native_id}/stat").read_text())
    full.accept()[0].close()
    thread.join(30)

    assert [30.0] == [each.gettimeout() for each in waiting]
    waiting[0].close()


def test_nobody_waits_for_ever_at_the_door(tmp_path: Path, full: socket.socket) -> None:
    """The timeout holds there too, and 0 waits for nothing."""
    for timeout_s in (0.05, 0.0):
        with pytest.raises(DaemonUnavailableError, match="temporarily unavailable"):
            open_socket(str(tmp_path / "s"), timeout_s)


@pytest.mark.parametrize("is_argument", [False, True])
def test_a_url_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, is_argument: bool) -> None:
    """Given or in the environment: the cure says where an account goes, and the error does not spread it (D56)."""
    url = "amqp://u:hunter2@h"
    monkeypatch.setenv("MIROSD_SOCKET", "/nowhere" if is_argument else url)
    with pytest.raises(DaemonUnavailableError, match=r"broker\.password_file") as refused:
        open_socket(url if is_argument else None, 1.0)

    assert "hunter2" not in str(refused.value)
