"""MirosNets, for programs that build their own object, and what old programs ask of networked charts."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from miros import ActiveObject

from mirosd_client import MirosNets, NetworkedActiveObject, NetworkedFactory
from mirosd_client.client import Client
from mirosd_client.errors import MirosApiException, MirosdError
from mirosd_client.mesh import FULL_AT
from mirosd_client.shell import Event, return_status, signals, spy_on
from mirosd_client.snoop import Seen
from mirosd_client.snoop_line import LINES_SIGNAL, SnoopLine, decode_lines, encode_lines
from mirosd_client.terminal import TERMINAL
from tests.client.fake_daemon import FakeDaemon, Link, record, until

ROOT = Path(__file__).parents[2]


@spy_on
def counting(chart: Any, e: Any) -> Any:
    """Keeps what has a payload."""
    if e.signal_name in ("PING", "PONG"):
        chart.handle(e)
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


@spy_on
def moving(chart: Any, e: Any) -> Any:
    """Moves to itself."""
    if e.signal_name == "MOVE":
        return chart.trans(moving)
    chart.temp.fun = chart.top
    return return_status.SUPER


class Own(ActiveObject):  # type: ignore[misc]
    """An object of a program's own: a plain chart of miros, which knows nothing of this project."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.handled: list[tuple[str, Any]] = []

    def handle(self, e: Any) -> None:
        self.handled.append((e.signal_name, e.payload))


@pytest.fixture
def own() -> Iterator[Own]:
    """A plain chart of miros; its thread ends with the test."""
    made = Own("own")
    yield made
    if made.thread is not None:
        made.stop()


Make = Callable[..., MirosNets]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """What earlier tests left to be shown is shown before."""
    assert TERMINAL.flush(30)


@pytest.fixture
def make(own: Own, client: Client) -> Iterator[Make]:
    """Make the networks of that object; they end with the test."""
    made: list[MirosNets] = []

    def make_nets(*words: Any, **more: Any) -> MirosNets:
        made.append(MirosNets(own, *words, client=client, **more))
        return made[-1]

    yield make_nets
    for nets in made:
        nets.stop_threads()


def bound(daemon: FakeDaemon, network: str = "mesh") -> tuple[Link, int]:
    """Wait for the subscription to a network; gives where to deliver."""
    request = until(lambda: next((s for s in daemon.link.subscribes if s.network == network), None), network)
    return daemon.link, request.subscription


def test_an_object_of_ones_own_is_on_the_mesh(daemon: FakeDaemon, own: Own, make: Make) -> None:
    """What arrives is posted to it, what it transmits goes out, under the ancestor's words for keys."""
    nets = make(tx_routing_key="tx.key")
    own.start_at(counting)
    assert (nets.name, nets.mesh.tx_routing_key, nets.mesh.rx_routing_key) == ("own", "tx.key", "tx.key")
    assert not nets.mesh.started
    nets.start_threads()
    nets.start_threads()
    link, number = bound(daemon)
    assert (nets.mesh.started, len(link.subscribes), link.subscribes[0].chart) == (True, 1, "own")

    link.deliver(number, 1, record(1, payload=b"5"))
    assert nets.transmit(Event(signal="PONG", payload=6))

    until(lambda: own.handled == [("PING", 5)])
    assert until(lambda: link.records)[0].payload == b"6"
    nets.stop_threads()
    until(lambda: link.unsubscribes == [number])
    nets.start_threads()
    until(lambda: len(link.subscribes) == 2)


def test_threads_may_be_stopped_and_started_again(client: Client) -> None:
    """As often as anybody likes: a networked chart looks once for room after each step."""
    chart = NetworkedFactory("a", client=client)
    for _ in range(3):
        chart.nets.start_threads()
        assert chart.nets.mesh.started
        assert len(chart.after_step) == 1
        chart.nets.stop_threads()
        assert not chart.nets.mesh.started


def test_callbacks_of_ones_own_get_what_arrives(daemon: FakeDaemon, make: Make) -> None:
    """Each network's, with None for what only AMQP has; text lines on the snoop networks; what they raise counts."""
    got: list[Any] = []

    def keep(name: str) -> Callable[..., None]:
        def on_rx(ch: Any, method: Any, properties: Any, body: Any) -> None:
            got.append((name, ch, method, properties, body))
            if name == "mesh" and body[1].payload == "raise":
                raise ZeroDivisionError

        return on_rx

    nets = make(on_mesh_rx=keep("mesh"), on_spy_rx=keep("spy"), on_trace_rx=keep("trace"))
    nets.enable_snoop_trace()
    nets.enable_snoop_spy()
    nets.start_threads()
    remark, seen = SnoopLine("scribble", "other", 0.0, text="hi"), SnoopLine("spy", "other", 0.0, text="START")
    link, number = bound(daemon)
    link.deliver(number, 1, record(1, payload=b'"raise"'), record(2, payload=b"7"))
    until(lambda: len(got) == 2)
    link.deliver(bound(daemon, "snoop_trace")[1], 1, record(3, "scribble", encode_lines([remark])))
    until(lambda: len(got) == 3)
    link.deliver(bound(daemon, "snoop_spy")[1], 1, record(4, "spy", encode_lines([seen])))
    until(lambda: len(got) == 4)

    assert [(name, ch, method) for name, ch, method, _, _ in got] == [
        (name, None, None) for name in ("mesh", "mesh", "trace", "spy")
    ]
    assert [entry[3].sequence for entry in got[:2]] == [1, 2]
    assert (got[1][4][0], got[1][4][1].payload) == ("07" * 16 + ":1", 7)
    assert [entry[4].split("] ", 1)[-1] for entry in got[2:]] == ["[other] # hi", "other START"]
    assert [type(entry[3]) for entry in got[2:]] == [Seen, Seen]
    assert nets.client.counters()["callback_failed"] == 1


def pack(payload: Any) -> bytes:
    """Give a payload as its repr."""
    return repr(payload).encode()


def unpack(data: bytes) -> Any:
    """Give an int back."""
    return int(data)


def test_serializers_of_ones_own(daemon: FakeDaemon, own: Own, make: Make) -> None:
    """They replace JSON, and can be looked at, as in the ancestor."""
    nets = make(serializer=pack, deserializer=unpack)
    own.start_at(counting)
    nets.start_threads()
    link, number = bound(daemon)
    assert (nets.mesh.serializer, nets.mesh.deserializer) == (pack, unpack)

    nets.transmit(Event(signal="PING", payload=7))
    sent = until(lambda: link.records)[0]
    link.deliver(number, 1, record(1, payload=sent.payload, content_type=sent.content_type))

    until(lambda: own.handled == [("PING", 7)])


def test_a_full_queue_of_plain_miros_is_not_overrun(daemon: FakeDaemon, own: Own, make: Make) -> None:
    """Events wait until it has room, though nobody tells of it; none is lost, in order."""
    nets = make()
    nets.start_threads()
    link, number = bound(daemon)
    for tag in range(10):
        link.deliver(number, tag + 1, *(record(tag * 64 + n + 1, payload=b"%d" % (tag * 64 + n)) for n in range(64)))
    until(lambda: link.acks and link.acks[-1].tag == FULL_AT // 64)
    until(lambda: len(own.queue) == FULL_AT)

    own.start_at(counting)

    until(lambda: len(own.handled) == 640)
    assert [payload for _, payload in own.handled] == list(range(640))
    until(lambda: link.acks[-1].tag == 10)


def lines(link: Link) -> list[SnoopLine]:
    """Give the lines that came in."""
    return [line for r in link.records if r.signal == LINES_SIGNAL for line in decode_lines(r.payload)]


def test_an_object_of_ones_own_is_watched(
    daemon: FakeDaemon, own: Own, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """By miros' own live trace and spy; they are what they were when the snoop ends."""
    before = own.live_trace_callback, own.live_spy_callback
    nets = make()
    nets.enable_snoop_trace()
    own.start_at(moving)
    own.post_fifo(Event(signal="MOVE"))
    until(lambda: len(lines(daemon.link)) == 2)

    assert [(m.kind, m.chart, m.signal, m.from_state, m.to_state) for m in lines(daemon.link)] == [
        ("trace", "own", None, "top", "moving"),
        ("trace", "own", "MOVE", "moving", "moving"),
    ]
    nets.disable_snoop_trace()
    nets.enable_snoop_spy()
    own.post_fifo(Event(signal="MOVE"))
    until(lambda: "MOVE:moving" in [m.text for m in lines(daemon.link)])
    nets.disable_snoop_spy()
    assert (own.live_trace, own.live_spy) == (False, False)
    assert before == (own.live_trace_callback, own.live_spy_callback)
    assert TERMINAL.flush(30)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("] ")[-1] for line in printed[:2]] == ["e->start_at() top->moving", "e->MOVE() moving->moving"]
    assert " [+s] \x1b[34mown\x1b[0m MOVE:moving" in printed


def test_texts_can_be_sent_as_the_ancestors_callbacks_did(
    daemon: FakeDaemon, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without being enabled: sent, and not shown here."""
    nets = make()

    nets.broadcast_trace("\n[2018-05-04 09:23:34.178157] [own] e->A() b->c\n")
    nets.broadcast_trace("a remark")
    nets.broadcast_spy("START")

    until(lambda: len(lines(daemon.link)) == 3)
    assert [(m.kind, m.signal, m.text) for m in lines(daemon.link)] == [
        ("trace", "A", ""),
        ("scribble", None, "a remark"),
        ("spy", None, "START"),
    ]
    assert TERMINAL.flush(30)
    assert not capsys.readouterr().out


def test_what_is_no_chart_is_refused() -> None:
    """With an error that `except Exception` and `except TypeError` catch, unlike the ancestor's."""
    with pytest.raises(MirosApiException, match="dict is no statechart: it has no post_fifo, post_lifo") as caught:
        MirosNets({})

    assert isinstance(caught.value, MirosdError)
    assert isinstance(caught.value, TypeError)


class Sub(NetworkedActiveObject):
    """A program's own class, whose constructor hands on what it was given."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)


@pytest.mark.parametrize("kind", [NetworkedActiveObject, NetworkedFactory, Sub])
def test_old_words_cause_one_warning_where_the_chart_is_made(client: Client, kind: type) -> None:
    """Also from a subclass; it quotes no line of the program, in which a password may stand."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind("a", "peter", "secret", "key", "tx", "rx", "spy", "trace", client=client)

    assert [(w.category, w.filename, w.lineno) for w in caught] == [(DeprecationWarning, __file__, 0)]
    shown = warnings.formatwarning(caught[0].message, DeprecationWarning, caught[0].filename, caught[0].lineno)
    assert "rabbit_user, rabbit_password, mesh_encryption_key, snoop_spy_encryption_key" in shown
    assert "secret" not in shown


def test_miros_nets_warn_once_too(own: Own, client: Client) -> None:
    """In the ancestor's positions, which differ from those of charts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nets = MirosNets(own, "peter", "secret", "key", "tx", "rx", None, None, None, "spy", "trace", [], client=client)

    assert [w.category for w in caught] == [DeprecationWarning]
    assert (nets.mesh.tx_routing_key, nets.mesh.rx_routing_key) == ("tx", "rx")


OLD_PROGRAM = """
from mirosd_client import NetworkedFactory
NetworkedFactory("a", rabbit_user="peter", rabbit_password="secret", mesh_encryption_key="key")
"""


def test_a_program_as_it_is_run_shows_the_warning_and_no_password(tmp_path: Path) -> None:
    """Python shows such warnings of a program itself, by default, with the source line; not so here."""
    program = tmp_path / "old.py"
    program.write_text(OLD_PROGRAM)
    environment = {"PYTHONPATH": f"{ROOT / 'client'}", "MIROSD_SOCKET": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True)

    assert done.stderr.count("DeprecationWarning") == 1
    assert "line 3: rabbit_user, rabbit_password, mesh_encryption_key: not used any more" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("kind", [NetworkedActiveObject, NetworkedFactory])
def test_both_charts_know_where_they_are(daemon: FakeDaemon, client: Client, kind: type) -> None:
    """`.lan` and the URLs are of live peers, from the daemon, without accounts."""
    peers = [{"address": "127.0.0.9:5673", "state": "alive"}, {"address": "127.0.0.8", "state": "failed"}]
    daemon.answers = {"status": ([], {"broker": {"address": "127.0.0.1:5672"}}), "peers": (peers, {})}
    chart = kind("a", client=client)

    assert (chart.lan.this.address, chart.lan.addresses) == ("127.0.0.1", ["127.0.0.1", "127.0.0.9"])
    assert chart.lan.other.addresses == ["127.0.0.9"]
    assert chart.lan.get_working_ip_address() == "127.0.0.1"
    assert (chart.this_url(), chart.other_urls()) == ("amqp://127.0.0.1:5672/", ["amqp://127.0.0.9:5673/"])


def function(chart: Any, e: Any) -> Any:
    """A handler as miros' factory style has it."""
    chart.heard.append(("function", e.payload))
    return return_status.HANDLED


class Handlers(NetworkedFactory):
    """A factory with each form of handler that miros takes."""

    def __init__(self, client: Client) -> None:
        super().__init__("handlers", client=client)
        self.heard: list[tuple[str, Any]] = []

    @staticmethod
    def static(chart: Any, e: Any) -> Any:
        chart.heard.append(("static", e.payload))
        return return_status.HANDLED

    def bound(self, e: Any) -> Any:
        self.heard.append(("bound", e.payload))
        return return_status.HANDLED


@pytest.mark.parametrize("form", ["function", "static", "bound"])
def test_each_form_of_handler_works(daemon: FakeDaemon, client: Client, form: str) -> None:
    """A plain function and a static method get the chart and the event, a bound method the event."""
    chart = Handlers(client)
    handler = function if form == "function" else getattr(chart, form)
    state = chart.create(state="waiting").catch(signal=signals.PING, handler=handler).to_method()
    chart.nest(state, parent=None)
    chart.start_at(state)
    link, number = bound(daemon)
    link.deliver(number, 1, record(1, payload=b"1"))

    until(lambda: chart.heard == [(form, 1)])
    chart.stop()
