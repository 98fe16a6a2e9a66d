"""The machine as it is: files, groups, ports, clock and units, read without privileges; nothing is changed.

Only brokers that the daemon knows are said hello to: its own, and where others are told that it is.
"""

import grp
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirosctl.checks.patient import Access, Greeting, KeyFile
from mirosctl.wsl import is_wsl

CONNECT_S = 2.0
"""A SYN that is dropped is sent again after 1 s; on a LAN an answer takes a millisecond."""
GREET_S = 4.0
"""A broker that looks a name up in vain greets after 5-6 s: whoever has said nothing by now does that."""
COMMAND_S = 10.0
"""For systemctl and the like, on a busy host."""

AMQP_HEADER = b"AMQP\0\0\x09\x01"
AMQP_METHOD = b"\x01"
"""The first byte of Connection.Start: the type of its frame."""


class ThisMachine:
    """The machine that mirosctl runs on (patient.Machine)."""

    def unit(self) -> Mapping[str, str] | None:
        """Give what systemd says of mirosd.service."""
        told = _run("systemctl", "show", "mirosd.service", "-p", "LoadState,ActiveState,Result,ExecMainStatus")
        return (
            None
            if told is None or told.returncode
            else dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
        )

    def config_faults(self) -> Sequence[str] | None:
        """Give what `mirosd --check` finds; None: there is none, or the file is not this user's to read."""
        config = Path(os.environ.get("MIROSD_CONFIG", "/etc/mirosd/config.yaml"))
        try:
            if not os.access(config, os.R_OK) and config.exists():
                return None
        except PermissionError:  # not even its directory may be looked into
            return None
        told = _run("mirosd", "--check")
        if told is None:
            return None
        return [line.strip() for line in told.stderr.splitlines()[1:] if line.strip()] if told.returncode else []

    def access(self, path: str) -> Access | None:
        """Give who may use a socket, and who asks."""
        user = _user(os.geteuid())
        try:
            found = Path(path).stat()
        except PermissionError:
            return Access(user, "", 0, is_member=False, holds_group=False, is_hidden=True)
        except OSError:
            return None
        gid = found.st_gid
        return Access(
            user,
            _group(gid),
            stat.S_IMODE(found.st_mode),
            is_member=gid in _groups_of(user),
            holds_group=gid in {os.getegid(), *os.getgroups()},
        )

    def key_file(self, path: str) -> KeyFile | None:
        """Give who may read a key; None when its directory is closed to this user."""
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return KeyFile(exists=False)
        except OSError:
            return None
        return KeyFile(True, stat.S_IMODE(found.st_mode), _group(found.st_gid))

    def greet(self, host: str, port: int) -> Greeting:
        """Say hello to a broker, and hang up."""
        began_s = time.monotonic()

        def so_far(code: str) -> Greeting:
            return Greeting(code, time.monotonic() - began_s)

        try:
            connection = socket.create_connection((host, port), CONNECT_S)
        except TimeoutError:
            return so_far("silent")
        except ConnectionRefusedError:
            return so_far("refused")
        except OSError:
            return so_far("unreachable")
        with connection:
            connection.settimeout(GREET_S)
            try:
                connection.sendall(AMQP_HEADER)
                return so_far("" if connection.recv(1) == AMQP_METHOD else "amqp")
            except TimeoutError:
                return so_far("slow")
            except OSError:
                return so_far("amqp")

    def is_wsl(self) -> bool:
        """Say whether this is a Linux of Windows' subsystem."""
        return is_wsl()

    def clock_is_set(self) -> bool | None:
        """Say whether NTP keeps the clock right."""
        told = _run("timedatectl", "show", "-p", "NTPSynchronized", "--value")
        return {"yes": True, "no": False}.get(told.stdout.strip()) if told is not None else None


def _run(*words: str) -> "subprocess.CompletedProcess[str] | None":
    """Run a command; None where there is none, or it says nothing in time."""
    if shutil.which(words[0]) is None:
        return None
    try:
        return subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user of a container, or one that is gone
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _groups_of(user: str) -> set[int]:
    """Give the groups of a user by the user database, which a login that is on may not have yet."""
    try:
        return set(os.getgrouplist(user, pwd.getpwnam(user).pw_gid))
    except KeyError:
        return set()
