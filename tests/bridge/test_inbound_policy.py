"""What comes in from nodes that are known, unknown and quarantined: delivered, waited for, counted; in virtual time."""

import asyncio

from structlog.testing import capture_logs

from mirosd.bridge.screening import TELL_S
from mirosd.core.aliens import PATIENCE_S
from mirosd.core.seal import MAX_SESSION_S
from tests.bridge.inbound_play import ALIEN, KNOWN, Scene, play


def test_known_nodes_are_heard_at_once_in_every_session() -> None:
    """What we and proved nodes send is delivered, from the first body of each session that they draw."""

    async def test(scene: Scene) -> None:
        scene.stand(KNOWN)
        scene.own.send(1)
        scene.known.send(2)
        sessions = {scene.known.sealer.session}
        for hour in range(3):
            await asyncio.sleep(MAX_SESSION_S + 1)
            scene.known.send(3 + hour)
            sessions.add(scene.known.sealer.session)

        assert [1, 2, 3, 4, 5] == scene.numbers
        assert 4 == len(sessions)
        assert 0 == scene.board.counters["quarantined"]

    for policy in ("quarantine", "deny"):
        play(policy, test)  # type: ignore[arg-type]


def test_what_does_not_open_is_told_once_a_minute_and_counted_each_time() -> None:
    """Who may write to the broker fills no log; another kind of fault is told at once."""

    async def test(scene: Scene) -> None:
        with capture_logs() as logs:
            for _ in range(3):
                for body in (b"junk", b"junk", b"\xd5\x4d\x09" + bytes(60)):
                    scene.bring(body)
                await asyncio.sleep(TELL_S - 20)

        assert ["malformed", "version", "malformed", "version"] == [line["code"] for line in logs]
        assert {"unopened_malformed": 6, "unopened_version": 3} == scene.board.counters

    play("allow", test)


def test_an_alien_is_counted_by_its_events_and_delivered_nowhere() -> None:
    """After the patience is over its bodies are acknowledged one by one, at once from then on; others go by."""

    async def test(scene: Scene) -> None:
        scene.stand(KNOWN)
        scene.alien.send(1, 2, 3)
        await asyncio.sleep(PATIENCE_S + 1)
        assert (3, [(1, False)]) == (scene.board.counters["quarantined"], scene.link.acked)
        scene.alien.send(4)
        scene.known.send(5)

        assert (4, [5]) == (scene.board.counters["quarantined"], scene.numbers)
        assert [(1, False), (2, False), (3, True)] == scene.link.acked

    for policy in ("quarantine", "deny"):
        play(policy, test)  # type: ignore[arg-type]


def test_who_is_about_to_be_proved_loses_nothing() -> None:
    """Bodies of a node that is unknown yet wait, those behind them too, and come in order with the proof."""

    async def test(scene: Scene) -> None:
        scene.alien.send(1)
        scene.own.send(2)
        scene.alien.send(3)
        await asyncio.sleep(4)
        assert ([], []) == (scene.numbers, scene.link.acked)
        scene.stand(ALIEN)

        assert [(4.0, 1), (4.0, 2), (4.0, 3)] == scene.received
        assert 0 == scene.board.counters["quarantined"]

    play("quarantine", test)


def test_what_waits_behind_an_alien_is_heard_when_patience_ends() -> None:
    """An alien delays another node's events once, and by no more than the patience with it."""

    async def test(scene: Scene) -> None:
        scene.stand(KNOWN)
        scene.alien.send(1)
        scene.known.send(2)
        await asyncio.sleep(PATIENCE_S + 1)
        scene.alien.send(3)
        scene.known.send(4)

        assert [2, 4] == scene.numbers
        assert PATIENCE_S <= scene.received[0][0] <= PATIENCE_S + 0.5
        assert 2 == scene.board.counters["quarantined"]

    play("quarantine", test)


def test_whom_people_allow_is_heard_from_then_on() -> None:
    """A quarantined node's later events are delivered once it is let in; what was counted stays lost."""

    async def test(scene: Scene) -> None:
        scene.alien.send(1)
        await asyncio.sleep(PATIENCE_S + 1)
        scene.aliens.stand((), {ALIEN}, ())
        scene.inbound.reconsider()
        scene.alien.send(2)

        assert (1, [2]) == (scene.board.counters["quarantined"], scene.numbers)

    play("quarantine", test)


def test_where_aliens_are_allowed_nothing_waits() -> None:
    """The default delivers what opens."""

    async def test(scene: Scene) -> None:
        scene.alien.send(1)

        assert [(0.0, 1)] == scene.received

    play("allow", test)


def test_what_waits_is_let_go_with_its_consumer() -> None:
    """When the own broker is lost, what waited is the queue's again: nothing of it is delivered twice, or kept."""

    async def test(scene: Scene) -> None:
        scene.alien.send(1)
        scene.inbound.lost()
        scene.stand(ALIEN)
        await asyncio.sleep(PATIENCE_S)

        assert [] == scene.received

    play("quarantine", test)
