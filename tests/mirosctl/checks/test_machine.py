"""The machine as the doctor reads it: real files, groups, ports and commands."""

import grp
import os
import pwd
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirosctl.checks import machine
from mirosctl.checks.machine import ThisMachine

CONNECTION_START = b"\x01\x00\x00"


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """Give a port where whoever connects gets an answer after his hello; None: never."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                heard.append(client.recv(8))
                if answer is not None:
                    client.sendall(answer)
                done.wait(30)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            serving.join()
    assert [b"AMQP\0\0\x09\x01"] == heard


@pytest.mark.parametrize(("answer", "code"), [(CONNECTION_START, ""), (b"HTTP/1.1 400", "amqp"), (b"AMQP", "amqp")])
def test_a_greeting(answer: bytes, code: str) -> None:
    """A broker begins with a method; a web server, or a broker of another version, does not."""
    with answering(answer) as port:
        assert code == ThisMachine().greet("127.0.0.1", port).code


def test_a_broker_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as slow, after so long as one waits for it."""
    monkeypatch.setattr(machine, "GREET_S", 0.05)
    with answering(None) as port:
        greeting = ThisMachine().greet("127.0.0.1", port)

    assert "slow" == greeting.code
    assert 0.05 <= greeting.took_s


def test_nobody_there() -> None:
    """A port where nobody listens, and a name that nobody knows."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert "refused" == ThisMachine().greet("127.0.0.1", port).code
    assert "unreachable" == ThisMachine().greet("no such name", 5672).code


def command(directory: Path, name: str, script: str) -> None:
    """Lay a command down."""
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only directory that commands are found in."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    return tmp_path


def test_what_systemd_says(commands: Path) -> None:
    """By its names of properties; nothing where it is not, or fails."""
    command(commands, "systemctl", '[ "$2" = mirosd.service ] && printf "LoadState=loaded\\nResult=exit-code\\n"')
    assert {"LoadState": "loaded", "Result": "exit-code"} == ThisMachine().unit()

    command(commands, "systemctl", "exit 1")
    assert ThisMachine().unit() is None


@pytest.mark.parametrize(("said", "is_set"), [("yes", True), ("no", False), ("", None)])
def test_what_timedatectl_says(commands: Path, said: str, is_set: bool | None) -> None:
    """NTP keeps the clock, or does not; or nobody knows."""
    command(commands, "timedatectl", f"echo {said}")

    assert is_set is ThisMachine().clock_is_set()


def test_without_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known, and nothing fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MIROSD_CONFIG", str(tmp_path / "none"))

    assert (None, None, None) == (
        ThisMachine().unit(),
        ThisMachine().clock_is_set(),
        ThisMachine().config_faults(),
    )


def test_what_the_check_of_the_configuration_says(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault, without the file's name above them."""
    monkeypatch.setenv("MIROSD_CONFIG", str(commands / "config.yaml"))
    command(commands, "mirosd", 'printf "F:\\n  line 3: wrong\\n  line 4: worse\\n" >&2; exit 2')
    assert ["line 3: wrong", "line 4: worse"] == ThisMachine().config_faults()

    command(commands, "mirosd", "echo configuration OK")
    assert [] == ThisMachine().config_faults()


def test_who_may_use_a_socket(tmp_path: Path) -> None:
    """Its group and mode, and whether the user and this login are in it."""
    path = tmp_path / "s"
    path.touch()
    path.chmod(0o640)
    access = ThisMachine().access(str(path))
    gid = path.stat().st_gid

    assert access is not None
    assert (pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid).gr_name, 0o640) == access[:3]
    assert (True, False) == (access.holds_group, access.is_hidden)
    assert ThisMachine().access(str(tmp_path / "none")) is None


def test_who_may_read_a_key(tmp_path: Path) -> None:
    """Its mode and group; or that there is none."""
    path = tmp_path / "k"
    path.touch()
    path.chmod(0o644)
    key = ThisMachine().key_file(str(path))

    assert key is not None
    assert (True, 0o644) == (key.exists, key.mode)
    assert ThisMachine().key_file(str(tmp_path / "none")) == (False, 0, "")
    assert ThisMachine().key_file(str(path / "beneath")) is None
