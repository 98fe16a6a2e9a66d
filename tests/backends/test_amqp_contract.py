"""The broker contract, kept by RabbitMQ through the AMQP backend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.core.broker import BrokerAddress, Link
from mirosd.errors import BrokerError
from tests.backends.broker_contract import (  # noqa: F401 -- pytest finds the classes here
    TestConfirms,
    TestRefusals,
    TestReplies,
    TestThroughput,
)
from tests.backends.broker_loss_contract import TestAlarm, TestLoss  # noqa: F401 -- the same
from tests.backends.broker_queue_contract import TestConsumers, TestQueues  # noqa: F401 -- the same
from tests.backends.broker_rig import MESH, Inbox, eventually, linked, make_queue, published
from tests.backends.frame_relay import relay
from tests.lab.broker import TESTER, TESTER_PASSWORD, Broker

pytestmark = pytest.mark.lab


class AmqpRig:
    """RabbitMQ on loopback."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.address = BrokerAddress(broker.host.address, broker.port, user=TESTER, password=TESTER_PASSWORD)

    async def open(
        self, on_lost: Callable[[BrokerError], None], on_blocked: Callable[[bool], None] | None = None
    ) -> Link:
        """Give a new link."""
        return await self._open(self.address, on_lost, on_blocked)

    @asynccontextmanager
    async def fused(self, on_lost: Callable[[BrokerError], None], frames: int) -> AsyncIterator[Link]:
        """Give a new link, by way of a relay that breaks behind so many frames."""
        async with relay(self.address) as (address, fuse):
            link = await self._open(address, on_lost)
            fuse.frames = frames
            yield link
            await link.close()

    async def cut(self) -> None:
        """Kill the broker's end of every connection."""
        await asyncio.to_thread(self.broker.cut_connections)

    async def block(self, is_blocked: bool) -> None:
        """Raise or end the memory alarm."""
        alarm = "{resource_limit, memory, node()}"
        act = f"set_alarm({{{alarm}, []}})" if is_blocked else f"clear_alarm({alarm})"
        await asyncio.to_thread(self.broker.call, f"rabbit_alarm:{act}, ok.")

    async def _open(
        self,
        address: BrokerAddress,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None = None,
    ) -> Link:
        return await AmqpConnector().open(
            address, deadline_s=10.0, name="contract", on_lost=on_lost, on_blocked=on_blocked
        )


@pytest.fixture
def rig(broker: Broker) -> AmqpRig:
    """Give a clean broker."""
    return AmqpRig(broker)


async def test_persistent_through_a_power_cut(rig: AmqpRig, broker: Broker) -> None:
    """Confirmed persistent bodies in a durable queue are there after kill -9 of the broker, in order, once."""
    bodies = [b"%d" % number for number in range(200)]
    lost: list[BrokerError] = []
    link = await rig.open(lost.append)
    await make_queue(link)
    await published(link, *bodies, persistent=True)
    await asyncio.to_thread(broker.kill)
    await eventually(lambda: lost, "on_lost")
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(broker.wait_ready)

    async with linked(rig) as after:
        inbox = await Inbox().on(after, "q")
        await eventually(lambda: len(inbox.got) == len(bodies))
        await after.check_exchange(MESH)
        assert inbox.bodies == bodies
    assert [error.code for error in lost] == ["lost"]
