"""The ring of keys in the state directory: read at a start with what seeds it, and replaced with each change.

It is the daemon's own, mode 0600 in a directory of 0700. A host whose keys never changed has none: its key files are
all that it needs.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from filelock import Timeout

from mirosd.backends.files import read_file, write_file
from mirosd.backends.key_files import check_membership, read_key_files
from mirosd.core.cache_document import DocumentError
from mirosd.core.interfaces import FileFailure, FileStore
from mirosd.core.key_ring import KeysError, Ring, parse_ring, ring_text
from mirosd.core.settings import NetworksSettings
from mirosd.errors import StartError

log = structlog.get_logger()


def ring_path(state_dir: str) -> Path:
    """Give where the ring is."""
    return Path(state_dir) / "keys" / "ring.json"


def read_ring(
    state_dir: str, networks: NetworksSettings, now_s: float, environ: Mapping[str, str] = os.environ
) -> Ring:
    """Give the ring with what seeds it; `now_s`: since the epoch.

    Raises:
        StartError: a key file or the ring cannot be read, or this host has no keys.
    """
    path = ring_path(state_dir)
    try:
        stored = parse_ring(read_file(path).text)
    except (OSError, DocumentError) as exc:
        raise StartError(
            f"{path} cannot be read ({exc}); put it back from a backup, or remove it: this host then begins with the "
            "keys of its key files, which may be older than those the others use"
        ) from exc
    seeds = read_key_files(networks, environ)
    ring = stored.seeded(seeds, now_s)
    check_membership(ring, Path(networks.mesh.key_file))
    ids, kept = ring.ids(), stored.ids()
    news = sorted(name for name in seeds if name in kept and ids[name] != kept[name])
    if news:  # stored at once, or the old keys would be back when the files are gone
        log.warning("keys_replaced_by_files", networks=news, keys={name: ids[name][0] for name in news})
        try:
            _claim(path)
            write_file(path, ring_text(ring))
        except (OSError, Timeout) as exc:
            raise StartError(f"{path} cannot be written ({exc}); check the state directory's space and owner") from exc
    return ring


class RingFile:
    """Thread: loop."""

    def __init__(self, state_dir: str, files: FileStore) -> None:
        self._path, self._files = ring_path(state_dir), files

    async def write(self, ring: Ring) -> None:
        """Replace the file; returns when a power cut would not undo that. Raises KeysError `keys_not_stored`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def answered(_signal: int, payload: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(payload))

        try:
            _claim(self._path)
        except OSError as exc:
            raise _unstored(self._path, str(exc)) from exc
        self._files.write(str(self._path), ring_text(ring), answered)
        result = await done
        if isinstance(result, FileFailure):
            raise _unstored(self._path, result.message)


def _claim(path: Path) -> None:
    """Have a file that nobody else reads: replacing it keeps its mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _unstored(path: Path, reason: str) -> KeysError:
    return KeysError("keys_not_stored", f"{path} cannot be written, so keys stay as they are: {reason}")
