"""The broker contract, kept by RabbitMQ through the AMQP backend."""

import asyncio
from collections.abc import Callable

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.core.broker import BrokerAddress, Link
from mirosd.errors import BrokerError
from tests.backends.broker_contract import (  # noqa: F401 -- pytest finds the classes here
    TestConfirms,
    TestLoss,
    TestRefusals,
    TestReplies,
    TestThroughput,
)
from tests.backends.broker_queue_contract import TestConsumers, TestQueues  # noqa: F401 -- the same
from tests.backends.broker_rig import MESH, Inbox, eventually, linked, make_queue, published
from tests.lab.broker import PASSWORD, USER, Broker

pytestmark = pytest.mark.lab


class AmqpRig:
    """RabbitMQ on loopback."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.address = BrokerAddress(broker.host.address, broker.port, user=USER, password=PASSWORD)

    async def open(self, on_lost: Callable[[BrokerError], None]) -> Link:
        """Give a new link."""
        return await AmqpConnector().open(self.address, deadline_s=10.0, name="contract", on_lost=on_lost)

    async def cut(self) -> None:
        """Kill the broker's end of every connection."""
        await asyncio.to_thread(self.broker.call, "[exit(P, kill) || P <- rabbit_networking:local_connections()], ok.")


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
