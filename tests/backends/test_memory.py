"""What only the broker in memory promises: nothing survives a cut, nothing polls, every run is the same."""

import asyncio
from functools import partial

import pytest

from mirosd.backends.memory import MemoryBroker, MemoryConnector
from mirosd.core.broker import BrokerAddress, Link, Outcome
from mirosd.errors import BrokerError
from tests.backends.broker_rig import MESH, Inbox, eventually, linked, make_queue, published
from tests.backends.memory_rig import MemoryRig
from tests.backends.virtual_time import VirtualLoop, run_virtually


async def test_no_such_broker() -> None:
    """A host without a broker refuses, as a closed port does."""
    with pytest.raises(BrokerError) as refused:
        await MemoryConnector({}).open(BrokerAddress("nowhere"), deadline_s=1.0, name="t", on_lost=lambda _: None)

    assert refused.value.code == "tcp(refused)"


async def test_what_is_on_its_way_is_cut() -> None:
    """A cut leaves nothing behind that arrives later, whichever way it was going."""
    rig = MemoryRig()
    async with linked(rig) as other:
        inbox = await Inbox().on(other, await make_queue(other))
        lost: list[BrokerError] = []
        outcomes: list[Outcome] = []
        link = await rig.open(lost.append, name="cut")
        link.publish(MESH, "a", b"1", on_outcome=outcomes.append)
        rig.broker.cut("cut")
        assert lost == []  # it is told from a turn of its own
        await published(other, b"2")

        assert [error.code for error in lost] == ["lost"]
        assert (inbox.bodies, outcomes) == ([b"2"], [])


async def test_fault_of_a_callback() -> None:
    """An exception in a callback is heard by the loop's handler and ends that link alone."""
    rig = MemoryRig()
    loop = asyncio.get_running_loop()
    strict = loop.get_exception_handler()
    heard: list[BaseException] = []
    lost: list[BrokerError] = []
    async with linked(rig) as other:
        await other.declare_exchange(MESH)
        link = await rig.open(lost.append)
        loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))
        table: dict[Outcome, None] = {}
        link.publish(MESH, "a", b"1", on_outcome=table.__getitem__)
        await eventually(lambda: lost)
        loop.set_exception_handler(strict)

    assert [repr(exc) for exc in heard] == [repr(KeyError(Outcome.CONFIRMED))]
    assert [error.code for error in lost] == ["lost"]


async def test_what_it_cannot_do_is_refused() -> None:
    """A queue's argument, or a kind of exchange, that is unknown here is no silent difference to RabbitMQ."""
    async with linked(MemoryRig()) as link:
        for refused in (make_queue(link, x_max_priority=3), link.declare_exchange("h", kind="headers")):
            with pytest.raises(BrokerError) as refusal:
                await refused
            assert refusal.value.code == "closed"


async def test_the_dead_do_not_go_round() -> None:
    """A body that dies of itself and would come back to the queue it died in is dropped; a refused one is not."""
    async with linked(MemoryRig()) as link:
        await make_queue(link, "round", "a", x_message_ttl=1, x_dead_letter_exchange=MESH)
        await make_queue(
            link, "mark", "m", x_message_ttl=20, x_dead_letter_exchange=MESH, x_dead_letter_routing_key="n"
        )
        dead = await Inbox().on(link, await make_queue(link, "dead", "n"))
        link.publish(MESH, "a", b"round")
        link.publish(MESH, "m", b"mark")
        await eventually(lambda: dead.got)
        inbox = await Inbox(acks=False).on(link, "round")
        assert inbox.got == []

        link.publish(MESH, "a", b"refused")
        await eventually(partial(inbox.has, 1))
        inbox.consumer.nack(inbox.got[0].tag, requeue=False)
        await eventually(partial(inbox.has, 2))

        assert inbox.bodies == [b"refused", b"refused"]


def test_nothing_polls() -> None:
    """An hour of links, consumers and empty queues is one turn of the loop: its end."""

    async def idle() -> None:
        rig = MemoryRig()
        async with linked(rig) as link:
            await Inbox().on(link, await make_queue(link, x_expires=100))
            await published(link, b"1", persistent=True, mandatory=True)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            before = loop.turns
            await asyncio.sleep(3600)

            assert loop.turns - before <= 2

    run_virtually(idle())


def test_every_run_is_the_same() -> None:
    """Fifty brokers that publish to each other, with a cut and a death in between, tell the same story every time."""
    stories: list[list[tuple[float, str, bytes]]] = []

    async def told() -> None:
        loop = asyncio.get_running_loop()
        story: list[tuple[float, str, bytes]] = []
        brokers = {f"h{number}": MemoryBroker(loop) for number in range(50)}
        connector = MemoryConnector(brokers)

        async def open_to(host: str) -> Link:
            return await connector.open(
                BrokerAddress(host), deadline_s=1.0, name="t", on_lost=lambda _: story.append((loop.time(), host, b""))
            )

        links = {host: await open_to(host) for host in brokers}
        for host, link in links.items():
            queue = await make_queue(link, x_message_ttl=30)
            await link.consume(queue, lambda i, host=host: story.append((loop.time(), host, i.body)), prefetch=3)  # type: ignore[misc]
        for number in range(20):
            for host, link in links.items():
                link.publish(MESH, "a", b"%d" % number, persistent=number % 2 == 0, on_outcome=lambda _: None)
                if host == "h7" and number == 9:
                    brokers[host].cut()
            await asyncio.sleep(0.01)
        for link in links.values():
            await link.close()
        stories.append(story)

    run_virtually(told())
    run_virtually(told())

    assert stories[0] == stories[1]
    assert len(stories[0]) == 50 * 3 + 1  # prefetch is 3, nothing is acknowledged, and one link is lost
