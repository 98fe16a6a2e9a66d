"""Causes and addressees on the wire: what a program transmits while it handles an event, and to whom."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirosd_client import MirosNets, NetworkedActiveObject
from mirosd_client.cause import HANDLING
from mirosd_client.client import Client
from mirosd_client.event_id import Addressee, EventId, encode_extension
from mirosd_client.limits import MAX_PAYLOAD_BYTES
from mirosd_client.record import Record
from mirosd_client.shell import INTERNAL_SIGNALS, Chart, Event, return_status
from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.witness import Step
from tests.client.fake_daemon import OTHER, FakeDaemon, record, until

Act = Callable[[Any], object]


def acting(chart: Any, e: Any) -> Any:
    """Act as the chart's `acts` say for the signal; the start too."""
    if e.signal_name in INTERNAL_SIGNALS and e.signal_name not in chart.acts:
        chart.temp.fun = chart.top
        return return_status.SUPER
    chart.seen.append((e.signal_name, e.payload))
    chart.acts.get(e.signal_name, lambda chart: None)(chart)
    return return_status.HANDLED


class Actor(NetworkedActiveObject):
    """A chart that acts when events come."""

    def __init__(self, client: Client, name: str = "actor", **acts: Act) -> None:
        super().__init__(name, client=client, tx_routing_key="out", rx_routing_key="in")
        self.acts = acts
        self.seen: list[tuple[str, Any]] = []

    def bring(self, daemon: FakeDaemon, *records: bytes) -> None:
        """Deliver events to it, and wait until it has handled as many more."""
        before = len(self.seen)
        assert self.wait_subscribed(30)
        assert self.nets.mesh.subscription is not None
        daemon.link.deliver(self.nets.mesh.subscription.number, 1, *records)
        until(lambda: len(self.seen) >= before + len(records))

    @property
    def address(self) -> Addressee:
        """What names it on the mesh."""
        return Addressee(self.client.id, self.nets.mesh._number)


@pytest.fixture
def make(client: Client) -> Iterator[Callable[..., Actor]]:
    """Make started actors, which end with the test."""
    made: list[Actor] = []

    def make_one(name: str = "actor", **acts: Act) -> Actor:
        made.append(Actor(client, name, **acts))
        made[-1].start_at(acting)
        return made[-1]

    yield make_one
    for chart in made:
        chart.stop()


def named(sequence: int) -> EventId:
    """Give the name of an event that the fake daemon delivers."""
    return EventId(OTHER, 1, sequence)


def sent(daemon: FakeDaemon, count: int) -> list[Record]:
    """Wait for so many events of the program."""
    until(lambda: len(daemon.link.records) >= count)
    return daemon.link.records


def test_what_a_handler_transmits_names_its_event(daemon: FakeDaemon, make: Callable[..., Actor]) -> None:
    """At once, after a post to itself, and after a one-shot timer; what follows from nothing names nothing."""

    def ask(chart: Actor) -> None:
        chart.transmit(Event(signal="AT_ONCE"))
        chart.post_fifo(Event(signal="LATER"))
        chart.post_fifo(Event(signal="LAST"), period=0.01, times=1)

    chart = make(
        ASK=ask,
        LATER=lambda chart: chart.transmit(Event(signal="THEN")),
        LAST=lambda chart: chart.client.transmit("TIMED"),
    )
    chart.bring(daemon, record(7, "ASK"))
    sent(daemon, 3)
    chart.transmit(Event(signal="FROM_MAIN"))
    chart.post_fifo(Event(signal="LATER"))

    records = sent(daemon, 5)
    assert ["AT_ONCE", "THEN", "TIMED", "FROM_MAIN", "THEN"] == [record.signal for record in records]
    assert [named(7), named(7), named(7), None, None] == [record.cause for record in records]
    assert {None} == {record.addressee for record in records}
    assert [b"null"] * 5 == [record.payload for record in records]


def test_what_another_thread_transmits_names_nothing(daemon: FakeDaemon, make: Callable[..., Actor]) -> None:
    """Also a thread that the handler began: it may run long after."""

    def ask(chart: Actor) -> None:
        worker = threading.Thread(target=chart.transmit, args=(Event(signal="WORKED"),))
        worker.start()
        worker.join(30)

    make(ASK=ask).bring(daemon, record(7, "ASK"))

    assert [None] == [record.cause for record in sent(daemon, 1)]


def test_a_chain_names_each_event_before(daemon: FakeDaemon, make: Callable[..., Actor]) -> None:
    """The witness hears what the sender handled; what is transmitted names the event alone."""
    steps: list[Step] = []

    class Seeing:
        number = 1

        def now(self) -> int:
            return 1

        def stepped(self, step: Step) -> None:
            steps.append(step)

    chart = make(ASK=lambda chart: chart.transmit(Event(signal="ANSWER")))
    chart.witness = Seeing()
    chart.bring(daemon, record(7, "ASK", extension=encode_extension(named(3))))

    assert [named(7)] == [record.cause for record in sent(daemon, 1)]
    until(lambda: steps)
    assert [(named(7), named(3))] == [(step.event, step.cause) for step in steps]


def test_a_callback_of_a_plain_client_handles_its_event(daemon: FakeDaemon, client: Client, reactor: Reactor) -> None:
    """As long as it runs, also if it raises; what else that thread does follows from nothing. Lines have no causes."""

    def callback(event: Any) -> None:
        client.transmit("ANSWER", event.payload, receipt=event.payload == 2)
        client.transmit("line", network="snoop_trace")
        raise ZeroDivisionError

    subscription = client.subscribe("#", callback)
    assert subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(4, payload=b"1"), record(5, payload=b"2"))
    until(lambda: client.counters()["callback_failed"] == 2)
    reactor.call(lambda: client.transmit("ANSWER", 3))

    records = sent(daemon, 5)
    assert [(b"1", named(4)), (b"2", named(5)), (b"3", None)] == [
        (record.payload, record.cause) for record in records if record.signal == "ANSWER"
    ]
    assert [b"", b""] == [record.extension for record in records if record.signal == "line"]


def test_a_callback_for_the_mesh_handles_its_event(daemon: FakeDaemon, client: Client) -> None:
    """One of ones own instead of a chart's post: what it transmits, and what it posts, follows from the event."""
    causes: list[EventId | None] = []

    def noting(chart: Any, e: Any) -> Any:
        if e.signal_name == "INSTEAD":
            causes.append(HANDLING.event)
            return return_status.HANDLED
        chart.temp.fun = chart.top
        return return_status.SUPER

    def callback(ch: Any, method: Any, properties: Any, message: tuple[str, Any]) -> None:
        client.transmit("ANSWER")
        chart.post_fifo(Event(signal="INSTEAD"))

    chart = Chart("own")
    nets = MirosNets(chart, rx_routing_key="in", on_mesh_rx=callback, client=client)
    chart.start_at(noting)
    nets.start_threads()
    assert nets.mesh.subscription is not None
    assert nets.mesh.subscription.wait_bound(30)
    daemon.link.deliver(nets.mesh.subscription.number, 1, record(4, "ASK"))

    assert [named(4)] == [record.cause for record in sent(daemon, 1)]
    until(lambda: causes == [named(4)])
    nets.stop_threads()
    assert chart.stop(30)


def test_an_event_for_one_chart_reaches_it_alone(
    daemon: FakeDaemon, make: Callable[..., Actor], client: Client
) -> None:
    """Its neighbour, of another number or another program, drops it and counts it, whatever it is of."""
    chart, neighbour = make("chart"), make("neighbour")
    for_chart = encode_extension(named(1), chart.address)
    for_other = encode_extension(None, Addressee(OTHER, neighbour.address.chart))
    chart.bring(daemon, record(1, extension=for_chart))
    assert neighbour.wait_subscribed(30)
    assert neighbour.nets.mesh.subscription is not None
    daemon.link.deliver(
        neighbour.nets.mesh.subscription.number,
        *(1, record(2, extension=for_chart), record(3, "not sane", extension=for_other), record(4, "AFTER")),
    )
    until(lambda: neighbour.seen)

    assert [("PING", None)] == chart.seen
    assert [("AFTER", None)] == neighbour.seen
    counters = client.counters()
    assert (2, 0) == (counters["not_addressed"], counters["bad_signal_name"])


def test_a_plain_client_drops_what_is_for_a_chart(daemon: FakeDaemon, client: Client) -> None:
    """It is number 0 of its program; what it is told by that name arrives."""
    got: list[Any] = []
    subscription = client.subscribe("#", lambda event: got.append(event.payload))
    assert subscription.wait_bound(30)
    mine, charts = (encode_extension(None, Addressee(client.id, number)) for number in (0, 1))
    daemon.link.deliver(
        subscription.number, 1, record(1, payload=b"1", extension=charts), record(2, payload=b"2", extension=mine)
    )
    until(lambda: got)

    assert [2] == got
    assert 1 == client.counters()["not_addressed"]


def test_an_event_is_addressed(daemon: FakeDaemon, make: Callable[..., Actor], client: Client) -> None:
    """`to` goes out with it, from main and from a handler, with and without a receipt; another has none."""
    to = Addressee(OTHER, 9)
    assert client.transmit("A", to=to)
    receipt = client.transmit("B", to=to, receipt=True)
    assert client.transmit("C")
    make(ASK=lambda chart: client.send("D", b"{}", "json", routing_key="k", addressee=to)).bring(
        daemon, record(7, "ASK")
    )

    records = sent(daemon, 4)
    assert [("A", to), ("B", to), ("C", None), ("D", to)] == [(record.signal, record.addressee) for record in records]
    assert [None, None, None, named(7)] == [record.cause for record in records]
    assert receipt is not None
    assert records[1].sequence == receipt.sequence


def test_the_largest_payload_has_room_for_its_cause(daemon: FakeDaemon, client: Client) -> None:
    """What may be said beside an event takes nothing of what it may carry."""
    data = b"x" * MAX_PAYLOAD_BYTES
    subscription = client.subscribe("#", lambda event: client.send("BIG", data, "raw", routing_key="k"))
    assert subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(4))

    [big] = sent(daemon, 1)
    assert (data, named(4)) == (big.payload, big.cause)


class Recording:
    """A recorder that keeps what was sent."""

    def __init__(self) -> None:
        self.sends: list[tuple[int, str, int, EventId | None, int]] = []

    def sent(self, number: int, signal: str, sequence: int, cause: EventId | None, hlc: int) -> None:
        """Keep it."""
        self.sends.append((number, signal, sequence, cause, hlc))


def test_the_recorder_hears_of_each_event_that_was_accepted(
    daemon: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, with its cause, and a reading of the clock before its own; lines for people are none."""
    recording = Recording()
    monkeypatch.setattr(client._session.recorder, "sent", recording.sent)
    subscription = client.subscribe("#", lambda event: client.transmit("ANSWER"))
    assert subscription.wait_bound(30)
    client.transmit("PLAIN")
    client.transmit("FOLLOWED", receipt=True)
    client.send("OF_A_CHART", b"{}", "json", routing_key="k", chart_number=5)
    client.transmit("line", network="snoop_trace")
    daemon.link.deliver(subscription.number, 1, record(4))

    records = [record for record in sent(daemon, 5) if record.signal != "line"]
    assert ["PLAIN", "FOLLOWED", "OF_A_CHART", "ANSWER"] == [record.signal for record in records]
    assert [(r.chart, r.signal, r.sequence, r.cause) for r in records] == [send[:4] for send in recording.sends]
    assert records[3].cause == named(4)
    assert all(send[4] <= record.hlc for send, record in zip(recording.sends, records, strict=True))


def test_the_recorder_hears_of_nothing_that_was_refused(
    socket_file: Path, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full window: there is no such event."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=10)
    recording = Recording()
    monkeypatch.setattr(client._session.recorder, "sent", recording.sent)

    assert not client.transmit("PING")
    assert client.transmit("PING", receipt=True) is None
    assert [] == recording.sends
    client.close(0)
