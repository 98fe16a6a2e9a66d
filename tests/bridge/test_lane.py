"""One broker's debts in virtual time: bounds in bytes and age, order, and a broker that hangs, to the second."""

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from mirosd.bridge.body import Body, Share
from mirosd.bridge.lane import BODY_BYTES, EXPIRY_STEP_S, MAX_IN_FLIGHT, STALLED_S, Lane
from mirosd.core.broker import Outcome
from mirosd_client.wire import Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard, RecordingLink

TTL_S = 50.0
RECORDS = 50


class Sender:
    """Gives records to bodies, and is told what becomes of them."""

    def __init__(self) -> None:
        self.moves = 0

    def moved(self) -> None:
        """Something changed."""
        self.moves += 1

    def routed(self, routing_key: str) -> None:
        """Nothing to note."""

    def unroutable(self, routing_key: str, count: int) -> None:
        """Nothing to note."""


class Scene:
    """A lane whose broker is away, and the bodies it was given: each is its number, padded to `size`."""

    def __init__(self, *, max_bytes: int = 1 << 26, size: int = 1000) -> None:
        self.board = CountingBoard()
        self.lane = Lane("peer", max_bytes=max_bytes, board=self.board, on_relief=lambda: None)
        self.size, self.bodies = size, 0
        self.peak_bytes = 0
        self._sender = Sender()

    def owe(self, count: int = 1) -> list[Body]:
        """Owe so many more bodies."""
        made = []
        for _ in range(count):
            self.bodies += 1
            sealed = b"%d" % self.bodies
            body = Body("x", "k", sealed.ljust(self.size), self.now_s + TTL_S, [Share(self._sender, RECORDS)])
            self.lane.owe(body)
            body.handed_out()
            self.peak_bytes = max(self.peak_bytes, self.lane.pending_bytes)
            made.append(body)
        return made

    async def flood(self, seconds: float, per_s: int = 10) -> None:
        """Owe bodies at a steady pace."""
        for _ in range(round(seconds * per_s)):
            self.owe()
            await asyncio.sleep(1 / per_s)

    @property
    def now_s(self) -> float:
        """The time."""
        return asyncio.get_running_loop().time()

    def lost_records(self) -> int:
        """Give how many records were counted as never delivered."""
        return sum(self.board.counters.values())


def numbers(published: Iterable[bytes]) -> list[int]:
    """Give which bodies were published, in order."""
    return [int(body) for body in published]


def virtually(test: Coroutine[Any, Any, None]) -> None:
    """Run a test in no time."""
    run_virtually(test)


def test_each_body_expires_at_its_second() -> None:
    """While the broker is away each body lives for its 50 s, no more and no less, and is counted by its records."""

    async def test() -> None:
        scene = Scene()
        bodies = []
        for _ in range(5):
            bodies += scene.owe()
            await asyncio.sleep(1)
        for gone in range(5):
            await asyncio.sleep(TTL_S - scene.now_s + gone - 0.01)
            assert gone * RECORDS == scene.board.counters["expired"]
            await asyncio.sleep(0.02)
            assert [n <= gone for n in range(5)] == [body.is_settled for body in bodies]
        assert {"expired": 5 * RECORDS} == scene.board.counters
        assert 0 == scene.lane.pending_bytes

    virtually(test())


def test_ten_minutes_away_stay_within_the_bound() -> None:
    """At 1,000 events/s what is owed stays within its bytes at every moment; a second outage takes no byte more."""

    async def test() -> None:
        bound, per_s = 1 << 19, 20
        scene = Scene(max_bytes=bound)
        peaks, sent = [], 0
        for _ in range(2):
            scene.peak_bytes = 0
            await scene.flood(600, per_s)
            peaks.append(scene.peak_bytes)
            link = RecordingLink()
            scene.lane.opened(link)
            while not scene.lane.is_idle:
                link.answer()
            sent += len(link.published)
            assert list(range(scene.bodies - len(link.published) + 1, scene.bodies + 1)) == numbers(link.published)
            assert 0 == scene.lane.pending_bytes
            scene.lane.lost()

        assert peaks[0] == peaks[1] <= bound
        assert bound - peaks[0] < scene.size + BODY_BYTES, "it holds as much as it may"
        assert scene.bodies * RECORDS == sent * RECORDS + scene.board.counters["overflow"]
        assert scene.lost_records() == scene.board.counters["overflow"]

    virtually(test())


def test_within_the_bound_age_alone_decides() -> None:
    """Where the bytes would do for more, a broker that comes back gets the last 50 s, and the rest was expired."""

    async def test() -> None:
        scene = Scene()
        await scene.flood(600)
        link = RecordingLink()
        scene.lane.opened(link)
        while not scene.lane.is_idle:
            link.answer()
        kept = numbers(link.published)

        assert list(range(scene.bodies - len(kept) + 1, scene.bodies + 1)) == kept
        assert TTL_S * 10 - 1 <= len(kept) <= TTL_S * 10
        assert {"expired": (scene.bodies - len(kept)) * RECORDS} == scene.board.counters

    virtually(test())


def test_what_expires_in_a_row_is_looked_at_together() -> None:
    """Each look goes through all that waits: one for each body would leave the loop no time for anything else."""

    async def test() -> None:
        scene = Scene()
        await scene.flood(2, per_s=100)
        await asyncio.sleep(TTL_S - scene.now_s - 1)
        loop = asyncio.get_running_loop()
        turns = loop.turns  # type: ignore[attr-defined]
        await asyncio.sleep(4)

        assert {"expired": 200 * RECORDS} == scene.board.counters
        assert loop.turns - turns <= 4 / EXPIRY_STEP_S + 4  # type: ignore[attr-defined]

    virtually(test())


def test_what_expires_behind_something_younger() -> None:
    """After a restart one program's old events stand behind another's new ones: they are counted in time."""

    async def test() -> None:
        scene = Scene()
        young, old = scene.now_s + 60.0, scene.now_s + 10.0
        for expires_s in (young, old):
            scene.lane.owe(Body("x", "k", b"sealed", expires_s, [Share(scene._sender, RECORDS)]))
        await asyncio.sleep(10 + STALLED_S)

        assert {"expired": RECORDS} == scene.board.counters

    run_virtually(test())


def test_what_was_sent_and_never_confirmed_may_have_arrived() -> None:
    """Nobody can know: it is counted apart from what was never sent."""

    async def test() -> None:
        scene = Scene()
        scene.lane.opened(RecordingLink())
        scene.owe(2)
        scene.lane.lost()
        scene.owe(3)
        await asyncio.sleep(TTL_S + 1)

        assert {"unconfirmed": 2 * RECORDS, "expired": 3 * RECORDS} == scene.board.counters

    run_virtually(test())


def test_small_bodies_take_no_more_memory_than_the_bound() -> None:
    """A million small events owed to a broker that is away: the bound is one of memory, not of payload."""

    async def test() -> None:
        bound = 1 << 20
        scene = Scene(max_bytes=bound, size=100)
        tracemalloc.start()
        try:
            for _ in range(20_000):
                scene.owe()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert scene.peak_bytes <= bound
        assert held < 1.25 * bound
        assert scene.bodies * RECORDS - scene.board.counters["overflow"] == RECORDS * (bound // (100 + BODY_BYTES))

    virtually(test())


def test_a_broker_that_confirms_nothing_keeps_the_bound() -> None:
    """What is on its way to it has half of the bound; of what waits behind that the oldest is dropped."""

    async def test() -> None:
        bound = 100_000
        scene = Scene(max_bytes=bound)
        link = RecordingLink()
        scene.lane.opened(link)
        scene.owe(MAX_IN_FLIGHT)
        in_flight = bound // 2 // (scene.size + BODY_BYTES)
        kept = bound // (scene.size + BODY_BYTES)
        assert scene.peak_bytes <= bound
        assert in_flight == len(link.published)
        assert {"overflow": (MAX_IN_FLIGHT - kept) * RECORDS} == scene.board.counters

        scene.lane.lost()
        assert scene.lane.pending_bytes <= bound
        again = RecordingLink()
        scene.lane.opened(again)
        assert in_flight == len(again.published)
        while not scene.lane.is_idle:
            again.answer()
        newest = range(MAX_IN_FLIGHT - (kept - in_flight) + 1, MAX_IN_FLIGHT + 1)
        assert [*range(1, in_flight + 1), *newest] == numbers(again.published)
        scene.owe(MAX_IN_FLIGHT)
        assert kept + in_flight == len(again.published)

    virtually(test())


def test_each_connection_begins_with_the_oldest_that_is_not_confirmed() -> None:
    """Whatever each connection confirmed before it broke: the next has the rest in order, then what came meanwhile."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.owe(5)
        scene.lane.opened(link)
        link.answer(0, 1)
        scene.lane.lost()
        scene.owe(2)
        link = RecordingLink()
        scene.lane.opened(link)
        assert [3, 4, 5, 6, 7] == numbers(link.published)
        link.answer(0, 2)  # 3 and 5: 4 is not confirmed
        scene.lane.lost()
        scene.owe(MAX_IN_FLIGHT)
        link = RecordingLink()
        scene.lane.opened(link)
        assert [4, 6, 7, 8] == numbers(link.published)[:4]
        assert MAX_IN_FLIGHT == len(link.published), "the others have to wait"
        scene.lane.lost()
        link = RecordingLink()
        scene.lane.opened(link)
        while not scene.lane.is_idle:
            link.answer()

        assert [4, *range(6, scene.bodies + 1)] == numbers(link.published)
        assert {} == scene.board.counters

    virtually(test())


def test_a_body_larger_than_half_the_bound_goes_alone() -> None:
    """The largest event there is, and the smallest bound: one at a time."""

    async def test() -> None:
        scene = Scene(max_bytes=1 << 19, size=300_000)
        link = RecordingLink()
        scene.lane.opened(link)
        scene.owe()
        assert [1] == numbers(link.published)
        scene.size = 100_000
        scene.owe()
        assert [1] == numbers(link.published)
        link.answer()

        assert [1, 2] == numbers(link.published)
        assert {} == scene.board.counters

    virtually(test())


def test_a_small_bound_holds_senders_back_sooner() -> None:
    """A connected broker that is behind paces its senders, before anything would have to be dropped."""

    async def test() -> None:
        scene = Scene(max_bytes=100_000)
        link = RecordingLink()
        scene.lane.opened(link)
        while not scene.lane.holds_back(is_holding=False):
            scene.owe()
        assert {} == scene.board.counters
        assert scene.lane.pending_bytes <= 50_000 + scene.size + BODY_BYTES
        number = 0
        while scene.lane.holds_back(is_holding=True):
            link.answer(number)
            number += 1
        assert 25_000 - scene.size - BODY_BYTES <= scene.lane.pending_bytes <= 25_000

    virtually(test())


@pytest.mark.parametrize("alarm_s", [5, 30])
def test_an_alarm_loses_nothing(alarm_s: int) -> None:
    """A broker that does not read for a while gets everything afterwards, in order; meanwhile all of it is safe."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        unsure = scene.owe(3)
        assert [False] * 3 == [body.is_safe for body in unsure]
        scene.lane.blocked(True)
        assert [True] * 3 == [body.is_safe for body in unsure]
        link.answer()  # what it had read before
        await scene.flood(alarm_s)
        assert [1, 2, 3] == numbers(link.published), "nothing is sent to who does not read"
        scene.lane.blocked(False)
        assert len(link.published) > 3, "and it goes on by itself"
        while not scene.lane.is_idle:
            link.answer()

        assert list(range(1, scene.bodies + 1)) == numbers(link.published)
        assert {} == scene.board.counters

    virtually(test())


def test_a_broker_that_hangs_is_as_good_as_away() -> None:
    """Connected, and nothing is confirmed: after 5 s its events are safe, after their 50 s those that wait expire."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        first, *others = scene.owe(MAX_IN_FLIGHT + 1)
        waiting = others[-1]
        await asyncio.sleep(STALLED_S - 0.1)
        assert (False, False) == (first.is_safe, waiting.is_safe)
        await asyncio.sleep(0.2)
        assert (True, True) == (first.is_safe, waiting.is_safe)
        assert [True] == [body.is_safe for body in scene.owe()], "so is what comes then"
        await asyncio.sleep(TTL_S - scene.now_s + 0.1)
        assert (False, True) == (first.is_settled, waiting.is_settled)
        assert {"expired": RECORDS} == scene.board.counters

        link.answer(0)
        assert first.is_settled
        assert [False] == [body.is_safe for body in scene.owe()], "it confirms again"

    virtually(test())


def test_a_broker_that_is_slow_does_not_hang() -> None:
    """One confirm every few seconds, and what it still owes is unsafe."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        bodies = scene.owe(10)
        for number in range(9):
            await asyncio.sleep(STALLED_S - 0.5)
            link.answer(number)
            assert not bodies[number + 1].is_safe

    virtually(test())


def test_an_idle_lane_sets_no_timer() -> None:
    """Once all is confirmed the loop has nothing to do: an idle daemon sleeps."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        scene.owe(3)
        link.answer()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2 * STALLED_S)
        turns = loop.turns  # type: ignore[attr-defined]
        await asyncio.sleep(3600)

        assert loop.turns - turns <= 2  # type: ignore[attr-defined]

    virtually(test())


def test_what_a_broker_refuses_is_counted_and_not_sent_again() -> None:
    """A nack settles the body: sent again it would come after its successors."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        [body] = scene.owe()
        link.answer(outcome=Outcome.NACKED)

        assert body.is_settled
        assert [1] == numbers(link.published)
        assert {"nacked": RECORDS} == scene.board.counters

    virtually(test())


def test_a_lane_that_ends_counts_what_it_owed() -> None:
    """The last peer behind a broker is gone: what was on its way and what waited is `forgotten`."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        scene.owe(MAX_IN_FLIGHT + 5)
        scene.lane.close()

        assert {"forgotten": (MAX_IN_FLIGHT + 5) * RECORDS} == scene.board.counters
        assert 0 == scene.lane.pending_bytes

    virtually(test())


def test_a_stop_counts_nothing_and_says_what_is_owed() -> None:
    """Programs hand over to the next start what is not settled here: it is not lost, and no body is told that it is."""

    async def test() -> None:
        scene = Scene()
        link = RecordingLink()
        scene.lane.opened(link)
        bodies = scene.owe(MAX_IN_FLIGHT + 5)
        link.answer(0)

        assert (MAX_IN_FLIGHT + 4) * RECORDS == scene.lane.stop()
        assert {} == scene.board.counters
        assert [True] + [False] * (len(bodies) - 1) == [body.is_settled for body in bodies]

    virtually(test())


@pytest.mark.parametrize("end", [Lane.close, Lane.dissolve, Lane.stop])
def test_a_lane_that_ended_sets_no_timer(end: Callable[[Lane], None]) -> None:
    """Nothing of it is looked at again: the loop has nothing to do."""

    async def test() -> None:
        scene = Scene()
        scene.owe(3)
        end(scene.lane)
        loop = asyncio.get_running_loop()
        turns = loop.turns  # type: ignore[attr-defined]
        await asyncio.sleep(3600)

        assert loop.turns - turns <= 2  # type: ignore[attr-defined]
        assert scene.lane.is_idle

    virtually(test())


def test_answers_are_measured_from_the_last_publishing() -> None:
    """What waited for a connection, or was lost with one, is timed from when it was published on the next."""

    async def test() -> None:
        scene = Scene()
        scene.owe(2)
        await asyncio.sleep(20)
        lost, link = RecordingLink(), RecordingLink()
        scene.lane.opened(lost)
        await asyncio.sleep(3)
        lost.answer(0)
        scene.lane.lost()
        await asyncio.sleep(1)
        scene.lane.opened(link)
        await asyncio.sleep(0.25)
        link.answer(outcome=Outcome.RETURNED)
        measures = scene.board.measures
        answer_s = measures.answer_s[Network.MESH]

        assert {Outcome.CONFIRMED: RECORDS, Outcome.RETURNED: RECORDS, Outcome.NACKED: 0} == measures.answers
        assert (2, pytest.approx(3.25)) == (sum(answer_s.counts), answer_s.sum_s)
        assert 2 == measures.opened["mesh"]

    virtually(test())
