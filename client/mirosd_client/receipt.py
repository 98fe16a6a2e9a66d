"""What became of one event: a receipt, and the book of those that wait.

    transmit -> waiting -- the daemon knows (Fate) ------------------------> settled
                   |------ the window lets go of the event first ----------> settled, `lost_here`
                   '------ nobody is left who could know (closed, forked) -> settled, `lost_here`

An event that asks for no receipt costs nothing of this.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from mirosd_client.errors import LocalProtocolError
from mirosd_client.fault import as_fault
from mirosd_client.messages import Fate, FateWord

if TYPE_CHECKING:  # tools import the window, which imports this, and start without threads
    from mirosd_client.shell.reactor import Reactor

log = logging.getLogger("mirosd_client.receipt")

LostHere = Literal["", "expired", "evicted", "no_key", "uninsured", "closed", "forked", "unknown"]


class Receipt:
    """What becomes of one accepted event. Any thread may use it.

    Attributes:
        sequence: the event's number; with the client's id and the number of the chart it names the event.
        outcome: in a word, "" until it is settled.
            `delivered`: it is in a queue of every broker where somebody is bound to its key, and there was one.
            `partial`: in some; others were lost.
            `unheard`: nobody is bound to its key.
            `lost`: no queue has it.
            `unknown`: it may be anywhere; see `lost_here`.
        confirmed_by: how many brokers have it in a queue bound to its key. A broker that can have none (our own,
            when no program here is bound to the key) is asked nothing, and is in none of these numbers.
        unroutable_at: how many took it, and had no queue bound to its key.
        expired_at: how many were away until its time was over.
        overflowed_at: to how many more was owed than the daemon keeps.
        nacked_at: how many refused it.
        forgotten_at: how many were given up, with the last host behind them.
        lost_here: why nobody can say any more; "" when the daemon has said it. `expired`, `evicted`: the window
            let go of it, and no daemon had it. `no_key`: likewise, as this host has no mesh key. `uninsured`: the
            window had let go of it when the connection ended. `closed`, `forked`: the client was closed, or is the
            parent's. `unknown`: the daemon has forgotten it.
    """

    __slots__ = (
        "_callbacks",
        "_counts",
        "_done",
        "_reactor",
        "confirmed_by",
        "expired_at",
        "forgotten_at",
        "lost_here",
        "nacked_at",
        "outcome",
        "overflowed_at",
        "sequence",
        "unroutable_at",
    )

    def __init__(self, reactor: "Reactor", counts: Counter[str]) -> None:
        self.sequence = 0
        self.confirmed_by = self.unroutable_at = 0
        self.expired_at = self.overflowed_at = self.nacked_at = self.forgotten_at = 0
        self.lost_here: LostHere = ""
        self.outcome: Literal[""] | FateWord = ""
        self._reactor, self._counts = reactor, counts
        self._done = threading.Event()
        self._callbacks: list[Callable[[Receipt], object]] = []

    @property
    def is_settled(self) -> bool:
        """True once all is known that ever will be."""
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is settled; False when time ran out.

        While a daemon runs, an event is settled when its time to live, 50 s, is over.

        Raises:
            LocalProtocolError: called from a callback, which runs on the thread that would hear of it.
        """
        if self._done.is_set():
            return True
        if self._reactor.in_thread():
            raise LocalProtocolError("a callback runs on the client's thread, which cannot wait: use on_settled()")
        return self._done.wait(timeout_s)

    def on_settled(self, callback: Callable[["Receipt"], object]) -> None:
        """Call `callback` with this receipt once it is settled, on the client's thread; soon, if it is.

        One that raises is logged and counted (`callback_failed`).
        """
        self._callbacks.append(callback)
        if self._done.is_set():
            self._reactor.call(self._call_back)

    def settle(self, fate: Fate) -> None:
        """The daemon says what became of it. Thread: reactor, as in the methods below."""
        if not fate.is_known:
            self.lose("unknown")
        elif not self._done.is_set():
            self.confirmed_by, self.unroutable_at = fate.confirmed, fate.unroutable
            self.expired_at, self.overflowed_at = fate.expired, fate.overflow
            self.nacked_at, self.forgotten_at = fate.nacked, fate.forgotten
            self.outcome = fate.outcome
            self._end()

    def lose(self, reason: LostHere) -> None:
        """Nobody can say any more."""
        if not self._done.is_set():
            self.lost_here = reason
            self.outcome = "lost" if reason in {"expired", "evicted", "no_key"} else "unknown"
            self._end()

    def abandon(self) -> None:
        """In a forked child: the parent will know. Its threads may hold the old event's lock, for ever."""
        self._callbacks.clear()
        self._done = threading.Event()
        self.lost_here, self.outcome = "forked", "unknown"
        self._done.set()

    def _end(self) -> None:
        self._done.set()
        self._call_back()

    def _call_back(self) -> None:
        while self._callbacks:
            callback = self._callbacks.pop(0)
            try:
                callback(self)
            except (Exception, SystemExit) as error:  # the program's own callback may raise anything
                self._counts["callback_failed"] += 1
                log.exception("the callback of a receipt failed", exc_info=as_fault(error))


class ReceiptBook:
    """The receipts of one window, by sequence number. Whoever calls anything here holds the window's lock.

    What it returns is settled after that lock is given back.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Receipt] = {}  # in the order of their numbers
        self._unasked: deque[int] = deque()  # of them, those that this connection's daemon has not heard of, and more
        self._let_go: list[tuple[Receipt, LostHere]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sequence: int, receipt: Receipt) -> None:
        """The event with this number has a receipt."""
        self._waiting[sequence] = receipt
        self._unasked.append(sequence)

    def ask(self, before: int) -> list[int]:
        """Give the numbers below `before` that the daemon is to be asked about, once on each connection."""
        asked = []
        while self._unasked and self._unasked[0] < before:
            number = self._unasked.popleft()
            if number in self._waiting:
                asked.append(number)
        return asked

    def answered(self, sequences: Iterable[int]) -> list[Receipt]:
        """The daemon knows what became of these; give their receipts."""
        return [receipt for number in sequences if (receipt := self._waiting.pop(number, None)) is not None]

    def let_go(self, sequence: int, reason: LostHere) -> None:
        """The window lets go of an event that is not safe. A daemon that has it will say what became of it."""
        if sequence in self._waiting and self._unasked and sequence >= self._unasked[0]:
            self._let_go.append((self._waiting.pop(sequence), reason))

    def take_let_go(self) -> list[tuple[Receipt, LostHere]]:
        """Give the receipts of what was let go since the last time."""
        let_go, self._let_go = self._let_go, []
        return let_go

    def lost(self, front: int) -> list[Receipt]:
        """The connection is gone; give the receipts of events before `front`, which no daemon will be handed again."""
        lost = self.answered([number for number in self._waiting if number < front])
        self._unasked = deque(self._waiting)
        return lost

    def take_all(self) -> list[Receipt]:
        """Give all that wait."""
        return self.answered(list(self._waiting))
