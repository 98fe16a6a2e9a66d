"""Bridges on a real RabbitMQ, the programs behind them, and waiting: what the bridge tests are written with."""

import asyncio
import queue
import random
import secrets
import time
from collections.abc import Callable
from typing import Any

from mirosd.backends.amqp import AmqpConnector
from mirosd.bridge.bridge import Bridge
from mirosd.bridge.control import Control
from mirosd.core.aliens import Aliens, Policy
from mirosd.core.broker import BrokerAddress
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Opener, Sealer, system_key
from mirosd.core.settings import DeliverySettings
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import Producer, ProducerQueue
from mirosd_client.messages import Fate, Subscribe
from mirosd_client.record import Record, decode_records, encode_record, scan_records
from mirosd_client.wire import Events, Network
from tests.bridge.fakes import CountingBoard
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER

KEY = b"k" * 32
DEADLINE_S = 30.0


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition, looking every few ms, 30 s at most."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not within {DEADLINE_S} s"
        await asyncio.sleep(0.005)


class Program:
    """interfaces.ClientSession of a program that handles what it is given at once."""

    def __init__(self, host: "BridgedHost", letter: str) -> None:
        self.client_id = letter.encode() * 16
        self.client = self.client_id.hex()
        self.host = host
        self.received: list[tuple[int, int]] = []
        self.bound: set[int] = set()
        self.numbers = (0, 0, 0)
        self.unheard: list[str] = []
        self.fates: list[Fate] = []
        self.sequence = 0

    def attach(self) -> None:
        """Connect."""
        self.host.bridge.attached(self)

    def send(self, count: int, key: str, network: Network = Network.MESH, *, size: int = 2) -> None:
        """Transmit `count` events of `size` bytes each."""
        for _ in range(count):
            self.sequence += 1
            record = encode_record(Record(self.client_id, 1, self.sequence, 0, 0, "json", "S", b"", b"p" * size))
            self.host.bridge.events(self, Events(network, key, record), scan_records(record, self.client_id))
        self.host.bridge.flush()

    async def hear(self, key: str, number: int = 1, network: str = "mesh") -> None:
        """Subscribe and wait until bound."""
        self.host.bridge.subscribe(self, Subscribe(number, network, key))
        await until(lambda: number in self.bound, f"{key} bound")

    def deliver(self, subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> None:
        """Handle and acknowledge."""
        self.received += [(subscription, record.sequence) for record in decode_records(records)]
        self.host.bridge.acknowledged(self, subscription, tag)

    def subscribed(self, subscription: int) -> None:
        """Bound."""
        self.bound.add(subscription)

    def refused(self, subscription: int, code: str, message: str) -> None:
        """Never here."""
        raise AssertionError(code, message)

    def settled(self, safe: int, settled: int, unroutable: int) -> None:
        """Progress."""
        self.numbers = safe, settled, unroutable

    def unroutable(self, routing_key: str) -> None:
        """Nobody is bound."""
        self.unheard.append(routing_key)

    def fate(self, fate: Fate) -> None:
        """What became of events."""
        self.fates.append(fate)

    def pause(self) -> None:
        """Tests send little."""

    def resume(self) -> None:
        """Tests send little."""


class BridgedHost:
    """A bridge on a virtual host of its own, which is as good as a broker of its own."""

    def __init__(
        self,
        letter: str,
        own_vhost: str,
        vhosts: dict[str, str],
        *,
        node: str = "",
        policy: Policy = "allow",
        uptime_ms: int = 0,
    ) -> None:
        self.node = node or letter * 32
        self.vhosts = vhosts
        self.clones: list[str] = []
        self.cleared: list[str] = []
        self.board = CountingBoard()
        self.signs: list[tuple[int, Any]] = []
        self.queue: queue.Queue[ProducerQueue] = queue.Queue(maxsize=1)
        names = SystemNames("default")
        key = system_key(KEY)
        control_envelope = self._envelope(key, "system")
        challenger = SealedChallenger(
            Identity(self.node, letter, 1, "0", instance=secrets.token_hex(8)),
            control_envelope,
            {"mesh": KEY},
            nonce=lambda: random.randbytes(16).hex(),
            wall_ms=lambda: int(time.time() * 1000),
            brokers=lambda: (f"{letter}:5672",),
            uptime_ms=lambda: uptime_ms,
            on_proved=lambda _nonce, brokers: self.cleared.extend(brokers),
            on_clone=self.clones.append,
        )
        control = Control(
            names,
            control_envelope,
            challenger,
            post_peer=lambda signal, payload: self.signs.append((signal, payload)),
            board=self.board,
            clock=time.monotonic,
            wall_ms=lambda: int(time.time() * 1000),
        )
        self.bridge = Bridge(
            AmqpConnector(),
            names,
            peer_connector=AmqpConnector(),
            own=BrokerAddress("127.0.0.1", 5672, own_vhost, USER, PASSWORD),
            peer_address=lambda host: BrokerAddress("127.0.0.1", 5672, self.vhosts[host], PEERS_USER, PEERS_PASSWORD),
            envelopes={network: self._envelope(KEY, name) for network, name in NETWORK_NAMES.items()},
            control=control,
            aliens=Aliens(policy, self.node),
            settings=DeliverySettings(),
            producers=self.queue,
            board=self.board,
            post_peer=lambda signal, payload: self.signs.append((signal, payload)),
            on_own_state=lambda _error: None,
            random=random.random,
            former={},
            on_delivery_set=lambda _brokers: None,
        )

    def _envelope(self, key: bytes, network: str) -> Envelope:
        sealer = Sealer(key, "default", network, node=self.node, start=1, random=random.randbytes, clock=time.monotonic)
        return Envelope("default", network, sealer, Opener(key, "default", network))

    def discover(self, other: "BridgedHost", host: str) -> None:
        """What ProducerFactoryChart does with a proved host."""
        self.queue.put_nowait(ProducerQueue((Producer("mesh", host, other.node),), (), (), (host,)))
        self.bridge.wake()

    def seen(self, signal: int) -> bool:
        """Tell whether the peer chart was posted a signal."""
        return any(number == signal for number, _ in self.signs)

    def said(self, signal: int) -> list[Any]:
        """Give the payloads of a signal that the peer chart was posted."""
        return [payload for number, payload in self.signs if number == signal]
