"""The tools' plain connection."""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from mirosd_client import codec
from mirosd_client.control import ControlConnection
from mirosd_client.errors import (
    DaemonRefusedError,
    DaemonUnavailableError,
    NotPermittedError,
    RemoteProtocolError,
    SilentDaemonError,
)
from mirosd_client.limits import MAX_FRAME_BYTES
from mirosd_client.messages import Ask, Closing, Done, Failed, Fate, Row, Welcome
from mirosd_client.wire import Ack, Delivery, Network, Settled
from tests.client.fake_daemon import FakeDaemon, until
from tests.client.stoppable_daemon import stoppable


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


def test_an_event_is_sent_and_followed(daemon: FakeDaemon) -> None:
    """As this client's own record; what became of it is asked for before it goes, and waited for."""
    daemon.settles = True
    with ControlConnection(str(daemon.path)) as control:
        assert control.transmit("PING", {"n": (1, 2)}, "a.b") == Fate([1], confirmed=1)
        assert control.transmit("PONG", None, "a.c") == Fate([1, 2], confirmed=1)
        first, second = daemon.link.records

    assert [(e.network, e.routing_key) for e in daemon.link.events] == [(Network.MESH, "a.b"), (Network.MESH, "a.c")]
    assert (first.client, first.signal, codec.decode(first.payload)) == (daemon.link.client, "PING", {"n": (1, 2)})
    assert (second.sequence, second.hlc > first.hlc) == (2, True)


def test_bytes_are_sent_as_they_are(daemon: FakeDaemon) -> None:
    """What was encoded elsewhere crosses unchanged, with its content type and its extension."""
    daemon.settles = True
    with ControlConnection(str(daemon.path)) as control:
        fate = control.transmit_bytes("PING", b"\x00raw", "a.b", content_type="mine", extension=b"\x09\x01x")
        (record,) = daemon.link.records

    assert Fate([1], confirmed=1) == fate
    assert ("PING", b"\x00raw", "mine", b"\x09\x01x") == (
        record.signal,
        record.payload,
        record.content_type,
        record.extension,
    )


def test_everything_can_be_received(daemon: FakeDaemon) -> None:
    """Messages, deliveries and progress, in their order; an answer to a question that was only begun; or nothing."""
    daemon.answers["peers"] = ([{"n": 1}], {})
    with ControlConnection(str(daemon.path)) as control:
        number = control.begin("peers")
        received = [control.receive(30.0), control.receive(30.0)]
        daemon.link.deliver(3, 9, b"")
        daemon.link.settle(1)
        received += [control.receive(30.0), control.receive(30.0), control.receive(0.0)]
        control.acknowledge(3, 9)
        acks = until(lambda: daemon.link.acks)

    assert [Row(number, {"n": 1}), Done(number), Delivery(3, 9, 0, False, b""), Settled(1, 1, 0), None] == received
    assert number > 0xFFFF, "a Failed may answer a subscription too"
    assert [Ack(3, 9)] == acks


def test_a_short_wait_is_not_the_next_ones(daemon: FakeDaemon) -> None:
    """What is sent after a moment's listening has all the time that sending has."""
    daemon.answers["peers"] = ([], {})
    with ControlConnection(str(daemon.path), timeout_s=30.0) as control:
        assert control.receive(0.0) is None
        control.say(Ask(9, "peers", {}))

        assert 30.0 == control._socket.gettimeout()


def test_what_becomes_of_other_events_is_passed_over(daemon: FakeDaemon) -> None:
    """Only what is told of this event ends the waiting; that it is safe does not."""
    with ControlConnection(str(daemon.path)) as control:

        def say() -> None:
            for sequence in (1, 2):
                until(lambda sequence=sequence: len(daemon.link.records) == sequence)  # type: ignore[misc]
                daemon.link.say(Row(99, {}))
                daemon.link.settle(safe=sequence, settled=sequence - 1)
                daemon.link.say(Fate([sequence - 1], expired=1))
                daemon.link.say(Fate([sequence], unroutable=sequence))

        thread = threading.Thread(target=say)
        thread.start()
        fates = [control.transmit("PING", None, "k", settle_s=30) for _ in range(2)]
        thread.join()

    assert fates == [Fate([1], unroutable=1), Fate([2], unroutable=2)]


def test_who_is_away_is_waited_for_no_longer_than_asked(daemon: FakeDaemon) -> None:
    """A safe event is given up after its time, whether the daemon goes on talking or not; nothing is known of it."""
    with ControlConnection(str(daemon.path)) as control:

        def say() -> None:
            for sequence in (1, 2):
                until(lambda sequence=sequence: len(daemon.link.records) == sequence)  # type: ignore[misc]
                daemon.link.settle(safe=sequence, settled=0)

        thread = threading.Thread(target=say)
        thread.start()
        fates = [control.transmit("PING", None, "k", settle_s=settle_s) for settle_s in (0.0, 0.05)]
        thread.join()

    assert fates == [None, None]


def test_who_may_not_transmit_is_told_so(daemon: FakeDaemon) -> None:
    """The daemon ends such a connection; the error is the one that other refusals are."""
    with ControlConnection(str(daemon.path)) as control:
        daemon.link.say(Closing("not_permitted", "the cure"))
        with pytest.raises(NotPermittedError, match="the cure"):
            control.transmit("PING", None, "k")


def test_who_still_speaks_when_it_is_refused_is_told_why(daemon: FakeDaemon) -> None:
    """A tool sends one message after the other; the refusal of the first may end the connection before the next."""
    with ControlConnection(str(daemon.path)) as control:
        daemon.link.say(Row(1, {}))
        daemon.link.say(Closing("not_permitted", "the cure"))
        daemon.link.cut()
        with pytest.raises(NotPermittedError, match="the cure"):
            control.ask("status")


def test_a_daemon_that_takes_nothing_is_silent(socket_file: Path) -> None:
    """Its socket is full: it is stopped, and not gone."""
    with stoppable(socket_file) as daemon, ControlConnection(str(socket_file), timeout_s=0.5) as control:
        os.kill(daemon.pid, signal.SIGSTOP)
        os.waitpid(daemon.pid, os.WUNTRACED)  # until then it may read on
        with pytest.raises(SilentDaemonError, match="does not answer"):
            control.begin("status", {"padding": "x" * (MAX_FRAME_BYTES - 1_000)})


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


def test_a_daemon_that_stops_is_unavailable(daemon: FakeDaemon) -> None:
    """Its farewell is no refusal: whoever waits may wait for the next one."""
    with ControlConnection(str(daemon.path)) as control:
        daemon.link.say(Closing("stopping", "connect again"))
        with pytest.raises(DaemonUnavailableError, match="connect again"):
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
