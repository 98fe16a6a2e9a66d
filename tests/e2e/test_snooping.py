"""Charts watched from another host: three hosts, each with a real RabbitMQ and a mirosd; programs made of bytes."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pika
import pytest

from mirosd.names import SystemNames
from mirosd_client.chart_row import decode_charts
from mirosd_client.dial import Dial
from mirosd_client.messages import (
    RECALL_PREFIX,
    Ask,
    Done,
    Hello,
    Recall,
    Row,
    Subscribe,
    Subscribed,
    Watched,
    Welcome,
    decode_daemon_message,
    encode_message,
    recall_key,
)
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.snoop_line import CHARTS_SIGNAL, LINES_SIGNAL, decode_lines
from mirosd_client.wire import (
    Delivery,
    FrameType,
    Network,
    Settled,
    decode_delivery,
    decode_settled,
    encode_ack,
    encode_events,
)
from tests.e2e.stage import Stage, staged
from tests.lab.broker import TESTER, TESTER_PASSWORD, Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until
from tests.localapi.live import Raw

pytestmark = pytest.mark.lab

T = TypeVar("T")
ARCHERS = Dial(charts=["archer*"])


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


class Program(Raw):
    """A program on a host, and all that it has been told."""

    def __init__(self, daemon: Daemon, *, has_charts: bool = False) -> None:
        super().__init__(daemon.host.socket)
        self._unread: list[Any] = []
        self.sequence = 0
        self.send(encode_message(Hello([1], self.secret, "test", 1, has_charts)))
        self.id = self.next(Welcome).client

    def next(self, kind: Any) -> Any:
        """Give the next thing of a kind that it is told, or was told and has not been asked for."""
        while True:
            for said in self._unread:
                if isinstance(said, kind):
                    self._unread.remove(said)
                    return said
            self._read()

    def _read(self) -> None:
        frame = self.frame()
        assert frame is not None, "the daemon has ended the connection"
        said: Any
        if frame.type is FrameType.MESSAGE:
            said = decode_daemon_message(frame.body)
        elif frame.type is FrameType.DELIVERY:
            said = decode_delivery(frame.body)
            self.send(encode_ack(said.subscription, said.tag))
        else:
            said = decode_settled(frame.body)
        self._unread.append(said)

    def watched(self) -> dict[str, list[Dial]]:
        """Give what it is told next of what is watched."""
        return self.next(Watched).networks

    def was_told(self, kind: type[Any]) -> bool:
        """Say whether a thing of a kind has come by now, and was not asked for."""
        return any(isinstance(said, kind) for said in self._unread)

    def tell(self, routing_key: str, signal: str) -> None:
        """Send a record on the trace network, and return when the daemon has taken it."""
        self.sequence += 1
        record = Record(bytes.fromhex(self.id), 1, self.sequence, 0, 0, "json", signal, b"", b"[]")
        self.send(encode_events(Network.SNOOP_TRACE, routing_key, encode_record(record)))
        while self.next(Settled).settled < self.sequence:
            pass

    def hear(self, number: int, binding_key: str) -> None:
        """Subscribe on the trace network; it is bound when this returns."""
        self.send(encode_message(Subscribe(number, "snoop_trace", binding_key)))
        self.next(Subscribed)

    def heard(self, signal: str) -> Record:
        """Give the next record under a signal's name."""
        while True:
            for record in decode_records(self.next(Delivery).records):
                if record.signal == signal:
                    return record

    def begin(self, verb: str, **args: Any) -> None:
        """Ask, and do not wait for the answer."""
        self.send(encode_message(Ask(9, verb, {"network": "snoop_trace", **args})))

    def row(self, host: str) -> dict[str, Any]:
        """Give the next row of a host."""
        while (row := self.next(Row).row)["host"] != host:
            pass
        return row

    def recall(self, what: str, *hosts: str, **args: Any) -> tuple[str, dict[str, dict[str, Any]]]:
        """Recall, until each of these hosts has answered; gives the recall's id, and the rows by host."""
        return until(lambda: self._recall(what, hosts, args), what=f"the answer of {', '.join(hosts)}")

    def _recall(self, what: str, hosts: tuple[str, ...], args: Any) -> tuple[str, dict[str, dict[str, Any]]] | None:
        """Recall once; None when a host was slower than a second, or has not said its name yet."""
        recall, rows = secrets.token_hex(16), {}
        self.begin("recall", id=recall, what=what, hosts=hosts, **args)
        while not isinstance(said := self.next(Row | Done), Done):
            rows[said.row["host"]] = said.row
        if set(rows) != set(hosts) or any(row["refused"] == "unanswered" for row in rows.values()):
            return None
        assert said.result["sources"] == sum(row["sources"] for row in rows.values())
        return recall, rows


class Tap:
    """A queue that gets all that comes to one of a broker's networks."""

    def __init__(self, broker: Broker, network: Network = Network.SNOOP_TRACE) -> None:
        self._broker, exchange = broker, SystemNames("default").exchanges[network]
        self._with(lambda channel: channel.queue_declare("tap", auto_delete=False))
        self._with(lambda channel: channel.queue_bind("tap", exchange, "#"))

    def keys(self) -> list[str]:
        """Give the routing keys of what has come by now; they are taken out."""

        def take(channel: Any) -> list[str]:
            methods = iter(lambda: channel.basic_get("tap", auto_ack=True)[0], None)
            return [method.routing_key for method in methods]

        return self._with(take)

    def _with(self, use: Callable[[Any], T]) -> T:
        broker = self._broker
        with broker.host.network():
            parameters = pika.ConnectionParameters(
                broker.host.address, broker.port, credentials=pika.PlainCredentials(TESTER, TESTER_PASSWORD)
            )
            connection = pika.BlockingConnection(parameters)
        try:
            return use(connection.channel())
        finally:
            connection.close()


def alive(stage: Stage, *names: str, **settings: Any) -> list[Daemon]:
    """Start daemons that list each other; `settings` are of the last one."""
    for name in names:
        others = [other for other in names if other != name]
        stage.daemon(name, others, settings=settings if name == names[-1] else {}).start()
    for name in names:
        stage.wait_alive(name, len(names) - 1)
    return [stage.daemons[name] for name in names]


def test_a_program_is_watched_from_another_host(stage: Stage) -> None:
    """It is told of the dial, and that it has ended; its lines go to who watches alone, and without one nowhere."""
    h1, h2 = alive(stage, "h1", "h2")
    near, far = Tap(stage.brokers["h2"]), Tap(stage.brokers["h1"])
    with Program(h2, has_charts=True) as source:
        assert {} == source.watched()
        source.tell("snoop.trace", "unwatched")
        with Program(h1) as viewer:
            viewer.hear(1, "snoop.trace")
            assert {"snoop_trace": []} == source.watched()
            viewer.begin("watch", charts=["archer*"], for_s=2)
            assert {"snoop_trace": [ARCHERS]} == source.watched()
            source.tell("snoop.trace", "watched")
            assert bytes.fromhex(source.id) == viewer.heard("watched").client
            assert {"snoop_trace": []} == source.watched()
            assert Done(9) == viewer.next(Done)
            assert viewer.row("h2")["accepts"]
        assert {} == source.watched()
        source.tell("snoop.trace", "unwatched")
        with Program(h1) as viewer:
            viewer.hear(1, "snoop.trace")
            assert {"snoop_trace": []} == source.watched()
            source.tell("snoop.trace", "watched again")
            viewer.heard("watched again")

    assert ["snoop.trace"] * 2 == far.keys()
    assert [] == near.keys()


def test_a_watch_ends_with_its_viewer_and_with_its_host(stage: Stage) -> None:
    """A viewer that is killed, and a daemon that is: the program is told of both."""
    h1, h2 = alive(stage, "h1", "h2")
    with Program(h2, has_charts=True) as source:
        assert {} == source.watched()
        for is_host in (False, True):
            with Program(h1) as viewer:
                viewer.begin("watch", for_s=3600)
                assert {"snoop_trace": [Dial()]} == source.watched()
                if is_host:
                    h1.kill()
            assert {} == source.watched()


def test_a_host_that_lets_others_turn_on_nothing(stage: Stage) -> None:
    """It says so to who watches, and its programs are asked for nothing; what they show by themselves goes out."""
    h1, h2 = alive(stage, "h1", "h2", snoop={"remote": "off"})
    with Program(h2, has_charts=True) as source, Program(h1) as viewer, Program(h2) as own:
        assert {} == source.watched()
        viewer.hear(1, "snoop.trace")
        assert {"snoop_trace": []} == source.watched()
        viewer.begin("watch", charts=["archer*"], for_s=3600)
        row = viewer.row("h2")
        assert ("off", False) == (row["remote"], row["accepts"])
        source.tell("snoop.trace", "shown")
        viewer.heard("shown")
        with Program(h1) as other:
            _, rows = other.recall("charts", "h1", "h2")
            assert (0, "policy") == (rows["h2"]["sources"], rows["h2"]["refused"])
            assert (1, "") == (rows["h1"]["sources"], rows["h1"]["refused"]), "the daemon's own charts"

        own.begin("watch", charts=["lancer"], for_s=3600)
        assert {"snoop_trace": [Dial(charts=["lancer"])]} == source.watched()
        assert not source.was_told(Recall)


def test_what_is_recalled_reaches_who_asked_alone(stage: Stage) -> None:
    """Though another host watches all; what nobody has asked for goes nowhere, and is counted."""
    h1, h2, h3 = alive(stage, "h1", "h2", "h3")
    taps = [Tap(stage.brokers[name]) for name in ("h1", "h2", "h3")]
    with Program(h2, has_charts=True) as source, Program(h1) as viewer, Program(h3) as other:
        assert {} == source.watched()
        other.hear(1, "#")
        assert {"snoop_trace": []} == source.watched()
        viewer.hear(1, "recall.#")
        recall, rows = viewer.recall("history", "h1", "h2", charts=["archer*"], since_s=600)
        assert {"h1": 1, "h2": 2} == {host: row["sources"] for host, row in rows.items()}
        while (asked := source.next(Recall)).id != recall:
            pass
        assert Recall(recall, "history", "snoop_trace", ARCHERS, 600.0) == asked
        source.tell(recall_key(recall), "recalled")
        source.tell(recall_key("0" * 32), "unasked")
        source.tell("snoop.trace", "live")
        viewer.heard("recalled")
        other.heard("live")

        assert 1 == h2.ask("status")["counters"]["unasked"]
    at_h1, at_h2, at_h3 = (tap.keys() for tap in taps)
    assert recall_key(recall) in at_h1
    assert not [key for key in at_h1 if not key.startswith(RECALL_PREFIX)]
    assert [] == at_h2
    assert ["snoop.trace"] == at_h3


def test_the_daemons_own_charts_are_seen_from_another_host(stage: Stage) -> None:
    """Those of every host, each with its state; and what they did before anybody asked."""
    h1, _ = alive(stage, "h1", "h2")
    with Program(h1) as viewer:
        viewer.hear(1, "recall.#")
        viewer.recall("charts", "h2")
        charts = {row.chart: row for row in decode_charts(viewer.heard(CHARTS_SIGNAL).payload)}
        assert ("h2", "mirosd", "hearing") == (
            charts["peer_chart"].host,
            charts["peer_chart"].program,
            charts["peer_chart"].state,
        )

        node = h1.ask("status")["node"]
        viewer.recall("history", "h2", charts=[node], since_s=3600)
        lines = decode_lines(viewer.heard(LINES_SIGNAL).payload)
        assert {("h2", node)} == {(line.host, line.chart) for line in lines}
        assert "alive" in {line.to_state for line in lines}
