"""Nodes that were named, and that nobody has proved: by their own word (alien, lan), or by that of a peer (gossip).

Each is handed on to be searched at most once in a while, however often it is named; the book is
bounded, so that made-up names fill nothing. Times in seconds on any one clock.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirosd.core.addresses import AddressError, HostPort, parse_host

AGAIN_S = 60.0
"""A node named again is searched again after this long: its heartbeats would have stopped counting meanwhile."""

KEPT_S = 2 * AGAIN_S
"""Named no more for this long, a node is forgotten: who named it hears it no more."""

MAX_SIGHTINGS = 1024
"""Nodes in the book; a mesh has some hundreds."""

MAX_BROKERS = 8
"""Addresses of one node that are looked at: one per network it is on."""


class Sighting(NamedTuple):
    """What is known of a node that was named: where, by which source, when last, and when last handed on."""

    brokers: tuple[str, ...]
    source: str
    named_s: float
    told_s: float = float("-inf")


class Sightings:
    """The book.

    Args:
        default_port: of a host that is written without one (`peers.port`): it is left out, as scouts leave it out.
    """

    def __init__(self, *, default_port: int) -> None:
        self._default_port = default_port
        self._nodes: dict[str, Sighting] = {}  # the one named longest ago first

    def note(self, node: str, brokers: tuple[str, ...], source: str, now_s: float) -> None:
        """Note that `source` says that `node` is at `brokers`; an alien's own word stands against gossip."""
        before = self._nodes.pop(node, None)
        brokers = tuple(self._hosts(brokers))[:MAX_BROKERS]
        if before is not None and before.source == "alien" and source != "alien":
            brokers, source = before.brokers, "alien"
        told_s = float("-inf") if before is None else before.told_s
        self._nodes[node] = Sighting(brokers, source, now_s, told_s)
        if len(self._nodes) > MAX_SIGHTINGS:
            del self._nodes[next(iter(self._nodes))]

    def take(self, node: str, now_s: float) -> Sighting | None:
        """Give the node's sighting if it is to be searched now, which counts as told; None if it was a while ago."""
        sighting = self._nodes.get(node)
        if sighting is None or not sighting.brokers or now_s - sighting.told_s < AGAIN_S:
            return None
        self._nodes[node] = sighting._replace(told_s=now_s)
        return sighting

    def renew(self, node: str) -> None:
        """Have the node searched with its next sighting, however short ago it was."""
        sighting = self._nodes.get(node)
        if sighting is not None:
            self._nodes[node] = sighting._replace(told_s=float("-inf"))

    def drop(self, node: str) -> None:
        """The node is proved, or forgotten."""
        self._nodes.pop(node, None)

    def forget_old(self, now_s: float) -> None:
        """Let go of nodes that nobody has named for a while."""
        for node in [node for node, sighting in self._nodes.items() if now_s - sighting.named_s >= KEPT_S]:
            del self._nodes[node]

    def brokers_of(self, node: str) -> tuple[str, ...]:
        """Give where a node was said to be; () when it was not named."""
        sighting = self._nodes.get(node)
        return () if sighting is None else sighting.brokers

    def __iter__(self) -> Iterator[tuple[str, Sighting]]:
        return iter(list(self._nodes.items()))

    def _hosts(self, brokers: Iterable[str]) -> Iterator[str]:
        for broker in dict.fromkeys(brokers):
            try:
                host, port = parse_host(broker)
            except AddressError:  # others' word may be anything
                continue
            yield str(HostPort(host, None if port == self._default_port else port))
