"""What queues drop is counted by its reason and by events, however many are in a body; on real RabbitMQ."""

import asyncio

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.core.broker import BrokerAddress
from mirosd.names import SystemNames
from mirosd_client.limits import MAX_RECORDS
from mirosd_client.wire import Network
from tests.bridge.rig import BridgedHost, Program, until
from tests.lab.broker import PASSWORD, USER, Broker

pytestmark = pytest.mark.lab

NAMES = SystemNames("default")
EVENTS = 2 * MAX_RECORDS + 88
"""Two bodies as full as they may be, and one that is not."""


def test_who_lies_of_how_many_counts_as_one(broker: Broker) -> None:
    """Who has the account of peers may write any number into the header; it takes nothing from what was counted."""
    vhost = broker.new_vhost()

    async def test() -> None:
        host = BridgedHost("a", vhost, {"a": vhost})
        host.bridge.start()
        await until(lambda: host.bridge.is_connected, "connected")
        address = BrokerAddress("127.0.0.1", 5672, vhost, USER, PASSWORD)
        link = await AmqpConnector().open(address, deadline_s=30.0, name="queue", on_lost=lambda _error: None)
        arguments = {"x-dead-letter-exchange": NAMES.dead, "x-dead-letter-routing-key": host.node, "x-message-ttl": 0}
        await link.declare_queue("mirosd.t.short", durable=True, exclusive=False, arguments=arguments)
        await link.bind_queue("mirosd.t.short", NAMES.exchanges[Network.MESH], "k")
        for lie in (-1_000_000, 1_000_000, 0, "many"):
            link.publish(NAMES.exchanges[Network.MESH], "k", b"no body of ours", headers={"records": lie})
        await until(lambda: host.board.counters["expired_in_queue"] == 4, "each counted as one")

        assert {"expired_in_queue": 4} == host.board.counters
        await link.close()
        await host.bridge.stop()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("argument", "value", "counter", "left"),
    [("x-message-ttl", 0, "expired_in_queue", 0), ("x-max-length", 1, "overflow_in_queue", 88)],
)
def test_events_are_counted_and_not_bodies(broker: Broker, argument: str, value: int, counter: str, left: int) -> None:
    """A queue that keeps nothing, and one that keeps the last body: all events of all others are counted."""
    vhost = broker.new_vhost()

    async def test() -> None:
        host = BridgedHost("a", vhost, {"a": vhost})
        host.bridge.start()
        sender = Program(host, "s")
        sender.attach()
        await sender.hear("k")
        address = BrokerAddress("127.0.0.1", 5672, vhost, USER, PASSWORD)
        link = await AmqpConnector().open(address, deadline_s=30.0, name="queue", on_lost=lambda _error: None)
        dead = {"x-dead-letter-exchange": NAMES.dead, "x-dead-letter-routing-key": host.node}
        await link.declare_queue("mirosd.t.short", durable=True, exclusive=False, arguments=dead | {argument: value})
        await link.bind_queue("mirosd.t.short", NAMES.exchanges[Network.MESH], "k")
        sender.send(EVENTS, "k")
        await until(lambda: host.board.counters[counter] >= EVENTS - left, "all counted")
        await until(lambda: len(sender.received) == EVENTS, "all received where there is room")

        assert {counter: EVENTS - left} == host.board.counters
        await link.close()
        await host.bridge.stop()

    asyncio.run(test())
