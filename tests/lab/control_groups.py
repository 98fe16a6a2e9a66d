"""Control groups of the private machine: the one thing of it that no namespace ends, and so has to be tidied up.

Each entering of the lab has a group of its own, which is made when it is first needed. A guard outside removes it: a
process that waits for who entered to end, in whatever way, and that ends itself then.
"""

import os
import secrets
import time
from pathlib import Path

CGROUP_VARIABLE = "MIROSD_LAB_CGROUP"
"""Where the group of this private machine is to be made; unset: this machine has no cgroup2."""

RETRY_S, TRIES = 0.05, 600
"""A killed process leaves its group a moment later; on a loaded machine seconds later: 30 s."""


def choose() -> Path | None:
    """Give the place for the group of a new private machine, below our own when we are on one; None without cgroup2."""
    within = os.environ.get(CGROUP_VARIABLE) or _mount_point()
    return Path(within, f"mirosd-lab-{secrets.token_hex(4)}") if within else None


def remove(group: Path) -> None:
    """Remove a group and those in it; OSError while a process is left in one."""
    for directory, _, _ in os.walk(group, topdown=False):
        Path(directory).rmdir()


class Guard:
    """Removes a group after the end of the process that made the guard."""

    def __init__(self, group: Path | None) -> None:
        """Start the guard; it is deaf to the signals that are blocked now."""
        watched, self._end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._end)
            _be_guard(group, watched)
        os.close(watched)

    def leave(self) -> None:
        """In a child of the maker: do not be taken for the maker."""
        os.close(self._end)

    def relieve(self) -> None:
        """Return once nothing is left."""
        os.close(self._end)
        os.waitpid(self._pid, 0)


def _be_guard(group: Path | None, watched: int) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # whoever reads what the maker prints is not to wait for us
        os.dup2(nowhere, stream)
    os.read(watched, 1)  # nothing is ever written: it returns when nobody could any more
    for _ in range(TRIES if group is not None and group.is_dir() else 0):
        try:
            remove(group)  # type: ignore[arg-type]
            break
        except OSError:
            time.sleep(RETRY_S)
    os._exit(0)


def _mount_point() -> str | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return before.split()[4]
    return None
