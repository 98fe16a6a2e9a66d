"""How far the mesh bodies of this host and of others have come: said in heartbeats, and heard in theirs.

What it is for is in core/replay.py. A host whose state directory came out of a backup counts its starts
anew, and its bodies would look like repeats; the first heartbeat of a peer that knows better sets it right.

Whoever is believed here can have a node's bodies dropped as recordings, for ever. So what heartbeats say is proved with
the mesh key: hosts that see traces alone have the system key too, with which heartbeats are sealed.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from mirosd.bridge.lane import Lane
from mirosd.core.control_messages import Heartbeat
from mirosd.core.envelope import Envelope, counter_of
from mirosd.core.replay import MARGIN_S, UNORDERED, Position, Progress, ReplayGuard
from mirosd.core.seal import node_tag, position_proof, start_of
from mirosd.names import NETWORK_NAMES
from mirosd_client.wire import Network

log = structlog.get_logger()

MESH = NETWORK_NAMES[Network.MESH]


class Positions:
    """Of a host that has the mesh key; one that has not says nothing of counters. Thread: loop.

    Args:
        node: our own.
        lane_of: gives the lane of the broker that a node is behind, our own node among them; None: it has none.
        life_s: how long events live (settings.delivery.ttl_s).
        on_behind: told the start that this one has to count as, when an earlier one turns out to have been later.

    Attributes:
        on_news: called when bodies may have waited for what was heard.
    """

    def __init__(
        self,
        node: str,
        envelopes: Mapping[Network, Envelope],
        replay: ReplayGuard,
        lane_of: Callable[[str], Lane | None],
        life_s: float,
        *,
        on_behind: Callable[[int], None],
    ) -> None:
        self._node, self._replay, self._lane_of = node, replay, lane_of
        self._sealers = [envelope.sealer for envelope in envelopes.values()]
        self._mesh = envelopes[Network.MESH].sealer
        self._life_s, self._on_behind = life_s + MARGIN_S, on_behind
        self.on_news: Callable[[], None] = lambda: None
        self._clock = asyncio.get_running_loop().time
        self._sealed = Progress()
        self._sealed.reach(self._mesh.next_counter - 1, self._clock())  # all of earlier starts

    def said(self, node: str) -> dict[str, Any]:
        """Give the fields of a heartbeat to a peer."""
        position = self.of(node)
        return position._asdict() | {
            "position_proof": position_proof(self._mesh.keys.in_use, self._node, node, position)
        }

    def of(self, node: str) -> Position:
        """Give what a heartbeat to a peer says; of our own node, what it would say."""
        now_s, lane = self._clock(), self._lane_of(node)
        oldest = None if lane is None else lane.oldest
        self._sealed.reach(self._mesh.next_counter - 1, now_s)
        return Position(
            taken=self._mesh.next_counter if oldest is None else counter_of(oldest.sealed),
            aged=self._sealed.old(now_s - self._life_s) + 1,
            heard=max(0, self._replay.latest(MESH, node_tag(node))),
        )

    def note_own(self) -> None:
        """Take what our own broker has taken of our own bodies."""
        self._replay.hear(MESH, node_tag(self._node), self.of(self._node), self._clock())

    def heard(self, beat: Heartbeat) -> None:
        """Take another node's heartbeat, unless what it says of bodies is not proved."""
        position = Position(beat.taken, beat.aged, beat.heard)
        if not self._is_proved(beat, position):
            return
        if beat.heard >= max(self._mesh.next_counter, UNORDERED):
            start = start_of(beat.heard) + 1
            log.warning("start_forgotten", known_to=beat.name, start=start)
            for sealer in self._sealers:
                sealer.skip_to(start)
            self._on_behind(start)
        if self._replay.hear(MESH, node_tag(beat.node), position, self._clock()):
            self.on_news()

    def _is_proved(self, beat: Heartbeat, position: Position) -> bool:
        said = beat.position_proof.encode()
        proofs = (position_proof(key, beat.node, self._node, position) for key in self._mesh.keys)
        return any(hmac.compare_digest(said, proof.encode()) for proof in proofs)
