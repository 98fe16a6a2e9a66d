"""A link that is opened again and again: when, where, and who may wait for the next attempt; in virtual time."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from mirosd.bridge.kept_link import LONGEST_PAUSE_S, KeptLink
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from tests.backends.virtual_time import run_virtually

HERE, THERE = BrokerAddress("192.0.2.1"), BrokerAddress("192.0.2.2")


class FakeLink:
    """An open link."""

    def __init__(self, on_lost: Callable[[BrokerError], None]) -> None:
        self.lose, self.is_aborted = on_lost, False

    def abort(self) -> None:
        """Drop it."""
        self.is_aborted = True

    async def close(self) -> None:
        """Close it."""


class Scene:
    """A connector that opens, or not, after a second; and the link that is kept with it."""

    def __init__(self) -> None:
        self.is_up = False
        self.faults: list[Exception] = []
        self.tried: list[tuple[float, str]] = []
        self.ups: list[FakeLink] = []
        self.downs: list[str] = []
        self.kept = KeptLink(
            self,  # type: ignore[arg-type]
            HERE,
            "t",
            on_up=self._up,  # type: ignore[arg-type]
            on_down=lambda error: self.downs.append(error.code),
            random=lambda: 1.0,
        )

    async def open(self, address: BrokerAddress, *, on_lost: Callable[[BrokerError], None], **_: Any) -> FakeLink:
        """Answer after a second."""
        self.tried.append((asyncio.get_running_loop().time(), address.host))
        await asyncio.sleep(1)
        if not self.is_up:
            raise self.faults.pop() if self.faults else BrokerError("tcp(refused)", "no")
        return FakeLink(on_lost)

    async def _up(self, link: FakeLink) -> None:
        self.ups.append(link)
        if self.faults:
            raise self.faults.pop()


def test_who_waits_for_an_attempt_waits_for_no_pause() -> None:
    """Asked in a pause, the link is tried at once; the outcome of that attempt ends the wait, good or bad."""

    async def test() -> None:
        scene, now = Scene(), asyncio.get_running_loop().time
        scene.kept.start()
        await asyncio.sleep(30)
        scene.tried.clear()
        while not scene.tried or now() - scene.tried[-1][0] < 2:  # an attempt is over, and a pause of 4 s is on
            await asyncio.sleep(0.25)
        asked_s, attempts = now(), len(scene.tried)
        await scene.kept.attempted()
        assert (asked_s + 1.0, attempts + 1, None) == (now(), len(scene.tried), scene.kept.link)
        scene.is_up = True
        await asyncio.sleep(0.5)
        await scene.kept.attempted()
        assert scene.kept.link is scene.ups[-1]
        before = now()
        await scene.kept.attempted()
        assert before == now()
        await scene.kept.stop()

    run_virtually(test())


def test_pauses_are_as_long_as_ever_when_nobody_waits() -> None:
    """One that waited shortens one pause, and no later one."""

    async def test() -> None:
        scene = Scene()
        scene.kept.start()
        await asyncio.sleep(30)
        await scene.kept.attempted()
        first = len(scene.tried)
        await asyncio.sleep(30)
        tried = [at_s for at_s, _ in scene.tried[first:]]
        pauses = [after - before for before, after in pairwise(tried)]

        assert {1.0 + LONGEST_PAUSE_S} == set(pauses)
        await scene.kept.stop()

    run_virtually(test())


def test_a_broker_that_is_away_for_a_day_is_found_when_it_is_there() -> None:
    """At the first connect (D31) and at each one after a loss (D32): tried for ever, by one task, within 5 s."""

    async def test() -> None:
        scene = Scene()
        scene.kept.start()
        tasks = len(asyncio.all_tasks())
        for turn in range(3):
            scene.is_up = False
            if scene.ups:
                scene.ups[-1].lose(BrokerError("lost", "gone"))
            await asyncio.sleep(86_400)
            assert (turn, None, tasks) == (len(scene.ups), scene.kept.link, len(asyncio.all_tasks()))
            scene.is_up = True
            await asyncio.sleep(LONGEST_PAUSE_S + 2)
            assert (turn + 1, scene.ups[-1]) == (len(scene.ups), scene.kept.link)
        await scene.kept.stop()

    run_virtually(test())


def test_no_fault_ends_the_trying() -> None:
    """One that nobody foresaw, in opening or in making ready: logged, told, and the link is tried again."""

    async def test() -> None:
        scene = Scene()
        scene.faults.append(OSError("no descriptor left"))
        scene.kept.start()
        await asyncio.sleep(1.5)
        scene.is_up = True
        scene.faults.append(ZeroDivisionError())
        await asyncio.sleep(30)

        assert ["internal", "internal"] == scene.downs
        assert [True, False] == [link.is_aborted for link in scene.ups]
        assert scene.kept.link is scene.ups[-1]
        await scene.kept.stop()

    run_virtually(test())


def test_a_link_is_untried_until_an_attempt_is_over() -> None:
    """At the start, and again where the broker has moved to."""

    async def test() -> None:
        scene = Scene()
        scene.kept.start()
        await asyncio.sleep(0.5)
        assert scene.kept.is_untried
        await asyncio.sleep(1)
        assert not scene.kept.is_untried
        scene.kept.move(THERE, "t2")
        assert scene.kept.is_untried
        await scene.kept.attempted()
        assert not scene.kept.is_untried
        await scene.kept.stop()

    run_virtually(test())


def test_a_broker_that_moves_is_reached_where_it_is() -> None:
    """The open link is dropped and told to be down, and the other address alone is tried from then on."""

    async def test() -> None:
        scene = Scene()
        scene.is_up = True
        scene.kept.start()
        await scene.kept.attempted()
        scene.kept.move(THERE, "t2")
        await scene.kept.attempted()

        assert (["closed"], [True, False]) == (scene.downs, [link.is_aborted for link in scene.ups])
        assert ["192.0.2.1", "192.0.2.2"] == [host for _, host in scene.tried]
        assert THERE == scene.kept.address
        await scene.kept.stop()

    run_virtually(test())
