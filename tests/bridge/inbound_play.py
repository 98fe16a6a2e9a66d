"""One subscription behind a broker that brings what the test says: what the tests of the way in are played with."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mirosd.bridge.inbound import Inbound
from mirosd.core.aliens import Aliens, Policy
from mirosd.core.broker import Incoming
from mirosd.core.challenger import Identity
from mirosd.core.envelope import Envelope
from mirosd.core.replay import ReplayGuard
from mirosd.core.seal import Keys, Opener, Sealer, node_tag
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
        self.queues: set[str] = set()  # that are there before they are declared
        self.consumers = 0

    async def declare_exchange(self, name: str, *, kind: str = "topic") -> None:
        """Fine."""

    async def declare_queue(self, name: str, **_options: Any) -> str:
        """Fine."""
        return name

    async def has_queue(self, name: str) -> bool:
        """Say so."""
        return name in self.queues

    async def bind_queue(self, *_names: str) -> None:
        """Fine."""

    async def consume(self, queue: str, on_delivery: Callable[[Incoming], None], **_options: Any) -> "FakeLink":
        """Keep the last, which is a subscription's."""
        self.deliver = on_delivery
        self.consumers += ".mesh." in queue
        return self

    async def delete_queue(self, _queue: str) -> None:
        """Fine."""

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Keep it."""
        self.acked.append((tag, multiple))

    async def cancel(self) -> None:
        """Deliver no more."""
        self.deliver = lambda _incoming: None
        self.consumers -= 1


class Sender:
    """A node that seals for the mesh."""

    def __init__(self, node: str, scene: "Scene", start: int = 0) -> None:
        self.scene, self.node = scene, node
        drawn = iter(range(256))
        self.sealer = Sealer(
            Keys(KEY),
            "default",
            "mesh",
            node=node,
            start=start,
            random=lambda n: bytes([next(drawn)]) * n,
            clock=scene.clock,
        )
        self._envelope = Envelope("default", "mesh", self.sealer, Opener(Keys(KEY), "default", "mesh"))

    def send(self, *sequences: int) -> bytes:
        """Have one body delivered, and give it."""
        records = b"".join(encode_record(Record(b"c" * 16, 1, n, 0, 0, "json", "S", b"", b"{}")) for n in sequences)
        body = self._envelope.seal_records(records, 0, "k")
        self.scene.bring(body)
        return body


class Scene:
    """One subscription, and who sends to it.

    Attributes:
        is_stopped: the client takes nothing of what it is given.
    """

    client, client_id = "c" * 32, bytes.fromhex("c" * 32)

    def __init__(self, policy: Policy, start: int = 1) -> None:
        self.clock = asyncio.get_running_loop().time
        self.board, self.link, self.tag = CountingBoard(), FakeLink(), 0
        self.received: list[tuple[float, int]] = []  # when (whole seconds), and what
        self.given: list[int] = []  # tags that are not acknowledged
        self.is_stopped, self.subscribed_times = False, 0
        self.aliens = Aliens(policy, OWN)
        envelope = Sender(OWN, self)._envelope
        self.replay = ReplayGuard(node_tag(OWN), DeliverySettings().ttl_s)
        self.inbound = Inbound(
            {Network.MESH: envelope},
            SystemNames("default"),
            Identity(OWN, "own", start, "0"),
            DeliverySettings(),
            self.board,
            aliens=self.aliens,
            replay=self.replay,
        )
        self.own, self.known, self.alien = (Sender(node, self) for node in (OWN, KNOWN, ALIEN))

    async def open(self) -> None:
        """Subscribe."""
        await self.inbound.opened(self.link)  # type: ignore[arg-type]
        self.inbound.subscribe(self, Subscribe(1, "mesh", "#"))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        self.began_s = self.clock()

    def bring(self, body: bytes) -> None:
        """Have the queue bring a body."""
        self.tag += 1
        self.link.deliver(Incoming(self.tag, "k", body))

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
        self.subscribed_times += 1

    def deliver(self, subscription: int, tag: int, _held_ms: int, _redelivered: bool, records: bytes) -> None:
        """Handle and acknowledge at once, unless the client is stopped."""
        self.received += [(self.clock() - self.began_s, record.sequence) for record in decode_records(records)]
        self.given.append(tag)
        if not self.is_stopped:
            self.take(1)

    def take(self, count: int) -> None:
        """Acknowledge the oldest `count` of what was given."""
        *_, tag = taken = self.given[:count]
        del self.given[: len(taken)]
        self.inbound.acknowledged(self, 1, tag)  # type: ignore[arg-type]


def play(policy: Policy, test: Callable[[Scene], Coroutine[Any, Any, None]], *, start: int = 1) -> None:
    """Run a scene, in the daemon's first start or a later one."""

    async def run() -> None:
        scene = Scene(policy, start)
        await scene.open()
        await test(scene)
        await scene.inbound.close()

    run_virtually(run())
