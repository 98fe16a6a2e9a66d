"""The receipts of one client: made as events are accepted, settled as the daemon, or the window, says.

Methods named in the past tense are told on the reactor's thread; callbacks of receipts run
there, and never while the window's lock is held.
"""

from collections import Counter
from collections.abc import Iterable

from mirosd_client.errors import LocalProtocolError, TooManyReceiptsError
from mirosd_client.limits import MAX_RECEIPTS
from mirosd_client.messages import Fate
from mirosd_client.on_full import OnFull
from mirosd_client.receipt import LostHere, Receipt
from mirosd_client.shell.reactor import Reactor
from mirosd_client.window import Line, Window
from mirosd_client.wire import Network

LOOK_S = 0.25
"""How often it is looked whether the window let go of events with receipts: so late at most are those told."""


class Receipts:
    """The receipts that wait, with what settles them.

    Args:
        counts: where a callback that raises is counted.
    """

    def __init__(self, window: Window, reactor: Reactor, counts: Counter[str]) -> None:
        self._window = window
        self._book = window.receipts
        self._reactor = reactor
        self._counts = counts
        self._is_watched = False  # guarded by the window's lock

    def accept(self, line: Line, data: bytes, on_full: OnFull) -> Receipt | None:
        """Have the window accept an event, and give its receipt; None when it is refused. Thread: any.

        Raises:
            LocalProtocolError: it is a line for people.
            TooManyReceiptsError: too many wait.
            WindowFullError: as Window.accept.
        """
        if line.network is not Network.MESH:
            raise LocalProtocolError("lines for people get no receipt: nothing is promised for them")
        receipt = Receipt(self._reactor, self._counts)
        with self._window.lock:
            if len(self._book) >= MAX_RECEIPTS:
                raise TooManyReceiptsError(
                    f"{MAX_RECEIPTS} receipts wait for their answer: transmit without one, or wait for some of them"
                )
            if not self._window.accept(line, data, self._reactor.now(), on_full):
                return None
            receipt.sequence = self._window.last_sequence
            self._book.add(receipt.sequence, receipt)
            is_watched, self._is_watched = self._is_watched, True
        if not is_watched:
            self._reactor.after(LOOK_S, self._look)
        return receipt

    def told(self, fate: Fate) -> None:
        """The daemon knows what became of some events."""
        with self._window.lock:
            receipts = self._book.answered(fate.sequences)
        for receipt in receipts:
            receipt.settle(fate)

    def lost(self) -> None:
        """The connection is gone, and with it the daemon perhaps: events that the window has not can come no more."""
        with self._window.lock:
            receipts = self._book.lost(self._window.front)
        _lose((receipt, "uninsured") for receipt in receipts)

    def closed(self) -> None:
        """The client was closed: nobody will hear of the rest."""
        with self._window.lock:
            let_go, waiting = self._book.take_let_go(), self._book.take_all()
        _lose(let_go)
        _lose((receipt, "closed") for receipt in waiting)

    def abandon(self) -> None:
        """In a forked child: all are the parent's, as is who holds the window's lock."""
        for receipt in self._book.take_all():
            receipt.abandon()

    def _look(self) -> None:
        with self._window.lock:
            self._window.expire(self._reactor.now())
            let_go = self._book.take_let_go()
            self._is_watched = is_watched = len(self._book) > 0
        _lose(let_go)
        if is_watched:
            self._reactor.after(LOOK_S, self._look)


def _lose(receipts: Iterable[tuple[Receipt, LostHere]]) -> None:
    for receipt, reason in receipts:
        receipt.lose(reason)
