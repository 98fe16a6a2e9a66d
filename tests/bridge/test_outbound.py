"""The way out: gathering, order, what is safe and settled, and what a broker's absence does and does not do."""

import asyncio
from collections.abc import Callable

from structlog.testing import capture_logs

from mirosd.bridge import lane as lane_module
from mirosd.bridge.lane import MAX_IN_FLIGHT, Lane
from mirosd.bridge.outbound import FORGET_ACCOUNT_S, MAX_AWAY, Outbound
from mirosd.bridge.unheard import AGAIN_S
from mirosd.core.broker import Outcome
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd_client.record import Record, Span, decode_records, encode_record, scan_records
from mirosd_client.wire import Events, Network
from tests.bridge.fakes import CountingBoard, RecordingLink, RecordingSession, RecordingSnoop

KEY = bytes(32)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test moves; nothing here waits for real time."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def time(self) -> float:
        """The real clock and what the test added."""
        return super().time() + self.ahead_s


class Scene:
    """One client, two brokers, all in memory."""

    def __init__(self, loop: VirtualLoop, *, max_bytes: int = 1 << 26) -> None:
        self.loop = loop
        self.board = CountingBoard()
        sealer = Sealer(Keys(KEY), "default", "mesh", node="a" * 32, random=lambda n: b"s" * n, clock=lambda: 0.0)
        self.envelope = Envelope("default", "mesh", sealer, Opener(Keys(KEY), "default", "mesh"))
        self.lanes: list[Lane] = []
        self.snoop = RecordingSnoop()
        self.outbound = Outbound(
            self.envelope, "x", lambda: self.lanes, lambda _key: self.lanes, self.snoop, ttl_s=50, board=self.board
        )
        for name in ("own", "peer"):
            self.lanes.append(Lane(name, max_bytes=max_bytes, board=self.board, on_relief=self.outbound.relieved))
        self.own, self.peer = self.lanes
        self.session = RecordingSession()
        self.outbound.attached(self.session)

    def send(self, *sequences: int, key: str = "k", age_ms: int = 0, size: int = 10, flush: bool = True) -> None:
        """Hand records over as one frame."""
        records = b"".join(self.record(n, age_ms=age_ms, size=size) for n in sequences)
        self.outbound.events(self.session, Events(Network.MESH, key, records), self.span(records))
        if flush:
            self.outbound.flush()

    def record(self, sequence: int, *, age_ms: int = 0, size: int = 10) -> bytes:
        """Give a record of the client's."""
        return encode_record(Record(self.session.client_id, 1, sequence, 0, age_ms, "json", "S", b"", b"p" * size))

    def span(self, records: bytes) -> Span:
        """Give what the local API knows of records."""
        return scan_records(records, self.session.client_id)

    def turn(self) -> None:
        """Let what was scheduled for now happen."""
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))

    def move(self, seconds: float) -> None:
        """Move the clock and let due timers run."""
        self.loop.ahead_s += seconds
        self.turn()

    def sequences(self, link: RecordingLink, key: str = "k") -> list[list[int]]:
        """Give the sequence numbers in each body a link was given."""
        return [
            [record.sequence for record in decode_records(self.envelope.open_records(body, options["routing_key"])[1])]
            for body, options in zip(link.published, link.options, strict=True)
        ]


def scene(test: Callable[[Scene], None], **options: int) -> None:
    """Run a test on a loop of its own."""
    loop = VirtualLoop()

    async def make() -> Scene:
        return Scene(loop, **options)

    try:
        test(loop.run_until_complete(make()))
    finally:
        loop.close()


class TestGathering:
    def test_events_are_measured_as_they_are_sealed(self) -> None:
        """Once, however many brokers they are owed to, and again by nobody who hands over what was had already."""

        def test(s: Scene) -> None:
            s.send(1, 2)
            s.send(2, 3)

            assert 3 == s.board.measures.sent[Network.MESH]

        scene(test)

    def test_one_read_makes_one_body(self) -> None:
        """Frames of one read with one routing key share a body; a single one goes at once."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            s.send(1)
            s.send(2, 3, flush=False)
            s.send(4, flush=False)
            s.outbound.flush()

            assert [[1], [2, 3, 4]] == s.sequences(link)
            assert {"records": 3} == link.options[1]["headers"]

        scene(test)

    def test_what_a_read_brought_is_sent_at_its_end(self) -> None:
        """Every link is told to send then, rather than in the next turn of the loop."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            s.peer.opened(peer)
            s.send(1, key="a", flush=False)
            s.send(2, key="b", flush=False)
            before = own.flushed, peer.flushed
            s.outbound.flush()

            assert ((0, 0), (2, 2)) == (before, (own.flushed, peer.flushed))

        scene(test)

    def test_another_routing_key_closes_the_body(self) -> None:
        """Gathering never reorders a source: a record with another key closes the open body."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            for number, key in ((1, "a"), (2, "b"), (3, "a")):
                s.send(number, key=key, flush=False)
            s.outbound.flush()

            assert [[1], [2], [3]] == s.sequences(link)
            assert ["a", "b", "a"] == [options["routing_key"] for options in link.options]

        scene(test)

    def test_bodies_are_bounded(self) -> None:
        """A body holds at most 256 records and 64 KiB."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            for first in range(1, 401, 100):
                s.send(*range(first, first + 100), flush=False)
            s.outbound.flush()
            s.send(401, size=40_000, flush=False)
            s.send(402, size=40_000, flush=False)
            s.outbound.flush()

            assert [200, 200, 1, 1] == [len(body) for body in s.sequences(link)]

        scene(test)


class TestAcknowledging:
    def test_settled_needs_every_broker(self) -> None:
        """An event is safe and settled when both connected brokers have confirmed it."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            s.peer.opened(peer)
            s.send(1)
            own.answer()
            s.turn()

            assert [] == s.session.told

            peer.answer()
            s.turn()

            assert [(1, 1, 0)] == s.session.told

        scene(test)

    def test_an_absent_broker_leaves_events_safe(self) -> None:
        """What only an unreachable broker owes is safe at once and settled when its life is over."""

        def test(s: Scene) -> None:
            own = RecordingLink()
            s.own.opened(own)
            s.send(1)
            own.answer()
            s.turn()

            assert [(1, 0, 0)] == s.session.told

            s.move(50.1)

            assert (1, 1, 0) == s.session.told[-1]
            assert 1 == s.board.counters["expired"]

        scene(test)

    def test_numbers_are_cumulative(self) -> None:
        """A later body confirmed first says nothing until the earlier one is."""

        def test(s: Scene) -> None:
            own = RecordingLink()
            s.lanes.pop()
            s.own.opened(own)
            s.send(1)
            s.send(2)
            own.answer(1)
            s.turn()

            assert [] == s.session.told

            own.answer(0)
            s.turn()

            assert [(2, 2, 0)] == s.session.told

        scene(test)

    def test_unroutable_is_counted_once_and_only_when_nobody_has_a_queue(self) -> None:
        """An event is unroutable when every broker returned it; one that had a queue is enough not to be (D34)."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            s.peer.opened(peer)
            s.send(1, 2)
            s.send(3)
            own.answer(outcome=Outcome.RETURNED)
            peer.answer(0, outcome=Outcome.RETURNED)
            peer.answer(1, outcome=Outcome.CONFIRMED)
            s.turn()

            assert 2 == s.board.counters["unroutable"]
            assert (3, 3, 2) == s.session.told[-1]

        scene(test)

    def test_a_client_is_told_once_of_a_key_that_nobody_is_bound_to(self) -> None:
        """Its program and the log hear of each such key, once; again when it was heard meanwhile."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.lanes.remove(s.peer)
            s.own.opened(link)
            outcomes = ["RETURNED", "RETURNED", "CONFIRMED", "RETURNED"]
            with capture_logs() as logs:
                for number, outcome in enumerate(outcomes):
                    s.send(2 * number + 1, key="k")
                    s.send(2 * number + 2, key="other")
                    link.answer(2 * number, outcome=Outcome[outcome])
                    link.answer(2 * number + 1, outcome=Outcome.RETURNED)
                    s.move(AGAIN_S)

            assert ["k", "other", "k"] == s.session.unheard
            assert ["k", "other", "k"] == [line["routing_key"] for line in logs]
            assert {("nobody_is_bound", "warning", s.session.client)} == {
                (line["event"], line["log_level"], line["client"]) for line in logs
            }

        scene(test)

    def test_what_a_broker_gave_up_is_no_news(self) -> None:
        """Nobody is said to be missing where a broker never gave its verdict."""

        def test(s: Scene) -> None:
            own = RecordingLink()
            s.own.opened(own)
            s.send(1)
            own.answer(outcome=Outcome.RETURNED)
            s.move(50.1)

            assert [] == s.session.unheard

        scene(test)

    def test_what_nobody_can_have_a_queue_for_is_unroutable_at_once(self) -> None:
        """With no broker in question an event is settled and counted without being sent."""

        def test(s: Scene) -> None:
            s.lanes.clear()
            s.send(1, 2)
            s.turn()

            assert [(2, 2, 2)] == s.session.told
            assert 2 == s.board.counters["unroutable"]

        scene(test)

    def test_one_queue_is_enough_whoever_answers_last(self) -> None:
        """A body that the first broker routed is not unroutable because the last one returned it."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            s.peer.opened(peer)
            s.send(1)
            own.answer(outcome=Outcome.CONFIRMED)
            peer.answer(outcome=Outcome.RETURNED)
            s.turn()

            assert 0 == s.board.counters["unroutable"]

        scene(test)

    def test_what_a_broker_never_judged_is_not_unroutable(self) -> None:
        """Returned by one broker and expired for the other: counted expired, since that one may have had a queue."""

        def test(s: Scene) -> None:
            own = RecordingLink()
            s.own.opened(own)
            s.send(1)
            own.answer(outcome=Outcome.RETURNED)
            s.move(50.1)

            assert {"expired": 1} == dict(s.board.counters)
            assert (1, 1, 0) == s.session.told[-1]

        scene(test)

    def test_bodies_survive_a_broker_and_come_back_when_nobody_listens(self) -> None:
        """Every body is published persistent and mandatory, with the time that is left of its life."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            s.send(1)

            assert (True, True) == (link.options[0]["persistent"], link.options[0]["mandatory"])
            assert 49_000 < link.options[0]["expiration_ms"] <= 50_000

        scene(test)

    def test_what_is_too_old_is_not_published(self) -> None:
        """An event whose life is over at hand-over is counted expired and goes to nobody."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.lanes.pop()
            s.own.opened(link)
            s.send(1, age_ms=60_000)
            s.turn()

            assert [] == link.published
            assert 1 == s.board.counters["expired"]
            assert (1, 1, 0) == s.session.told[-1]

        scene(test)


class TestLosingAConnection:
    def test_replay_begins_with_the_oldest(self) -> None:
        """After a loss the unconfirmed bodies go first, in order, then what came meanwhile."""

        def test(s: Scene) -> None:
            s.lanes.pop()
            first, second = RecordingLink(), RecordingLink()
            s.own.opened(first)
            for number in range(1, 5):
                s.send(number)
            first.answer(1)  # the broker confirms out of order
            s.own.lost()
            s.send(5)
            s.own.opened(second)

            assert [[1], [3], [4], [5]] == s.sequences(second)

        scene(test)

    def test_replay_goes_before_what_was_never_sent(self) -> None:
        """What was in flight goes before what still waited behind it."""

        def test(s: Scene) -> None:
            s.lanes.pop()
            first, second = RecordingLink(), RecordingLink()
            s.own.opened(first)
            for number in range(1, MAX_IN_FLIGHT + 3):
                s.send(number)
            s.own.lost()
            s.own.opened(second)
            second.answer()

            assert [[number] for number in range(1, MAX_IN_FLIGHT + 3)] == s.sequences(second)

        scene(test)

    def test_a_lost_or_blocked_broker_makes_its_debts_safe(self) -> None:
        """What a broker has not confirmed when it goes, or stops reading, waits here: safe, not settled."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            s.peer.opened(peer)
            s.send(1)
            s.own.lost()
            s.turn()

            assert [] == s.session.told

            s.peer.blocked(True)
            s.turn()

            assert [(1, 0, 0)] == s.session.told

            s.send(2)

            assert 1 == len(peer.published)

            s.peer.blocked(False)

            assert [[1], [2]] == s.sequences(peer)

        scene(test)

    def test_a_late_answer_of_a_lost_connection_is_ignored(self) -> None:
        """What the old connection still says about a body does not settle its repeat."""

        def test(s: Scene) -> None:
            s.lanes.pop()
            first, second = RecordingLink(), RecordingLink()
            s.own.opened(first)
            s.send(1)
            s.own.lost()
            s.own.opened(second)
            first.answer()
            s.turn()

            assert 0 == max((settled for _, settled, _ in s.session.told), default=0)

            second.answer()
            s.turn()

            assert 1 == s.session.told[-1][1]

        scene(test)

    def test_in_flight_is_bounded(self) -> None:
        """At most MAX_IN_FLIGHT bodies are unconfirmed on a connection; a confirm lets the next go."""

        def test(s: Scene) -> None:
            s.lanes.pop()
            link = RecordingLink()
            s.own.opened(link)
            for number in range(1, MAX_IN_FLIGHT + 11):
                s.send(number)

            assert MAX_IN_FLIGHT == len(link.published)

            link.answer(0, 1)

            assert MAX_IN_FLIGHT + 2 == len(link.published)

        scene(test)

    def test_overflow_is_that_brokers_alone(self) -> None:
        """A broker that is away too long loses its oldest bodies; the other gets everything."""

        def test(s: Scene) -> None:
            own, peer = RecordingLink(), RecordingLink()
            s.own.opened(own)
            for number in range(1, 31):
                s.send(number, size=1000)
                own.answer()
            s.peer.opened(peer)
            while not s.peer.is_idle:
                peer.answer()

            kept = [number for body in s.sequences(peer) for number in body]
            assert list(range(1, 31)) == [number for body in s.sequences(own) for number in body]
            assert list(range(31 - len(kept), 31)) == kept
            assert 30 - len(kept) == s.board.counters["overflow"] > 0

        scene(test, max_bytes=10_000)


class TestReturningClients:
    def test_what_the_daemon_has_is_not_published_again(self) -> None:
        """A client that reconnects repeats its unsettled events; those still here are skipped, newer ones go."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.lanes.pop()
            s.own.opened(link)
            s.send(1, 2, 3)
            s.outbound.detached(s.session)
            s.outbound.attached(s.session)
            s.send(1, 2)
            s.send(3, 4, 5)

            assert [[1, 2, 3], [4, 5]] == s.sequences(link)

        scene(test)

    def test_a_client_may_come_back_for_as_long_each_time(self) -> None:
        """A minute from when it left last, and no longer."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.lanes.pop()
            s.own.opened(link)
            s.send(1)
            for part in (0.7, 0.7, 1.1):
                s.outbound.detached(s.session)
                s.move(part * FORGET_ACCOUNT_S)
                s.outbound.attached(s.session)
                s.send(1)

            assert [[1], [1]] == s.sequences(link)

        scene(test)

    def test_who_comes_and_goes_in_a_loop_leaves_a_bounded_lot(self) -> None:
        """Another client each time; those who are connected, or left last, are remembered."""

        def test(s: Scene) -> None:
            crowd = [RecordingSession(number.to_bytes(16, "big")) for number in range(MAX_AWAY + 100)]
            for session in crowd:
                s.outbound.attached(session)
                s.outbound.detached(session)

            assert {each.client for each in (s.session, *crowd[100:])} == s.outbound._accounts.keys()

        scene(test)

    def test_age_counts_against_the_life(self) -> None:
        """An event that waited in its program has that much less time here."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            s.send(1, age_ms=20_000)

            assert 29_000 < link.options[0]["expiration_ms"] <= 30_000

        scene(test)


class TestHoldingBack:
    def test_a_busy_broker_pauses_its_senders(self) -> None:
        """While a connected broker is behind, clients are not read; when it has caught up they are."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            number = 0
            while not s.session.is_paused:
                number += 1
                s.send(number, size=60_000)

            assert number * 60_000 > lane_module.HIGH_WATER_BYTES
            while link._waiting:
                link.answer()
            assert not s.session.is_paused

        scene(test)

    def test_a_broker_that_goes_on_confirming_goes_on_holding(self) -> None:
        """A slow broker that still confirms now and then keeps its senders waiting, however long it takes."""

        def test(s: Scene) -> None:
            link = RecordingLink()
            s.own.opened(link)
            number = 0
            while not s.session.is_paused:
                number += 1
                s.send(number, size=60_000)
            for body in range(5):
                s.move(lane_module.PROGRESS_S - 0.4)
                link.answer(body)

            assert s.session.is_paused

        scene(test)

    def test_a_broker_that_confirms_nothing_holds_nobody(self) -> None:
        """A second without any confirm, and clients are read again: one stuck broker delays no other (D29)."""

        def test(s: Scene) -> None:
            s.own.opened(RecordingLink())
            number = 0
            while not s.session.is_paused:
                number += 1
                s.send(number, size=60_000)
            s.move(lane_module.PROGRESS_S + 0.1)

            assert not s.session.is_paused

        scene(test)
