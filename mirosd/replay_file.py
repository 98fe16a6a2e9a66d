"""The file that keeps what the replay guard knows through a restart: read once, written by the files' thread."""

import asyncio
from pathlib import Path
from typing import Any

import structlog

from mirosd.backends.files import read_file
from mirosd.bridge.replay_table import ReplayTable
from mirosd.core.cache_document import DocumentError
from mirosd.core.interfaces import FileStore
from mirosd.core.replay import ReplayGuard
from mirosd.signals import Private

log = structlog.get_logger()


class ReplayFile:
    """`replay.json` in the state directory. Thread: loop."""

    def __init__(self, state_dir: str, files: FileStore) -> None:
        self._path, self._files = str(Path(state_dir) / "replay.json"), files

    def keep(self, replay: ReplayGuard) -> ReplayTable:
        """Give the guard what the last start left, and keep what it comes to know until what is given is closed.

        A file that cannot be read is as good as none, with a warning: the mesh works without.
        """
        try:
            replay.restore(read_file(Path(self._path)).text, asyncio.get_running_loop().time())
        except (OSError, DocumentError) as exc:
            log.warning("replay_file_not_read", path=self._path, reason=str(exc))
        return ReplayTable(replay, self._write)

    def _write(self, text: str) -> None:
        self._files.write(self._path, text, self._written)

    def _written(self, signal: int, payload: Any) -> None:
        if signal == Private.file_access_failed:
            log.warning("replay_file_not_written", reason=payload.message)
