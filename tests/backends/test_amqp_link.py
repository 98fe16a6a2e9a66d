"""What only RabbitMQ does to a link: closing it in order, an alarm, an account's limits; and a dead cable."""

import asyncio
import time

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_link import AmqpLink
from mirosd.core.broker import Outcome
from mirosd.errors import BrokerError
from tests.backends.broker_rig import MESH, eventually
from tests.backends.test_amqp import address_of, holdings, opened
from tests.lab.broker import PEERS_PASSWORD, PEERS_USER, Broker
from tests.lab.namespaces import Lan

pytestmark = pytest.mark.lab


async def test_closed_by_an_operator(broker: Broker) -> None:
    """A connection that the broker closes in order ends with code `closed` and what it said."""
    lost: list[BrokerError] = []
    link = await AmqpConnector().open(address_of(broker), deadline_s=10.0, name="t", on_lost=lost.append)
    closing = '[rabbit_networking:close_connection(P, "go away") || P <- rabbit_networking:local_connections()], ok.'
    await asyncio.to_thread(broker.call, closing)
    await eventually(lambda: lost)
    await link.close()

    assert [error.code for error in lost] == ["closed"]
    assert "go away" in str(lost[0])


async def test_unplugged(brokers: dict[str, Broker], lan: Lan) -> None:
    """A dead link is known within seconds when something was sent: TCP_USER_TIMEOUT is set."""
    lost: list[BrokerError] = []
    with lan["h2"].network():
        link = await AmqpConnector().open(address_of(brokers["h1"]), deadline_s=10.0, name="t", on_lost=lost.append)
    await link.declare_exchange(MESH)
    lan.unplug(lan["h1"])
    started_s = time.monotonic()
    link.publish(MESH, "a", b"1")
    await eventually(lambda: lost, "on_lost")
    print(f"known after {time.monotonic() - started_s:.1f} s")
    await link.close()

    assert [error.code for error in lost] == ["lost"]
    assert time.monotonic() - started_s < 15.0  # an AMQP heartbeat of 60 s would take 128 s


@pytest.mark.parametrize("resource", ["memory", "disk"])
async def test_blocked(broker: Broker, resource: str) -> None:
    """A broker in alarm says so, and why, to who publishes, and when it is over; closing meanwhile ends in its time."""
    alarm = f"{{resource_limit, {resource}, node()}}"
    blocked: list[bool] = []
    lost: list[BrokerError] = []

    async def one_more() -> AmqpLink:
        return await AmqpConnector().open(
            address_of(broker), deadline_s=10.0, name="t", on_lost=lost.append, on_blocked=blocked.append
        )

    link = await one_more()
    await link.declare_exchange(MESH)
    before = holdings()
    other = await one_more()
    outcomes: list[Outcome] = []
    await asyncio.to_thread(broker.call, f"rabbit_alarm:set_alarm({{{alarm}, []}}), ok.")
    try:
        link.publish(MESH, "a", b"1", on_outcome=outcomes.append)
        await eventually(lambda: blocked == [True])
        assert (link.is_blocked, other.is_blocked, outcomes) == (True, False, [])
        assert f"low on {resource}" == link.blocked_by

        other.publish(MESH, "a", b"1")
        await eventually(lambda: other.is_blocked)
        await other.close()
        assert holdings() == before
    finally:
        await asyncio.to_thread(broker.call, f"rabbit_alarm:clear_alarm({alarm}), ok.")
    await eventually(lambda: outcomes)

    assert (blocked, link.is_blocked, lost) == ([True, True, False], False, [])
    await link.close()


async def test_fault_of_a_callback(broker: Broker) -> None:
    """An exception in a callback is heard by the loop's handler and ends that link alone."""
    heard: list[BaseException] = []
    loop = asyncio.get_running_loop()
    strict = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
    table: dict[Outcome, None] = {}
    lost: list[BrokerError] = []
    link = await AmqpConnector().open(address_of(broker), deadline_s=10.0, name="t", on_lost=lost.append)
    await link.declare_exchange(MESH)
    link.publish(MESH, "a", b"1", on_outcome=table.__getitem__)
    await eventually(lambda: lost)
    loop.set_exception_handler(strict)

    assert [repr(exc) for exc in heard] == [repr(KeyError(Outcome.CONFIRMED))]
    assert [error.code for error in lost] == ["lost"]


async def test_peers_account(broker: Broker) -> None:
    """The account used towards others may look for exchanges and publish to ours; elsewhere the link ends."""
    own = await opened(address_of(broker))
    await own.declare_exchange(MESH)
    lost: list[BrokerError] = []
    link = await AmqpConnector().open(
        address_of(broker, PEERS_USER, PEERS_PASSWORD), deadline_s=10.0, name="t", on_lost=lost.append
    )
    await link.check_exchange(MESH)
    await link.listen_for_replies(lambda _: None)
    outcomes: list[Outcome] = []
    link.publish(MESH, "a", b"1", on_outcome=outcomes.append)
    await eventually(lambda: outcomes)
    with pytest.raises(BrokerError) as refused:
        await link.declare_queue("", durable=False, exclusive=True, arguments={})
    assert refused.value.code == "closed"
    assert lost == []

    link.publish("amq.topic", "a", b"1")
    await eventually(lambda: lost)
    await own.close()
    assert [error.code for error in lost] == ["closed"]
