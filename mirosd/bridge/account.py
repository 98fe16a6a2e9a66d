"""How far one client's events have come: two cumulative numbers, safe and settled."""

from collections import deque
from collections.abc import Callable, Iterable

import structlog

from mirosd.bridge.body import Body
from mirosd.bridge.receipts import Receipts
from mirosd.bridge.unheard import Unheard
from mirosd.core.interfaces import ClientSession
from mirosd_client.messages import Fate

log = structlog.get_logger()


class Account:
    """What one client handed over; outlives its connection, so that a reconnect repeats nothing. Thread: loop.

    Args:
        on_change: called (with this account) when the numbers may have risen; the
            owner tells the client once per turn of the loop, however often that was.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: str,
        on_change: Callable[["Account"], None],
        on_unroutable: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._unheard = Unheard(clock)
        self.session: ClientSession | None = None
        self.highest = 0  # last sequence number accepted
        self.safe = 0
        self.settled = 0
        self._unroutable = 0
        self._unsafe: deque[tuple[int, Body]] = deque()
        self._unsettled: deque[tuple[int, Body]] = deque()
        self._receipts: Receipts | None = None  # made when the client first asks for one
        self._on_change, self._on_unroutable = on_change, on_unroutable

    @property
    def is_empty(self) -> bool:
        """True when nothing is on its way."""
        return not self._unsettled

    def display(self) -> dict[str, int]:
        """Give what people may see: sequence numbers, and how many events nobody had a queue for."""
        return {
            "last_taken": self.highest,
            "last_safe": self.safe,
            "last_settled": self.settled,
            "unroutable": self._unroutable,
        }

    def entered(self, sequence: int, body: Body) -> None:
        """Records up to `sequence` went into `body`."""
        self._unsafe.append((sequence, body))
        self._unsettled.append((sequence, body))
        if self._receipts is not None:
            self._receipts.entered(sequence, body)

    def follow(self, sequences: Iterable[int]) -> None:
        """The client wants to know what becomes of these events."""
        if self._receipts is None:
            self._receipts = Receipts(self._tell_fate)
        self._receipts.ask(sequences, self.highest)

    def moved(self) -> None:
        """One of the bodies became safe or settled."""
        self._on_change(self)

    def routed(self, routing_key: str) -> None:
        """Somebody had a queue for some of the records."""
        self._unheard.heard(routing_key)

    def unroutable(self, routing_key: str, count: int) -> None:
        """Nobody had a queue for `count` of the records."""
        self._unroutable += count
        self._on_unroutable(count)
        if self._unheard.is_news(routing_key):
            log.warning("nobody_is_bound", routing_key=routing_key, client=self._client)
            if self.session is not None:
                self.session.unroutable(routing_key)

    def report(self) -> None:
        """Tell the client how far its events have come, if that has changed."""
        before = self.safe, self.settled
        while self._unsafe and self._unsafe[0][1].is_safe:
            self.safe = self._unsafe.popleft()[0]
        while self._unsettled and self._unsettled[0][1].is_settled:
            self.settled = self._unsettled.popleft()[0]
        if self.session is not None and (self.safe, self.settled) != before:
            self.session.settled(self.safe, self.settled, self._unroutable)

    def attach(self, session: ClientSession) -> None:
        """The client is connected (again)."""
        self.session = session
        if self._receipts is not None:
            self._receipts.attached()
        if self.highest:
            session.settled(self.safe, self.settled, self._unroutable)

    def detach(self) -> None:
        """The client's connection ended; what was told of is not told again."""
        self.session = None
        self._unroutable = 0

    def _tell_fate(self, fate: Fate) -> None:
        if self.session is not None:
            self.session.fate(fate)
