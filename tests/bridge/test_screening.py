"""Recordings that a queue brings, between a true sender and a true program's memory; in virtual time."""

import asyncio
from functools import partial

from mirosd.core.replay import MARGIN_S, PATIENCE_S, Position
from mirosd.core.seal import node_tag
from mirosd.names import SystemNames
from mirosd_client.intake import FORGET_SOURCE_S, Intake
from mirosd_client.limits import EVENT_TTL_S
from mirosd_client.messages import Subscribe
from mirosd_client.wire import Delivery
from tests.bridge.inbound_play import KNOWN, OWN, Scene, Sender, play

play_second = partial(play, start=2)


def speaker(scene: Scene, *, is_heard: bool = True) -> Sender:
    """Give a node in its second start, whose heartbeat was heard."""
    sender = Sender(KNOWN, scene, start=2)
    if is_heard:
        hear(scene, sender)
    return sender


def hear(scene: Scene, sender: Sender, aged: int = 0) -> None:
    """The node's heartbeat, which says that our broker has taken all that it has sealed."""
    position = Position(sender.sealer.next_counter, aged)
    if scene.replay.hear("mesh", node_tag(KNOWN), position, scene.clock()):
        scene.inbound.reconsider()


def test_an_hour_later_a_recording_is_stopped_where_the_program_has_forgotten_it() -> None:
    """The program drops it for ten minutes after it last heard the source; the daemon from a minute on, for good."""

    async def test(scene: Scene) -> None:
        sender, handled = speaker(scene), []
        intake = Intake(Subscribe(1, "mesh", "#"), (b"", 0), lambda record: handled.append(record.sequence))

        def deliver(subscription: int, tag: int, held_ms: int, is_again: bool, records: bytes) -> None:
            intake.deliver(Delivery(subscription, tag, held_ms, is_again, records), scene.clock())
            scene.inbound.acknowledged(scene, 1, intake.drain())  # type: ignore[arg-type]

        scene.deliver = deliver  # type: ignore[method-assign]
        recorded = sender.send(1, 2)
        for pause_s in (0, 1, EVENT_TTL_S, MARGIN_S, FORGET_SOURCE_S - 1, 2, 3600, 100_000):
            await asyncio.sleep(pause_s)
            scene.bring(recorded)
        sender.send(3)

        assert ([1, 2, 3], 6) == (handled, intake.duplicates)
        assert {"replayed_old": 2 * 5} == scene.board.counters
        assert [(tag, tag not in range(5, 10)) for tag in range(1, 11)] == scene.link.acked, "refused for good"

    play("allow", test)


async def restarted(scene: Scene) -> None:
    """Begin as a daemon does after a start: nobody was heard yet."""
    scene.replay._patient_until_s = float("inf")
    scene.inbound.lost()
    await scene.inbound.opened(scene.link)  # type: ignore[arg-type]
    scene.tag = 0


def test_what_waits_for_a_heartbeat_is_judged_by_it() -> None:
    """A start that knows nothing yet holds bodies back until the node has said how far it is; order is kept."""

    async def test(scene: Scene) -> None:
        await restarted(scene)
        sender = speaker(scene, is_heard=False)
        for number in (1, 2, 3):
            sender.send(number)
        scene.own.send(4)
        await asyncio.sleep(PATIENCE_S / 2)
        assert [] == scene.received
        hear(scene, sender, aged=sender.sealer.next_counter - 1)

        assert [3, 4] == scene.numbers
        assert {"replayed_old": 2} == scene.board.counters

    play("allow", test)


def test_nodes_that_say_nothing_are_heard_after_a_while() -> None:
    """Their heartbeats may not reach us where their events do: those are late once, all together, and not lost."""

    async def test(scene: Scene) -> None:
        await restarted(scene)
        speaker(scene, is_heard=False).send(1)
        Sender("3" * 32, scene, start=1).send(2)
        await asyncio.sleep(PATIENCE_S + 0.5)
        assert [1, 2] == scene.numbers
        Sender("4" * 32, scene, start=1).send(3)

        assert [1, 2, 3] == scene.numbers
        assert {} == scene.board.counters

    play("allow", test)


def test_a_queue_of_an_earlier_start_is_given_all_that_is_in_it() -> None:
    """Whatever came by other queues by then; a queue that is new is given nothing of that."""

    def test(*, is_old: bool) -> list[int]:
        scenes: list[Scene] = []

        async def run(scene: Scene) -> None:
            sender = speaker(scene)
            for number in (1, 2):
                early = sender.send(number)
                await asyncio.sleep(0.1)
            if is_old:
                name = SystemNames("default").mesh_queue(OWN, scene.client, 2, scene.inbound._arguments)
                scene.link.queues = {name}
            scene.inbound.subscribe(scene, Subscribe(2, "mesh", "#"))  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            scene.received.clear()
            sender.send(3)
            scene.bring(early)
            scenes.append(scene)

        play_second("allow", run)
        return scenes[0].numbers

    assert [3, 2] == test(is_old=True)
    assert [3] == test(is_old=False)
