"""Whether a body that a queue brings may be a recording, played again by whoever can publish to a broker.

All bodies of a node on one network stand in one line: its counter rises from body to body, through its sessions and
through its starts (seal.py). A broker takes them in that order or, after a lost connection, again from an earlier
point, and no body is owed to a broker for longer than its events live. So two things can be known of a counter, and
each rules a body out for good:

    too old     it was sealed longer ago than events live: a later one was here by then, or its node says so (`aged`)
    repeated    the broker had taken it when the queue was bound, so an honest copy went to the queues of that time

What was taken is known by what came, to any queue of this host, and by heartbeats: `taken` is the lowest counter
that our broker may still be sent. What heartbeats say stays true, so a recorded one does no harm. How far each node had
come, and what of it is too old, is kept in the state directory: a restart forgets neither. No wall clock takes part.

What neither rules out is young, and its queue was there before it. It is delivered, since it may be an honest
repeat; whether its program has had it, the program knows (client/mirosd_client/intake.py): it drops what is not beyond
its source's highest number, and remembers that for ten minutes. So nothing is refused for coming late or twice, and a
delivery that was not taken comes again, flagged or not, after any restart.

After a start, a node may be far beyond what is played here. Its first heartbeat tells, and comes within a second of
our broker's being there; until then its bodies wait, PATIENCE_S at most. Who is not heard by then has left, is cut
off on one way, or is no peer of ours and shares our broker; what it has sent is delivered, as nobody here has had it.

Not ruled out is therefore what never came here, of a node that says nothing now. And a start that is killed forgets
what came since that was last written down (bridge/replay_table.py), until the node's next heartbeat.
"""

import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from math import inf, nextafter
from operator import itemgetter
from typing import Any, NamedTuple

from mirosd.core.cache_document import DocumentError, parse_object
from mirosd.core.seal import NODE_TAG_BYTES, first_counter

MARGIN_S = 10.0
"""How much longer than its events live a body is let through: daemons and brokers that are slow, times that are kept a
second apart."""

MARK_S = 1.0
"""How far apart the times are kept at which counters came: what is too old is known this much later."""

PATIENCE_S = 1.5
"""How long after our broker is there nodes that were not heard are waited for: heartbeats come each second."""

MAX_NODES = 1024
"""Nodes remembered on each network; who was quiet for longest goes first. Only members leave anything here."""

UNORDERED = first_counter(1)
"""Counters below belong to no start. Nothing is known of their order: they pass."""

MAX_COUNTER = (1 << 64) - 1


class Position(NamedTuple):
    """What a heartbeat says of mesh counters; 0 says nothing.

    taken: the lowest of the sender's that the receiver's broker may still be sent.
    aged: those of the sender's below it were sealed longer ago than its events live.
    heard: the highest of the receiver's that the sender knows of.
    """

    taken: int = 0
    aged: int = 0
    heard: int = 0


class Passage(Enum):
    """What becomes of a body; the value of a refusal is its counter on the board."""

    FREE = "free"
    WAIT = "wait"  # for its node's first heartbeat, PATIENCE_S at most
    OLD = "replayed_old"
    REPEATED = "replayed"


class Progress:
    """How far one node's counter had come, and when: for as long back as its events live, and a margin.

    Attributes:
        latest: the highest that is known of; -1: none is.
    """

    __slots__ = ("_marks", "_old", "latest")

    def __init__(self, old: int = -1) -> None:
        self.latest = self._old = old
        self._marks: list[tuple[float, int]] = []  # (seconds, counter); both rise

    def reach(self, counter: int, now_s: float) -> None:
        """It had come to `counter` by now."""
        if counter <= self.latest:
            return
        self.latest, marks = counter, self._marks
        if len(marks) > 1 and now_s - marks[-2][0] < MARK_S:
            marks[-1] = max(now_s, marks[-1][0]), counter  # less is known of the time before: true all the same
        else:
            marks.append((now_s, counter))

    def hold(self, now_s: float) -> None:
        """Keep what is known now apart from what comes later, even at once: by() of this time stays exact."""
        if not self._marks or self._marks[-1][0] <= now_s:
            self._marks += [(now_s, self.latest), (nextafter(now_s, inf), self.latest)]  # reach() moves the second on

    def age(self, counter: int) -> None:
        """All up to `counter` are too old."""
        if counter > self._old:
            self._old = counter
            self.latest = max(self.latest, counter)
            self._marks = [mark for mark in self._marks if mark[1] > counter]

    def old(self, before_s: float) -> int:
        """Give the highest counter that is too old, which it is if it was reached by `before_s`."""
        marks = self._marks
        if marks and marks[0][0] <= before_s:
            passed = bisect_right(marks, before_s, key=itemgetter(0))
            self._old = marks[passed - 1][1]
            del marks[:passed]
        return self._old

    def by(self, at_s: float) -> int:
        """Give the highest counter that is known to have been reached by a time."""
        passed = bisect_right(self._marks, at_s, key=itemgetter(0))
        return self._marks[passed - 1][1] if passed else -1


class ReplayGuard:
    """Tells repeats and recordings from what may pass. Times are seconds on the monotonic clock. Thread: loop.

    Args:
        own: the tag of our own node (seal.node_tag), which need not be heard.
        life_s: how long events live (settings.delivery.ttl_s).
    """

    def __init__(self, own: bytes, life_s: float) -> None:
        self._life_s = life_s + MARGIN_S
        self._networks: dict[str, OrderedDict[bytes, Progress]] = {}  # who was quiet for longest comes first
        self._heard = {own}
        self._patient_until_s = inf

    def opened(self, now_s: float) -> None:
        """Our own broker is there: what others say is heard from now on."""
        self._patient_until_s = min(self._patient_until_s, now_s + PATIENCE_S)

    def judge(self, network: str, tag: bytes, counter: int, *, bound_s: float, now_s: float) -> Passage:
        """Say what becomes of an authentic body of the node with this tag.

        Args:
            bound_s: when the queue that it came by was about to be bound; -inf when that was in an earlier start.
        """
        if counter < UNORDERED:
            return Passage.FREE
        progress = self._of(network, tag)
        if counter <= progress.old(now_s - self._life_s):
            return Passage.OLD
        if counter <= progress.by(bound_s):
            return Passage.REPEATED
        if now_s < self._patient_until_s and tag not in self._heard:
            return Passage.WAIT
        progress.reach(counter, now_s)
        return Passage.FREE

    def hear(self, network: str, tag: bytes, position: Position, now_s: float) -> bool:
        """Take what a node's heartbeat says; True when bodies may have waited for it."""
        progress = self._of(network, tag)
        progress.age(position.aged - 1)
        progress.reach(position.taken - 1, now_s)
        if now_s >= self._patient_until_s or tag in self._heard:
            return False
        self._heard.add(tag)
        return True

    def latest(self, network: str, tag: bytes) -> int:
        """Give the highest counter of a node that is known of; -1: none is."""
        nodes = self._networks.get(network)
        return nodes[tag].latest if nodes and tag in nodes else -1

    def hold(self, now_s: float) -> None:
        """A queue is about to be bound: what was taken until now is nothing for it."""
        for nodes in self._networks.values():
            for progress in nodes.values():
                progress.hold(now_s)

    def text(self, now_s: float) -> str:
        """Give what a later start has to know: by network and tag, the highest counter too old, and the highest."""
        rows = {
            network: {
                tag.hex(): [progress.old(now_s - self._life_s), progress.latest] for tag, progress in nodes.items()
            }
            for network, nodes in self._networks.items()
        }
        return json.dumps({"counters": rows}) + "\n"

    def restore(self, text: str, now_s: float) -> None:
        """Take the text of an earlier start; DocumentError when it is none."""
        for network, rows in parse_table(text).items():
            for tag, (old, latest) in rows.items():
                progress = self._of(network, tag)
                progress.age(old)
                progress.reach(latest, now_s)

    def _of(self, network: str, tag: bytes) -> Progress:
        nodes = self._networks.setdefault(network, OrderedDict())
        progress = nodes.get(tag)
        if progress is None:
            progress = nodes[tag] = Progress()
            if len(nodes) > MAX_NODES:
                nodes.popitem(last=False)
        else:
            nodes.move_to_end(tag)
        return progress


def parse_table(text: str) -> Mapping[str, Mapping[bytes, tuple[int, int]]]:
    """Give (highest too old, highest) by network and tag; an empty text is an empty table.

    Raises:
        DocumentError: it is anything else.
    """
    networks = parse_object(text).get("counters", {})
    try:
        return {
            network: {bytes.fromhex(tag): _pair(pair) for tag, pair in rows.items() if len(tag) == 2 * NODE_TAG_BYTES}
            for network, rows in networks.items()
        }
    except (AttributeError, TypeError, ValueError) as exc:
        raise DocumentError(1, 1, '"counters" must be an object of objects of pairs of counters') from exc


def _pair(pair: Any) -> tuple[int, int]:
    old, latest = pair
    if not all(type(counter) is int and -1 <= counter <= MAX_COUNTER for counter in pair):
        raise ValueError(pair)
    return old, latest
