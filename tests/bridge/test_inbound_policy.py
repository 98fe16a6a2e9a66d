"""What comes in from nodes that are known, unknown and quarantined: delivered, waited for, counted; in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mirosd.bridge.inbound import Inbound
from mirosd.core.aliens import PATIENCE_S, Aliens, Policy
from mirosd.core.broker import Incoming
from mirosd.core.challenger import Identity
from mirosd.core.envelope import Envelope
from mirosd.core.seal import MAX_SESSION_S, Opener, Sealer
from mirosd.core.settings import DeliverySettings
from mirosd.names import SystemNames
from mirosd_client.messages import Subscribe
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.wire import Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard

KEY = b"k" * 32
OWN, KNOWN, ALIEN = "0" * 32, "1" * 32, "2" * 32


class FakeLink:
    """A broker that takes every declaration, and delivers what the test says."""

    def __init__(self) -> None:
        self.deliver: Callable[[Incoming], None] = lambda _incoming: None
        self.acked: list[tuple[int, bool]] = []

    async def declare_exchange(self, name: str, *, kind: str = "topic") -> None:
        """Fine."""

    async def declare_queue(self, name: str, **_options: Any) -> str:
        """Fine."""
        return name

    async def bind_queue(self, *_names: str) -> None:
        """Fine."""

    async def consume(self, queue: str, on_delivery: Callable[[Incoming], None], **_options: Any) -> "FakeLink":
        """Keep the last, which is a subscription's."""
        self.deliver = on_delivery
        return self

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Keep it."""
        self.acked.append((tag, multiple))

    async def cancel(self) -> None:
        """Deliver no more."""
        self.deliver = lambda _incoming: None


class Sender:
    """A node that seals for the mesh."""

    def __init__(self, node: str, scene: "Scene") -> None:
        self.scene = scene
        drawn = iter(range(256))
        self.sealer = Sealer(
            KEY, "default", "mesh", node=node, random=lambda n: bytes([next(drawn)]) * n, clock=scene.clock
        )
        self._envelope = Envelope("default", "mesh", self.sealer, Opener(KEY, "default", "mesh"))

    def send(self, *sequences: int) -> None:
        """Have one body delivered."""
        records = b"".join(encode_record(Record(b"c" * 16, 1, n, 0, 0, "json", "S", b"", b"{}")) for n in sequences)
        self.scene.tag += 1
        self.scene.link.deliver(Incoming(self.scene.tag, "k", self._envelope.seal_records(records, 0, "k")))


class Scene:
    """One subscription, and who sends to it."""

    client, client_id = "c" * 32, bytes.fromhex("c" * 32)

    def __init__(self, policy: Policy) -> None:
        self.clock = asyncio.get_running_loop().time
        self.board, self.link, self.tag = CountingBoard(), FakeLink(), 0
        self.received: list[tuple[float, int]] = []  # when (whole seconds), and what
        self.aliens = Aliens(policy, OWN)
        envelope = Sender(OWN, self)._envelope
        self.inbound = Inbound(
            {Network.MESH: envelope},
            SystemNames("default"),
            Identity(OWN, "own", 1, "0"),
            DeliverySettings(),
            self.board,
            aliens=self.aliens,
        )
        self.own, self.known, self.alien = (Sender(node, self) for node in (OWN, KNOWN, ALIEN))

    async def open(self) -> None:
        """Subscribe."""
        await self.inbound.opened(self.link)  # type: ignore[arg-type]
        self.inbound.subscribe(self, Subscribe(1, "mesh", "#"))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        self.began_s = self.clock()

    def stand(self, *known: str) -> None:
        """These are known now."""
        self.aliens.stand(known, (), ())
        self.inbound.reconsider()

    @property
    def numbers(self) -> list[int]:
        """What was received."""
        return [number for _, number in self.received]

    def subscribed(self, _number: int) -> None:
        """Bound."""

    def deliver(self, subscription: int, tag: int, _held_ms: int, _redelivered: bool, records: bytes) -> None:
        """Handle and acknowledge at once."""
        self.received += [(self.clock() - self.began_s, record.sequence) for record in decode_records(records)]
        self.inbound.acknowledged(self, subscription, tag)  # type: ignore[arg-type]


def play(policy: Policy, test: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Run a scene."""

    async def run() -> None:
        scene = Scene(policy)
        await scene.open()
        await test(scene)
        await scene.inbound.close()

    run_virtually(run())


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
