"""How the daemon and its peers are, told unasked: each change to the log, and one line to the service manager."""

import asyncio
import logging
from collections.abc import Iterable

import structlog

from mirosd.backends.systemd import Notifier
from mirosd.core.shown import PeerRow
from mirosd.localapi.board import Board
from mirosd.view import View

TROUBLES = frozenset({"failed", "suspect", "refused"})
"""States of a peer that somebody may want to do something about."""

log = structlog.get_logger()


class Bulletin:
    """Looks at the board after each change within a `with`. Thread: loop."""

    def __init__(self, board: Board, view: View, notifier: Notifier) -> None:
        self._board, self._view, self._notifier = board, view, notifier
        self._state = ""
        self._reasons: dict[str, str] = {}
        self._rows: tuple[PeerRow, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.create_task(self._follow())

    def __exit__(self, *_error: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        while True:
            change = self._board.next_change()  # before looking: what happens meanwhile is not missed
            self.tell()
            await change.wait()

    def tell(self) -> None:
        """Tell what has changed since the last time."""
        view, rows = self._view, self._board.peers
        if (view.state, view.reasons) != (self._state, self._reasons):
            self._state, self._reasons = view.state, view.reasons
            level = logging.WARNING if self._reasons else logging.INFO
            log.log(level, "state_changed", state=self._state, reasons=self._reasons)
        if rows is not self._rows:
            _tell_peers(self._rows, rows)
            self._rows = rows
        self._notifier.status(headline(self._state, self._reasons, rows))


def headline(state: str, reasons: dict[str, str], rows: Iterable[PeerRow]) -> str:
    """Give the one line that `systemctl status` shows."""
    states = [row.state for row in rows]
    peers = f"{states.count('alive')} of {len(states)} peers alive" if states else "no peers"
    return "; ".join([state, peers, *(f"{code}: {detail}" for code, detail in reasons.items())])


def _tell_peers(before: tuple[PeerRow, ...], after: tuple[PeerRow, ...]) -> None:
    """Log each peer whose state is another, or who is gone; before a node is known, its address stands for it."""
    old, new = ({row.node or row.address: row for row in rows} for rows in (before, after))
    for key, row in new.items():
        former = old.get(key)
        if former is None or (former.state, former.reason) != (row.state, row.reason):
            level = logging.WARNING if row.state in TROUBLES else logging.INFO
            _log_peer(level, row, row.state, row.reason, was=former.state if former else "")
    for key, row in old.items():
        if key not in new:
            _log_peer(logging.INFO, row, "gone", "", was=row.state)


def _log_peer(level: int, row: PeerRow, state: str, reason: str, *, was: str) -> None:
    who = {"peer": row.name or row.address, "node": row.node, "address": row.address}
    log.log(level, "peer_changed", **who, state=state, reason=reason, was=was)
