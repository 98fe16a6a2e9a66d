"""Whose events go on to this host's charts, and which strangers are asked who they are.

A node is an *alien* while nobody listed or found it, and nobody allowed it; what becomes of its events is the
operator's word (`discovery.aliens`). Every body names its node (seal.node_tag), so a verdict on a node
holds for each of its sessions, from the first body, and for nobody else's.

A node that is not known yet need not be an alien: a listed host's daemon may find us before we find it, and after
a restart we know nobody. Where aliens are not allowed, bodies of such a node wait, PATIENCE_S at most.
"""

from collections import OrderedDict
from collections.abc import Collection
from enum import Enum
from typing import Literal

from mirosd.core.backoff import delay_s
from mirosd.core.seal import node_tag

Policy = Literal["allow", "quarantine", "deny"]

PATIENCE_S = 10.0
"""How long a node may stay unknown before it is an alien: a listed host is scouted again within 4 s, and a slow
scouting takes 8 s at most; more would hold up the other events of a subscription."""

MAX_STRANGERS = 1024
"""Nodes remembered that are not known: members alone can be one, and still what they make up is bounded."""


class Verdict(Enum):
    """What becomes of a body."""

    DELIVER = "deliver"
    WAIT = "wait"  # for whoever is about to prove its node, or for the end of patience
    QUARANTINE = "quarantine"  # counted, and not delivered


class Aliens:
    """The verdict on each node. Times are seconds on the monotonic clock. Thread: loop.

    Args:
        node: our own, whose events are always delivered.
    """

    def __init__(self, policy: Policy, node: str) -> None:
        self._policy = policy
        self._own = node
        self._admitted = frozenset({node})
        self._tags = frozenset({node_tag(node)})
        self._barred: Collection[str] = frozenset()
        self._first_s: OrderedDict[bytes, float] = OrderedDict()  # when a body of an unknown node came

    def stand(self, known: Collection[str], allowed: Collection[str], barred: Collection[str]) -> frozenset[str]:
        """Take who is proved, whom people allowed and who is kept out; gives the nodes that are newly admitted."""
        admitted = frozenset({self._own, *known, *allowed})
        new = admitted - self._admitted
        self._admitted, self._barred = admitted, barred
        self._tags = frozenset(map(node_tag, admitted))
        for tag in self._tags:
            self._first_s.pop(tag, None)
        return new

    def is_admitted(self, node: str) -> bool:
        """Say whether a node may be made a peer by its own word."""
        return node in self._admitted or (self._policy == "allow" and node not in self._barred)

    def is_to_be_asked(self, node: str) -> bool:
        """Say whether a stranger is asked who it is; a quarantined one is, for people to see."""
        return self._policy != "deny" or node in self._admitted

    def verdict(self, tag: bytes, now_s: float) -> Verdict:
        """Say what becomes of an authentic body of the node with this tag."""
        if self._policy == "allow" or tag in self._tags:
            return Verdict.DELIVER
        first_s = self._first_s.setdefault(tag, now_s)
        if len(self._first_s) > MAX_STRANGERS:
            self._first_s.popitem(last=False)
        return Verdict.WAIT if now_s - first_s < PATIENCE_S else Verdict.QUARANTINE


SILENT_S = 60.0
"""After this long without a word a stranger is forgotten; also how often one that stays a stranger is asked."""

FIRST_PAUSE_S = 1.0


class _Stranger:
    __slots__ = ("attempts", "heard_s", "next_s")

    def __init__(self) -> None:
        self.heard_s = self.next_s = float("-inf")
        self.attempts = 0


class Strangers:
    """Which strangers to ask who they are, and when: once, though they speak every second. Thread: loop."""

    def __init__(self) -> None:
        self._strangers: OrderedDict[str, _Stranger] = OrderedDict()  # who was heard longest ago comes first

    def heard(self, node: str, now_s: float) -> bool:
        """A stranger spoke: say whether to ask it now, which is taken as done.

        Who does not answer is asked again after 1, 2, 4 ... 60 s of its talking.
        """
        stranger = self._strangers.get(node)
        if stranger is None or now_s - stranger.heard_s > SILENT_S:
            if stranger is None and not self._has_room(now_s):
                return False
            stranger = self._strangers[node] = _Stranger()
        self._strangers.move_to_end(node)
        stranger.heard_s = now_s
        if now_s < stranger.next_s:
            return False
        pause_s = delay_s(stranger.attempts, first_s=FIRST_PAUSE_S, cap_s=SILENT_S, random=lambda: 1.0)
        stranger.attempts += 1
        stranger.next_s = now_s + pause_s
        return True

    def answered(self, node: str, now_s: float) -> None:
        """A stranger said who it is; if it stays a stranger it is asked again after SILENT_S."""
        stranger = self._strangers.get(node)
        if stranger is not None:
            stranger.next_s = now_s + SILENT_S

    def forget(self, node: str) -> None:
        """Ask a node at its next word, if it still is a stranger then."""
        self._strangers.pop(node, None)

    def _has_room(self, now_s: float) -> bool:
        if len(self._strangers) < MAX_STRANGERS:
            return True
        oldest, stranger = next(iter(self._strangers.items()))
        if now_s - stranger.heard_s <= SILENT_S:
            return False
        del self._strangers[oldest]
        return True
