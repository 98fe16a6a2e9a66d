"""Hosts that have the keys of some networks only: alive, and sent nothing of the others. In virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.backends.memory import MemoryBroker, MemoryConnector
from mirosd.backends.memory_link import MemoryLink
from mirosd.core.broker import BrokerAddress, Incoming
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd.signals import Private
from mirosd_client.wire import Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.rig import KEY, BridgedHost, Program, until

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
OTHER = b"o" * 32
EXCHANGES = SystemNames("default").exchanges
VHOSTS = {"a": "a", "b": "b"}


class Brokers(MemoryConnector):
    """A broker in memory for each virtual host."""

    async def open(self, address: BrokerAddress, **how: Any) -> MemoryLink:
        """Give a link to the broker of the virtual host."""
        return await super().open(BrokerAddress(address.vhost), **how)


class Scene:
    """Host a with all keys, and host b with those given; each has proved the other."""

    def __init__(self, keys: dict[Network, bytes]) -> None:
        loop = asyncio.get_running_loop()
        self.connector = Brokers({vhost: MemoryBroker(loop) for vhost in VHOSTS})
        self.a, self.b = self.host("a"), self.host("b", keys=keys)

    def host(self, letter: str, **options: Any) -> BridgedHost:
        """Make a host on its broker."""
        return BridgedHost(letter, letter, VHOSTS, connector=self.connector, **options)

    async def start(self) -> None:
        """Have both alive both ways."""
        for host in (self.a, self.b):
            host.bridge.start()
        await until(lambda: self.a.bridge.is_connected and self.b.bridge.is_connected, "connected")
        self.a.discover(self.b, "b")
        self.b.discover(self.a, "a")
        for sign in (Private.peer_heard, Private.peer_routed):
            await until(lambda sign=sign: self.a.seen(sign) and self.b.seen(sign), "alive both ways")

    async def published(self, vhost: str, network: Network) -> list[Incoming]:
        """Give what is published on an exchange from now on: what a queue gets that is bound to all of it."""
        taken: list[Incoming] = []
        address = BrokerAddress("", vhost=vhost)
        link = await self.connector.open(address, deadline_s=1.0, name="ear", on_lost=lambda _error: None)
        queue = await link.declare_queue("", durable=False, exclusive=True, arguments={})
        await link.bind_queue(queue, EXCHANGES[network], "#")
        await link.consume(queue, taken.append, prefetch=100)
        return taken


def play(test: Callable[[Scene], Coroutine[Any, Any, None]], keys: dict[Network, bytes]) -> None:
    """Play a test with both hosts running."""

    async def run() -> None:
        scene = Scene(keys)
        await scene.start()
        try:
            await test(scene)
        finally:
            await asyncio.gather(scene.a.bridge.stop(), scene.b.bridge.stop())

    run_virtually(run())


async def settled(program: Program, count: int) -> None:
    """Wait until a program's events are settled."""
    await until(lambda: program.numbers[1] == count, f"{count} events settled")


def test_events_cost_a_host_without_the_mesh_key_nothing() -> None:
    """It is alive both ways; nothing is published on its mesh exchange, and nothing waits for it."""

    async def test(scene: Scene) -> None:
        speaker = Program(scene.a, "s")
        heard = await scene.published("b", Network.MESH)
        speaker.attach()
        speaker.send(3, "k")
        await settled(speaker, 3)
        await asyncio.sleep(5)  # of virtual time

        assert ([], 1) == (heard, len(list(scene.a.bridge._lanes())))
        assert ["k"] == speaker.unheard

    play(test, {TRACE: KEY})


@pytest.mark.parametrize(("trace", "spy", "shared"), [(KEY, OTHER, TRACE), (OTHER, KEY, SPY)])
def test_lines_go_to_who_has_their_key(trace: bytes, spy: bytes, shared: Network) -> None:
    """And nothing of the network whose key differs, though both are watched there."""

    async def test(scene: Scene) -> None:
        speaker, viewer = Program(scene.a, "s"), Program(scene.b, "v")
        speaker.attach()
        viewer.attach()
        published = {network: await scene.published("b", network) for network in (TRACE, SPY)}
        for network in (TRACE, SPY):
            await viewer.hear("#", network, NETWORK_NAMES[network])
        await asyncio.sleep(3)  # of virtual time: heartbeats tell what is watched
        for network in (TRACE, SPY):
            speaker.send(1, "t", network)
        await until(lambda: viewer.received, "a line")
        await asyncio.sleep(3)

        assert {shared} == {number for number, _ in viewer.received}
        assert [shared] == [network for network, bodies in published.items() if bodies]

    play(test, {TRACE: trace, SPY: spy})


def test_a_line_sealed_with_another_key_is_counted_and_dropped() -> None:
    """Whoever put it there: no member sends it to who has not proved the key."""

    async def test(scene: Scene) -> None:
        viewer = Program(scene.b, "v")
        viewer.attach()
        await viewer.hear("#", 1, "snoop_trace")
        link = scene.a.bridge._sets.of(scene.b.node).control_link  # type: ignore[union-attr]
        body = scene.a.bridge._envelopes[TRACE].seal_records(b"records", 0, "t")
        link.publish(EXCHANGES[TRACE], "t", body)  # type: ignore[union-attr]
        await until(lambda: scene.b.board.counters["unopened_unknown_key"], "the body counted")

        assert [] == viewer.received

    play(test, {TRACE: OTHER, SPY: KEY})


def test_a_host_that_restarts_with_the_mesh_key_is_owed_events() -> None:
    """Its next heartbeat is of a later start: it is asked for its keys, once, and hears what is sent from then on."""

    async def test(scene: Scene) -> None:
        await scene.b.bridge.stop()
        scene.b = scene.host("b", start=2)
        scene.b.bridge.start()
        await until(lambda: scene.b.bridge.is_connected, "connected")
        scene.b.discover(scene.a, "a")
        await until(lambda: len(list(scene.a.bridge._lanes())) == 2, "owed events")
        speaker, listener = Program(scene.a, "s"), Program(scene.b, "l")
        speaker.attach()
        listener.attach()
        await listener.hear("k")
        speaker.send(1, "k")
        await until(lambda: listener.received, "the event")
        [told] = scene.a.said(Private.peer_alien)

        assert (("mesh", "snoop_spy", "snoop_trace"), ()) == (told.introduction.networks, told.brokers)

    play(test, {TRACE: KEY})
