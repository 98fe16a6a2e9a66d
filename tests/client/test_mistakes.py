"""What developers get wrong: they hear of it where they do it, and no other chart of the program is in trouble."""

import json
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirosd_client import MirosNets, NetworkedActiveObject, NetworkedFactory
from mirosd_client.client import Client
from mirosd_client.control import ControlConnection
from mirosd_client.default_client import default_client
from mirosd_client.errors import LocalProtocolError
from mirosd_client.fault import as_fault
from mirosd_client.messages import Watched
from mirosd_client.shell import INTERNAL_SIGNALS, Event, return_status, signals, spy_on
from mirosd_client.shell.reactor import Reactor
from mirosd_client.snoop_line import LINES_SIGNAL, decode_lines
from tests.client.fake_daemon import FakeDaemon, record, until

NO_TEXT = "\udcff"
"""A byte that is no UTF-8, as Python gives it from command lines and names of files."""


@spy_on
def leaving(chart: Any, e: Any) -> Any:
    """Leave the program at LEAVE; note every other event."""
    if e.signal_name in INTERNAL_SIGNALS:
        chart.temp.fun = chart.top
        return return_status.SUPER
    if e.signal_name == "LEAVE":
        sys.exit(3)
    chart.got.append(e.signal_name)
    return return_status.HANDLED


def is_served(daemon: FakeDaemon, client: Client) -> bool:
    """Tell whether a client's events still reach the daemon, on its first connection."""
    count = len(daemon.link.records)
    client.transmit("STILL_THERE")
    until(lambda: len(daemon.link.records) == count + 1)
    return len(daemon.links) == 1


def test_a_serializer_gives_bytes(daemon: FakeDaemon, client: Client) -> None:
    """json.dumps gives text: said to who transmits, as the event would be in the way of all that follow."""
    chart = NetworkedActiveObject("a", client=client, serializer=json.dumps)  # type: ignore[arg-type]
    assert client.wait_connected(30)

    with pytest.raises(LocalProtocolError, match="crosses as bytes; the serializer made str of it"):
        chart.transmit(Event(signal=signals.PING))
    assert is_served(daemon, client)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (5, "the binding key is text, and no int"),
        (None, "the binding key is text, and no NoneType"),
        (NO_TEXT, "has bytes that are not UTF-8"),
        ("k" * 256, "the binding key has at most 255 bytes, not 256"),
    ],
    ids=["number", "none", "no text", "long"],
)
def test_a_binding_key_is_text(daemon: FakeDaemon, client: Client, key: Any, why: str) -> None:
    """Any other would end the connection of the whole program, again and again."""
    with pytest.raises(LocalProtocolError, match=why):
        client.subscribe(key, print)
    assert is_served(daemon, client)


@pytest.mark.parametrize("key", [5, NO_TEXT, "k" * 256], ids=["number", "no text", "long"])
def test_a_routing_key_is_text(client: Client, key: Any) -> None:
    """For who transmits and where a chart is made, under the name of the argument that is wrong."""
    with pytest.raises(LocalProtocolError, match="the routing key"):
        client.transmit("PING", routing_key=key)
    for kind in (NetworkedActiveObject, NetworkedFactory):
        for word in ("tx_routing_key", "rx_routing_key"):
            with pytest.raises(LocalProtocolError, match=word):
                kind("a", client=client, **{word: key})


def test_there_are_three_networks(client: Client) -> None:
    """Another one is refused at once, with the names that there are."""
    with pytest.raises(LocalProtocolError, match="'trace'; there are mesh, snoop_trace, snoop_spy"):
        client.transmit("PING", network="trace")
    with pytest.raises(LocalProtocolError, match="'trace'; there are mesh, snoop_trace, snoop_spy"):
        client.subscribe("#", print, network="trace")


@pytest.mark.parametrize("signal", [5, None, b"PING"])
def test_a_signal_is_named_or_an_event(client: Client, signal: Any) -> None:
    """A number of miros' signals says nothing on another host."""
    with pytest.raises(TypeError, match="neither the name of a signal nor an Event"):
        client.transmit(signal)


def test_there_are_three_policies_for_a_full_window(client: Client) -> None:
    """A slip in the name is told when it is made: it would mean nothing until the window is full."""
    for make in (lambda **words: Client(client._path, **words), partial(NetworkedActiveObject, "a", client=client)):
        with pytest.raises(LocalProtocolError, match="on_full='Raise': there are refuse, drop_oldest, raise"):
            make(on_full="Raise")


def test_a_callback_can_be_called(client: Client) -> None:
    """None would be found out at the first event."""
    with pytest.raises(TypeError, match="None is no callback"):
        client.subscribe("#", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("args", [{"peers": object()}, {"peers": NO_TEXT}, [1]], ids=["object", "no text", "list"])
def test_a_question_can_be_read(daemon: FakeDaemon, client: Client, args: Any) -> None:
    """What is no JSON is said to who asks, and not asked again on each new connection."""
    with pytest.raises(LocalProtocolError):
        client.ask("wait", args)
    assert is_served(daemon, client)


def test_a_tools_question_can_be_read(daemon: FakeDaemon) -> None:
    """Likewise, and the connection is as good as before."""
    daemon.answers["status"] = ([], {"state": "ready"})
    with ControlConnection(daemon.path) as connection:
        with pytest.raises(LocalProtocolError, match="no text"):
            connection.ask("wait", {"peers": NO_TEXT})

        assert connection.ask("status") == ([], {"state": "ready"})


def test_a_socket_may_be_a_path(daemon: FakeDaemon, reactor: Reactor) -> None:
    """pathlib's too; what is no path is said where it is given."""
    client = Client(daemon.path, reactor=reactor)
    is_connected = client.wait_connected(30)
    client.close(0)

    assert is_connected
    assert default_client(daemon.path) is default_client(str(daemon.path))
    default_client(daemon.path).close(0)
    for make in (Client, ControlConnection, default_client):
        with pytest.raises(TypeError):
            make(5)  # type: ignore[operator]


@pytest.mark.parametrize("who", ["subscription", "receipt", "override", "deserializer", "call"])
def test_leaving_in_a_callback_ends_no_thread(
    daemon: FakeDaemon, client: Client, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    """sys.exit() there would end the one thread that serves the whole program, without a word: it is logged instead."""

    def leave(*_: Any) -> Any:
        sys.exit(3)

    daemon.settles = True
    assert client.wait_connected(30)
    if who == "subscription":
        subscription = client.subscribe("#", leave)
        assert subscription.wait_bound(30)
        daemon.link.deliver(subscription.number, 1, record(1))
    elif who == "receipt":
        receipt = client.transmit("PING", receipt=True)
        assert receipt
        receipt.on_settled(leave)
        assert receipt.wait(30)
    elif who == "call":
        client._reactor.call(leave)
    else:
        chart = NetworkedActiveObject("a", client=client, deserializer=leave)
        nets = MirosNets(chart, client=client, on_mesh_rx=leave, deserializer=leave if who == "deserializer" else None)
        nets.mesh.start()
        assert nets.mesh.subscription
        assert nets.mesh.subscription.wait_bound(30)
        content_type = "leave" if who == "deserializer" else "json"
        daemon.link.deliver(nets.mesh.subscription.number, 1, record(1, content_type=content_type))
    until(lambda: "sys.exit() ends a program on its main thread only" in caplog.text)

    assert is_served(daemon, client)
    if who == "call":
        assert client._reactor.failures == 1
        client._reactor.failures = 0  # which the fixture would not have


def test_leaving_in_a_handler_ends_no_chart(
    daemon: FakeDaemon, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a fault of the handler like any other, and the next event is handled."""
    chart: Any = NetworkedActiveObject("a", client=client)
    chart.got = []
    faults: list[Any] = []
    chart.on_fault = lambda _chart, event, error: faults.append((event.signal_name, type(error)))
    chart.start_at(leaving)
    chart.post_fifo(Event(signal=signals.LEAVE))
    chart.post_fifo(Event(signal=signals.PING))
    until(lambda: chart.got == ["PING"])
    chart.stop()

    assert faults == [("LEAVE", RuntimeError)]
    assert "sys.exit() ends a program on its main thread only" in caplog.text
    assert "SystemExit: 3" in caplog.text


@pytest.mark.parametrize("what", ["binding", "connection"])
def test_waiting_in_a_callback_is_refused(daemon: FakeDaemon, client: Client, reactor: Reactor, what: str) -> None:
    """What it waits for comes on the very thread that would stand still, for ever; what is there already is given."""
    errors: list[Exception] = []

    def wait(_: Any) -> None:
        other = Client(daemon.path, reactor=reactor)
        try:
            assert client.wait_connected()
            assert subscription.wait_bound()
            other.wait_connected() if what == "connection" else other.subscribe("#", print).wait_bound()
        except LocalProtocolError as error:
            errors.append(error)
        finally:
            other.close(0)

    subscription = client.subscribe("#", wait)
    assert subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(1))
    until(lambda: errors)

    assert "a callback runs on the client's thread, which cannot wait" in str(errors[0])
    assert 0 == client.counters()["callback_failed"]


def test_the_main_thread_is_left() -> None:
    """There sys.exit() means what it says: also in a child that a handler's thread has forked."""
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(SystemExit):
        as_fault(SystemExit(3))


def test_a_name_or_a_remark_that_is_no_text(daemon: FakeDaemon, client: Client) -> None:
    """Made of a command line or a file's name, it is shown with a mark in place of what is none."""
    daemon.watched = Watched({"snoop_trace": []})
    chart = NetworkedActiveObject(f"a{NO_TEXT}", client=client)
    chart.enable_snoop_trace()
    chart.start_at(leaving)
    assert chart.wait_subscribed(30)
    chart.snoop_scribble(f"file {NO_TEXT}")
    chart.stop()

    def lines() -> list[tuple[str, str]]:
        runs = [decode_lines(r.payload) for r in daemon.link.records if r.signal == LINES_SIGNAL]
        return [(line.chart, line.text) for run in runs for line in run]

    until(lambda: ("a\N{REPLACEMENT CHARACTER}", "file \N{REPLACEMENT CHARACTER}") in lines())
    assert "a\N{REPLACEMENT CHARACTER}" in [request.chart for request in daemon.link.subscribes]


def test_a_program_may_have_any_name(
    daemon: FakeDaemon, reactor: Reactor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One whose file's name is no text connects like any other."""
    monkeypatch.setattr(sys, "argv", [str(tmp_path / f"program{NO_TEXT}.py")])
    client = Client(daemon.path, reactor=reactor)
    is_connected = client.wait_connected(30)
    client.close(0)

    assert is_connected
    assert daemon.link.hello
    assert daemon.link.hello.program == "program\N{REPLACEMENT CHARACTER}.py"
