"""The Unix socket that local programs connect to: made, taken over when stale, removed.

A socket file outlives its daemon when that was killed. Whether one is stale is found
out by connecting; two daemons that start at the same moment are kept apart by a lock
file beside it, which stays (removing a lock file is a race of its own). Linux only:
SO_PEERCRED, SO_PEERGROUPS.
"""

import ctypes
import errno
import grp
import os
import pwd
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import filelock
import structlog

from mirosd.core.interfaces import Credentials
from mirosd.errors import StartError

MAX_PATH_BYTES = 107  # sun_path has 108 (unix(7)), the last of which ends the string
BACKLOG = 128  # programs that connect in the same instant, at boot or when the daemon comes back
SO_PEERGROUPS = 59  # asm-generic/socket.h, Linux 4.13; the socket module does not know it
MAX_ID = 0xFFFFFFFE  # of users and groups; the number beyond it means "none" to the kernel (chown(2))
FIRST_GROUPS = 64  # enough for nearly everyone; the kernel says how many when not

_UCRED = struct.Struct("3i")
_libc = ctypes.CDLL(None, use_errno=True)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A listening socket and the file that names it. The server that is given `listening` closes it."""

    listening: socket.socket
    path: Path
    _file: tuple[int, int]  # device and inode

    def remove(self) -> None:
        """Remove the file if it is still ours; call it while the socket is open: its inode is used again after that."""
        try:
            if _identity(self.path) == self._file:
                self.path.unlink()
        except FileNotFoundError:
            pass  # someone was faster; the aim is reached
        except OSError as exc:
            _log.warning("socket_not_removed", path=str(self.path), reason=str(exc))


def bind(path: Path, *, mode: int, group: str | None) -> BoundSocket:
    """Give a listening socket at `path`, reachable for the file mode and group given and nobody else.

    Args:
        mode: permissions, such as 0o660.
        group: who owns the file beside the daemon's user; None leaves it.

    Raises:
        StartError: something stands in the way; the text says what, and what to do.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise StartError(f"the socket's path is longer than {MAX_PATH_BYTES} bytes: {path}; set a shorter socket.path")
    try:
        _make_directory(path.parent)
        with filelock.FileLock(f"{path}.lock", timeout=0, mode=0o600):
            _clear(path)
            return _bind(path, mode, group)
    except filelock.Timeout as exc:
        raise StartError(f"another mirosd is starting on {path} in this moment") from exc
    except OSError as exc:
        raise StartError(
            f"cannot make the socket {path}: {exc.strerror or exc}; start mirosd as its service, "
            "or set socket.path to a place this user may write to"
        ) from exc


def group_id(name: str) -> int | None:
    """Give a group's gid, None when this machine has no such group; a number that is no name stands for itself.

    May ask the network (NSS): call it at start, and when people ask for it.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return _number(name)


def user_id(name: str) -> int | None:
    """Give a user's uid; likewise."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return _number(name)


def peer_credentials(connected: socket.socket) -> Credentials:
    """Give who is at the other end, as it was when it connected."""
    ucred = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(ucred)
    return Credentials(pid, uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, _peer_groups(connected.fileno()))


def _peer_groups(fd: int) -> frozenset[int]:
    # By way of libc: socket.getsockopt gives at most 1024 bytes, and a user may be in 65,536 groups.
    size = ctypes.c_uint32(FIRST_GROUPS * ctypes.sizeof(ctypes.c_uint32))
    while True:
        gids = (ctypes.c_uint32 * (size.value // ctypes.sizeof(ctypes.c_uint32)))()
        if _libc.getsockopt(fd, socket.SOL_SOCKET, SO_PEERGROUPS, gids, ctypes.byref(size)) == 0:
            return frozenset(gids[: size.value // ctypes.sizeof(ctypes.c_uint32)])
        code = ctypes.get_errno()
        if code != errno.ERANGE:  # else size is now what it takes
            raise OSError(code, os.strerror(code))


def _number(name: str) -> int | None:
    is_number = name.isascii() and name.isdecimal() and len(name) <= len(str(MAX_ID))
    return int(name) if is_number and int(name) <= MAX_ID else None


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(0o755)  # whatever the umask: clients of the socket's group must come through


def _clear(path: Path) -> None:
    """Remove a stale socket file; StartError for anything else that is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(f"{path} is there and is not a socket; move it away, or set another socket.path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()  # nobody listens
            _log.info("stale_socket_removed", path=str(path))
        except BlockingIOError as exc:
            raise StartError(f"a busy daemon listens on {path} already; stop it first") from exc
        else:
            pid = peer_credentials(probe).pid
            raise StartError(f"a daemon listens on {path} already (pid {pid}); stop it first")


def _bind(path: Path, mode: int, group: str | None) -> BoundSocket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
    except BaseException:
        listening.close()
        raise
    try:
        path.chmod(mode if group is None or _give_to(path, group) else mode & 0o700)
        listening.listen(BACKLOG)  # before this nobody can connect, whatever the file's mode has been
        return BoundSocket(listening, path, _identity(path))
    except BaseException:
        listening.close()
        path.unlink(missing_ok=True)  # ours, and nobody will ever listen on it
        raise


def _give_to(path: Path, group: str) -> bool:
    """Hand the file to a group; False, with a warning, when a user who is not root cannot."""
    gid = group_id(group)
    try:
        if gid is not None:
            if path.lstat().st_gid != gid:  # a sandbox may refuse the call itself
                os.chown(path, -1, gid, follow_symlinks=False)
            return True
        reason = "no such group"
    except PermissionError:
        reason = "this user is not in it"
    if os.geteuid() == 0:
        raise StartError(f"cannot give {path} to group {group}: {reason}; make it (`groupadd --system {group}`)")
    _log.warning("socket_is_private", path=str(path), group=group, reason=reason, cure="only this user can connect")
    return False
