"""What is known of a peer, and what it means.

`Seen` is the memory: what was last seen of one node, each with its time on the clock of
our hearing (core/hearing.py). Everything else is a pure function of it and of now:

* `standing`     the state and its reason: for people (core/peer_rows.py makes lines of it);
* `is_owed`      whether events are still kept for it: for the delivery set.

The two differ on purpose. A peer that is suspect or failed is shown as such within
seconds, and is still owed every event for 60 s, as long as its queues live: so a
restart or a short partition loses nothing.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mirosd.payloads import Introduction

SILENT_AFTER_S = 5.0
"""Heartbeats come every second: five lost ones in a row are no accident at 20 % loss (0.03 %)."""

GONE_AFTER_S = 60.0
"""Its queues' `x-expires`: later than this nothing kept for it could still be delivered."""

CLOCK_SKEW_S = 60.0
"""A wall clock further off than this is not merged into ours."""

REFUSALS = frozenset({"tls", "auth", "vhost", "exchange", "key", "version", "system", "self", "clone"})
"""Stages at which somebody answered, and it was no: shown as refused. At the others nobody has answered yet."""

NEVER_S = float("-inf")

MAX_PREVIOUS = 8
"""Earlier addresses of a node that are shown: a lease or two a week, for a month."""


class Standing(NamedTuple):
    """A peer's state, named as in the peers table, and why."""

    state: str
    reason: str = ""


BARS = {"quarantine": Standing("quarantined"), "deny": Standing("refused", "alien")}
"""An alien that nobody has allowed, by `discovery.aliens`."""


@dataclass(slots=True)
class Seen:
    """What was last seen of one node. Times in seconds on the clock of our hearing, None for never.

    Attributes:
        addresses: where it proved to be; previous: where it was before, each with when it was last known to be there.
        sources: how we came to know it; never fewer while it is known.
        life: (start counter, sequence) of the last heartbeat or farewell.
        proved_s: when a scout proved it; heard_s: its last heartbeat; routed_s: our last heartbeat that a queue took.
        returned: our last heartbeat came back, since nobody's queue was there.
        down: the code with which our link to its broker is down, "" while it is up.
        blocked: why its broker takes nothing of us although we are connected, "" while it does.
        verdict: the code with which scouting it failed last, "" once it is proved.
        barred: the policy of `discovery.aliens` that keeps it out, "" when none does.
        flaps: how often it was alive, and then was not.
        since_s: when its state began; shown_s: its last heartbeat (both: real, the monotonic clock).
    """

    introduction: Introduction
    addresses: set[str] = field(default_factory=set)
    previous: dict[str, float] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    life: tuple[int, int] = (-1, -1)
    proved_s: float | None = None
    heard_s: float | None = None
    routed_s: float | None = None
    returned: bool = False
    down: str = ""
    blocked: str = ""
    left: bool = False
    rtt_ms: float | None = None
    stages: tuple[Any, ...] = ()
    verdict: str = ""
    barred: str = ""
    flaps: int = 0
    since_s: float | None = None
    shown_s: float | None = None

    def prove(self, introduction: Introduction, now_s: float) -> None:
        """A scout's challenge was answered: the node is there, whatever was seen before.

        Also when its start counter has gone back, and nothing was heard of the later start for a while: its state
        directory came out of a backup, or it was a clone of it that counted further.
        """
        was_silent = self.heard_s is None or now_s - self.heard_s > SILENT_AFTER_S
        if was_silent and introduction.start < self.life[0]:
            self.life, self.introduction = (-1, -1), introduction
        self._begin_life(introduction)
        self.proved_s = now_s
        self.left = self.returned = False
        self.down = self.verdict = self.barred = ""
        if was_silent:
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

    def reach(self, now_s: float) -> None:
        """A queue took our heartbeat. After one that came back it is a new queue, whose daemon was not heard yet."""
        if self.returned:
            self.heard_s = None
        self.routed_s, self.returned = now_s, False

    def leave(self, start: int, sequence: int) -> bool:
        """Take a farewell; False when it is older than what was heard already."""
        if not self.is_fresh(start, sequence):
            return False
        self.life = (start, sequence)
        self.left = True
        return True

    def move_to(self, address: str, real_s: float) -> None:
        """It is at `address`. While our link to its broker is down, it is no more where it was: the host has moved."""
        self.previous.pop(address, None)
        if self.down:
            for old in self.addresses - {address}:
                self.move_from(old, real_s)
        self.addresses.add(address)

    def move_from(self, address: str, real_s: float) -> None:
        """It is not at `address` any more."""
        if address in self.addresses:
            self.addresses.discard(address)
            self.previous[address] = real_s
            for old in sorted(self.previous, key=self.previous.__getitem__)[:-MAX_PREVIOUS]:
                del self.previous[old]

    def is_fresh(self, start: int, sequence: int) -> bool:
        """Say whether a heartbeat or farewell is newer than the last: a later start, or the same and further on."""
        return (start, sequence) > self.life

    def _begin_life(self, introduction: Introduction) -> None:
        if introduction.start > self.introduction.start:  # it has restarted: what was routed went to its predecessor
            self.routed_s = None
        if introduction.start >= self.introduction.start:
            self.introduction = introduction


def standing(seen: Seen, now_s: float, resumed_s: float = NEVER_S) -> Standing:
    """Give the state of a peer with a node; `resumed_s` as in core.hearing.Hearing."""
    heard = _is_recent(seen.heard_s, now_s, resumed_s)
    if seen.left:
        return Standing("left")
    if seen.barred:
        return BARS[seen.barred]
    if seen.returned:
        return Standing("failed", "crashed")
    if seen.heard_s is not None and not heard:
        return Standing("failed", "silent")
    if seen.down:
        return Standing("suspect", seen.down if is_refusal(seen.down) else "broker")
    if seen.blocked:
        return Standing("suspect", "blocked")
    routed = _is_recent(seen.routed_s, now_s, resumed_s)
    if heard:
        return Standing("alive") if routed else Standing("one-way(in)", seen.verdict)
    proved = _is_recent(seen.proved_s, now_s, resumed_s)
    return Standing("one-way(out)") if routed or proved else Standing("failed", "silent")


def next_change_s(seen: Seen, now_s: float, resumed_s: float = NEVER_S) -> float | None:
    """Give the time at which `standing` may next change by itself; None when only a sign can change it."""
    ends_s = (_until_s(at_s, resumed_s) for at_s in (seen.proved_s, seen.heard_s, seen.routed_s) if at_s is not None)
    return min((end_s for end_s in ends_s if now_s < end_s), default=None)


def is_owed(seen: Seen, now_s: float) -> bool:
    """Say whether the node belongs to the delivery set: it gave a sign within the last 60 s, if only its farewell.

    Its queues live on for as long, so what is sent while it restarts is there when it is back.
    """
    return not seen.barred and now_s < owed_until_s(seen)


def owed_until_s(seen: Seen) -> float:
    """Give the time at which nothing is owed to the node any more, if it gives no further sign."""
    signs = [at_s for at_s in (seen.proved_s, seen.heard_s, seen.routed_s) if at_s is not None]
    return max(signs) + GONE_AFTER_S if signs else NEVER_S


def is_refusal(code: str) -> bool:
    """Say whether `code` ("auth", "tls(...)") is an answer that trying again does not change by itself."""
    return code.partition("(")[0] in REFUSALS


def _is_recent(at_s: float | None, now_s: float, resumed_s: float) -> bool:
    return at_s is not None and now_s < _until_s(at_s, resumed_s)


def _until_s(at_s: float, resumed_s: float) -> float:
    """Give when a sign stops being recent: what was recent when we became deaf is so anew when we hear again."""
    return (resumed_s if at_s <= resumed_s < at_s + SILENT_AFTER_S else at_s) + SILENT_AFTER_S
