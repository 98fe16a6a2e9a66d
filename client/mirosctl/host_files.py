"""Files and groups of a host that is set up: made where they are missing, and never written over.

Whatever is done is told by a `Note`, in the order of doing, so that who reads it knows where it stopped.
"""

import contextlib
import grp
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mirosd_client.errors import MirosdError, NotPermittedError

Note = Callable[[str, str], None]
"""Told what was done ("made", "kept", ...) and to what."""

GROUP, OPERATORS = "mirosd", "mirosd-admin"  # the daemon's user has the name of its group
FILE_MODE = 0o640
"""Of root and the daemon's group: the daemon reads what it may not change."""
DIRECTORY_MODE = 0o500
"""Of the daemon's user: people whose programs use its socket are of its group too, and are not to read keys."""
MAX_FILE_BYTES = 1024 * 1024
"""As the daemon reads of its files; a ring of keys that were changed daily for years is the largest."""


class HostSetupError(MirosdError):
    """This host cannot be set up as it is; the text says what to do first."""

    code = "host_setup"


def require_root(command: str) -> None:
    """NotPermittedError unless root runs this: keys and passwords are root's to write and to read."""
    if os.geteuid():
        raise NotPermittedError(f"it reads and writes keys and passwords; run it as root: sudo mirosctl {command}")


class HostFiles:
    """The files of a host.

    Args:
        root: of its file system: "/", or where that of an image is mounted.
        is_dry_run: tell what would be made, and make nothing.
    """

    def __init__(self, root: Path, note: Note, *, is_dry_run: bool = False) -> None:
        self._root, self._note, self._is_dry_run = root, note, is_dry_run

    def read(self, path: str) -> str | None:
        """Give a file's text, None when there is none; HostSetupError when it cannot be read."""
        try:
            with self._at(path).open("rb") as file:
                return file.read(MAX_FILE_BYTES).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise HostSetupError(f"{path} cannot be read ({getattr(exc, 'strerror', 'it is not text')})") from exc

    def ensure_accounts(self) -> None:
        """Make the daemon's user and group, and the operators' group, where a package has not."""
        prefix = () if self._root == Path("/") else ("--prefix", str(self._root))
        for group in (GROUP, OPERATORS):
            if self._id("group", group) is None:
                self._run(f"group {group}", "groupadd", *prefix, "--system", group)
        if self._id("passwd", GROUP) is None:
            home = ("--home-dir", "/var/lib/mirosd", "--no-create-home", "--shell", "/usr/sbin/nologin")
            self._run(f"user {GROUP}", "useradd", *prefix, "--system", "--gid", GROUP, *home, GROUP)

    def lay(self, path: str, text: str) -> None:
        """Write a file that is not there, in one step: readable for root and the daemon, and for nobody else."""
        target = self._at(path)
        if target.exists():
            self._note("kept", path)
            return
        if self._is_dry_run:
            self._note("would write", path)
            return
        try:
            self._ensure_directory(target.parent)
            draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(descriptor)
                os.chown(draft, 0, self._required("group", "group"))
                draft.chmod(FILE_MODE)
                os.link(draft, target)  # unlike a rename it fails where a file has come meanwhile
            finally:
                draft.unlink(missing_ok=True)
        except OSError as exc:
            raise HostSetupError(f"{path} cannot be written ({exc.strerror})") from exc
        self._note("wrote", path)

    def _ensure_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        self._ensure_directory(directory.parent)
        directory.mkdir(mode=0o700)
        os.chown(directory, self._required("passwd", "user"), 0)
        directory.chmod(DIRECTORY_MODE)

    def _required(self, table: str, what: str) -> int:
        """Give the number of the daemon's group or user."""
        number = self._id(table, GROUP)
        if number is None:
            raise HostSetupError(f"there is no {what} {GROUP}; make it (man {what}add), then try again")
        return number

    def _id(self, table: str, name: str) -> int | None:
        """Give the number of a group, or a user, of that host."""
        if table == "group" and self._root == Path("/"):
            with contextlib.suppress(KeyError):  # also those of a directory service
                return grp.getgrnam(name).gr_gid
        for line in (self.read(f"/etc/{table}") or "").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
                return int(fields[2])
        return None

    def _run(self, what: str, *command: str) -> None:
        if self._is_dry_run:
            self._note("would make", what)
            return
        program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise HostSetupError(f"{command[0]} is missing; make the {what} by hand, then try again")
        ended = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
        if ended.returncode:
            raise HostSetupError(f"the {what} could not be made: {ended.stderr.strip()}")
        self._note("made", what)

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")
