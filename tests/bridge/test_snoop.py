"""Instrumentation on its way out: what is shed, in which order, and how it is counted; in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.bridge.lane import Lane
from mirosd.bridge.producer_set import ProducerSet
from mirosd.bridge.snoop import MAX_UNCONFIRMED, SnoopOutbound
from mirosd.core.broker import BrokerAddress
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd_client.limits import MAX_BODY_BYTES
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.wire import Events, Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard, RecordingLink

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
NAMES = SystemNames("default")
LINE_BYTES = 200


class Brokers:
    """Opens recording links: of each broker one for the mesh and one for control."""

    def __init__(self) -> None:
        self.links: dict[str, RecordingLink] = {}

    async def open(self, _address: BrokerAddress, *, name: str, **_options: Any) -> RecordingLink:
        """Give an open link."""
        link = self.links[name] = RecordingLink()
        return link


class Scene:
    """The way out to some brokers, and a program that has lines for it."""

    def __init__(self, *hosts: str) -> None:
        self.board = CountingBoard()
        self.brokers = Brokers()
        self.hosts = hosts
        self.envelopes = {network: _envelope(NETWORK_NAMES[network]) for network in (TRACE, SPY)}
        self.sets = [self._make_set(host) for host in hosts]
        self.snoop = SnoopOutbound(self.envelopes, NAMES, lambda _network, _key, _records: self.sets, self.board)
        self.lines = 0

    async def start(self) -> None:
        """Connect to all brokers."""
        for producer_set in self.sets:
            producer_set.start()
        await asyncio.sleep(1)

    async def stop(self) -> None:
        """Disconnect."""
        for producer_set in self.sets:
            for kept in (producer_set._mesh, producer_set._controls):
                kept.link = None  # a recording link has no end
            await producer_set.stop()

    def link(self, host: str) -> RecordingLink:
        """Give the control link to a broker."""
        return self.brokers.links[f"mirosd control {host}:5672"]

    def tell(self, network: Network, count: int = 1) -> None:
        """Take lines of one read of a program's socket."""
        records = b""
        for _ in range(count):
            self.lines += 1
            records += encode_record(Record(b"c" * 16, 1, self.lines, 0, 0, "json", "S", b"", b"l" * LINE_BYTES))
        self.snoop.take(Events(network, NETWORK_NAMES[network], records), count)

    def lines_at(self, host: str, network: Network) -> list[int]:
        """Give the lines that a broker was sent."""
        link = self.link(host)
        return [
            record.sequence
            for body, options in zip(link.published, link.options, strict=True)
            if options["exchange"] == NAMES.exchanges[network]
            for record in decode_records(self.envelopes[network].open_records(body, options["routing_key"])[1])
        ]

    def _make_set(self, host: str) -> ProducerSet:
        async def prepare(_link: Any) -> None:
            """There is nothing to prepare."""

        return ProducerSet(
            self.brokers,  # type: ignore[arg-type]
            BrokerAddress(host),
            Lane(host, max_bytes=1 << 20, board=self.board, on_relief=lambda: None),
            None,  # type: ignore[arg-type]  # nobody is behind these brokers
            prepare_mesh=prepare,
            prepare_control=prepare,
            post_peer=lambda _signal, _payload: None,
            random=lambda: 1.0,
        )


def _envelope(network: str) -> Envelope:
    sealer = Sealer(Keys(bytes(32)), "default", network, node="a" * 32, random=lambda n: b"s" * n, clock=lambda: 0.0)
    return Envelope("default", network, sealer, Opener(Keys(bytes(32)), "default", network))


def scene(test: Callable[[Scene], Coroutine[Any, Any, None]], *hosts: str) -> None:
    """Run a test with connected brokers."""

    async def play() -> None:
        made = Scene(*hosts)
        await made.start()
        await test(made)
        await made.stop()

    run_virtually(play())


def test_a_flood_of_spy_lines_leaves_room_for_traces() -> None:
    """While nothing is confirmed, spy lines take half of what may be on its way, and traces the rest."""

    async def test(s: Scene) -> None:
        for _ in range(20):
            s.tell(SPY, 250)
            s.snoop.flush()
        spied = len(s.lines_at("b", SPY))
        assert 0 < spied * LINE_BYTES < MAX_UNCONFIRMED[SPY]
        assert MAX_UNCONFIRMED[SPY] - spied * LINE_BYTES < 1.5 * MAX_BODY_BYTES, "as many as there is room for"
        s.tell(TRACE, 250)
        s.snoop.flush()

        assert 250 == len(s.lines_at("b", TRACE))
        assert {"snoop_spy_shed": 5000 - spied} == s.board.counters

    scene(test, "b")


def test_traces_go_before_spy_lines_of_the_same_read() -> None:
    """Whichever a program told first."""

    async def test(s: Scene) -> None:
        s.tell(SPY, 3)
        s.tell(TRACE, 2)
        s.snoop.flush()

        assert [NAMES.exchanges[TRACE], NAMES.exchanges[SPY]] == [each["exchange"] for each in s.link("b").options]

    scene(test, "b")


def test_what_is_confirmed_makes_room() -> None:
    """A broker that keeps up gets every line."""

    async def test(s: Scene) -> None:
        for _ in range(20):
            s.tell(SPY, 250)
            s.tell(TRACE, 250)
            s.snoop.flush()
            s.link("b").answer()

        assert {} == s.board.counters
        assert 5000 == len(s.lines_at("b", SPY)) == len(s.lines_at("b", TRACE))

    scene(test, "b")


def test_what_one_broker_cannot_take_others_get() -> None:
    """Lines are shed for the broker that is behind alone, each counted once for each broker that does not get it."""

    async def test(s: Scene) -> None:
        for _ in range(10):
            s.tell(TRACE, 250)
            s.snoop.flush()
            s.link("b").answer()
        s.link("c").answer()
        s.link("c").is_blocked = True
        s.tell(SPY)
        s.snoop.flush()

        assert 2500 == len(s.lines_at("b", TRACE))
        assert 2500 - len(s.lines_at("c", TRACE)) == s.board.counters["snoop_trace_shed"] > 0
        assert (1, 0) == (len(s.lines_at("b", SPY)), len(s.lines_at("c", SPY)))
        assert 1 == s.board.counters["snoop_spy_shed"]

    scene(test, "b", "c")


def test_lines_are_measured() -> None:
    """Each record once, however many brokers it goes to; each broker's answer for itself; what is shed has none."""

    async def test(s: Scene) -> None:
        s.tell(SPY, 3)
        s.snoop.flush()
        s.link("c").is_blocked = True
        s.tell(SPY, 1)
        s.snoop.flush()
        await asyncio.sleep(0.5)
        s.link("b").answer()
        s.link("c").answer()
        measures = s.board.measures

        assert {Network.MESH: 0, TRACE: 0, SPY: 4} == measures.sent
        assert (3, pytest.approx(1.5)) == (sum(measures.answer_s[SPY].counts), measures.answer_s[SPY].sum_s)
        assert 0 == sum(measures.answer_s[TRACE].counts)

    scene(test, "b", "c")


def test_lines_that_nobody_watches_are_not_sent() -> None:
    """They are no events of any network."""

    async def test(s: Scene) -> None:
        s.tell(TRACE)
        s.snoop.flush()

        assert 0 == s.board.measures.sent[TRACE]

    scene(test)
