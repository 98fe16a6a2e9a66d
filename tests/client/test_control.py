"""The tools' plain connection."""

import os
import socket
import threading
from pathlib import Path

import pytest

from mirosd_client.control import ControlConnection
from mirosd_client.errors import DaemonRefusedError, DaemonUnavailableError, NotPermittedError, RemoteProtocolError
from mirosd_client.messages import Closing, Done, Failed, Row, Welcome
from tests.client.fake_daemon import FakeDaemon, until


def test_an_answer_is_its_rows_and_its_result(daemon: FakeDaemon) -> None:
    """Rows in order, then what Done holds."""
    daemon.answers["peers"] = ([{"node": "a"}, {"node": "b"}], {"total": 2})

    with ControlConnection(str(daemon.path)) as control:
        assert control.ask("peers", {"why": True}) == ([{"node": "a"}, {"node": "b"}], {"total": 2})
        assert control.welcome.name == "h1"
        assert daemon.link.asks[0].args == {"why": True}
        assert daemon.link.hello is not None
        assert daemon.link.hello.program == "mirosctl"


def test_rows_come_as_they_are_sent(daemon: FakeDaemon) -> None:
    """A stream yields before it ends, and answers to others are passed over."""
    with ControlConnection(str(daemon.path)) as control:
        answer = control.stream("watch", timeout_s=30)

        def say() -> None:
            number = until(lambda: daemon.link.asks)[0].id
            daemon.link.say(Row(99, {"not": "ours"}))
            daemon.link.say(Row(number, {"n": 1}))

        thread = threading.Thread(target=say)
        thread.start()
        assert next(answer) == {"n": 1}
        thread.join()
        daemon.link.say(Done(daemon.link.asks[0].id, {"n": 1}))
        with pytest.raises(StopIteration) as end:
            next(answer)
        assert end.value.value == {"n": 1}


@pytest.mark.parametrize(
    ("code", "error"), [("not_permitted", NotPermittedError), ("unknown_verb", DaemonRefusedError)]
)
def test_a_refusal_has_the_daemons_code_and_text(daemon: FakeDaemon, code: str, error: type[Exception]) -> None:
    """NotPermittedError is one of its own: it has its own exit status."""
    with ControlConnection(str(daemon.path)) as control:
        thread = threading.Thread(
            target=lambda: daemon.link.say(Failed(until(lambda: daemon.link.asks)[0].id, code, "the cure"))
        )
        thread.start()
        with pytest.raises(error, match="the cure") as caught:
            control.ask("x")
        thread.join()
        assert getattr(caught.value, "code", None) == code


def test_nobody_there_lists_what_was_tried(tmp_path: Path) -> None:
    """The error names the socket and how to start a daemon."""
    with pytest.raises(DaemonUnavailableError, match=f"{tmp_path}/none.*systemctl start mirosd"):
        ControlConnection(str(tmp_path / "none"))


def test_a_silent_daemon_is_told_from_an_absent_one(socket_file: Path) -> None:
    """One that accepts and does not answer is perhaps stopped."""
    with FakeDaemon(socket_file, welcomes=False), pytest.raises(DaemonUnavailableError, match="does not answer"):
        ControlConnection(str(socket_file), timeout_s=0.05)


def test_a_daemon_that_goes_away_is_unavailable(daemon: FakeDaemon) -> None:
    """Its end in the middle of an answer is an error, not a hang."""
    with ControlConnection(str(daemon.path)) as control:
        daemon.link.cut()
        with pytest.raises(DaemonUnavailableError):
            control.ask("status")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (Closing("version", "upgrade"), DaemonRefusedError),
        (Welcome(2, "n", "h", "s", "c", "9", []), RemoteProtocolError),
        (Done(1), RemoteProtocolError),
    ],
)
def test_what_does_not_welcome_is_an_error(socket_file: Path, words: Closing, error: type[Exception]) -> None:
    """Another version, or another program, is said to be so."""
    with FakeDaemon(socket_file) as daemon:
        daemon.first_words = words
        with pytest.raises(error):
            ControlConnection(str(socket_file))


def test_junk_is_a_protocol_error(socket_file: Path) -> None:
    """Whatever listens there, a tool ends with an error of its own."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_file))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(10_000)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError):
            ControlConnection(str(socket_file), timeout_s=30)
        thread.join()


def test_the_secret_is_another_each_time(daemon: FakeDaemon) -> None:
    """Two tools of one user are two clients."""
    with ControlConnection(str(daemon.path)), ControlConnection(str(daemon.path)):
        first, second = daemon.nth(1).hello, daemon.nth(2).hello

    assert first is not None
    assert second is not None
    assert first.secret != second.secret
    assert first.pid == os.getpid()
