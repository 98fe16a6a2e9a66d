"""The file that keeps the delivery set through a restart: read once, written by the files' thread."""

from pathlib import Path
from typing import Any

import structlog

from mirosd.backends.files import read_file
from mirosd.core.cache_document import DocumentError
from mirosd.core.delivery_set import DeliverySet, delivery_set_text, parse_delivery_set
from mirosd.core.interfaces import FileStore
from mirosd.signals import Private

log = structlog.get_logger()


class DeliverySetFile:
    """`delivery_set.json` in the state directory. Thread: loop."""

    def __init__(self, state_dir: str, files: FileStore) -> None:
        self._path, self._files = str(Path(state_dir) / "delivery_set.json"), files

    def read(self) -> DeliverySet:
        """Give what the last start left; nothing, with a warning, when that cannot be read."""
        try:
            return parse_delivery_set(read_file(Path(self._path)).text)
        except (OSError, DocumentError) as exc:
            log.warning("delivery_set_not_read", path=self._path, reason=str(exc))
            return {}

    def write(self, brokers: DeliverySet) -> None:
        """Replace it, soon."""
        self._files.write(self._path, delivery_set_text(brokers), self._written)

    def _written(self, signal: int, payload: Any) -> None:
        if signal == Private.file_access_failed:
            log.warning("delivery_set_not_written", reason=payload.message)
