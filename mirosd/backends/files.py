"""Small JSON files that several processes read and write: the hosts file and the LAN cache.

One worker thread ("mirosd-files") does all of it, in the order of asking, so no chart
ever waits for a disk. Answers are posted from that thread.

* Writers exclude each other by a real lock (flock, by filelock) on `FILE.lock` beside the
  file, so a killed process leaves nothing locked. It is tried once: a file that is being
  written is answered `busy`, and waiting is the asking chart's.
* Readers need no lock: a file is replaced, never changed, so whoever has it open has all
  of it. (With the lock, 180 writers that flush to a disk left 20 readers 20 reads a second.)
* A write goes to a temporary file in the same directory, is flushed to the disk, then
  takes the file's place. Whatever fails before that leaves the old file as it was.
* Mode and owner of an existing file are kept; a new one is 0640.
"""

import contextlib
import os
import queue
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mirosd.core.interfaces import FileContent, FileFailure
from mirosd.signals import Private

Post = Callable[[int, Any], None]

MAX_FILE_BYTES = 1024 * 1024
"""A thousand hosts are 40 KB; what is larger is not one of our files."""

NEW_FILE_MODE = 0o640
"""Operators of the group read it; addresses are nobody else's business."""

CLOSE_TIMEOUT_S = 5.0
"""A worker that waits for a dead network disk does not hold up the daemon's end."""


class DiskFileStore:
    """The FileStore of the real disk. Thread: any.

    After close() nothing is answered any more.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._is_closed = False

    def read(self, path: str, post: Post) -> None:
        """Answers `read_successful` (FileContent) or `file_access_failed` (FileFailure)."""
        self._ask(lambda: answer(post, path, Private.read_successful, read_file))

    def write(self, path: str, text: str, post: Post) -> None:
        """Answers `write_successful` (path) or `file_access_failed` (FileFailure)."""
        self._ask(lambda: answer(post, path, Private.write_successful, lambda file: write_file(file, text)))

    def close(self) -> None:
        """Finish what was asked, then end the thread. Again: nothing."""
        with self._guard:
            thread, self._is_closed = self._thread, True
            if thread is not None:
                self._tasks.put(None)
                self._thread = None
        if thread is not None:
            thread.join(CLOSE_TIMEOUT_S)

    def _ask(self, task: Callable[[], None]) -> None:
        with self._guard:
            if self._is_closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mirosd-files", daemon=True)
                self._thread.start()
            self._tasks.put(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()


def answer(post: Post, path: str, done: int, work: Callable[[Path], Any]) -> None:
    """Do the work on a file, and post what came of it. Thread: any; it waits for the disk."""
    try:
        result = work(Path(path))
    except Timeout:
        post(Private.file_access_failed, FileFailure(path, "busy", f"{path} is in use by another process"))
    except Exception as exc:  # noqa: BLE001 -- the thread's boundary: an asking chart gets its answer, whatever happens
        words = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        post(Private.file_access_failed, FileFailure(path, "system", f"{path}: {words}"))
    else:
        post(done, result)


def read_file(path: Path) -> FileContent:
    """Give the file as it is; a missing one is empty. Raises OSError."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(None, "not a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return FileContent(str(path), "", 0.0, 0.0, time.time())
    if len(data) > MAX_FILE_BYTES:
        raise OSError(None, f"larger than {MAX_FILE_BYTES} bytes")
    text = data.decode("utf-8-sig", errors="replace")  # a wrong byte is then a fault with line and column
    return FileContent(str(path), text, status.st_mtime, status.st_ctime, time.time())


def write_file(path: Path, text: str) -> str:
    """Replace the file, and give its name. Raises Timeout when another is writing it, OSError."""
    target = path.resolve()  # through a link to what it names, or the link would be replaced by a file
    with _lock(target):
        # One name, under the lock: what a killed writer left is taken over by the next.
        temporary = target.with_name(f".{target.name}.new")
        temporary.unlink(missing_ok=True)
        try:
            with open(temporary, "xb", opener=_open_private) as file:
                _take_after(target, file.fileno())
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(target.parent)
    return str(path)


def _take_after(target: Path, descriptor: int) -> None:
    """Give the temporary file the mode, and where it may the owner, of the file it will replace."""
    try:
        old = target.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, NEW_FILE_MODE)
        return
    with contextlib.suppress(PermissionError):  # only root may give files away
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_directory(directory: Path) -> None:
    """Make the new name last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a named pipe would wait for its other end


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _lock(path: Path) -> FileLock:
    if not path.parent.is_dir():  # filelock would make it, unasked and with any mode
        raise OSError(None, "the directory is not there")
    return FileLock(f"{path}.lock", timeout=0, mode=NEW_FILE_MODE)
