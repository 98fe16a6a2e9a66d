"""Two bridges and a real RabbitMQ between them: events, heartbeats, shared brokers, a lost connection."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pika import BasicProperties, BlockingConnection, ConnectionParameters, PlainCredentials

from mirosd.backends.amqp import AmqpConnector
from mirosd.core.broker import BrokerAddress
from mirosd.names import SystemNames, node_routing_key
from mirosd.signals import Private
from mirosd_client.messages import Subscribe
from mirosd_client.wire import Network
from tests.bridge.rig import BridgedHost, Program, until
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER, Broker

pytestmark = pytest.mark.lab


def run(
    broker: Broker, test: Callable[[BridgedHost, BridgedHost], Coroutine[Any, Any, None]], *, shared: bool = False
) -> None:
    """Run a test with two hosts that know each other; `shared`: behind one broker."""
    first = broker.new_vhost()
    vhosts = {"a": first, "b": first if shared else broker.new_vhost()}

    async def scene() -> None:
        a, b = BridgedHost("a", vhosts["a"], vhosts), BridgedHost("b", vhosts["b"], vhosts)
        a.bridge.start()
        b.bridge.start()
        await until(lambda: a.bridge.is_connected and b.bridge.is_connected, "both connected")
        a.discover(b, "b")
        b.discover(a, "a")
        await until(lambda: a.seen(Private.peer_heard) and b.seen(Private.peer_heard), "heartbeats heard")
        await until(lambda: a.seen(Private.peer_routed) and b.seen(Private.peer_routed), "heartbeats routed")
        try:
            await test(a, b)
        finally:
            await asyncio.gather(a.bridge.stop(), b.bridge.stop())

    asyncio.run(scene())


def test_events_cross_in_order(broker: Broker) -> None:
    """5,000 events arrive once and in order at both subscriptions of the other host and the one of this; all settle."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, near, far = Program(a, "s"), Program(a, "n"), Program(b, "f")
        for program in (sender, near, far):
            program.attach()
        await near.hear("archer.#")
        await far.hear("archer.*")
        await far.hear("#", 2)
        for _ in range(50):
            sender.send(100, "archer.lead")
            await asyncio.sleep(0)
        await until(lambda: sender.numbers == (5000, 5000, 0), "all settled")
        await until(lambda: len(far.received) == 10_000 and len(near.received) == 5000, "all received")
        expected = list(range(1, 5001))

        assert expected == [number for _, number in near.received]
        for subscription in (1, 2):
            assert expected == [number for which, number in far.received if which == subscription]

    run(broker, test)


def test_nobody_listens(broker: Broker) -> None:
    """Events that no queue on any broker matches are settled and counted, every one."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender = Program(a, "s")
        sender.attach()
        sender.send(10, "nobody.here")
        await until(lambda: sender.numbers == (10, 10, 10), "all unroutable")

        assert 10 == a.board.counters["unroutable"]
        assert ["nobody.here"] == sender.unheard

    run(broker, test)


def test_every_host_says_how_many_of_its_queues_match(broker: Broker) -> None:
    """Mesh queues are counted where they are, by their bindings; a host that is gone has said nothing."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        near, far = Program(a, "n"), Program(b, "f")
        near.attach()
        far.attach()
        await near.hear("archer.#")
        await far.hear("archer.*")
        await far.hear("#", 2)
        await far.hear("knight.*", 3)
        await far.hear("#", 4, "snoop_trace")

        assert {a.node: 1, b.node: 2} == await a.bridge.count_matches("archer.lead")
        assert {a.node: 0, b.node: 1} == await b.bridge.count_matches("")
        far.host.bridge.unsubscribe(far, 2)
        assert {a.node: 1, b.node: 1} == await a.bridge.count_matches("archer.lead")

        b.bridge.inbound.lost()
        await b.bridge._control._own.close()  # its daemon hangs: the queue it hears questions on is gone
        assert {a.node: 1, b.node: None} == await a.bridge.count_matches("archer.lead")

    run(broker, test)


def test_people_see_what_clients_hear_and_send(broker: Broker) -> None:
    """A subscription is pending until the broker has bound it; a client's events have come so far."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        program = Program(a, "p")
        program.attach()
        b.bridge.subscribe(program, Subscribe(1, "mesh", "archer.#", "archer"))
        pending = {"chart": "archer", "network": "mesh", "binding_key": "archer.#", "unacknowledged": 0}

        assert [pending | {"state": "pending"}] == b.bridge.inbound.subscriptions.display(program.client)
        await until(lambda: program.bound, "bound")
        assert [pending | {"state": "bound"}] == b.bridge.inbound.subscriptions.display(program.client)
        assert [] == a.bridge.inbound.subscriptions.display(program.client)

        program.send(3, "archer.lead")
        await until(lambda: program.numbers[1] == 3, "settled")
        assert {"last_taken": 3, "last_safe": 3, "last_settled": 3, "unroutable": 0} == a.bridge.outbound.display(
            program.client
        )
        b.bridge.detached(program)
        assert [] == b.bridge.inbound.subscriptions.display(program.client)

    run(broker, test)


def test_the_own_broker_is_spared_what_nobody_here_hears(broker: Broker) -> None:
    """Events go to the own broker from the moment a program here asks for their key, and not before."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, near, far = Program(a, "s"), Program(a, "n"), Program(b, "f")
        for program in (sender, near, far):
            program.attach()
        await far.hear("k.#")
        await near.hear("other")
        other, own = a.bridge._lanes()

        assert [other] == a.bridge._lanes_for("k.1")
        assert [other, own] == a.bridge._lanes_for("other")

        sender.send(1, "k.1")
        await near.hear("k.*", 2)
        sender.send(1, "k.1")
        await until(lambda: len(far.received) == 2, "both far")
        await until(lambda: near.received == [(2, 2)], "the second near")
        a.bridge.unsubscribe(near, 2)

        assert [other] == a.bridge._lanes_for("k.1")

    run(broker, test)


def test_a_shared_broker_gets_one_producer_set(broker: Broker) -> None:
    """Two daemons behind one broker find that out, make no second set, and each event arrives once (D21)."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Program(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#")
        sender.send(100, "k")
        await until(lambda: sender.numbers[1] == 100, "settled")
        await until(lambda: len(far.received) == 100, "received")

        assert 1 == len(list(a.bridge._lanes())) == len(list(b.bridge._lanes()))
        assert 1 == len(a.bridge._lanes_for("heard by nobody of this host"))

    run(broker, test, shared=True)


def test_connections_cut_in_the_middle_lose_nothing(broker: Broker) -> None:
    """With every connection closed by an operator while events flow, all arrive; repeats are the client's to drop."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Program(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#")
        for turn in range(40):
            sender.send(50, "k")
            await asyncio.sleep(0)
            if turn == 20:
                await asyncio.to_thread(broker.call, 'rabbit_networking:close_all_connections("cut").')
        await until(lambda: sender.numbers[1] == 2000, "settled")
        await until(lambda: {number for _, number in far.received} == set(range(1, 2001)), "received")
        highest, fresh = 0, []
        for _, number in far.received:
            if number > highest:
                highest = number
                fresh.append(number)

        assert list(range(1, 2001)) == fresh
        assert 0 == sender.numbers[2]

    run(broker, test)


def test_poison_is_counted_and_never_comes_back(broker: Broker) -> None:
    """What does not open is taken off its queue, also after a reconnect, and holds up nothing behind it (D12)."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Program(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#")
        address = BrokerAddress("127.0.0.1", 5672, b.vhosts["b"], USER, PASSWORD)
        link = await AmqpConnector().open(address, deadline_s=30.0, name="poisoner", on_lost=lambda _error: None)
        for body in (b"", b"no body of ours", b"\xd5\x4d\x02" + bytes(60), b"\xd5\x4d\x09" + bytes(60)):
            link.publish(SystemNames("default").exchanges[Network.MESH], "k", body)

        def unopened() -> int:
            return sum(count for name, count in b.board.counters.items() if name.startswith("unopened_"))

        await until(lambda: unopened() == 4, "all counted")
        await asyncio.to_thread(broker.call, 'rabbit_networking:close_all_connections("cut").')
        sender.send(3, "k")
        await until(lambda: {number for _, number in far.received} == {1, 2, 3}, "what came behind it")

        assert 4 == unopened()

    run(broker, test)


def test_names_that_are_no_text_end_no_connection(broker: Broker) -> None:
    """Who has the account of peers may write any bytes where AMQP has texts; nobody's events wait for that."""

    def poison(vhost: str, node: str) -> None:
        account = PlainCredentials(PEERS_USER, PEERS_PASSWORD)
        connection = BlockingConnection(ConnectionParameters("127.0.0.1", 5672, vhost, account))
        names, texts = SystemNames("default"), BasicProperties(reply_to=b"\xff", correlation_id=b"\xff")
        channel = connection.channel()
        channel.basic_publish(names.exchanges[Network.MESH], b"\xff", b"no body of ours")
        channel.basic_publish(names.control, node_routing_key(node), b"no body of ours", texts)
        connection.close()

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Program(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#")
        await asyncio.to_thread(poison, b.vhosts["b"], b.node)
        await until(lambda: b.board.counters["unopened_malformed"], "counted")
        await until(lambda: b.board.counters["control_malformed"], "counted, too")
        sender.send(3, "k")
        await until(lambda: {number for _, number in far.received} == {1, 2, 3}, "what came behind it")

        assert {"unopened_malformed": 1, "control_malformed": 1} == b.board.counters

    run(broker, test)


def test_a_daemon_that_goes_is_told_apart(broker: Broker) -> None:
    """A daemon that stops in order says so; after that its heartbeats come back returned."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        await b.bridge.stop()
        await until(lambda: a.seen(Private.peer_left), "left")
        await until(lambda: a.seen(Private.peer_returned), "returned")

    run(broker, test)


def test_who_asks_for_others_in_a_loop_keeps_nobody_from_being_bound(broker: Broker) -> None:
    """Far more often than a connection has channels, and faster than a broker makes queues."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        restless, modest = Program(a, "r"), Program(a, "m")
        restless.attach()
        modest.attach()
        for number in range(1, 6000):
            a.bridge.subscribe(restless, Subscribe(number, "mesh", "#"))
            await asyncio.sleep(0)
            a.bridge.unsubscribe(restless, number)
        await modest.hear("k")
        await until(lambda: not a.bridge.inbound._tasks, "all of it done with")
        modest.send(1, "k")
        await until(lambda: modest.received == [(1, 1)], "heard")

        assert ["k"] == [each.binding_key for each in a.bridge.inbound.subscriptions.all()]

    run(broker, test)


def test_a_departed_clients_queue_goes_and_a_returned_ones_stays(broker: Broker) -> None:
    """A program's queue goes two seconds after its socket; if it came back by then, the queue lives on."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        stays, goes, sender = Program(b, "f"), Program(b, "g"), Program(a, "s")
        for program in (stays, goes, sender):
            program.attach()
        await stays.hear("#")
        await goes.hear("#")
        for program in (stays, goes):
            b.bridge.detached(program)
        sender.send(10, "k")
        await until(lambda: sender.numbers[1] == 10, "settled while both are away")
        stays.bound.clear()
        stays.attach()
        await stays.hear("#")
        await until(lambda: len(stays.received) == 10, "received after the return")
        await until(lambda: len(b.bridge.inbound.subscriptions.all()) == 1, "the other's subscription gone")
        sender.send(1, "k")
        await until(lambda: sender.numbers[1] == 11, "settled")
        await until(lambda: len(stays.received) == 11, "the returned one still hears")

        assert [] == goes.received

    run(broker, test)


def test_the_three_networks_stay_apart(broker: Broker) -> None:
    """Trace lines reach who subscribed to traces on either host, and no spy or mesh subscription; all settle."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, near, far = Program(a, "s"), Program(a, "n"), Program(b, "f")
        for program in (sender, near, far):
            program.attach()
        for program in (near, far):
            await program.hear("#", 1, "snoop_trace")
            await program.hear("#", 2, "snoop_spy")
            await program.hear("#", 3, "mesh")
        await a.watched_at(2, Network.SNOOP_TRACE, Network.SNOOP_SPY)
        sender.send(100, "snoop.trace", Network.SNOOP_TRACE)
        sender.send(1, "k")
        for program in (near, far):
            await until(lambda program=program: len(program.received) == 101, "received")  # type: ignore[misc]

            assert [(1, n) for n in range(1, 101)] == [item for item in program.received if item[0] == 1]
            assert [(3, 101)] == [item for item in program.received if item[0] != 1]

        await until(lambda: sender.numbers == (101, 101, 0), "all settled")

    run(broker, test)


def test_snoop_sheds_what_a_broker_cannot_take(broker: Broker) -> None:
    """A flood of instrumentation is bounded per broker: the rest is dropped and counted, events are untouched."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Program(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#", 1, "mesh")
        await far.hear("#", 2, "snoop_spy")
        await a.watched_at(1, Network.SNOOP_SPY)
        for _ in range(400):
            sender.send(64, "snoop.spy", Network.SNOOP_SPY)
        sender.send(1, "k")
        await until(lambda: any(which == 1 for which, _ in far.received), "the event received")

        assert a.board.counters["snoop_spy_shed"] > 0
        assert 0 == a.board.counters["overflow"]

    run(broker, test)
