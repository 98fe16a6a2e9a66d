"""What is known of a peer, what it means, and how it is shown.

`Seen` is the memory: what was last seen of one node, each with its time on the
monotonic clock. Everything else is a pure function of it and of now:

* `standing`     the state and its reason: for people;
* `is_owed`      whether events are still kept for it: for the delivery set;
* `peer_row`     one line of the peers table.

The two differ on purpose. A peer that is suspect or failed is shown as such within
seconds, and is still owed every event for 60 s, as long as its queues live: so a
restart or a short partition loses nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mirosd.core.shown import PeerRow
from mirosd.payloads import Introduction

SILENT_AFTER_S = 5.0
"""Heartbeats come every second: five lost ones in a row are no accident at 20 % loss (0.03 %)."""

GONE_AFTER_S = 60.0
"""Its queues' `x-expires`: later than this nothing kept for it could still be delivered."""

CLOCK_SKEW_S = 60.0
"""A wall clock further off than this is not merged into ours."""

REFUSALS = frozenset({"tls", "auth", "vhost", "exchange", "key", "version", "system", "self"})
"""Stages at which somebody answered, and it was no: shown as refused. At the others nobody has answered yet."""

SOURCES = {"man_net_chart": "manual", "lan_chart": "lan"}
"""Where an address came from, by the chart that discovered it; other dispatchers are their own names."""


class Standing(NamedTuple):
    """A peer's state, named as in the peers table, and why."""

    state: str
    reason: str = ""


@dataclass(slots=True)
class Seen:
    """What was last seen of one node. Times in seconds on the monotonic clock, None for never.

    Attributes:
        life: (start counter, sequence) of the last heartbeat or farewell.
        proved_s: when a scout proved it; heard_s: its last heartbeat; routed_s: our last heartbeat that a queue took.
        returned: our last heartbeat came back, since nobody's queue was there.
        down: the code with which our link to its broker is down, "" while it is up.
    """

    introduction: Introduction
    addresses: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    life: tuple[int, int] = (-1, -1)
    proved_s: float | None = None
    heard_s: float | None = None
    routed_s: float | None = None
    returned: bool = False
    down: str = ""
    left: bool = False
    rtt_ms: float | None = None
    stages: tuple[Any, ...] = ()

    def prove(self, introduction: Introduction, now_s: float) -> None:
        """A scout's challenge was answered: the node is there, whatever was seen before."""
        self._begin_life(introduction)
        self.proved_s = now_s
        self.left = self.returned = False
        self.down = ""
        if self.heard_s is not None and now_s - self.heard_s > SILENT_AFTER_S:
            self.heard_s = None  # its silence was before this proof

    def hear(self, introduction: Introduction, sequence: int, rtt_ms: float | None, now_s: float) -> bool:
        """Take a heartbeat; False when it is older than what was heard already."""
        if not self.is_fresh(introduction.start, sequence):
            return False
        self._begin_life(introduction._replace(networks=self.introduction.networks))  # only a scout proves networks
        self.life = (introduction.start, sequence)
        self.heard_s = now_s
        self.left = self.returned = False
        self.rtt_ms = self.rtt_ms if rtt_ms is None else rtt_ms
        return True

    def leave(self, start: int, sequence: int) -> bool:
        """Take a farewell; False when it is older than what was heard already."""
        if not self.is_fresh(start, sequence):
            return False
        self.life = (start, sequence)
        self.left = True
        return True

    def is_fresh(self, start: int, sequence: int) -> bool:
        """Say whether a heartbeat or farewell is newer than the last: a later start, or the same and further on."""
        return (start, sequence) > self.life

    def _begin_life(self, introduction: Introduction) -> None:
        if introduction.start > self.introduction.start:  # it has restarted: what was routed went to its predecessor
            self.routed_s = None
        if introduction.start >= self.introduction.start:
            self.introduction = introduction


def standing(seen: Seen, now_s: float) -> Standing:
    """Give the state of a peer with a node."""
    heard = _is_recent(seen.heard_s, now_s)
    if seen.left:
        return Standing("left")
    if seen.returned:
        return Standing("failed", "crashed")
    if seen.heard_s is not None and not heard:
        return Standing("failed", "silent")
    if seen.down:
        return Standing("suspect", seen.down if is_refusal(seen.down) else "broker")
    routed = _is_recent(seen.routed_s, now_s)
    if heard:
        return Standing("alive" if routed else "one-way(in)")
    return Standing("one-way(out)") if routed or _is_recent(seen.proved_s, now_s) else Standing("failed", "silent")


def next_change_s(seen: Seen, now_s: float) -> float | None:
    """Give the time at which `standing` may next change by itself; None when only a sign can change it."""
    signs = (seen.proved_s, seen.heard_s, seen.routed_s)
    return min((at_s + SILENT_AFTER_S for at_s in signs if _is_recent(at_s, now_s) and at_s is not None), default=None)


def is_owed(seen: Seen, now_s: float) -> bool:
    """Say whether the node belongs to the delivery set: it has not left, and gave a sign within the last 60 s."""
    return not seen.left and now_s < owed_until_s(seen)


def owed_until_s(seen: Seen) -> float:
    """Give the time at which nothing is owed to the node any more, if it gives no further sign."""
    signs = [at_s for at_s in (seen.proved_s, seen.heard_s, seen.routed_s) if at_s is not None]
    return max(signs) + GONE_AFTER_S if signs else float("-inf")


def is_refusal(code: str) -> bool:
    """Say whether `code` ("auth", "tls(...)") is an answer that trying again does not change by itself."""
    return code.partition("(")[0] in REFUSALS


def unproved_standing(code: str | None) -> Standing:
    """Give the state of an address without a node, by its last verdict: None while there is none."""
    if code is None:
        return Standing("candidate")
    return Standing("refused" if is_refusal(code) else "scouting", code)


def peer_row(seen: Seen, state: Standing, sources: Iterable[str]) -> PeerRow:
    """Give the line of a node in the peers table."""
    return PeerRow(
        node=seen.introduction.node,
        name=seen.introduction.name,
        address=", ".join(sorted(seen.addresses)),
        state=state.state,
        reason=state.reason,
        sources=tuple(sorted(sources)),
        networks=tuple(seen.introduction.networks),
        rtt_ms=seen.rtt_ms,
        last_heard_s=seen.heard_s,
        stages=seen.stages,
    )


def address_row(address: str, sources: Iterable[str], code: str | None, stages: tuple[Any, ...]) -> PeerRow:
    """Give the line of an address that has not proved to be anybody."""
    state = unproved_standing(code)
    return PeerRow(
        node="",
        name="",
        address=address,
        state=state.state,
        reason=state.reason,
        sources=tuple(sorted(sources)),
        networks=(),
        rtt_ms=None,
        last_heard_s=None,
        stages=stages,
    )


def clock_skew_detail(introductions: Iterable[Introduction]) -> str:
    """Give the text of `clock_skew`: whose wall clock is more than 60 s off; "" when nobody's is."""
    skewed = sorted((who.name, who.wall_ahead_s) for who in introductions if abs(who.wall_ahead_s) > CLOCK_SKEW_S)
    return ", ".join(f"{name} is {abs(s):.0f} s {'ahead' if s > 0 else 'behind'}" for name, s in skewed)


def _is_recent(at_s: float | None, now_s: float) -> bool:
    return at_s is not None and now_s - at_s < SILENT_AFTER_S
