"""What the replay guard has to know after a restart, written down now and then while it changes."""

import asyncio
from collections.abc import Callable

from mirosd.core.replay import ReplayGuard

SAVE_S = 10.0
"""What a start that is killed forgets; nodes that are alive tell it again within a second. More often would wear out
a memory card."""


class ReplayTable:
    """Thread: loop.

    Args:
        write: stores a text, soon; a later start gives it to ReplayGuard.restore.
    """

    def __init__(self, replay: ReplayGuard, write: Callable[[str], None]) -> None:
        self._replay, self._write = replay, write
        self._loop = asyncio.get_running_loop()
        self._written = ""
        self._timer = self._loop.call_later(SAVE_S, self._save_again)

    def close(self) -> None:
        """Write it for the last time; nothing is consumed any more."""
        self._timer.cancel()
        self._save()

    def _save(self) -> None:
        text = self._replay.text(self._loop.time())
        if text != self._written:
            self._written = text
            self._write(text)

    def _save_again(self) -> None:
        self._save()
        self._timer = self._loop.call_later(SAVE_S, self._save_again)
