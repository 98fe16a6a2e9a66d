"""One subscription: what arrives for it, once, in order, and no faster than it is taken.

Pure: no socket, no thread. The connection hands deliveries in and acknowledges what
`drain` says is taken; the owner says whether there is room. Only the reactor's thread
calls it, but for `is_waiting`, which any thread may read.

A source's sequence numbers rise, and what a daemon delivers is always new or a repeat
from an earlier point: remembering the highest number of each source is exact.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter

from mirosd_client.messages import Subscribe
from mirosd_client.record import Record, salvage_records
from mirosd_client.wire import Delivery

FORGET_SOURCE_S = 600.0
"""A source that was silent for so long is forgotten; no event of it can still be repeated after its TTL of 50 s."""
PRUNE_PERIOD_S = 60.0
_NEVER = (-1, 0.0)
_SOURCE_OF = itemgetter(0, 1)
"""`Record.source`, without a call of Python for each."""


@dataclass(slots=True)
class _Arrived:
    """A delivery that is not taken yet; its tag is None once the connection it came over is gone."""

    tag: int | None
    records: deque[Record]


class Intake:
    """What one subscription has received and not yet passed on.

    Args:
        request: what is asked of the daemon, again after each reconnect.
        own: (client id, chart number): events of this source are its own and left out.
        take: passes one event on; must not raise.
        has_room: False makes the rest wait until `drain` is called again.
    """

    def __init__(
        self,
        request: Subscribe,
        own: tuple[bytes, int],
        take: Callable[[Record], None],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.request = request
        self.is_waiting = False
        self.duplicates = 0
        self.undecodable = 0
        self._own = own
        self._take = take
        self._has_room = has_room
        self._backlog: deque[_Arrived] = deque()
        self._highest: dict[tuple[bytes, int], tuple[int, float]] = {}
        self._prune_at_s = 0.0

    def deliver(self, delivery: Delivery, now_s: float) -> int:
        """Keep what is new of a delivery; gives the highest clock reading in it.

        What is no record is counted and left out. Whoever wrote it on another host must not
        be able to keep this one from its events, so the delivery is taken like any other.
        """
        records, errors = salvage_records(delivery.records)
        self.undecodable += len(errors)
        fresh: deque[Record] = deque()
        for source, run in itertools.groupby(records, key=_SOURCE_OF):  # nearly always one run
            if source != self._own:
                fresh += self._fresh(source, run, now_s)
        self._backlog.append(_Arrived(delivery.tag, fresh))
        if now_s >= self._prune_at_s:
            self._prune(now_s)
        return max([record.hlc for record in records], default=0)

    def drain(self) -> int | None:
        """Pass on what waits, while there is room; gives the newest tag that is now completely taken."""
        taken: int | None = None
        self.is_waiting = False
        take, has_room = self._take, self._has_room
        while self._backlog:
            arrived = self._backlog[0]
            records = arrived.records
            while records:
                if not has_room():
                    self.is_waiting = True
                    # asked again: room made before is_waiting was set told nobody
                    if not has_room():
                        return taken
                    self.is_waiting = False
                take(records.popleft())
            if self._backlog:  # else the taker closed this subscription
                self._backlog.popleft()
                taken = arrived.tag if arrived.tag is not None else taken
        return taken

    def detach(self) -> None:
        """The connection is gone: what waits is still passed on, but there is nobody to tell."""
        for arrived in self._backlog:
            arrived.tag = None

    def close(self) -> None:
        """Drop what waits; a `drain` that is under way stops."""
        for arrived in self._backlog:
            arrived.records.clear()
        self._backlog.clear()
        self.is_waiting = False

    def _fresh(self, source: tuple[bytes, int], records: Iterable[Record], now_s: float) -> list[Record]:
        highest = self._highest.get(source, _NEVER)[0]
        fresh: list[Record] = []
        for record in records:
            if record.sequence > highest:
                highest = record.sequence
                fresh.append(record)
            else:
                self.duplicates += 1
        self._highest[source] = highest, now_s
        return fresh

    def _prune(self, now_s: float) -> None:
        self._prune_at_s = now_s + PRUNE_PERIOD_S
        for source in [s for s, (_, heard_s) in self._highest.items() if now_s - heard_s > FORGET_SOURCE_S]:
            del self._highest[source]
