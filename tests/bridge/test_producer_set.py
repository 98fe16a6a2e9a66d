"""The two connections to one broker: what they say of its alarms; in virtual time, without a broker."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.bridge.lane import Lane
from mirosd.bridge.producer_set import NOTHING, ProducerSet, Proof, proofs_of
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from mirosd.payloads import Producer, ProducerQueue
from mirosd.signals import Private
from mirosd_client.wire import Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard, RecordingLink


class Connection(RecordingLink):
    """An open link that the test blocks and breaks."""

    def __init__(self, on_lost: Callable[[BrokerError], None], on_blocked: Callable[[bool], None]) -> None:
        super().__init__()
        self.lose, self._on_blocked = on_lost, on_blocked

    def block(self, is_blocked: bool) -> None:
        """The broker stops reading, or goes on."""
        self.is_blocked = is_blocked
        self._on_blocked(is_blocked)

    async def close(self) -> None:
        """Close it."""


class Scene:
    """A set for one broker with one node behind it; what it tells of them."""

    def __init__(self) -> None:
        self.mesh: Connection
        self.controls: Connection
        self.told: list[str] = []
        self.states: list[str] = []
        self.set = ProducerSet(
            self,  # type: ignore[arg-type]
            BrokerAddress("192.0.2.1"),
            Lane("peer", max_bytes=1 << 20, board=CountingBoard(), on_relief=lambda: None),
            self,  # type: ignore[arg-type]
            prepare_mesh=self._prepare,
            prepare_control=self._prepare,
            post_peer=self._post,
            random=lambda: 1.0,
            on_state=lambda error: self.states.append(error.code if error else ""),
        )
        self.set.add("n", Proof(frozenset(Network), 1))

    async def open(self, _address: BrokerAddress, *, name: str, on_lost: Any, on_blocked: Any, **_: Any) -> Connection:
        """Give an open link."""
        link = Connection(on_lost, on_blocked)
        if "mesh" in name:
            self.mesh = link
        else:
            self.controls = link
        return link

    def remove_peer(self, node: str) -> None:
        """Control's part."""

    def add_peer(self, node: str, link: Any) -> None:
        """Control's part."""

    def _post(self, signal: int, sign: Any) -> None:
        if signal == Private.peer_blocked:
            self.told.append(sign.detail)

    async def _prepare(self, _link: Any) -> None:
        """There is nothing to prepare."""


def scene(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Run a test with both connections open."""

    async def play() -> None:
        made = Scene()
        made.set.start()
        await asyncio.sleep(1)
        made.states.clear()
        await test(made)
        await made.set.stop()

    run_virtually(play())


def test_an_alarm_is_told_once_whichever_connections_hear_of_it() -> None:
    """It begins with the first that is told, and ends when both are read again."""

    async def test(s: Scene) -> None:
        s.controls.block(True)
        await asyncio.sleep(2)
        s.mesh.block(True)
        s.mesh.block(True)  # two alarms at once are told twice
        await asyncio.sleep(3)
        assert {"reason": "low on memory", "for_s": 5.0} == s.set.shown_alarm
        s.controls.block(False)
        assert (["low on memory"], ["blocked"]) == (s.told, s.states)
        s.mesh.block(False)

        assert s.set.shown_alarm is None
        assert (["low on memory", ""], ["blocked", ""]) == (s.told, s.states)

    scene(test)


def test_who_comes_during_an_alarm_is_told_of_it() -> None:
    """A node that is found behind the broker meanwhile."""

    async def test(s: Scene) -> None:
        s.mesh.block(True)
        s.set.add("m", NOTHING)

        assert ["low on memory"] * 2 == s.told

    scene(test)


@pytest.mark.parametrize("which", ["mesh", "controls"])
def test_a_connection_that_is_lost_in_alarm_says_nothing_any_more(which: str) -> None:
    """The next one is told anew, if the broker is still in alarm."""

    async def test(s: Scene) -> None:
        getattr(s, which).block(True)
        getattr(s, which).lose(BrokerError("lost", "gone"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (None, ["low on memory", ""]) == (s.set.shown_alarm, s.told)
        await asyncio.sleep(10)
        assert (None, "") == (s.set.shown_alarm, s.states[-1])

    scene(test)


def test_a_broker_is_for_the_networks_of_whoever_is_behind_it() -> None:
    """As they proved them last, and while they are there."""
    mesh, trace = Network.MESH, Network.SNOOP_TRACE

    async def test(s: Scene) -> None:
        s.set.prove("n", Proof(frozenset({trace}), 1))
        s.set.add("m", Proof(frozenset({mesh}), 1))
        assert ({mesh, trace}, {"m"}) == (s.set.networks, s.set.members(mesh))
        s.set.prove("n", Proof(frozenset({mesh}), 2))
        assert ({mesh}, {"m", "n"}) == (s.set.networks, s.set.members(mesh))
        s.set.remove("n")
        s.set.remove("m")
        assert frozenset() == s.set.networks

    scene(test)


def test_producers_tell_what_was_proved() -> None:
    """By node and host: each network that one of its producers is of, at the latest of their starts."""
    item = ProducerQueue(
        (Producer("mesh", "a", "n", 3),),
        (Producer("snoop_trace", "a", "n", 4), Producer("snoop_trace", "b", "n")),
        (),
        (),
    )

    assert {
        ("n", "a"): Proof(frozenset({Network.MESH, Network.SNOOP_TRACE}), 4),
        ("n", "b"): Proof(frozenset({Network.SNOOP_TRACE}), 0),
    } == proofs_of(item)
