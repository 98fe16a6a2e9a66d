"""Producers that are handed to a running bridge: what they change, and what they leave alone."""

import asyncio
import queue
from unittest import mock

import pytest

from tests.bridge.rig import BridgedHost, Program, until
from tests.lab.broker import Broker


@pytest.mark.lab
def test_a_later_discovery_leaves_the_earlier_ones_alone(broker: Broker) -> None:
    """A second peer is found: events flow to and from the first as before, and to and from the second too (D28)."""
    vhosts = {letter: broker.new_vhost() for letter in "abc"}

    async def test() -> None:
        a, b, c = (BridgedHost(letter, vhosts[letter], vhosts) for letter in "abc")
        programs = {host: Program(host, letter) for host, letter in ((a, "p"), (b, "q"), (c, "r"))}
        for host, program in programs.items():
            host.bridge.start()
            program.attach()
            await program.hear("k")
        said = 0
        for peers in ((b,), (b, c)):
            new = peers[-1]
            a.discover(new, "b" if new is b else "c")
            new.discover(a, "a")
            await until(lambda peers=peers: len(a.bridge.producer_sets()) == 1 + len(peers), "producers made")  # type: ignore[misc]
            for speaker in (a, *peers):
                programs[speaker].send(10, "k")
                said += 10
            await until(lambda said=said: len(programs[a].received) == said, "all heard here")  # type: ignore[misc]
            for peer in peers:
                own_and_as = 2 * 10 * (len(peers) if peer is b else 1)
                await until(
                    lambda peer=peer, due=own_and_as: len(programs[peer].received) == due,  # type: ignore[misc]
                    "all heard there",
                )
        await asyncio.gather(*(host.bridge.stop() for host in (a, b, c)))

    asyncio.run(test())


def test_nobody_waits_for_producers_that_are_not_there() -> None:
    """Woken once too often, the bridge finds the queue empty and goes on (D38)."""

    async def test() -> None:
        host = BridgedHost("a", "none", {"a": "none"})
        with mock.patch.object(host.queue, "get", side_effect=queue.Empty) as get:
            host.bridge.wake()

        assert [mock.call(block=False)] == get.mock_calls
        assert 1 == len(host.bridge.producer_sets())

    asyncio.run(test())
