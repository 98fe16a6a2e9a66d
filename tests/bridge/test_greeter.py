"""Nodes that nobody knows, on a real RabbitMQ: asked who they are, cleared, adopted where they are served already."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_dialogue import Heard, ask_proof
from mirosd.bridge import greeter
from mirosd.core import aliens, gossip
from mirosd.core.broker import BrokerAddress
from mirosd.names import SystemNames
from mirosd.payloads import PeerGossip
from mirosd.signals import Private
from tests.bridge.rig import BridgedHost, Program, until
from tests.lab.broker import PEERS_PASSWORD, PEERS_USER, Broker

pytestmark = pytest.mark.lab

Hosts = dict[str, BridgedHost]
Options = dict[str, Any]


def run(
    broker: Broker, test: Callable[[Hosts], Coroutine[Any, Any, None]], *, shared: bool = False, **options: Options
) -> None:
    """Run a test with hosts a and b (and others in `options`) that know nothing of each other; `shared`: one broker."""
    letters = sorted({"a", "b", *options})
    first = broker.new_vhost()
    vhosts = {letter: first if shared or letter == "a" else broker.new_vhost() for letter in letters}

    async def scene() -> None:
        hosts = {letter: BridgedHost(letter, vhosts[letter], vhosts, **options.get(letter, {})) for letter in letters}
        for host in hosts.values():
            host.bridge.start()
        await until(lambda: all(host.bridge.is_connected for host in hosts.values()), "all connected")
        try:
            await test(hosts)
        finally:
            await asyncio.gather(*(host.bridge.stop() for host in hosts.values()))

    asyncio.run(scene())


def beats_of(host: BridgedHost, other: BridgedHost) -> int:
    """Give how many heartbeats of `other` a host has heard."""
    return sum(heard.introduction.node == other.node for heard in host.said(Private.peer_heard))


def test_an_alien_says_who_it_is_once(broker: Broker) -> None:
    """Whoever heartbeats to us is challenged by its reply-to; the sealed answer clears its brokers and is told of."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: a.seen(Private.peer_alien), "the alien told of")
        await until(lambda: beats_of(a, b) >= 4, "four heartbeats")
        [alien] = a.said(Private.peer_alien)

        assert (b.node, ("mesh", "snoop_spy", "snoop_trace"), ("b:5672",)) == (
            alien.introduction.node,
            alien.introduction.networks,
            alien.brokers,
        )
        assert ["b:5672"] == a.cleared
        assert 1 == len(list(a.bridge._lanes()))  # its word alone makes no producers
        assert not a.seen(Private.peer_routed)
        assert not b.seen(Private.peer_alien)

    run(broker, test)


def test_an_alien_on_a_broker_that_is_served_is_adopted(broker: Broker) -> None:
    """Behind a shared broker the challenge finds it through our own link; it is a peer both ways, without a new set."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: a.seen(Private.peer_routed) and beats_of(b, a), "heartbeats both ways")

        assert 1 == len(list(a.bridge._lanes())) == len(list(b.bridge._lanes()))
        assert [b.node] == [alien.introduction.node for alien in a.said(Private.peer_alien)]

    run(broker, test, shared=True)


def test_a_barred_alien_is_not_adopted_before_it_is_allowed(broker: Broker) -> None:
    """Under quarantine an alien on our own broker gets no heartbeats; once people allow it, its next word counts."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: a.seen(Private.peer_alien), "the alien told of")
        await until(lambda: beats_of(a, b) >= 3, "heartbeats")
        assert 0 == beats_of(b, a)
        a.bridge.stand((), {b.node}, ())
        await until(lambda: beats_of(b, a), "heartbeats both ways")

    run(broker, test, shared=True, a={"policy": "quarantine"})


def test_a_denied_alien_is_not_asked(broker: Broker) -> None:
    """Under deny nobody is asked who it is, and nothing is cleared."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: beats_of(a, b) >= 4, "four heartbeats")

        assert (False, []) == (a.seen(Private.peer_alien), a.cleared)

    run(broker, test, a={"policy": "deny"})


@pytest.mark.parametrize("policy", ["quarantine", "deny"])
def test_an_aliens_events_are_counted_until_it_is_allowed(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """A program here gets nothing of a quarantined node, and everything from when people allow it, in order."""
    monkeypatch.setattr(aliens, "PATIENCE_S", 0.5)

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: b.seen(Private.peer_routed), "b reaches a")
        here, sender = Program(a, "h"), Program(b, "s")
        here.attach()
        sender.attach()
        await here.hear("#")
        sender.send(100, "k")
        await until(lambda: sender.numbers[1] == 100, "settled")
        await until(lambda: a.board.counters["quarantined"] == 100, "all counted")
        assert [] == here.received
        a.bridge.stand((), {b.node}, ())
        sender.send(50, "k")
        await until(lambda: len(here.received) == 50, "received")

        assert [(1, number) for number in range(101, 151)] == here.received
        assert 100 == a.board.counters["quarantined"]

    run(broker, test, a={"policy": policy})


def test_who_is_heard_can_be_asked_for_its_broker_again(broker: Broker) -> None:
    """A broker is confirmed by the nodes whose heartbeats name it, and by nobody else."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        assert () == await a.bridge.confirm("b:5672")
        b.discover(a, "a")
        await until(lambda: a.seen(Private.peer_alien), "the alien told of")
        a.cleared.clear()

        assert () == await a.bridge.confirm("elsewhere:5672")
        assert [] == a.cleared
        assert ("b:5672",) == await a.bridge.confirm("b:5672")
        assert ["b:5672"] == a.cleared

    run(broker, test)


def test_a_reply_to_that_is_too_old_is_not_used(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not been heard for 5 s is not asked: its connection may be another's."""
    monkeypatch.setattr(greeter, "REACHABLE_S", 0.0)

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        b.discover(a, "a")
        await until(lambda: beats_of(a, b), "a heartbeat")

        assert () == await a.bridge.confirm("b:5672")

    run(broker, test)


def test_gossip_of_a_peer_counts_and_of_an_alien_does_not(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom b hears a is told of, as soon as b is a peer of a's; before that it is not believed."""
    monkeypatch.setattr(gossip, "AGAIN_S", 1e9)

    async def test(hosts: Hosts) -> None:
        a, b, c = hosts["a"], hosts["b"], hosts["c"]
        b.discover(c, "c")
        c.discover(b, "b")
        await until(lambda: beats_of(b, c) and beats_of(c, b), "b and c hear each other")
        b.discover(a, "a")
        await until(lambda: beats_of(a, b) >= 4, "four heartbeats of b at a")
        assert [] == a.said(Private.peer_gossip)
        a.discover(b, "b")
        await until(lambda: a.seen(Private.peer_gossip), "gossip")

        assert [PeerGossip(c.node, ("c:5672",))] == a.said(Private.peer_gossip)

    run(broker, test, c={})


def test_a_node_that_moved_takes_its_producers_along(broker: Broker) -> None:
    """A peer that is proved elsewhere while its broker is away is served there: one set, and what it was owed comes."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        good, a.vhosts["b"] = a.vhosts["b"], "nowhere"
        here, sender = Program(b, "h"), Program(a, "s")
        here.attach()
        sender.attach()
        await here.hear("#")
        a.discover(b, "b")
        await until(lambda: a.said(Private.peer_link_down), "b's broker is away")
        sender.send(10, "k")
        a.vhosts["moved"] = good
        a.discover(b, "moved")
        await until(lambda: len(here.received) == 10, "received")
        await until(lambda: beats_of(b, a), "heartbeats")

        assert 2 == len(list(a.bridge._lanes()))

    run(broker, test)


@pytest.mark.parametrize(("uptimes", "renewals"), [((60_000, 1_000), (0, 1)), ((1_000, 60_000), (1, 0))])
def test_the_younger_of_two_clones_learns_it(
    broker: Broker, uptimes: tuple[int, int], renewals: tuple[int, int]
) -> None:
    """A scout that meets a daemon with our node id says clone; whichever side is the younger is told, and it alone."""
    a_ms, b_ms = uptimes

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        there = BrokerAddress("127.0.0.1", 5672, b.vhosts["b"], PEERS_USER, PEERS_PASSWORD)
        link = await AmqpConnector().open(there, deadline_s=30.0, name="scout", on_lost=lambda _: None)
        heard: Heard = asyncio.Queue()
        proof = await ask_proof(link, heard, SystemNames("default").control, a.bridge._control._challenger, 30.0)
        await until(lambda: a.clones or b.clones, "somebody told")
        await link.close()

        assert "clone" == proof.code
        assert renewals == (len(a.clones), len(b.clones))

    node = "e" * 32
    run(broker, test, a={"node": node, "uptime_ms": a_ms}, b={"node": node, "uptime_ms": b_ms})


def test_a_clone_on_the_same_broker_is_told_by_its_pulse(broker: Broker) -> None:
    """Two daemons with one node id on one broker hear each other's pulses, and one of them is told."""

    async def test(hosts: Hosts) -> None:
        a, b = hosts["a"], hosts["b"]
        a.discover(hosts["c"], "c")
        await until(lambda: a.clones or b.clones, "somebody told")

        assert (0, 1) == (len(a.clones), min(len(b.clones), 1))

    node = "e" * 32
    run(
        broker,
        test,
        shared=True,
        a={"node": node, "uptime_ms": 60_000},
        b={"node": node, "uptime_ms": 1_000},
        c={"uptime_ms": 0},
    )


def test_one_address_never_has_two_sets(broker: Broker) -> None:
    """A second node that is proved at an address whose link is down just now joins the set that is there."""

    async def test(hosts: Hosts) -> None:
        a, b, c = hosts["a"], hosts["b"], hosts["c"]
        a.vhosts["b"] = "nowhere"
        a.discover(c, "b")
        await until(lambda: a.said(Private.peer_link_down), "the broker is away")
        a.discover(b, "b")
        await until(lambda: any(sign.node == b.node for sign in a.said(Private.peer_link_down)), "b is behind it too")

        assert 2 == len(list(a.bridge._lanes()))
        a.bridge.retire(c.node)
        assert 2 == len(list(a.bridge._lanes()))
        a.bridge.retire(b.node)
        assert 1 == len(list(a.bridge._lanes()))

    run(broker, test, c={})


def test_a_broker_that_is_being_reached_gets_no_second_set(broker: Broker) -> None:
    """A scout that is faster than our own links makes nobody a set for a broker that turns out to be ours."""
    vhost = broker.new_vhost()
    vhosts = {"a": vhost, "b": vhost}

    async def scene() -> None:
        a, b = BridgedHost("a", vhost, vhosts), BridgedHost("b", vhost, vhosts)
        b.bridge.start()
        await until(lambda: b.bridge.is_connected, "b connected")
        a.bridge.start()
        a.discover(b, "b")
        try:
            await until(lambda: a.seen(Private.peer_routed), "a reaches b")

            assert 1 == len(list(a.bridge._lanes()))
        finally:
            await asyncio.gather(a.bridge.stop(), b.bridge.stop())

    asyncio.run(scene())
