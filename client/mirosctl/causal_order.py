"""The order of what many charts did: by cause, whenever and by whichever way each line came.

A line's hybrid time is greater than that of all that led to it, on every host (hlc.py). So
sorting by it puts causes before what follows from them. Live lines are held a moment for
others that are still on their way; recordings and history are sorted as a whole.
"""

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable

from mirosd_client.snoop_line import SnoopLine

HOLD_S = 0.3
"""A line is on its way for some 30 ms: 20 in its program, the rest in brokers. Ten times that is still at once for
whoever looks."""
LONGEST_HOLD_S = 10.0
"""A clock further ahead than this is wrong for everybody (mirosd says so at 60 s), and people look at a live screen."""
MAX_HELD = 100_000
"""Lines, of 1.1 KB each with what orders them: fourteen recorders full, or five seconds of a busy mesh."""
MAX_REMEMBERED = 100_000
"""Names of lines: as many as may be held, so that what comes by two ways is known when it comes again."""

Key = tuple[int, str, int, str, str, str, str, str, float]


def sort_key(line: SnoopLine) -> Key:
    """Give what lines are sorted by: time by cause, then anything that tells them apart, so that it is one order."""
    said = line.kind, line.signal or "", line.text or line.to_state, line.event
    return line.hlc, *line.source, line.chart, *said, line.time


class Once:
    """What has been there lately. For one thread."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._max_remembered = max_remembered
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def is_first(self, key: Hashable) -> bool:
        """True the first time it is asked for a key, as long as that is remembered."""
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > self._max_remembered:
            self._seen.popitem(last=False)
        return True

    def is_first_line(self, line: SnoopLine) -> bool:
        """As `is_first`, by the line's name; one without a name is always the first."""
        return not line.hlc or self.is_first((*line.source, line.hlc))


def in_order(lines: Iterable[SnoopLine]) -> list[SnoopLine]:
    """Give the lines of a recording in causal order, each once; the same for every order that they came in."""
    once = Once(max_remembered=2**63)
    return [line for line in sorted(lines, key=sort_key) if once.is_first_line(line)]


class CausalOrder:
    """Lines that are held until those before them have had time to come. For one thread.

    A line waits for itself and for all that is before it. So a host whose clock is ahead is shown later by as much,
    while there is something else to show; that has an end.

    Args:
        is_gathering: nothing is given before `settle`: history is still coming, and goes before all.

    Attributes:
        dropped: lines that there was no room for while history came; the oldest.
    """

    def __init__(self, *, is_gathering: bool = False, max_held: int = MAX_HELD) -> None:
        self.dropped = 0
        self._is_gathering = is_gathering
        self._max_held = max_held
        self._held: list[tuple[Key, int, float, SnoopLine]] = []  # a heap; the number keeps lines from being compared
        self._late: deque[tuple[float, Key]] = deque()
        self._given: Key | None = None  # the last one
        self._count = 0
        self._once = Once(max(MAX_REMEMBERED, max_held))

    def put(self, lines: Iterable[SnoopLine], now_s: float) -> None:
        """Take lines that have just come; those that were there before are dropped. now_s as time.monotonic."""
        due_s = -math.inf if self._is_gathering else now_s + HOLD_S
        for line in lines:
            if self._once.is_first_line(line):
                self._count += 1
                key = sort_key(line)
                heapq.heappush(self._held, (key, self._count, due_s, line))
                if not self._is_gathering:
                    self._late.append((now_s + LONGEST_HOLD_S, key))
        while self._is_gathering and len(self._held) > self._max_held:
            heapq.heappop(self._held)
            self.dropped += 1

    def settle(self) -> None:
        """All history is there: what is held is due."""
        self._is_gathering = False

    def wait_s(self, now_s: float, longest_s: float) -> float:
        """Give how long to wait for lines before the next one held is due."""
        if self._is_gathering or not self._held:
            return longest_s
        next_s = min(self._held[0][2], self._late[0][0] if self._late else math.inf)
        return min(max(0.0, next_s - now_s), longest_s)

    def due(self, now_s: float) -> list[SnoopLine]:
        """Give the lines whose time has come, in order; and more when there is no room."""
        given: list[SnoopLine] = []
        if self._is_gathering:
            return given
        while self._late and (
            self._late[0][0] <= now_s or (self._given is not None and self._late[0][1] <= self._given)
        ):
            late_s, key = self._late.popleft()
            while late_s <= now_s and self._held and self._held[0][0] <= key:
                given.append(self._pop())
        while self._held and (self._held[0][2] <= now_s or len(self._held) > self._max_held):
            given.append(self._pop())
        return given

    def rest(self) -> list[SnoopLine]:
        """Give all that is held."""
        self.settle()
        return self.due(math.inf)

    def _pop(self) -> SnoopLine:
        self._given, _, _, line = heapq.heappop(self._held)
        return line
