"""What the side that answers allows: once, to whom it was meant for, not too often, not all at the same moment.

A probe that opens was made by a member of the system, yet anybody on the LAN may have
recorded it and sent it again, from wherever he likes. So it is answered once, and only
at the address that its maker wrote into it. Its clock is not looked at: a host without
a battery clock must be found too, and an answer is worth nothing to who did not ask.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from mirosd.core.probe import Address, Datagram

NONCES_KEPT = 4096
"""Datagrams remembered so that a repeat is known: about 1 MB, and at the budget's 5,000/s nearly a second of them."""

ANSWERS_PER_S = 10.0
ANSWERS_AT_ONCE = 20.0
"""To one source address: a search sends it five broadcasts and four datagrams, and several may begin together."""

SOURCES_KEPT = 4096

TICK_S = 0.05
DATAGRAMS_PER_TICK = 250
"""5,000/s: below 6 % of a core even when each is forged with the right magic; what is lost is discovery, not events."""

JITTER_FROM_PEERS = 8
JITTER_PER_PEER_S = 0.002
MAX_JITTER_S = 0.2

PEERS_KEPT = 4096
PEER_KEPT_S = 300.0
"""Everybody is heard once a minute (the searches' broadcasts); at a loss of 20 %, five minutes miss one in 3,000."""


class Recent:
    """Remembers the last `limit` things; the oldest is forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._things: OrderedDict[Hashable, None] = OrderedDict()

    def is_new(self, thing: Hashable) -> bool:
        """Tell whether `thing` is not among them, and remember it."""
        if thing in self._things:
            return False
        self._things[thing] = None
        if len(self._things) > self._limit:
            self._things.popitem(last=False)
        return True


class Budget:
    """How many datagrams are read in each 50 ms, so that a flood takes no more of the loop than that."""

    def __init__(self) -> None:
        self._tick = -1
        self._left = 0

    def take(self, now_s: float) -> bool:
        """Take one of this tick's; False when none is left."""
        tick = int(now_s / TICK_S)
        if tick != self._tick:
            self._tick, self._left = tick, DATAGRAMS_PER_TICK
        if not self._left:
            return False
        self._left -= 1
        return True

    def wait_s(self, now_s: float) -> float:
        """Give how long it is to the next tick."""
        return (int(now_s / TICK_S) + 1) * TICK_S - now_s


class Answering:
    """Decides about probes that have opened.

    Args:
        random: gives a number in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # source: tokens, and when they were so
        self._peers: OrderedDict[str, float] = OrderedDict()

    def heard(self, node: str, now_s: float) -> None:
        """Note that another node is there."""
        self._peers[node] = now_s
        self._peers.move_to_end(node)
        if len(self._peers) > PEERS_KEPT:
            self._peers.popitem(last=False)

    def is_meant(self, probe: Datagram, arrived_at: Address, *, was_for_all: bool) -> bool:
        """Tell whether a probe has come where its maker sent it; `was_for_all`: by broadcast or multicast."""
        return probe.target is None if was_for_all else probe.target == arrived_at

    def may_answer(self, source: str, now_s: float) -> bool:
        """Tell whether `source` has not had its share of answers yet, and count this one."""
        tokens, at_s = self._buckets.get(source, (ANSWERS_AT_ONCE, now_s))
        tokens = min(ANSWERS_AT_ONCE, tokens + (now_s - at_s) * ANSWERS_PER_S)
        is_allowed = tokens >= 1.0
        self._buckets[source] = tokens - is_allowed, now_s
        self._buckets.move_to_end(source)
        if len(self._buckets) > SOURCES_KEPT:
            self._buckets.popitem(last=False)
        return is_allowed

    def delay_s(self, now_s: float) -> float:
        """Give how long to wait before answering what was sent to all: many answer it, and one must take them."""
        while self._peers and now_s - next(iter(self._peers.values())) > PEER_KEPT_S:
            self._peers.popitem(last=False)
        if len(self._peers) < JITTER_FROM_PEERS:
            return 0.0
        return self._random() * min(MAX_JITTER_S, JITTER_PER_PEER_S * len(self._peers))
