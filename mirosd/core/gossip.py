"""What peers tell each other about other peers, inside heartbeats: so that who knows one comes to know all.

A daemon tells of peers that it has proved and heard itself within FRESH_S, a few per heartbeat, by turns. What it
is told is hearsay: a reason to look for somebody, never to believe or to send anything.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from mirosd.core.addresses import AMQP_PORT, AddressError, HostPort, parse_host

FRESH_S = 5.0
"""A peer is told of while it is heard: five lost heartbeats in a row are no accident."""

MAX_TOLD = 8
"""Peers per heartbeat: some 700 bytes; a mesh of a hundred has been told of in 13 s."""

MAX_BROKERS = 8
"""Addresses of one node that are told or listened to: one per network that it is on."""

AGAIN_S = 60.0
"""A node that stays unknown is spoken of to the charts once in this time, however many tell of it each second."""

MAX_HEARSAY = 1024
"""Unknown nodes that are remembered; a mesh has some hundreds."""


class Rumour(msgspec.Struct, frozen=True):
    """A node, and where its brokers are by its own word ("10.0.0.7:5672"). One entry of a heartbeat's `gossip`."""

    node: str
    brokers: tuple[str, ...]


def one_spelling(brokers: Iterable[str]) -> tuple[str, ...]:
    """Give the first MAX_BROKERS of a peer's brokers, each with its port; what is no address is left out."""
    spelt: dict[str, None] = {}
    for broker in brokers:
        if len(spelt) == MAX_BROKERS:
            break
        try:
            host, port = parse_host(broker)
        except AddressError:
            continue
        spelt[str(HostPort(host, port or AMQP_PORT))] = None
    return tuple(spelt)


class Gossip:
    """What is told. Times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, tuple[str, ...]]] = {}  # by node: when, and its brokers
        self._turn = 0

    def heard(self, node: str, brokers: tuple[str, ...], now_s: float) -> None:
        """A proved peer spoke, and named its brokers."""
        self._heard[node] = now_s, brokers

    def gone(self, node: str) -> None:
        """Tell of a node no more."""
        self._heard.pop(node, None)

    def next(self, now_s: float) -> list[Rumour]:
        """Give what the next heartbeats tell: at most MAX_TOLD peers, those that have waited longest."""
        fresh = [
            Rumour(node, brokers)
            for node, (heard_s, brokers) in sorted(self._heard.items())
            if brokers and now_s - heard_s < FRESH_S
        ]
        if len(fresh) <= MAX_TOLD:
            return fresh
        begin = self._turn % len(fresh)
        self._turn = begin + MAX_TOLD
        return (fresh + fresh)[begin : begin + MAX_TOLD]


class Hearsay:
    """What is heard, once each. Times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._told_s: OrderedDict[str, float] = OrderedDict()

    def news(self, rumours: Sequence[Rumour], now_s: float) -> list[Rumour]:
        """Give those of a heartbeat's rumours that have not been given lately, with one spelling of brokers."""
        news = []
        for rumour in rumours[:MAX_TOLD]:
            if now_s - self._told_s.get(rumour.node, float("-inf")) < AGAIN_S:
                continue
            if brokers := one_spelling(rumour.brokers):
                self._told_s[rumour.node] = now_s
                self._told_s.move_to_end(rumour.node)
                news.append(Rumour(rumour.node, brokers))
        while len(self._told_s) > MAX_HEARSAY:
            self._told_s.popitem(last=False)
        return news
