"""What heartbeats say of bodies, and what is learnt from others'; in virtual time."""

import asyncio
import os

from mirosd.bridge.body import Body
from mirosd.bridge.lane import Lane
from mirosd.bridge.positions import Positions
from mirosd.bridge.replay_table import SAVE_S, ReplayTable
from mirosd.core.control_messages import Heartbeat
from mirosd.core.envelope import Envelope
from mirosd.core.replay import MARGIN_S, Passage, Position, ReplayGuard
from mirosd.core.seal import Keys, Opener, Sealer, first_counter, node_tag, position_proof
from mirosd_client.limits import EVENT_TTL_S
from mirosd_client.wire import Network
from tests.backends.virtual_time import run_virtually
from tests.bridge.fakes import CountingBoard, RecordingLink

OWN, PEER = "0" * 32, "1" * 32
FIRST = first_counter(7)


class Scene:
    """A daemon in its seventh start, which owes bodies to a peer's broker and to its own."""

    def __init__(self, start: int = 7) -> None:
        self.clock = asyncio.get_running_loop().time
        sealers = [
            Sealer(Keys(bytes(32)), "default", name, node=OWN, start=start, random=os.urandom, clock=self.clock)
            for name in ("mesh", "snoop_trace")
        ]
        opener = Opener(Keys(bytes(32)), "default", "mesh")
        self.mesh, self.trace = (Envelope("default", "mesh", sealer, opener) for sealer in sealers)
        board = CountingBoard()
        self.lanes = {
            node: Lane(node, max_bytes=10**6, board=board, on_relief=lambda: None)  # type: ignore[arg-type]
            for node in (OWN, PEER)
        }
        self.replay = ReplayGuard(node_tag(OWN), EVENT_TTL_S)
        self.replay.opened(self.clock())
        self.starts: list[int] = []
        self.news = 0
        self.positions = Positions(
            OWN,
            {Network.MESH: self.mesh, Network.SNOOP_TRACE: self.trace},
            self.replay,
            self.lanes.get,
            EVENT_TTL_S,
            on_behind=self.starts.append,
        )
        self.positions.on_news = self.heard

    def heard(self) -> None:
        """Something may have waited."""
        self.news += 1

    def owe(self, *nodes: str) -> None:
        """Seal one body, and owe it to the brokers of some nodes."""
        sealed = self.mesh.seal_records(b"records", 0, "k")
        body = Body("x", "k", sealed, self.clock() + EVENT_TTL_S, [])
        for node in nodes:
            self.lanes[node].owe(body)

    def beat(self, *, key: bytes = bytes(32), to: str = OWN, **said: int) -> None:
        """A heartbeat of the peer."""
        position = Position(**said)
        fields = said | {"position_proof": position_proof(key, PEER, to, position)}
        beat = Heartbeat(node=PEER, name="p", start=1, sequence=1, daemon_version="0", wall_ms=0, sent_ms=0, **fields)  # type: ignore[arg-type]
        self.positions.heard(beat)


def test_taken_is_the_oldest_that_the_peers_broker_may_be_sent() -> None:
    """Published or not, confirmed or not; another broker's debts do not count, and an unknown node is told the next."""

    async def test() -> None:
        scene, link = Scene(), RecordingLink()
        assert (FIRST, FIRST) == (scene.positions.of(PEER).taken, scene.positions.of(OWN).taken)
        scene.owe(OWN)
        scene.owe(OWN, PEER)
        scene.owe(PEER)
        taken = [scene.positions.of(PEER).taken]
        scene.lanes[PEER].opened(link)  # type: ignore[arg-type]
        taken.append(scene.positions.of(PEER).taken)
        link.answer(1)
        taken.append(scene.positions.of(PEER).taken)
        scene.lanes[PEER].lost()
        taken.append(scene.positions.of(PEER).taken)
        await asyncio.sleep(EVENT_TTL_S + 1)
        taken.append(scene.positions.of(PEER).taken)

        assert [1, 1, 1, 1, 3] == [counter - FIRST for counter in taken]
        assert FIRST + 3 == scene.positions.of("2" * 32).taken

    run_virtually(test())


def test_aged_is_what_events_do_not_outlive() -> None:
    """All of earlier starts once this one is that old, then body by body."""

    async def test() -> None:
        scene = Scene()
        aged = []
        for _ in range(4):
            scene.owe()
            aged.append(scene.positions.of(PEER).aged)
            await asyncio.sleep(EVENT_TTL_S + MARGIN_S)

        assert [0, FIRST + 1, FIRST + 2, FIRST + 3] == aged
        idle = Scene()
        await asyncio.sleep(EVENT_TTL_S + MARGIN_S)
        assert FIRST == idle.positions.of(PEER).aged

    run_virtually(test())


def test_what_a_heartbeat_says_is_heard_once_by_what_waits() -> None:
    """The first heartbeat of a node is news; each tells what is too old, and what was taken."""

    async def test() -> None:
        scene = Scene()
        for taken in (5, 9):
            scene.beat(taken=FIRST + taken, aged=FIRST + 2)

        assert 1 == scene.news
        assert FIRST + 8 == scene.replay.latest("mesh", node_tag(PEER)) == scene.positions.of(PEER).heard
        passage = scene.replay.judge("mesh", node_tag(PEER), FIRST + 1, bound_s=0.0, now_s=scene.clock())
        assert Passage.OLD is passage

    run_virtually(test())


def test_a_start_that_a_backup_brought_back_goes_on_where_it_was() -> None:
    """A peer that knows later counters of ours is believed: those of all networks skip ahead, and so does the file."""

    async def test() -> None:
        scene = Scene()
        scene.owe()
        scene.beat(heard=FIRST)
        scene.beat()
        assert [] == scene.starts
        scene.beat(heard=first_counter(57) + 12)
        scene.beat(heard=first_counter(57) + 12)

        without = Scene(start=0)
        without.beat()
        assert [] == without.starts
        assert [58] == scene.starts
        assert [first_counter(58)] * 2 == [envelope.sealer.next_counter for envelope in (scene.mesh, scene.trace)]

    run_virtually(test())


def test_who_has_not_the_mesh_key_is_not_believed() -> None:
    """Nor is what was said to another host: a node's bodies could be dropped for ever, and its starts used up."""

    async def test() -> None:
        scene, most = Scene(), 2**64 - 1
        scene.beat(key=b"t" * 32, taken=most, aged=most, heard=most)
        scene.beat(to="2" * 32, taken=most, aged=most, heard=most)
        assert ([], 0, -1) == (scene.starts, scene.news, scene.replay.latest("mesh", node_tag(PEER)))
        said = scene.positions.said(PEER)
        scene.beat(taken=most, aged=most, heard=most)

        assert [1 << 24] == scene.starts
        assert most - 1 == scene.replay.latest("mesh", node_tag(PEER))
        assert position_proof(bytes(32), OWN, PEER, (FIRST, 0, 0)) == said["position_proof"]

    run_virtually(test())


def test_our_own_bodies_are_known_without_a_heartbeat() -> None:
    """What our own broker has taken of them is nothing for a queue that is bound later."""

    async def test() -> None:
        scene = Scene()
        scene.owe()
        scene.owe(OWN)
        scene.positions.note_own()
        await asyncio.sleep(1)
        scene.replay.hold(scene.clock())
        passages = [
            scene.replay.judge("mesh", node_tag(OWN), FIRST + n, bound_s=scene.clock(), now_s=scene.clock())
            for n in range(2)
        ]

        assert [Passage.REPEATED, Passage.FREE] == passages

    run_virtually(test())


def test_the_table_is_written_while_it_changes() -> None:
    """Also when nothing comes any more, until all of it is too old; and at the end, if it has changed."""

    async def test() -> None:
        scene, texts = Scene(), []
        table = ReplayTable(scene.replay, texts.append)
        await asyncio.sleep(10 * SAVE_S)
        quiet = len(texts)
        scene.beat(taken=FIRST + 5)
        await asyncio.sleep(20 * (EVENT_TTL_S + MARGIN_S))
        later = ReplayGuard(node_tag(OWN), EVENT_TTL_S)
        later.restore(texts[-1], scene.clock())
        passages = [
            later.judge("mesh", node_tag(PEER), FIRST + n, bound_s=float("-inf"), now_s=scene.clock()) for n in (4, 5)
        ]

        assert [Passage.OLD, Passage.WAIT] == passages
        assert (1, 3) == (quiet, len(texts))
        table.close()
        assert 3 == len(texts)
        scene.replay.hear("mesh", node_tag(PEER), Position(FIRST + 9), scene.clock())
        table.close()
        assert 4 == len(texts)

    run_virtually(test())
