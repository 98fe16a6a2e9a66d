"""What is watched on the snoop networks, by whom, and what that asks of the charts of this host.

A network is watched here while a local program is subscribed to it, or holds a dial on it. Each host says so to its
peers in its heartbeats, and keeps what its peers say while they go on saying it. Together that decides what this
host's programs send, and to which brokers: what nobody watches costs nothing.

Dials of other hosts count as far as `snoop.remote` lets them; what programs show by themselves, whoever watches sees.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec.structs import replace

from mirosd.core.control_messages import NOTHING, Heartbeat
from mirosd_client.dial import MAX_DIALS, Dial, SnoopNetwork
from mirosd_client.errors import DaemonRefusedError, no_key

Remote = Literal["trace", "spy", "off"]
Watching = dict[SnoopNetwork, list[Dial]]
"""By network that somebody watches: the dials that are held there, which may be none."""

SNOOP_NETWORKS: tuple[SnoopNetwork, ...] = get_args(SnoopNetwork)
GRANTED: dict[str, frozenset[SnoopNetwork]] = {
    "trace": frozenset({"snoop_trace"}),
    "spy": frozenset({"snoop_trace", "snoop_spy"}),
    "off": frozenset(),
}
"""What others may turn on, by the setting snoop.remote."""

FRESH_S = 5.0
"""Who has not been heard for so long watches nothing: five lost heartbeats in a row are no accident."""

MAX_HELD_BYTES = 8 * 1024
"""Of all dials held on a host, as heartbeats carry them each second to each peer; people's are of some 50 bytes."""

MAX_TOLD_BYTES = 128 * 1024
"""Of a network's dials that programs are told of: the frame (MAX_FRAME_BYTES) holds both networks'. Where a mesh holds
more, programs send all that anybody could have asked for: more than is wanted, rather than less."""


class HostRow(NamedTuple):
    """A host, and what others may turn on there: the setting snoop.remote, "" while it has not said."""

    name: str
    node: str
    remote: str


@dataclass(slots=True)
class _Peer:
    """What a peer has said last."""

    name: str = ""
    remote: str = ""
    watching: Watching = field(default_factory=dict)
    said: msgspec.Raw = field(default_factory=lambda: NOTHING)  # the same, as it came
    place: tuple[int, int] = (0, 0)  # of its last heartbeat: start and sequence
    heard_s: float = float("-inf")


class Interest:
    """Thread: loop. Times are seconds on the monotonic clock.

    Args:
        name, node: this host's.
        remote: what others may turn on here.
        networks: those whose keys this host has; others do not exist for it.
    """

    def __init__(self, name: str, node: str, remote: Remote, networks: Iterable[SnoopNetwork] = SNOOP_NETWORKS) -> None:
        self._name, self._node, self.remote = name, node, remote
        self._networks = tuple(networks)
        self._subscribed: frozenset[SnoopNetwork] = frozenset()
        self._held: dict[int, tuple[SnoopNetwork, Dial]] = {}
        self._last_hold = 0
        self._peers: dict[str, _Peer] = {}

    # --- what is watched here

    def subscribe(self, networks: Collection[SnoopNetwork]) -> None:
        """Take the networks that local programs are subscribed to."""
        self._subscribed = frozenset(networks).intersection(self._networks)

    def hold(self, network: SnoopNetwork, dial: Dial) -> int:
        """Watch by a dial until `release` is called with the number that this gives.

        Raises:
            DaemonRefusedError: `no_key`, or `too_many_watches` on this host.
        """
        self.check_key(network)
        held = [each for each in self._held.values() if each[0] == network]
        if len(held) >= MAX_DIALS:
            raise DaemonRefusedError(
                "too_many_watches", f"{MAX_DIALS} watches of {network} are on from this host already: end one of them"
            )
        size = sum(len(msgspec.json.encode(each)) for _, each in (*self._held.values(), (network, dial)))
        if size > MAX_HELD_BYTES:
            raise DaemonRefusedError(
                "too_many_watches",
                f"the patterns of all watches from this host take {size} bytes of at most {MAX_HELD_BYTES}: "
                "end one of them, or use globs in place of lists",
            )
        self._last_hold += 1
        self._held[self._last_hold] = network, dial
        return self._last_hold

    def release(self, hold: int) -> None:
        """End a hold."""
        del self._held[hold]

    def has_key(self, network: SnoopNetwork) -> bool:
        """Tell whether this host takes part in a network."""
        return network in self._networks

    def check_key(self, network: SnoopNetwork) -> None:
        """Raise DaemonRefusedError("no_key") for a network whose key this host does not have."""
        if not self.has_key(network):
            raise DaemonRefusedError("no_key", no_key(network))

    @property
    def here(self) -> Watching:
        """What is watched here, as heartbeats say it."""
        return {
            network: _different(dial for where, dial in self._held.values() if where == network)
            for network in self._networks
            if self._is_watched_here(network)
        }

    def _is_watched_here(self, network: SnoopNetwork) -> bool:
        return network in self._subscribed or any(where == network for where, _ in self._held.values())

    # --- what peers watch

    def heard(self, beat: Heartbeat, now_s: float) -> bool:
        """Take a peer's heartbeat, and tell whether it says anything new; one that comes late does not."""
        peer = self._peers.setdefault(beat.node, _Peer())
        place = beat.start, beat.sequence
        if place <= peer.place:
            return False
        before = peer.name, peer.remote, self._fresh(peer, now_s)
        peer.place, peer.heard_s, peer.name = place, now_s, beat.name
        peer.remote = beat.snoop_remote if beat.snoop_remote in GRANTED else "off"
        if beat.watching != peer.said:  # else it was read before: it is the same for minutes
            peer.said, peer.watching = beat.watching.copy(), read_watching(beat.watching)
        return before != (peer.name, peer.remote, peer.watching)

    def gone(self, node: str) -> None:
        """Know a node no more: it is no peer."""
        self._peers.pop(node, None)

    def watches(self, node: str, network: SnoopNetwork, now_s: float) -> bool:
        """Tell whether somebody at a node watches a network; the node may be ours."""
        if node == self._node:
            return self._is_watched_here(network)
        peer = self._peers.get(node)
        return peer is not None and network in self._networks and network in self._fresh(peer, now_s)

    # --- what follows for the charts of this host

    def asked(self, now_s: float) -> Watching:
        """Give what this host's programs are asked for, by whomever (messages.Watched)."""
        here = self.here
        others = [self._fresh(peer, now_s) for _, peer in sorted(self._peers.items())]
        asked: Watching = {}
        for network in self._networks:
            sides = [side[network] for side in (here, *others) if network in side]
            if sides:
                theirs = [dial for side in others for dial in side.get(network, ())]
                counted = here.get(network, []) + (theirs if grants(self.remote, network) else [])
                asked[network] = _told(dial for dial in counted if dial.takes_host(self._name, self._node))
        return asked

    def hosts(self, peers: Iterable[str]) -> list[HostRow]:
        """Give this host, and then these peers by their names."""
        rows = []
        for node in peers:
            peer = self._peers.get(node, _Peer())
            rows.append(HostRow(peer.name or node, node, peer.remote))
        return [HostRow(self._name, self._node, self.remote), *sorted(rows)]

    @staticmethod
    def _fresh(peer: _Peer, now_s: float) -> Watching:
        return peer.watching if now_s - peer.heard_s < FRESH_S else {}


def grants(remote: str, network: SnoopNetwork) -> bool:
    """Tell whether others may turn a network on where the setting snoop.remote is so; "" is one that is not known."""
    return network in GRANTED.get(remote, ())


def read_watching(said: msgspec.Raw) -> Watching:
    """Read what a heartbeat says; what in it is junk, or more than a host may hold, is left out."""
    try:
        networks = msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(networks, dict):
        return {}
    return {network: _dials(networks[network]) for network in SNOOP_NETWORKS if network in networks}


def _dials(said: Any) -> list[Dial]:
    dials = []
    for each in said[:MAX_DIALS] if isinstance(said, list) else ():
        try:
            dials.append(msgspec.convert(each, Dial))
        except msgspec.ValidationError:
            continue
    return dials


def _different(dials: Iterable[Dial]) -> list[Dial]:
    """Give each of them once, in their order."""
    different: list[Dial] = []
    for dial in dials:
        if dial not in different:
            different.append(dial)
    return different


def _told(dials: Iterable[Dial]) -> list[Dial]:
    """Give what programs are told of dials that take this host."""
    different = _different(replace(dial, hosts=[]) for dial in dials)
    if len(msgspec.json.encode(different)) <= MAX_TOLD_BYTES:
        return different
    return [Dial(events=any(dial.events for dial in different))]
