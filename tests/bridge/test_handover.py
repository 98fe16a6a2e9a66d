"""A program that takes nothing of what it is given: it goes back to its queue after a minute; in virtual time."""

import asyncio

from mirosd.bridge.handover import STUCK_POLL_S, STUCK_S
from mirosd_client.wire import Network
from tests.bridge.inbound_play import Scene, play

JUST_S = STUCK_S + STUCK_POLL_S
"""By now it is given back at the latest."""


def test_a_program_that_hangs_holds_nothing_for_longer_than_a_minute() -> None:
    """Its consumer ends, so that all goes back to the queue, and begins again when it has taken all that it had."""

    async def test(scene: Scene) -> None:
        scene.is_stopped = True
        for number in (1, 2, 3):
            scene.own.send(number)
        await asyncio.sleep(STUCK_S - STUCK_POLL_S)
        assert 1 == scene.link.consumers
        await asyncio.sleep(2 * STUCK_POLL_S)
        assert 0 == scene.link.consumers
        assert ["stuck"] == [each["state"] for each in scene.inbound.subscriptions.display(scene.client)]

        scene.take(2)
        await asyncio.sleep(10 * JUST_S)
        assert (0, []) == (scene.link.consumers, scene.link.acked), "no acknowledgement of a channel that is gone"
        scene.take(1)
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        assert (1, 1) == (scene.link.consumers, scene.subscribed_times - 1)
        scene.is_stopped, scene.tag = False, 0
        scene.own.send(4)

        assert [(1, True)] == scene.link.acked
        assert ["bound"] == [each["state"] for each in scene.inbound.subscriptions.display(scene.client)]

    play("allow", test)


def test_a_program_that_is_slow_keeps_what_it_has() -> None:
    """Who takes something now and then is left alone, however long the rest lies there; so is who has nothing."""

    async def test(scene: Scene) -> None:
        scene.is_stopped = True
        for number in range(10):
            scene.own.send(number)
        for _ in range(10):
            await asyncio.sleep(STUCK_S - 2 * STUCK_POLL_S)
            scene.take(1)
        await asyncio.sleep(10 * JUST_S)
        scene.own.send(11)
        await asyncio.sleep(STUCK_S - 2 * STUCK_POLL_S)

        assert 1 == scene.link.consumers
        assert [(number, True) for number in range(1, 11)] == scene.link.acked

    play("allow", test)


def test_a_program_that_leaves_while_it_hangs_is_forgotten() -> None:
    """Its queue goes two seconds later, as anybody's; when it is back before that it is given everything again."""

    async def test(scene: Scene) -> None:
        scene.is_stopped = True
        scene.own.send(1)
        await asyncio.sleep(JUST_S)
        scene.inbound.detached(scene)  # type: ignore[arg-type]
        await asyncio.sleep(1)
        await scene.open()
        assert (1, 2) == (scene.link.consumers, scene.subscribed_times)
        scene.is_stopped, scene.tag = False, 0
        scene.own.send(2)
        await asyncio.sleep(1)
        assert 2 == scene.subscribed_times, "nothing of the time before is awaited"
        scene.inbound.detached(scene)  # type: ignore[arg-type]
        await asyncio.sleep(10 * JUST_S)

        assert (0, []) == (scene.link.consumers, scene.inbound.subscriptions.all())

    play("allow", test)


def test_a_lost_broker_leaves_nobody_stuck() -> None:
    """What was given belonged to the channel that is gone: nothing is awaited of it."""

    async def test(scene: Scene) -> None:
        scene.is_stopped = True
        scene.own.send(1)
        scene.inbound.lost()
        await asyncio.sleep(10 * JUST_S)
        await scene.inbound.opened(scene.link)  # type: ignore[arg-type]

        assert ["bound"] == [each["state"] for each in scene.inbound.subscriptions.display(scene.client)]

    play("allow", test)


def test_what_is_given_to_a_program_is_measured() -> None:
    """By its records, again when it comes again; what is dropped is not given."""

    async def test(scene: Scene) -> None:
        body = scene.own.send(1, 2)
        scene.bring(body)
        scene.bring(b"junk")
        measures = scene.board.measures

        assert 4 == measures.delivered[Network.MESH]
        assert 2 == sum(measures.age_s[Network.MESH].counts)
        assert 1 == measures.opened["consume"]

    play("allow", test)
