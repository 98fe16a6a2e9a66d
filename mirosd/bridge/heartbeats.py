"""Heartbeats: sent to every peer each second, and what others' say.

They keep the peers table true, measure round trips, and carry gossip: who else is heard here. They say what is watched
here, too, at once when that has changed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from mirosd.bridge.positions import Positions
from mirosd.core.broker import Link
from mirosd.core.challenger import SealedChallenger
from mirosd.core.control_messages import NOTHING, Heartbeat
from mirosd.core.gossip import Gossip, Hearsay, one_spelling
from mirosd.core.measures import Measures
from mirosd.payloads import Introduction, PeerGossip, PeerHeard
from mirosd.signals import Private

HEARTBEAT_S = 1.0
"""A crash is known within one of these; 20 peers cost 20 small messages a second."""


class Watchers(Protocol):
    """Who watches the snoop networks, here and elsewhere (snooping.Snooping)."""

    said: msgspec.Raw

    @property
    def remote(self) -> str:
        """What others may turn on here."""

    def heard(self, beat: Heartbeat) -> None:
        """Take the heartbeat of a peer."""

    def gone(self, node: str) -> None:
        """A node is a peer no more."""

    def pass_time(self) -> None:
        """A second has passed."""


class KeyTeller(Protocol):
    """Which keys this host has, and who else has which (rotation.Rotation)."""

    said: dict[str, list[str]]
    takes: bool

    def heard(self, beat: Heartbeat) -> None:
        """Take the heartbeat of a peer."""


class Heartbeats:
    """Whom heartbeats go to, and over which link. Thread: loop.

    Args:
        send: publishes a heartbeat to a node over a link.
        on_beat: called each second while there are peers.
        post_peer: gives (signal, payload) to the peer chart; any thread may call it.
        clock: monotonic seconds.
        wall_ms: the wall clock, for noticing clocks that differ.

    Attributes:
        peers: node -> link to its broker, None while that is away; read only.
        positions: says how far bodies have come, and hears it of others.
        watchers: says what is watched here, and hears it of peers.
        keys: says which keys are here, and hears it of peers.
    """

    def __init__(
        self,
        challenger: SealedChallenger,
        *,
        send: Callable[[str, Link, Heartbeat], None],
        on_beat: Callable[[], None],
        post_peer: Callable[[int, Any], None],
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        measures: Measures,
    ) -> None:
        self.peers: dict[str, Link | None] = {}
        self.positions: Positions | None = None
        self.watchers: Watchers | None = None
        self.keys: KeyTeller | None = None
        self._challenger, self._send, self._on_beat, self._post_peer = challenger, send, on_beat, post_peer
        self._clock, self._wall_ms, self._measures = clock, wall_ms, measures
        self._echoes: dict[str, tuple[int, float]] = {}
        self._gossip, self._hearsay = Gossip(), Hearsay()
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None

    def add_peer(self, node: str, link: Link | None) -> None:
        """Send heartbeats to `node` over `link`; None while its broker is away."""
        self.peers[node] = link
        if link is not None:
            self._beat_to(node, link, self.template())
        if self._timer is None:
            self._arm()

    def remove_peer(self, node: str) -> None:
        """Send `node` nothing any more."""
        self.peers.pop(node, None)
        self._echoes.pop(node, None)
        self._gossip.gone(node)
        if self.watchers is not None:
            self.watchers.gone(node)

    def heard(self, beat: Heartbeat) -> None:
        """Take another node's heartbeat."""
        if self.positions is not None:
            self.positions.heard(beat)
        now_s = self._clock()
        brokers = one_spelling(beat.brokers)
        rtt_ms = None if beat.echo_ms is None else max(0.0, now_s * 1000 - beat.echo_ms - beat.echo_age_ms)
        introduction = Introduction(
            node=beat.node,
            name=beat.name,
            start=beat.start,
            version=beat.daemon_version,
            networks=(),  # a heartbeat proves the system key alone
            wall_ahead_s=(beat.wall_ms - self._wall_ms()) / 1000,
            brokers=brokers,
        )
        if beat.node in self.peers:
            self._echoes[beat.node] = beat.sent_ms, now_s
            if rtt_ms is not None:
                self._measures.round_trip(rtt_ms)
            self._gossip.heard(beat.node, brokers, now_s)
            if self.watchers is not None:
                self.watchers.heard(beat)
            if self.keys is not None:
                self.keys.heard(beat)
        self._post_peer(Private.peer_heard, PeerHeard(introduction, beat.sequence, rtt_ms))

    def take_gossip(self, beat: Heartbeat) -> None:
        """Hand on what a peer that is believed says of nodes that we do not know."""
        known = {*self.peers, self._challenger.identity.node}
        strangers = [rumour for rumour in beat.gossip if rumour.node not in known]
        for rumour in self._hearsay.news(strangers, self._clock()):
            self._post_peer(Private.peer_gossip, PeerGossip(rumour.node, rumour.brokers))

    def next_sequence(self) -> int:
        """Give the number of the next heartbeat, or of the farewell behind all."""
        self._sequence += 1
        return self._sequence

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()

    def beat_now(self) -> None:
        """Send each peer a heartbeat beside those of each second: what they say has changed."""
        template = self.template()
        for node, link in self.peers.items():
            if link is not None:
                self._beat_to(node, link, template)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + HEARTBEAT_S
        self._timer = loop.call_at(due_s, self._beat, due_s)

    def _beat(self, due_s: float) -> None:
        self._timer = None
        self._measures.lag_s.add(asyncio.get_running_loop().time() - due_s)
        self._on_beat()
        if self.watchers is not None:
            self.watchers.pass_time()
        self.beat_now()
        if self.peers:  # no peers, no timer: an idle daemon sleeps
            self._arm()

    def _beat_to(self, node: str, link: Link, template: Heartbeat) -> None:
        if link.is_blocked:  # what waits in front of a broker in alarm would be counted against the connection
            return
        echo_ms, heard_s = self._echoes.get(node, (None, 0.0))
        echo_age_ms = int((self._clock() - heard_s) * 1000) if echo_ms is not None else 0
        said = {} if self.positions is None else self.positions.said(node)
        beat = replace(template, sequence=self.next_sequence(), echo_ms=echo_ms, echo_age_ms=echo_age_ms, **said)
        self._send(node, link, beat)

    def template(self) -> Heartbeat:
        """Give what this moment's heartbeats have in common."""
        me, now_s = self._challenger.identity, self._clock()
        return Heartbeat(
            node=me.node,
            name=me.name,
            start=me.start,
            sequence=0,
            daemon_version=me.daemon_version,
            wall_ms=self._wall_ms(),
            sent_ms=int(now_s * 1000),
            brokers=list(self._challenger.brokers()),
            instance=me.instance,
            uptime_ms=self._challenger.uptime_ms(),
            gossip=self._gossip.next(now_s),
            watching=NOTHING if self.watchers is None else self.watchers.said,
            snoop_remote="off" if self.watchers is None else self.watchers.remote,
            keys={} if self.keys is None else self.keys.said,
            takes_keys=self.keys is not None and self.keys.takes,
        )
