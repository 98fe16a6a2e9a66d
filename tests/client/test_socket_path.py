"""Where the daemon's socket is looked for."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mirosd_client.errors import DaemonUnavailableError
from mirosd_client.socket_path import SYSTEM_SOCKET, candidates, open_socket

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
