"""Where the daemon's socket is, and what to tell people when nobody answers there.

A path that was given, or stands in $MIROSD_SOCKET, is the only one tried: whoever
names a daemon must not end up at another one.
"""

import errno
import os
import socket
import struct
from collections.abc import Mapping
from typing import TypeAlias

from mirosd_client.errors import DaemonUnavailableError, NotPermittedError

SYSTEM_SOCKET = "/run/mirosd/mirosd.sock"
ENVIRONMENT_VARIABLE = "MIROSD_SOCKET"
HOW_TO_START = (
    "start it with `systemctl start mirosd`, or `mirosd --config FILE` for one of your own; "
    "`mirosctl doctor` tells what keeps it from running"
)
NO_URL = (
    "a daemon is named by the path of its Unix socket, not by a URL; the broker's address and account stand in the "
    "daemon's own configuration (broker.url, broker.user, broker.password_file)"
)
HOW_TO_PERMIT = "join the group with `sudo usermod -aG mirosd $USER`, then log in again"


StrPath: TypeAlias = str | os.PathLike[str]


def path_text(path: StrPath | None) -> str | None:
    """Give a path as text, None for none; TypeError for what is no path."""
    return None if path is None else os.fsdecode(path)


def candidates(argument: StrPath | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Give the paths to try, in order; at least one."""
    named = path_text(argument) or environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return [named]
    runtime_directory = environ.get("XDG_RUNTIME_DIR")
    return [SYSTEM_SOCKET] + ([f"{runtime_directory}/mirosd/mirosd.sock"] if runtime_directory else [])


def open_socket(argument: StrPath | None, timeout_s: float) -> socket.socket:
    """Give a socket that is connected to the first daemon that answers; with timeout 0 it never blocks.

    Raises:
        NotPermittedError: a socket is there and may not be used; says what would permit it.
        DaemonUnavailableError: none answered; lists what was tried and how to start one. Or a URL was named, which
            is not repeated: it may hold a password.
    """
    tried: list[str] = []
    forbidden = ""
    for path in candidates(argument):
        if "://" in path:
            raise DaemonUnavailableError(NO_URL)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(connection, path, timeout_s)
            return connection
        except OSError as exc:
            connection.close()
            tried.append(f"{path} ({exc.strerror or exc})")
            if exc.errno in (errno.EACCES, errno.EPERM):
                forbidden = path
    if forbidden:
        raise NotPermittedError(f"{forbidden} may not be used by this user; {HOW_TO_PERMIT}")
    raise DaemonUnavailableError(f"no mirosd answers; tried {', '.join(tried)}; {HOW_TO_START}")


def _connect(connection: socket.socket, path: str, timeout_s: float) -> None:
    """Connect; where many are at the door, wait for a place among them, which settimeout() alone does not."""
    if timeout_s:
        seconds, rest_s = divmod(timeout_s, 1)
        timeval = struct.pack("ll", int(seconds), int(rest_s * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    else:
        connection.setblocking(False)
    connection.connect(path)
    connection.settimeout(timeout_s)
