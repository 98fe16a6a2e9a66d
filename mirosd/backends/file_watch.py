"""Tells when small files change, by inotify: nothing wakes up while nothing happens.

Not the files are watched but the directories that they stand in, since editors put a new file in the old one's place.
A file's name may lead through symbolic links, and through directories that are not there yet: watched is every
directory entry that decides what the name means now, and after a change of one of them it is found out anew.
"""

import asyncio
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog
from inotify_simple import INotify, flags

log = structlog.get_logger()

QUIET_S = 0.1
"""An edit is a handful of events within a few milliseconds; it is told once, when no more come."""

WRITING_S = 1.0
"""A file that was just created is still being written: its closing tells sooner than this."""

LATEST_S = 2.0
"""A file that never comes to rest is told of all the same."""

MASK = (
    flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
"""Closing says that an edit is whole; MODIFY would tell of each line of a log in the same directory."""

WAY_MASK = flags.MOVE_SELF | flags.ONLYDIR
"""Of a directory on the way: that it is there no more. What is in it is nothing to us."""

MAX_LINKS = 40
"""Symbolic links in one name, as the kernel has it."""

MAX_ROUNDS = 8
"""Finding out what to watch again, while it changes under our hands."""

Entry = tuple[Path, str]
"""A directory, and a name in it; "" for the directory itself, which leads further."""

Key = tuple[int, str]
"""The same as the kernel tells it: a directory's watch, and the name."""

Signature = tuple[int, ...] | None


class FileWatch:
    """Watches files that may or may not be there. Thread: loop.

    Args:
        paths: absolute.
        on_change: told the path, as it was given, after the file was edited in place, replaced, created, deleted or
            given other rights: once it has been quiet for 100 ms. Several edits may be told as one, one as two; a file
            may be told of that is the same as before.

    Where the system refuses (no inotify instance left, a directory that may not be read) one warning says so, and what
    cannot be watched is not told of.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, paths: Iterable[str], on_change: Callable[[str], None]) -> None:
        self._loop, self._paths, self._on_change = loop, tuple(paths), on_change
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._latest_s: dict[str, float] = {}
        self._watches: set[int] = set()
        self._whole: set[int] = set()  # those that tell of names in their directories
        self._concerned: dict[Key, set[str]] = {}  # whose paths lead through an entry
        self._ends: dict[Key, set[str]] = {}  # whose paths end at an entry
        self._is_warned = False
        self._inotify: Any = None
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as exc:
            self._warn(str(exc))
            return
        self._arm()
        self._seen = {path: _signature(path) for path in self._paths}
        loop.add_reader(self._inotify.fileno(), self._read)

    def close(self) -> None:
        """Tell nothing any more. Again: nothing."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    # --- what happened -----------------------------------------------------------------

    def _read(self) -> None:
        try:
            events = self._inotify.read(timeout=0)
        except OSError as exc:
            self._warn(str(exc))
            self.close()
            return
        is_moved = False
        for event in events:
            is_moved |= self._take(event.wd, event.mask, event.name)
        if is_moved:
            self._arm()
            for path in self._paths:
                if _signature(path) != self._seen[path]:
                    self._schedule(path, QUIET_S)

    def _take(self, watch: int, mask: int, name: str) -> bool:
        """Take one event; say whether other entries may have to be watched now."""
        if mask & flags.Q_OVERFLOW:
            for path in self._paths:
                self._schedule(path, QUIET_S)
            return True
        if not name:  # of the directory itself: moved, other rights, or gone, which ends the watch
            return watch in self._watches
        key = (watch, name)
        if not mask & flags.ISDIR:
            for path in self._ends.get(key, ()):
                self._schedule(path, WRITING_S if mask & flags.CREATE and _is_plain(path) else QUIET_S)
        return key in self._concerned and not mask & flags.CLOSE_WRITE

    def _schedule(self, path: str, wait_s: float) -> None:
        self._seen[path] = _signature(path)
        now_s = self._loop.time()
        timer = self._timers.get(path)
        if timer is None:
            self._latest_s[path] = now_s + LATEST_S
        else:
            timer.cancel()
        self._timers[path] = self._loop.call_at(min(now_s + wait_s, self._latest_s[path]), self._tell, path)

    def _tell(self, path: str) -> None:
        del self._timers[path]
        self._on_change(path)

    # --- what is watched ----------------------------------------------------------------

    def _arm(self) -> None:
        """Watch what decides now, and no more."""
        routes: dict[str, list[Entry]] = {}
        keys: dict[Entry, Key] = {}
        for _ in range(MAX_ROUNDS):
            before = keys
            routes = {path: list(_entries(path)) for path in self._paths}
            found = ((entry, self._add(*entry)) for entry in {entry for route in routes.values() for entry in route})
            keys = {entry: key for entry, key in found if key is not None}
            if keys == before:
                break  # since these are watched nothing else has come to decide
        used, whole = {watch for watch, _ in keys.values()}, {watch for watch, name in keys.values() if name}
        for watch in self._watches - used:
            self._remove(watch)
        for (directory, _), (watch, _) in keys.items():
            if watch in self._whole - whole:
                self._tell_less(directory)
        self._watches, self._whole = used, whole
        self._concerned, self._ends = {}, {}
        for path, route in routes.items():
            for entry in route:
                if entry in keys:
                    self._concerned.setdefault(keys[entry], set()).add(path)
            if route and route[-1] in keys:
                self._ends.setdefault(keys[route[-1]], set()).add(path)

    def _add(self, directory: Path, name: str) -> Key | None:
        """Watch an entry, or, of a directory that may not be read, that directory's own; None when it cannot be."""
        while True:
            try:
                # added to what is watched already: a directory may hold one file, and lead to another
                return self._inotify.add_watch(directory, (MASK if name else WAY_MASK) | flags.MASK_ADD), name
            except (FileNotFoundError, NotADirectoryError):
                return None  # gone since it was found
            except OSError as exc:
                is_forbidden = isinstance(exc, PermissionError)
                if not (is_forbidden and not name):  # who may not read a way may still go it
                    self._warn(f"{directory}: {exc.strerror}")
                if not (is_forbidden and name):
                    return None
                directory, name = directory.parent, directory.name

    def _tell_less(self, directory: Path) -> None:
        try:
            self._inotify.add_watch(directory, WAY_MASK)
        except OSError:
            pass  # it is gone, or tells more than is wanted

    def _remove(self, watch: int) -> None:
        try:
            self._inotify.rm_watch(watch)
        except OSError:
            pass  # its directory is gone, and the watch with it

    def _warn(self, reason: str) -> None:
        if not self._is_warned:
            self._is_warned = True
            cure = "after an edit: mirosctl hosts reload; fs.inotify.max_user_instances and _watches may be too low"
            log.warning("files_not_watched", paths=self._paths, reason=reason, cure=cure)


def _entries(path: str) -> Iterator[Entry]:
    """Give what decides what a path means: the way, its links, the file or the first name that is missing."""
    at, links = Path("/"), 0
    ahead = list(Path(path).parts[:0:-1])
    while ahead:
        name = ahead.pop()
        if name == "..":
            at = at.parent
            continue
        here = at / name
        try:
            mode = here.lstat().st_mode
            target = here.readlink() if stat.S_ISLNK(mode) else None
        except OSError:
            yield at, name
            return
        if stat.S_ISDIR(mode) and ahead:
            at = here
            yield at, ""
            continue
        yield at, name
        links += 1
        if target is None or links > MAX_LINKS:
            return
        ahead += target.parts[::-1]  # an absolute one begins with "/", which leads there from anywhere


def _signature(path: str) -> Signature:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_plain(path: str) -> bool:
    try:
        return stat.S_ISREG(Path(path).lstat().st_mode)
    except OSError:
        return False
