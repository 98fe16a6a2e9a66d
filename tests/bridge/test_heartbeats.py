"""What heartbeats say and what becomes of what they say; in virtual time, on a recording link."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mirosd.bridge.heartbeats import Heartbeats
from mirosd.bridge.pulse import LATE_S, Pulse
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.control_messages import NOTHING, Heartbeat, decode_control, encode_control
from mirosd.core.envelope import Envelope
from mirosd.core.gossip import Rumour
from mirosd.core.measures import Measures
from mirosd.core.replay import Position
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd.payloads import PeerGossip, PeerSign
from mirosd.signals import Private
from tests.backends.virtual_time import run_virtually

OWN, PEER, OTHER, STRANGER = "0" * 32, "1" * 32, "2" * 32, "3" * 32
KEY = bytes(32)


class Link:
    """A link that may be blocked."""

    is_blocked = False


class Scene:
    """A daemon's heartbeats: what it sent, and what its peer chart was told."""

    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        sealer = Sealer(Keys(KEY), "default", "system", node=OWN, random=bytes, clock=clock)
        challenger = SealedChallenger(
            Identity(OWN, "own", 3, "0", "f" * 16),
            Envelope("default", "system", sealer, Opener(Keys(KEY), "default", "system")),
            {},
            nonce=str,
            wall_ms=lambda: 0,
            brokers=lambda: ["h0:5672"],
            uptime_ms=lambda: int(clock() * 1000),
        )
        self.sent: list[tuple[str, Heartbeat]] = []
        self.told: list[tuple[int, Any]] = []
        self.pulses: list[float] = []
        self.measures = Measures(lambda: 0.0)
        self.pulse = Pulse(
            lambda _link: self.pulses.append(clock()), post_peer=lambda *told: self.told.append(told), clock=clock
        )
        self.heartbeats = Heartbeats(
            challenger,
            send=lambda node, _link, beat: self.sent.append((node, beat)),
            on_beat=self.pulse.beat,
            post_peer=lambda *told: self.told.append(told),
            clock=clock,
            wall_ms=lambda: 0,
            measures=self.measures,
        )

    def of(self, signal: int) -> list[Any]:
        """Give what the peer chart was told under a signal."""
        return [payload for number, payload in self.told if number == signal]


def beat_of(node: str, **said: Any) -> Heartbeat:
    """Give another's heartbeat."""
    beat = Heartbeat(node=node, name=node[0], start=1, sequence=1, daemon_version="0", wall_ms=0, sent_ms=0)
    return replace(beat, **said)


def test_heartbeats_say_who_we_are_and_whom_we_hear() -> None:
    """Each second each peer is told our brokers, instance and uptime, and the proved peers heard within 5 s."""

    async def test() -> None:
        scene, link = Scene(), Link()
        for node in (PEER, OTHER):
            scene.heartbeats.add_peer(node, link)  # type: ignore[arg-type]
        scene.heartbeats.heard(beat_of(PEER, brokers=["H1"]))
        scene.heartbeats.heard(beat_of(STRANGER, brokers=["h3"]))
        await asyncio.sleep(1.5)
        beats = dict(scene.sent[-2:])

        assert {PEER, OTHER} == set(beats)
        assert (["h0:5672"], "f" * 16, 1000) == (beats[OTHER].brokers, beats[OTHER].instance, beats[OTHER].uptime_ms)
        assert [Rumour(PEER, ("h1:5672",))] == beats[OTHER].gossip
        assert [1, 2, 3, 4] == [beat.sequence for _, beat in scene.sent]
        await asyncio.sleep(5)
        assert [] == scene.sent[-1][1].gossip
        scene.heartbeats.stop()

    run_virtually(test())


class Counters:
    """heartbeats.Positions of a daemon that knows all of everybody."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def said(self, node: str) -> dict[str, Any]:
        """Each peer's broker has come to another place."""
        return Position(2**60 + int(node[0]), 7, 8)._asdict() | {"position_proof": f"to {node}"}

    def heard(self, beat: Heartbeat) -> None:
        """Keep who has said what."""
        self.told.append((beat.node, beat.taken))


def test_heartbeats_say_how_far_bodies_have_come() -> None:
    """Each peer is told of its own broker, in numbers that need all 64 bits; what others say is handed on."""

    async def test() -> None:
        scene, link = Scene(), Link()
        counters = scene.heartbeats.positions = Counters()  # type: ignore[assignment]
        for node in (PEER, OTHER):
            scene.heartbeats.add_peer(node, link)  # type: ignore[arg-type]
        scene.heartbeats.heard(beat_of(STRANGER, taken=2**63))
        beats = {node: decode_control(encode_control(beat)) for node, beat in scene.sent}

        for node, taken in ((PEER, 2**60 + 1), (OTHER, 2**60 + 2)):
            beat = beats[node]
            assert isinstance(beat, Heartbeat)
            assert (taken, 7, 8, f"to {node}") == (beat.taken, beat.aged, beat.heard, beat.position_proof)
        assert [(STRANGER, 2**63)] == counters.told
        scene.heartbeats.stop()

    run_virtually(test())


class Watchers:
    """heartbeats.Watchers that writes down what it is told."""

    def __init__(self) -> None:
        self.said = msgspec.Raw(b'{"snoop_spy":[]}')
        self.remote = "spy"
        self.told: list[str] = []

    def heard(self, beat: Heartbeat) -> None:
        """A peer spoke."""
        self.told.append(beat.node)

    def gone(self, node: str) -> None:
        """It is none any more."""
        self.told.append(f"gone {node}")

    def pass_time(self) -> None:
        """A second."""
        self.told.append("second")


def test_heartbeats_say_what_is_watched() -> None:
    """At once when it has changed, to all; a heartbeat of each second says it again."""

    async def test() -> None:
        scene, link = Scene(), Link()
        scene.heartbeats.add_peer(PEER, link)  # type: ignore[arg-type]
        scene.heartbeats.add_peer(OTHER, None)
        watchers = scene.heartbeats.watchers = Watchers()
        scene.heartbeats.beat_now()
        watchers.said = NOTHING
        await asyncio.sleep(1.5)

        said = [(node, beat.sequence, bytes(beat.watching), beat.snoop_remote) for node, beat in scene.sent]
        assert [
            (PEER, 1, b"{}", "off"),
            (PEER, 2, b'{"snoop_spy":[]}', "spy"),
            (PEER, 3, b"{}", "spy"),
        ] == said
        assert ["second"] == watchers.told
        scene.heartbeats.stop()

    run_virtually(test())


def test_only_peers_are_heard_to_watch() -> None:
    """Whoever holds the system key can send heartbeats; a peer has been proved."""

    async def test() -> None:
        scene = Scene()
        scene.heartbeats.add_peer(PEER, None)
        watchers = scene.heartbeats.watchers = Watchers()
        for node in (STRANGER, PEER):
            scene.heartbeats.heard(beat_of(node, watching=msgspec.Raw(b'{"snoop_trace":[{}]}')))
        scene.heartbeats.remove_peer(PEER)
        scene.heartbeats.heard(beat_of(PEER, watching=msgspec.Raw(b'{"snoop_trace":[{}]}')))

        assert [PEER, f"gone {PEER}"] == watchers.told
        scene.heartbeats.stop()

    run_virtually(test())


def test_a_strangers_heartbeat_leaves_nothing_but_a_sign() -> None:
    """Heartbeats of nodes without producers are told to the peer chart, with their brokers, and not kept."""

    async def test() -> None:
        scene = Scene()
        for number in range(100):
            scene.heartbeats.heard(beat_of(f"{number:032}", brokers=["h3"]))

        assert 100 == len(scene.of(Private.peer_heard))
        assert ("h3:5672",) == scene.of(Private.peer_heard)[0].introduction.brokers
        assert ({}, {}) == (scene.heartbeats._echoes, scene.heartbeats._gossip._heard)

    run_virtually(test())


def test_gossip_about_strangers_is_told_once() -> None:
    """Nodes that we serve, and ourselves, are no news; others are, once a minute whoever tells of them."""

    async def test() -> None:
        scene = Scene()
        scene.heartbeats.add_peer(PEER, None)
        rumours = [Rumour(node, (f"h{node[0]}",)) for node in (OWN, PEER, STRANGER)]
        for teller in (PEER, OTHER):
            scene.heartbeats.take_gossip(beat_of(teller, gossip=rumours))

        assert [PeerGossip(STRANGER, ("h3:5672",))] == scene.of(Private.peer_gossip)
        scene.heartbeats.stop()

    run_virtually(test())


class TestPulse:
    def test_a_broker_that_brings_nothing_is_told(self) -> None:
        """A pulse that does not come back within 2 s makes us deaf; the next that does makes us hear."""

        async def test() -> None:
            scene, link = Scene(), Link()
            scene.heartbeats.add_peer(PEER, link)  # type: ignore[arg-type]
            scene.pulse.opened(link)  # type: ignore[arg-type]
            for _ in range(3):
                await asyncio.sleep(1)
                scene.pulse.came_back()
            assert [] == scene.told
            await asyncio.sleep(LATE_S + 2)
            assert [(Private.peer_own_blocked, PeerSign("", detail="silent"))] == scene.told
            await asyncio.sleep(10)
            scene.pulse.came_back()

            assert [Private.peer_own_blocked, Private.peer_own_free] == [signal for signal, _ in scene.told]
            scene.heartbeats.stop()

        run_virtually(test())

    def test_a_broker_in_alarm_is_told_and_sent_nothing(self) -> None:
        """While the broker reads nothing no pulses pile up; one that comes back when it reads again ends it."""

        async def test() -> None:
            scene, link = Scene(), Link()
            scene.heartbeats.add_peer(PEER, None)
            scene.pulse.opened(link)  # type: ignore[arg-type]
            link.is_blocked = True
            await asyncio.sleep(20)
            assert (["blocked"], []) == ([sign.detail for _, sign in scene.told], scene.pulses)
            link.is_blocked = False
            await asyncio.sleep(1.5)
            scene.pulse.came_back()

            assert [Private.peer_own_blocked, Private.peer_own_free] == [signal for signal, _ in scene.told]
            scene.heartbeats.stop()

        run_virtually(test())

    def test_a_broker_that_is_gone_is_told_once(self) -> None:
        """However often it is tried, and with whatever code; its return is told."""

        async def test() -> None:
            scene, link = Scene(), Link()
            for code in ("tcp(refused)", "tcp(refused)", "tcp(silent)"):
                scene.pulse.lost(code)
            scene.pulse.opened(link)  # type: ignore[arg-type]

            assert [
                (Private.peer_own_blocked, PeerSign("", detail="tcp(refused)")),
                (Private.peer_own_free, PeerSign("")),
            ] == scene.told

        run_virtually(test())


class TestMeasures:
    def test_a_peers_echo_is_a_round_trip(self) -> None:
        """Without the time that it lay there; one of a stranger, or without an echo, is none."""

        async def test() -> None:
            scene, link = Scene(), Link()
            scene.heartbeats.add_peer(PEER, link)  # type: ignore[arg-type]
            await asyncio.sleep(0.5)
            scene.heartbeats.heard(beat_of(PEER))
            scene.heartbeats.heard(beat_of(STRANGER, echo_ms=0))
            assert 0 == sum(scene.measures.round_trip_s.counts)
            scene.heartbeats.heard(beat_of(PEER, echo_ms=0, echo_age_ms=400))
            scene.heartbeats.stop()

            assert 1 == sum(scene.measures.round_trip_s.counts)
            assert pytest.approx(0.1) == scene.measures.round_trip_s.sum_s

        run_virtually(test())

    def test_a_loop_that_was_busy_is_late(self) -> None:
        """By so much as what kept it took; each second there is one look."""

        async def test() -> None:
            scene, loop = Scene(), asyncio.get_running_loop()
            scene.heartbeats.add_peer(PEER, Link())  # type: ignore[arg-type]
            loop.call_at(2.9, loop.spend, 0.5)  # type: ignore[attr-defined]
            await asyncio.sleep(3.5)
            scene.heartbeats.stop()

            assert 3 == sum(scene.measures.lag_s.counts)
            assert pytest.approx(0.4) == scene.measures.lag_s.sum_s

        run_virtually(test())
