"""The state directory: who this node is, and that only one daemon is it.

    node.json    {"node": 32 hex digits, "start": how often a daemon began with it}

The directory itself is locked (flock) for as long as it is open; the kernel lets go of
the lock with the process, however that ends. An identity is never replaced silently:
a node.json that cannot be read stops the start, as its peers would take the node for another,
and a new identity is drawn only where another daemon turns out to live by a copy of this one.
"""

import errno
import fcntl
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

import structlog

from mirosd.errors import StartError

log = structlog.get_logger()

_FILE = "node.json"
_NEW_FILE = "node.json.new"
_NODE = re.compile(r"[0-9a-f]{32}")
_MAX_FILE_BYTES = 4096  # what we write has some 70; a file that is not ours must not fill the memory
_CURES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there, or raise its quota",
    errno.EROFS: "mount its file system for writing",
    errno.EEXIST: "move the file of that name away",
    errno.ENOTDIR: "move the file that stands in its path away",
}
_MAX_START = (1 << 63) - 1  # fits every signed 64-bit field it may be carried in


class StateDirectory:
    """An open, locked state directory.

    Attributes:
        path: where it is.
        node: this node's id, 32 hex digits; drawn when there was none.
        start: 1 for the first start of this node, then counting; stored before anybody is told.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as exc:
            raise StartError(_unusable(self.path, exc)) from exc
        try:
            self._lock()
            self.node, self.start = self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "StateDirectory":
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another daemon have it. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def renew(self) -> None:
        """Begin a new identity in the same directory, in its first start: another daemon lives by a copy of this one.

        Raises:
            StartError: it could not be stored; the old identity stays.
        """
        node = secrets.token_hex(16)
        try:
            self._write({"node": node, "start": 1})
        except OSError as exc:
            raise StartError(_unusable(self.path, exc)) from exc
        self.node, self.start = node, 1

    def skip_to(self, start: int) -> None:
        """Have the next start count on from `start`: others know a later one of this node than was stored here."""
        try:
            self._write({"node": self.node, "start": start})
        except OSError as exc:  # others will say so again
            log.warning("start_not_stored", start=start, reason=_unusable(self.path, exc))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StartError(
                f"the state directory {self.path} is in use by another mirosd; "
                "stop that one (systemctl stop mirosd), or give this one a state_dir of its own"
            ) from exc

    def _begin(self) -> tuple[str, int]:
        """Count this start and store it, or begin a new identity."""
        try:
            document = self._read()
            document["start"] += 1
            self._write(document)
        except OSError as exc:
            raise StartError(_unusable(self.path, exc)) from exc
        return document["node"], document["start"]

    def _read(self) -> dict[str, Any]:
        try:
            with open(_FILE, "rb", opener=self._open) as file:
                content = file.read(_MAX_FILE_BYTES)
        except FileNotFoundError:
            return {"node": secrets.token_hex(16), "start": 0}
        try:
            document = json.loads(content)
            node, start = document["node"], document["start"]
            is_ours = type(start) is int and 0 < start < _MAX_START and bool(_NODE.fullmatch(node))
        except (ValueError, TypeError, LookupError, RecursionError):
            is_ours = False
        if not is_ours:
            raise StartError(
                f"{self.path / _FILE} is not what mirosd wrote there; put the file back from a backup, or remove it "
                "to begin as a new node (other hosts will list this host's old node as failed for a while)"
            )
        return document  # type: ignore[no-any-return]  # a dict: indexed by names above

    def _write(self, document: dict[str, Any]) -> None:
        """Replace the file so that a power cut leaves the old or the new one."""
        with open(_NEW_FILE, "wb", opener=self._open) as file:
            file.write(json.dumps(document).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(_NEW_FILE, _FILE, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        os.fsync(self._fd)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, mode=0o600, dir_fd=self._fd)


def _unusable(path: Path, exc: OSError) -> str:
    cure = _CURES.get(exc.errno or 0) or f"make it for the user that runs mirosd: install -d -m 0750 -o USER {path}"
    return f"the state directory {path} cannot be used ({exc.strerror}); {cure}, or set state_dir to another one"
