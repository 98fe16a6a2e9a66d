"""What is told unasked: each change once to the log, and one line to the service manager."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from structlog.testing import capture_logs

from mirosd.backends.systemd import Notifier
from mirosd.bulletin import Bulletin, headline
from mirosd.core.shown import PeerRow
from mirosd.localapi.board import Board
from tests.backends.virtual_time import run_virtually

H2 = PeerRow("2" * 32, "h2", "10.0.0.2:5672", "alive", "", ("lan",), ("mesh",), 1.0, 0.0)
UNKNOWN = PeerRow("", "", "10.0.0.9:5672", "refused", "auth", ("manual",), (), None, None)


class Daemon:
    """What a bulletin reads of a daemon (view.View)."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.is_connected = False

    @property
    def reasons(self) -> dict[str, str]:
        return dict(self._board.reasons)

    @property
    def state(self) -> str:
        return "degraded" if self.reasons else "ready" if self.is_connected else "starting"


class Manager(Notifier):
    """A service manager that keeps each line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def status(self, text: str) -> None:
        self.lines.append(text)


def of(lines: Sequence[Mapping[str, Any]], event: str) -> list[Mapping[str, Any]]:
    """Give the lines of one event, as what other threads log is heard here too."""
    return [line for line in lines if line["event"] == event]


def test_each_change_is_logged_once() -> None:
    """Of a peer: that it appeared, what became of it, that it is gone. Trouble is a warning; time is no change."""

    async def work() -> None:
        board = Board(asyncio.get_running_loop())
        with capture_logs() as lines, Bulletin(board, Daemon(board), Manager()):
            for rows in (
                [H2, UNKNOWN],
                [replace(H2, rtt_ms=2.0, last_heard_s=1.0), UNKNOWN],
                [replace(H2, state="failed", reason="silent"), UNKNOWN],
                [replace(H2, state="left")],
                [],
            ):
                board.show_peers(rows)
                await asyncio.sleep(0.01)
        told = [
            (each["log_level"], each["peer"], each["was"], each["state"], each["reason"])
            for each in of(lines, "peer_changed")
        ]

        assert [
            ("info", "h2", "", "alive", ""),
            ("warning", "10.0.0.9:5672", "", "refused", "auth"),
            ("warning", "h2", "alive", "failed", "silent"),
            ("info", "h2", "failed", "left", ""),
            ("info", "10.0.0.9:5672", "refused", "gone", ""),
            ("info", "h2", "left", "gone", ""),
        ] == told

    run_virtually(work())


def test_the_state_is_logged_when_it_changes() -> None:
    """With its reasons; one that is degraded is a warning."""

    async def work() -> None:
        board = Board(asyncio.get_running_loop())
        daemon, manager = Daemon(board), Manager()
        with capture_logs() as lines, Bulletin(board, daemon, manager):
            await asyncio.sleep(0.01)
            daemon.is_connected = True
            board.changed()
            await asyncio.sleep(0.01)
            board.changed()
            await asyncio.sleep(0.01)
            board.raise_reason("broker", "tcp(refused)")
            await asyncio.sleep(0.01)

        assert [
            ("info", "starting", {}),
            ("info", "ready", {}),
            ("warning", "degraded", {"broker": "tcp(refused)"}),
        ] == [(line["log_level"], line["state"], line["reasons"]) for line in of(lines, "state_changed")]
        assert manager.lines[-1] == "degraded; no peers; broker: tcp(refused)"

    run_virtually(work())


def test_nothing_is_told_after_its_end() -> None:
    """A daemon that begins anew has another bulletin."""

    async def work() -> None:
        board = Board(asyncio.get_running_loop())
        with capture_logs() as lines:
            with Bulletin(board, Daemon(board), Manager()):
                await asyncio.sleep(0.01)
            board.show_peers([H2])
            await asyncio.sleep(0.01)

        assert 1 == len(of(lines, "state_changed"))
        assert [] == of(lines, "peer_changed")

    run_virtually(work())


def test_the_headline_counts_who_is_alive() -> None:
    """State, peers, reasons: in one line."""
    assert "ready; 1 of 2 peers alive" == headline("ready", {}, [H2, UNKNOWN])
