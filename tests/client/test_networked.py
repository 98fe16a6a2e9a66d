"""Networked charts: what they transmit, what reaches them, and what never does."""

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from miros import ActiveObject, Factory

from mirosd_client import NetworkedActiveObject, NetworkedFactory
from mirosd_client.client import Client
from mirosd_client.errors import LocalProtocolError, WindowFullError
from mirosd_client.mesh import FULL_AT, MAX_NEW_NAMES, _new_names
from mirosd_client.messages import Closing
from mirosd_client.shell import INTERNAL_SIGNALS, Event, return_status, signals, spy_on
from mirosd_client.shell.reactor import Reactor
from tests.client.fake_daemon import FakeDaemon, Link, record, until


@spy_on
def listening(chart: Any, e: Any) -> Any:
    """Keep every event that is no internal one."""
    if e.signal_name in INTERNAL_SIGNALS:
        chart.temp.fun = chart.top
        return return_status.SUPER
    chart.handle(e)
    return return_status.HANDLED


class Listener(NetworkedActiveObject):
    """A chart that keeps what it handled; a gate can hold it in its handler."""

    def __init__(self, name: str = "listener", *words: Any, **more: Any) -> None:
        super().__init__(name, *words, **more)
        self.handled: list[tuple[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.deepest = 0

    def handle(self, e: Any) -> None:
        self.deepest = max(self.deepest, len(self.queue))
        assert self.gate.wait(30)
        self.handled.append((e.signal_name, e.payload))


Make = Callable[..., Listener]


@pytest.fixture
def make(client: Client) -> Iterator[Make]:
    """Make started listeners, which end with the test."""
    made: list[Listener] = []

    def make_one(*words: Any, **more: Any) -> Listener:
        chart = Listener(*words, client=client, **more)
        made.append(chart)
        chart.start_at(listening)
        return chart

    yield make_one
    for chart in made:
        chart.gate.set()
        chart.stop()


def bound(chart: Listener, daemon: FakeDaemon) -> tuple[Link, int]:
    """Wait for a chart's subscription; gives where to deliver."""
    assert chart.wait_subscribed(30)
    assert chart.nets.mesh.subscription is not None
    return daemon.link, chart.nets.mesh.subscription.number


def test_the_ancestors_constructor_works_and_says_once_what_is_not_used(client: Client) -> None:
    """Positional user, password and keys are accepted; one warning says where they live now."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chart = Listener("a", "peter", "secret", "key", "tx.key", "rx.#", "spy", "trace", client=client)

    assert [w.category for w in caught] == [DeprecationWarning]
    text = str(caught[0].message)
    assert "rabbit_user, rabbit_password, mesh_encryption_key" in text
    assert "/etc/mirosd" in text
    assert "peter" not in text
    assert "secret" not in text
    assert (chart.nets.mesh.tx_routing_key, chart.nets.mesh.rx_routing_key) == ("tx.key", "rx.#")


def test_without_them_there_is_no_warning_and_the_keys_default(client: Client) -> None:
    """The transmit key is "empty" and the receive key is the transmit key, as in the ancestor."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        neither, one = Listener("a", client=client), Listener("a", tx_routing_key="t", client=client)
    assert (neither.nets.mesh.tx_routing_key, neither.nets.mesh.rx_routing_key) == ("empty", "empty")
    assert one.nets.mesh.rx_routing_key == "t"


def test_networked_charts_are_miros_charts(client: Client) -> None:
    """Real subclasses, instrumented as miros' own unless asked otherwise."""
    factory = NetworkedFactory("f", client=client)

    assert isinstance(factory, Factory)
    assert isinstance(Listener("a", client=client), ActiveObject)
    assert factory.instrumented
    assert not NetworkedFactory("f", client=client, instrumented=False).instrumented


def test_a_chart_transmits_and_receives(daemon: FakeDaemon, make: Make) -> None:
    """Out with its key and number, in through its queue; its own event does not come back."""
    chart = make("one", tx_routing_key="a.b", rx_routing_key="a.#")
    link, number = bound(chart, daemon)
    assert link.subscribes[0].binding_key == "a.#"
    assert link.subscribes[0].chart == "one"

    assert chart.transmit(Event(signal="HELLO", payload={"by": "one"})) is True

    sent = until(lambda: link.records)[0]
    assert (sent.signal, sent.payload, link.events[0].routing_key) == ("HELLO", b'{"by":"one"}', "a.b")
    own = record(1, client=link.client, chart=sent.chart)
    neighbour = record(1, "FROM_NEIGHBOUR", client=link.client, chart=sent.chart + 1)
    link.deliver(number, 1, own, neighbour)
    until(lambda: chart.handled)
    assert chart.handled == [("FROM_NEIGHBOUR", None)]


def test_a_chart_is_not_known_by_its_name(daemon: FakeDaemon, make: Make) -> None:
    """Two charts of one name hear each other, and an event whose payload is that name arrives (D42)."""
    first, second = make("twin"), make("twin")
    for chart in (first, second):
        bound(chart, daemon)
    first.transmit(Event(signal="HELLO", payload="twin"))
    sent = until(lambda: daemon.link.records)[0]
    for chart in (first, second):
        own = record(1, "HELLO", b'"twin"', client=daemon.link.client, chart=sent.chart)
        daemon.link.deliver(bound(chart, daemon)[1], 1, own)

    until(lambda: len(daemon.link.acks) == 2)
    until(lambda: second.handled)
    assert (first.handled, second.handled) == ([], [("HELLO", "twin")])


def test_a_factory_receives_too(daemon: FakeDaemon, client: Client) -> None:
    """The same for a chart that is built of callbacks."""
    got: list[Any] = []
    chart = NetworkedFactory("f", client=client)
    state = (
        chart.create(state="waiting")
        .catch(signal=signals.PING, handler=lambda _, e: got.append(e.payload) or return_status.HANDLED)
        .to_method()
    )
    chart.nest(state, parent=None)
    with chart:
        chart.start_at(state)
        assert chart.wait_subscribed(30)
        daemon.link.deliver(daemon.link.subscribes[0].subscription, 1, record(1, payload=b"5"))
        until(lambda: got == [5])
        client.wait_safe(0)
    until(lambda: daemon.link.unsubscribes)


def test_the_first_event_of_an_unknown_name_arrives(daemon: FakeDaemon, make: Make) -> None:
    """A name that no state has compared so far is delivered like any other."""
    chart = make()
    link, number = bound(chart, daemon)
    assert "NEVER_HEARD_OF" not in signals

    link.deliver(number, 1, record(1, "NEVER_HEARD_OF"))

    until(lambda: chart.handled == [("NEVER_HEARD_OF", None)])


def test_internal_and_insane_names_never_arrive(daemon: FakeDaemon, make: Make, client: Client) -> None:
    """No event may stop a chart, or be of a name that is none; each is counted, and acknowledged (D30)."""
    chart = make()
    link, number = bound(chart, daemon)
    bad = ["has space", "ünicode", "1digit", "", "a\n", "x" * 129]
    names = [*sorted(INTERNAL_SIGNALS), *bad, "AFTER"]

    link.deliver(number, 1, *(record(n, name) for n, name in enumerate(names, 1)))

    until(lambda: chart.handled)
    assert chart.handled == [("AFTER", None)]
    assert client.counters()["internal_signal"] == len(INTERNAL_SIGNALS) == 10
    assert client.counters()["bad_signal_name"] == len(bad)
    assert not set(bad) & set(signals)


def test_new_names_are_bounded_per_process(
    daemon: FakeDaemon, make: Make, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 256 new names no further one becomes a signal; known ones still arrive."""
    monkeypatch.setattr("mirosd_client.mesh._new_names", {f"n{n}" for n in range(MAX_NEW_NAMES - 1)})
    chart = make()
    link, number = bound(chart, daemon)

    link.deliver(number, 1, *(record(n, name) for n, name in enumerate(["LAST_NEW", "ONE_MORE", "LAST_NEW"], 1)))

    until(lambda: len(chart.handled) == 2)
    assert [name for name, _ in chart.handled] == ["LAST_NEW", "LAST_NEW"]
    assert client.counters()["too_many_signal_names"] == 1
    assert "ONE_MORE" not in signals
    assert "LAST_NEW" not in _new_names


def test_a_slow_chart_is_never_overrun_and_loses_nothing(daemon: FakeDaemon, make: Make) -> None:
    """Its queue never holds more than its bound (D36); what waits arrives in order; acknowledged is what was posted."""
    chart = make("slow")
    link, number = bound(chart, daemon)
    chart.gate.clear()
    for tag in range(30):
        link.deliver(number, tag + 1, *(record(tag * 64 + n + 1, payload=b"%d" % (tag * 64 + n)) for n in range(64)))
    assert chart.nets.mesh.subscription is not None
    intake = chart.nets.mesh.subscription.intake
    until(lambda: intake.is_waiting and link.acks and link.acks[-1].tag == FULL_AT // 64)

    chart.gate.set()

    until(lambda: len(chart.handled) == 30 * 64)
    assert [payload for _, payload in chart.handled] == list(range(30 * 64))
    assert chart.deepest <= FULL_AT
    assert chart.dropped == 0
    until(lambda: link.acks[-1].tag == 30)


def test_a_slow_chart_delays_only_itself(daemon: FakeDaemon, make: Make) -> None:
    """Its neighbour on the same connection gets its events meanwhile."""
    slow, quick = make("slow"), make("quick")
    link, slow_number = bound(slow, daemon)
    _, quick_number = bound(quick, daemon)
    slow.gate.clear()
    for tag in range(10):
        link.deliver(slow_number, tag + 1, *(record(tag * 64 + n + 1) for n in range(64)))
    link.deliver(quick_number, 1, record(1, "QUICK"))

    until(lambda: quick.handled == [("QUICK", None)])
    slow.gate.set()
    until(lambda: len(slow.handled) == 640)


def test_what_waited_over_a_reconnect_arrives_once(daemon: FakeDaemon, make: Make) -> None:
    """Events that were received and had no room yet are not lost, nor doubled by their redelivery."""
    chart = make("slow")
    link, number = bound(chart, daemon)
    chart.gate.clear()
    runs = [[record(tag * 64 + n + 1, payload=b"%d" % (tag * 64 + n)) for n in range(64)] for tag in range(10)]
    for tag, run in enumerate(runs):
        link.deliver(number, tag + 1, *run)
    until(lambda: link.acks and link.acks[-1].tag == FULL_AT // 64)
    link.cut()
    until(lambda: daemon.nth(2).subscribes)
    for tag, run in enumerate(runs[FULL_AT // 64 :]):
        daemon.link.deliver(number, tag + 1, *run)

    chart.gate.set()

    until(lambda: len(chart.handled) == 640)
    until(lambda: daemon.link.acks and daemon.link.acks[-1].tag == 4)
    assert max(ack.tag for ack in daemon.link.acks) == 4, "tags of the lost connection mean nothing on this one"
    assert [payload for _, payload in chart.handled] == list(range(640))


def test_start_returns_at_once_without_a_daemon(client: Client, make: Make, socket_file: Path) -> None:
    """The chart runs, its events wait, and the daemon that comes later gets both (D9, D10)."""
    before_s = time.monotonic()
    chart = make()
    assert time.monotonic() - before_s < 10
    assert chart.transmit(Event(signal="EARLY"))
    assert not chart.wait_subscribed(0.01)
    chart.post_fifo(Event(signal="LOCAL"))
    until(lambda: chart.handled == [("LOCAL", None)])

    with FakeDaemon(socket_file) as daemon:
        assert chart.wait_subscribed(30)
        until(lambda: daemon.link.records)
        client.close(0)


def test_before_the_start_there_is_no_subscription(client: Client) -> None:
    """Waiting for one would be for ever: it is an error."""
    with pytest.raises(LocalProtocolError, match="start_at"):
        Listener(client=client).wait_subscribed(1)


def test_many_charts_share_one_connection_and_one_thread(daemon: FakeDaemon, make: Make) -> None:
    """A further chart costs its own thread and nothing else; started once or twice it subscribes once (D40)."""
    bound(make(), daemon)  # miros' own threads are there from here on
    before = set(threading.enumerate())

    charts = [make(f"chart {n}") for n in range(5)]
    for chart in charts:
        bound(chart, daemon)
        chart.nets.start_threads()
    assert charts[0].client.wait_safe(30)

    added = sorted(t.name for t in set(threading.enumerate()) - before)
    assert added == [f"chart {n}" for n in range(5)]
    assert len(daemon.links) == 1
    assert len(daemon.link.subscribes) == 6
    assert len({chart.nets.mesh._number for chart in charts}) == 5


def test_only_events_with_a_users_signal_are_transmitted(make: Make) -> None:
    """Anything else is an error of the caller, in its thread."""
    chart = make()

    with pytest.raises(TypeError):
        chart.transmit("HELLO")
    with pytest.raises(ValueError, match="ENTRY_SIGNAL"):
        chart.transmit(Event(signal=signals.ENTRY_SIGNAL))


def test_the_policy_for_a_full_window_is_the_charts(socket_file: Path, reactor: Reactor) -> None:
    """Two charts on one client may differ."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=400)
    refusing, raising = Listener("a", client=client), Listener("b", client=client, on_full="raise")
    assert refusing.transmit(Event(signal="ONE"))

    assert refusing.transmit(Event(signal="TWO")) is False
    with pytest.raises(WindowFullError):
        raising.transmit(Event(signal="THREE"))
    client.close(0)


def pack(payload: Any) -> bytes:
    """Give a payload as its repr."""
    return repr(payload).encode()


def unpack(data: bytes) -> Any:
    """Give an int back."""
    return int(data)


def test_serializers_of_ones_own(daemon: FakeDaemon, make: Make, client: Client) -> None:
    """The function's name is the content type; a receiver without the pair counts, one whose pair fails counts."""
    own, plain = make("own", serializer=pack, deserializer=unpack), make("plain")
    link, own_number = bound(own, daemon)
    _, plain_number = bound(plain, daemon)
    own.transmit(Event(signal="NUMBER", payload=7))
    sent = until(lambda: link.records)[0]
    assert (sent.content_type, sent.payload) == ("pack", b"7")

    packed = [record(n, "NUMBER", data, content_type="pack") for n, data in ((1, b"7"), (2, b"seven"))]
    for tag, number in enumerate((own_number, plain_number), 1):
        link.deliver(number, tag, *packed, record(3, "JSON", b"[1]"))

    until(lambda: own.handled == [("NUMBER", 7), ("JSON", [1])])
    until(lambda: plain.handled == [("JSON", [1])])
    assert (client.counters()["no_deserializer"], client.counters()["undecodable"]) == (2, 1)


def test_a_deserializer_alone_adds_to_json(daemon: FakeDaemon, make: Make) -> None:
    """A chart that only reads a foreign format still writes and reads JSON."""
    chart = make(deserializer=unpack)
    link, number = bound(chart, daemon)
    chart.transmit(Event(signal="NUMBER", payload=[7]))
    assert until(lambda: link.records)[0].payload == b"[7]"

    link.deliver(number, 1, record(1, payload=b"7", content_type="unpack"), record(2, payload=b"[8]"))

    until(lambda: chart.handled == [("PING", 7), ("PING", [8])])


def test_on_network_message_may_be_overridden(daemon: FakeDaemon, client: Client) -> None:
    """It gets source and event; what it does not post does not arrive; what it raises ends nothing."""
    seen: list[Any] = []

    class Picky(Listener):
        def on_network_message(self, ch: Any, method: Any, properties: Any, message: tuple[str, Any]) -> None:
            source, event = message
            seen.append((ch, method, properties.sequence, source))
            if event.payload == "raise":
                raise ZeroDivisionError
            if event.payload == "post":
                super().on_network_message(ch, method, properties, message)

    chart = Picky(client=client)
    chart.start_at(listening)
    link, number = bound(chart, daemon)
    link.deliver(
        number, 1, *(record(n, payload=b'"%s"' % word) for n, word in enumerate((b"raise", b"drop", b"post"), 1))
    )

    until(lambda: chart.handled == [("PING", "post")])
    assert seen == [(None, None, n, "07" * 16 + ":1") for n in (1, 2, 3)]
    assert client.counters()["callback_failed"] == 1
    chart.close()


def test_urls_and_peers_come_from_the_daemon_and_hold_no_account(daemon: FakeDaemon, make: Make) -> None:
    """The own broker's URL, and those of live peers (D53)."""
    peers = [{"address": "10.0.0.7:5672", "state": "alive"}, {"address": "10.0.0.8:5672", "state": "failed"}]
    daemon.answers = {"status": ([], {"broker": {"address": "127.0.0.1:5672"}}), "peers": (peers, {})}
    chart = make()

    assert chart.this_url() == "amqp://127.0.0.1:5672/"
    assert chart.other_urls() == ["amqp://10.0.0.7:5672/"]
    assert chart.peers() == peers


def test_urls_are_empty_without_a_daemon(make: Make) -> None:
    """A handler that asks for them is not broken by it."""
    chart = make()

    assert (chart.this_url(), chart.other_urls()) == ("", [])


def test_a_stopped_chart_ends_its_subscription_and_its_client_lives(daemon: FakeDaemon, make: Make) -> None:
    """Its neighbour still hears; a stop before the start, and a second one, are fine."""
    chart, neighbour = make("a"), make("b")
    link, number = bound(chart, daemon)
    _, other = bound(neighbour, daemon)

    assert chart.stop()
    assert chart.stop()
    until(lambda: number in link.unsubscribes)
    link.deliver(other, 1, record(1))

    until(lambda: neighbour.handled)
    assert Listener(client=chart.client).stop()


def test_close_waits_until_what_was_transmitted_is_safe(daemon: FakeDaemon, make: Make) -> None:
    """Leaving the context manager returns once the daemon has it safe (D49)."""
    with make() as chart:
        chart.transmit(Event(signal="LAST"))
        until(lambda: daemon.link.records)
        threading.Timer(0.05, lambda: daemon.link.settle(1)).start()

    assert chart.client.counters()["waiting"] == 0


def test_a_restarting_daemon_is_invisible_to_charts(daemon: FakeDaemon, make: Make) -> None:
    """Events before, during and after arrive at the daemon in order: a gap ends no thread (D33)."""
    chart = make()
    bound(chart, daemon)
    chart.transmit(Event(signal="A"))
    until(lambda: daemon.link.records)
    daemon.link.settle(1)
    daemon.link.say(Closing("stopping", "mirosd is stopping"))
    chart.transmit(Event(signal="B"))
    until(lambda: daemon.nth(2).subscribes)
    chart.transmit(Event(signal="C"))

    until(lambda: len(daemon.link.records) >= 2)
    assert [r.signal for link in daemon.links for r in link.records][-2:] == ["B", "C"]
