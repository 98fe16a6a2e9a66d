"""A file in which one start of the daemon leaves something to the next: read once, written by the files' thread.

The mesh works without any of them, so what cannot be read or written is a warning.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog

from mirosd.backends.files import read_file
from mirosd.core.cache_document import DocumentError
from mirosd.core.interfaces import FileStore
from mirosd.signals import Private

log = structlog.get_logger()

T = TypeVar("T")


class StateFile:
    """Thread: loop.

    Args:
        name: in the state directory.
    """

    def __init__(self, state_dir: str, name: str, files: FileStore) -> None:
        self._path, self._files = Path(state_dir) / name, files

    def read(self, parse: Callable[[str], T], fallback: T) -> T:
        """Give what the last start left; the fallback, with a warning, when that cannot be read.

        Args:
            parse: takes the text, "" when there is no file yet; DocumentError when it is not what was written.
        """
        try:
            return parse(read_file(self._path).text)
        except (OSError, DocumentError) as exc:
            log.warning("state_file_not_read", path=str(self._path), reason=str(exc))
            return fallback

    def write(self, text: str) -> None:
        """Replace it, soon."""
        self._files.write(str(self._path), text, self._written)

    def _written(self, signal: int, payload: Any) -> None:
        if signal == Private.file_access_failed:
            log.warning("state_file_not_written", reason=payload.message)
