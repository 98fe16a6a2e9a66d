"""Bridges on a real RabbitMQ, the programs behind them, and waiting: what the bridge tests are written with."""

import asyncio
import queue
import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from mirosd.backends.amqp import AmqpConnector
from mirosd.bridge.bridge import Bridge
from mirosd.bridge.control import Control
from mirosd.core.aliens import Aliens, Policy
from mirosd.core.broker import BrokerAddress, BrokerConnector
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.envelope import Envelope
from mirosd.core.key_ring import KeyRing, Ring
from mirosd.core.seal import Opener, Sealer, system_key
from mirosd.core.settings import DeliverySettings
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import Producer, ProducerQueue
from mirosd_client.messages import Fate, Recall, Subscribe, Watched
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

    def __init__(self, host: "BridgedHost", letter: str, *, has_charts: bool = False) -> None:
        self.client_id = letter.encode() * 16
        self.client = self.client_id.hex()
        self.host, self.has_charts = host, has_charts
        self.told: list[Watched] = []
        self.recalls: list[Recall] = []
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

    def watched(self, watched: Watched) -> None:
        """What is watched."""
        self.told.append(watched)

    def recall(self, recall: Recall) -> None:
        """What somebody wants to see."""
        self.recalls.append(recall)

    def pause(self) -> None:
        """Tests send little."""

    def resume(self) -> None:
        """Tests send little."""


class BridgedHost:
    """A bridge on a virtual host of its own, which is as good as a broker of its own.

    Args:
        keys: of the networks that it is a member of; None: one for all.
        ring: of an earlier start, instead of `keys`.
        connector: to other brokers than RabbitMQ.
    """

    def __init__(
        self,
        letter: str,
        own_vhost: str,
        vhosts: dict[str, str],
        *,
        node: str = "",
        policy: Policy = "allow",
        uptime_ms: int = 0,
        start: int = 1,
        keys: Mapping[Network, bytes] | None = None,
        ring: Ring | None = None,
        connector: BrokerConnector | None = None,
    ) -> None:
        self.node, self.start = node or letter * 32, start
        self.keys = dict.fromkeys(Network, KEY) if keys is None else keys
        self.vhosts = vhosts
        self.clones: list[str] = []
        self.cleared: list[str] = []
        self.board = CountingBoard()
        self.signs: list[tuple[int, Any]] = []
        self.queue: queue.Queue[ProducerQueue] = queue.Queue(maxsize=1)
        names = SystemNames("default")
        self.key_ring = KeyRing(ring or _ring(self.keys))
        control_envelope = self._envelope("system")
        challenger = SealedChallenger(
            Identity(self.node, letter, start, "0", instance=secrets.token_hex(8)),
            control_envelope,
            {NETWORK_NAMES[network]: self.key_ring.keys[NETWORK_NAMES[network]] for network in self.keys},
            nonce=lambda: random.randbytes(16).hex(),
            wall_ms=lambda: int(time.time() * 1000),
            brokers=lambda: (f"{letter}:5672",),
            uptime_ms=lambda: uptime_ms,
            on_proved=lambda _nonce, brokers: self.cleared.extend(brokers),
            on_clone=self.clones.append,
        )
        self.control = Control(
            names,
            control_envelope,
            challenger,
            post_peer=lambda signal, payload: self.signs.append((signal, payload)),
            board=self.board,
            clock=time.monotonic,
            wall_ms=lambda: int(time.time() * 1000),
        )
        self.bridge = Bridge(
            connector or AmqpConnector(),
            names,
            peer_connector=connector or AmqpConnector(),
            own=BrokerAddress("127.0.0.1", 5672, own_vhost, USER, PASSWORD),
            peer_address=lambda host: BrokerAddress("127.0.0.1", 5672, self.vhosts[host], PEERS_USER, PEERS_PASSWORD),
            envelopes={network: self._envelope(NETWORK_NAMES[network]) for network in self.keys},
            control=self.control,
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

    def _envelope(self, network: str) -> Envelope:
        keys, who = self.key_ring.keys[network], {"node": self.node, "start": self.start}
        sealer = Sealer(keys, "default", network, **who, random=random.randbytes, clock=time.monotonic)
        return Envelope("default", network, sealer, Opener(keys, "default", network))

    def discover(self, other: "BridgedHost", host: str) -> None:
        """What ProducerFactoryChart does with a proved host: producers of the networks whose keys both have."""
        producers = [
            (Producer(name, host, other.node, other.start),)
            if self.keys.get(network, b"") == other.keys.get(network)
            else ()
            for network, name in NETWORK_NAMES.items()
        ]
        self.queue.put_nowait(ProducerQueue(*producers, (host,)))
        self.bridge.wake()

    async def watched_at(self, brokers: int, *networks: Network) -> None:
        """Wait until lines on each of these networks go to so many brokers."""
        targets = self.bridge.snooping._targets
        await until(lambda: all(len(targets(each, "", 0)) == brokers for each in networks), f"watched at {brokers}")

    def seen(self, signal: int) -> bool:
        """Tell whether the peer chart was posted a signal."""
        return any(number == signal for number, _ in self.signs)

    def said(self, signal: int) -> list[Any]:
        """Give the payloads of a signal that the peer chart was posted."""
        return [payload for number, payload in self.signs if number == signal]


def _ring(keys: Mapping[Network, bytes]) -> Ring:
    """Give the ring of a host with these keys; where it has not the mesh's, the system key is one of its own."""
    if {*keys.values()} == {KEY} and len(keys) == len(Network):
        return Ring({}).seeded({"mesh": KEY}, 0.0)
    seeds = {NETWORK_NAMES[network]: key for network, key in keys.items()}
    return Ring({}).seeded({"system": system_key(KEY)} | seeds, 0.0)
