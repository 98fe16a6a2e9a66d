"""What can go wrong in a simulated world, and how it ends. Each fault is a coroutine: it begins, lasts, is over.

A host that something is wrong with already is spared: the fault does not happen, and False says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirosd_client.limits import EVENT_TTL_S

if TYPE_CHECKING:
    from tests.simulation.host import SimHost
    from tests.simulation.world import World

HEARTBEAT_S = 2.0
"""How long a connection lives that nothing passes (AMQP's heartbeats would take longer; less makes more of it)."""

Kind = Callable[["World", "SimHost", "SimHost", float], Awaitable[bool]]


@contextmanager
def _trouble(host: "SimHost", what: str) -> Iterator[bool]:
    """Have a part of a host in trouble, if it is not yet."""
    is_free = what not in host.trouble
    host.trouble.add(what)
    try:
        yield is_free
    finally:
        if is_free:
            host.trouble.discard(what)


async def connection_cut(world: "World", host: "SimHost", _other: "SimHost", _for_s: float) -> bool:
    """One connection of a host's daemon breaks."""
    wires = [wire for wire in world.network.wires if wire.source == host.name]
    if wires:
        world.network.break_(world.random.choice(wires))
    return bool(wires)


async def connections_cut(world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """All connections to a host's broker break, now and once more."""
    for _ in range(2):
        for wire in world.network.wires:
            if wire.target == host.name:
                world.network.break_(wire)
        await asyncio.sleep(for_s)
    return True


async def _severed(world: "World", ways: list[tuple[str, str]], for_s: float) -> bool:
    for way in ways:
        world.network.sever(*way, True)
    await asyncio.sleep(min(for_s, HEARTBEAT_S))
    if for_s > HEARTBEAT_S:
        for wire in world.network.wires:
            if not world.network.passes(wire.source, wire.target):
                world.network.break_(wire)
        await asyncio.sleep(for_s - HEARTBEAT_S)
    for way in ways:
        world.network.sever(*way, False)
    return True


async def partition(world: "World", host: "SimHost", other: "SimHost", for_s: float) -> bool:
    """Nothing passes between two hosts."""
    return await _severed(world, [(host.name, other.name), (other.name, host.name)], for_s)


async def one_way_loss(world: "World", host: "SimHost", other: "SimHost", for_s: float) -> bool:
    """Nothing passes from one host to another."""
    return await _severed(world, [(host.name, other.name)], for_s)


async def isolation(world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """Nothing passes between a host and all others."""
    others = [name for name in world.hosts if name != host.name]
    return await _severed(
        world, [(host.name, other) for other in others] + [(other, host.name) for other in others], for_s
    )


async def broker_killed(world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A broker dies, and is started again; its disk lives."""
    with _trouble(host, "broker") as is_free:
        if is_free:
            host.own_broker.is_up = False
            for wire in world.network.wires:
                if wire.target == host.name:
                    world.network.break_(wire)
            await asyncio.sleep(for_s)
            host.own_broker.is_up = True
    return is_free


async def broker_stopped(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A broker hangs for a while."""
    with _trouble(host, "broker") as is_free:
        if is_free:
            host.own_broker.process.stop()
            await asyncio.sleep(min(for_s, HEARTBEAT_S))
            host.own_broker.process.go_on()
    return is_free


async def broker_alarm(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A broker is short of memory: it reads nothing that is published."""
    with _trouble(host, "broker") as is_free:
        if is_free:
            host.own_broker.process.run(host.own_broker.block, True)
            await asyncio.sleep(for_s)
            host.own_broker.process.run(host.own_broker.block, False)
    return is_free


async def daemon_killed(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A daemon is killed, and started again."""
    with _trouble(host, "daemon") as is_free:
        if is_free:
            host.kill_daemon()
            await asyncio.sleep(for_s)
            host.start_daemon()
    return is_free


async def daemons_killed(world: "World", _host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """All daemons are killed at once, and started again."""
    results = await asyncio.gather(*(daemon_killed(world, each, each, for_s) for each in world.hosts.values()))
    return any(results)


async def daemon_stopped(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A daemon hangs for a while."""
    with _trouble(host, "daemon") as is_free:
        if is_free:
            host.daemon_process.stop()
            await asyncio.sleep(for_s)
            host.daemon_process.go_on()
    return is_free


async def daemon_restarted(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """A daemon is stopped in order, and started again."""
    with _trouble(host, "daemon") as is_free:
        if is_free:
            await host.stop_daemon()
            await asyncio.sleep(for_s)
            host.start_daemon()
    return is_free


async def host_killed(world: "World", host: "SimHost", other: "SimHost", for_s: float) -> bool:
    """A host's daemon and broker die at once."""
    return all(
        await asyncio.gather(broker_killed(world, host, other, for_s), daemon_killed(world, host, other, for_s * 0.7))
    )


async def program_stopped(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """The programs of a host hang for a while. One as long as a queue lives without a consumer spares their daemon."""
    is_long = for_s > EVENT_TTL_S
    with _trouble(host, "programs") as is_free, _trouble(host, "daemon" if is_long else "none") as is_daemon_free:
        if is_free and (is_daemon_free or not is_long):
            for program in host.programs:
                program.process.stop()
            await asyncio.sleep(for_s)
            for program in host.programs:
                program.process.go_on()
    return is_free


async def chart_asleep(_world: "World", host: "SimHost", _other: "SimHost", for_s: float) -> bool:
    """The charts of a host handle nothing for a while."""
    charts = [chart for program in host.programs for chart in program.charts]
    for chart in charts:
        chart.sleep()
    await asyncio.sleep(for_s)
    for chart in charts:
        chart.wake()
    return bool(charts)


async def behind_and_killed(world: "World", host: "SimHost", other: "SimHost", for_s: float) -> bool:
    """A host's programs hang, and while much waits for them their daemon is killed."""

    async def killed() -> bool:
        await asyncio.sleep(for_s / 2)
        return await daemon_killed(world, host, other, for_s / 4)

    return all(await asyncio.gather(program_stopped(world, host, other, for_s), killed()))


async def program_killed(world: "World", host: "SimHost", _other: "SimHost", _for_s: float) -> bool:
    """A program is killed: what it held is nobody's promise."""
    programs = [program for program in host.programs if not program.is_killed and not program.process.is_stopped]
    if len(programs) < 2:
        return False
    world.kill_program(world.random.choice(programs))
    return True


async def poison(world: "World", host: "SimHost", _other: "SimHost", _for_s: float) -> bool:
    """Somebody with the broker's account publishes what is no body of ours."""
    if not host.own_broker.is_up or host.own_broker.is_alarmed:
        return False
    world.poison(host.own_broker)
    return True


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        connection_cut,
        connections_cut,
        partition,
        one_way_loss,
        isolation,
        broker_killed,
        broker_stopped,
        broker_alarm,
        daemon_killed,
        daemons_killed,
        daemon_stopped,
        daemon_restarted,
        host_killed,
        program_stopped,
        chart_asleep,
        behind_and_killed,
        program_killed,
        poison,
    )
}

LONG_KINDS = (
    "partition",
    "isolation",
    "broker_alarm",
    "broker_killed",
    "daemon_killed",
    "daemon_stopped",
    "chart_asleep",
    "program_stopped",
)
"""What may last longer than an event lives."""
