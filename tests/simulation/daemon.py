"""One start of one host's daemon: the bridge and the local API as mirosd/daemon.py builds them."""

import asyncio
import hashlib
import queue
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any, cast

from mirosd.bridge.bridge import Bridge
from mirosd.bridge.control import Control
from mirosd.bridge.replay_table import ReplayTable
from mirosd.core.aliens import Aliens
from mirosd.core.broker import BrokerAddress
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.envelope import Envelope
from mirosd.core.interfaces import Credentials
from mirosd.core.measures import Measures
from mirosd.core.seal import Keys, Opener, Sealer, system_key
from mirosd.core.settings import DeliverySettings
from mirosd.localapi.census import Census
from mirosd.localapi.desk import Desk
from mirosd.localapi.desk import Identity as Welcome
from mirosd.localapi.rights import Policy
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.payloads import Introduction, ProducerQueue
from mirosd_client.record import decode_records
from tests.simulation.history import Event
from tests.simulation.local import LocalSocket
from tests.simulation.peer_model import PeerModel
from tests.simulation.processes import Process
from tests.simulation.wires import Network

KEY = b"k" * 32
NAMES = SystemNames("default")

WRITE_S = 0.005
"""The longest until a file is written."""


def node_of(host: str) -> str:
    """Give a host's node id."""
    return hashlib.md5(host.encode()).hexdigest()


def envelope(node: str, start: int, key: bytes, name: str, random: Random, clock: Callable[[], float]) -> Envelope:
    """Give the envelope of one network of one node."""
    sealer = Sealer(Keys(key), "default", name, node=node, start=start, random=random.randbytes, clock=clock)
    return Envelope("default", name, sealer, Opener(Keys(key), "default", name))


class Reader:
    """Reads who is in a body. Each body is opened once, however many copies there are."""

    def __init__(self, random: Random) -> None:
        self._envelope = envelope("0" * 32, 0, KEY, "mesh", random, lambda: 0.0)
        self._known: dict[bytes, list[Event]] = {}

    def events(self, body: bytes, routing_key: str) -> list[Event]:
        """Give the events in a mesh body."""
        events = self._known.get(body)
        if events is None:
            _, records = self._envelope.open_records(body, routing_key)
            events = [(record.client.hex(), record.sequence) for record in decode_records(records)]
            self._known[body] = events
        return events


class SimBoard:
    """shown.Board: what was counted, and of which events, while somebody says which it is about."""

    def __init__(self, on_count: Callable[[str, int], None]) -> None:
        self.counters: Counter[str] = Counter()
        self.measures = Measures(lambda: 0.0)
        self._on_count = on_count

    def count(self, counter: str, amount: int = 1) -> None:
        """Add."""
        self.counters[counter] += amount
        self._on_count(counter, amount)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Show nothing to people."""
        return lambda *_shown: None


class Disk:
    """What a host's daemon keeps through its restarts."""

    def __init__(self) -> None:
        self.starts = 0
        self.delivery_set: Mapping[str, Collection[str]] = {}
        self.replay = ""


class SimDaemon:
    """One start. Construct it as its process.

    Args:
        broker: the host whose broker is ours.
        listed: the hosts to find.
        prove: see PeerModel.
        on_owed: told each delivery set, once it is on disk.
        on_count: told each count (counter, amount).
    """

    def __init__(
        self,
        host: str,
        broker: str,
        listed: list[str],
        network: Network,
        disk: Disk,
        process: Process,
        seed: int,
        *,
        settings: DeliverySettings,
        prove: Callable[[str], Introduction | None],
        on_owed: Callable[[Mapping[str, Collection[str]]], None],
        on_retired: Callable[[str], None],
        on_count: Callable[[str, int], None],
    ) -> None:
        disk.starts += 1
        self.host, self.process, self._disk, self._seed, self._on_owed = host, process, disk, seed, on_owed
        random = self._random = Random(f"{seed} {process.name}")
        self._loop = asyncio.get_running_loop()
        self.identity = Identity(node_of(host), host, disk.starts, "0", instance=random.randbytes(8).hex())
        self.board = SimBoard(on_count)
        self.sockets: list[LocalSocket] = []
        self._unwritten: deque[Mapping[str, Collection[str]]] = deque()
        producers: queue.Queue[ProducerQueue] = queue.Queue(maxsize=1)
        self.peers = PeerModel(listed, prove, producers, random, on_retired=on_retired)
        clock = self._loop.time

        def sealed(key: bytes, name: str) -> Envelope:
            return envelope(self.identity.node, disk.starts, key, name, random, clock)

        control_envelope = sealed(system_key(KEY), "system")
        challenger = SealedChallenger(
            self.identity,
            control_envelope,
            {"mesh": Keys(KEY)},
            nonce=lambda: random.randbytes(16).hex(),
            wall_ms=lambda: int(clock() * 1000),
            brokers=lambda: (f"{broker}:5672",),
            uptime_ms=lambda: int(clock() * 1000),
        )
        control = Control(
            NAMES,
            control_envelope,
            challenger,
            post_peer=self.peers.post,
            board=cast(Any, self.board),
            clock=clock,
            wall_ms=lambda: int(clock() * 1000),
        )
        connector = network.connector(host, process)
        self.bridge = Bridge(
            cast(Any, connector),
            NAMES,
            peer_connector=cast(Any, connector),
            own=BrokerAddress(broker),
            peer_address=BrokerAddress,
            envelopes={network: sealed(KEY, name) for network, name in NETWORK_NAMES.items()},
            control=control,
            aliens=Aliens("allow", self.identity.node),
            settings=settings,
            producers=producers,
            board=cast(Any, self.board),
            post_peer=self.peers.post,
            on_own_state=lambda _error: None,
            random=random.random,
            former=disk.delivery_set,
            on_delivery_set=self._keep_delivery_set,
            on_behind=self._skip_to,
        )
        self.bridge.replay.restore(disk.replay, clock())
        self._table = ReplayTable(self.bridge.replay, self._keep_replay)
        self._desk = Desk(
            sink=self.bridge,
            view=cast(Any, None),  # nobody asks
            board=cast(Any, self.board),
            identity=Welcome(self.identity.node, host, "default", "0"),
            policy=Policy(0, None, None),
            census=Census(connections_per_uid=32, queues_per_uid=64, unsent_bytes_per_uid=1 << 24),
            credentials_of=lambda _socket: Credentials(1, 0, 0, frozenset()),
        )

    def start(self) -> None:
        """Begin to connect."""
        self.bridge.start()
        self.peers.start(self.bridge)

    def introduction(self) -> Introduction | None:
        """Say who we are, if we can be asked now."""
        me = self.identity
        if self.process.is_stopped or not self.bridge.is_connected:
            return None
        return Introduction(me.node, me.name, me.start, "0", ("mesh",))

    def accept(self, program: Process) -> LocalSocket:
        """Give a program's end of a new connection."""
        random = Random(f"{self._seed} {self.process.name} {program.name} {len(self.sockets)}")
        socket = LocalSocket(self._loop, random, program, self.process, self._desk)
        self.sockets.append(socket)
        return socket

    def die(self) -> None:
        """The process was killed: its sockets end. (Its links are the network's.)"""
        self.process.kill()
        for socket in self.sockets:
            socket.transport.died()

    async def leave(self) -> None:
        """Stop in order."""
        for socket in self.sockets:
            socket.transport.farewell()
        await self.bridge.stop()
        self._table.close()

    def _keep_replay(self, text: str) -> None:
        self._disk.replay = text

    def _skip_to(self, start: int) -> None:
        self._disk.starts = start

    def _keep_delivery_set(self, delivery_set: Mapping[str, Collection[str]]) -> None:
        """Write the file, by another thread, which keeps the order."""
        self._unwritten.append(delivery_set)
        self._loop.call_later(WRITE_S * self._random.random(), self._written)

    def _written(self) -> None:
        self._disk.delivery_set = self._unwritten.popleft()
        self._on_owed(self._disk.delivery_set)
