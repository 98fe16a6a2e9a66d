"""A root to install into: this machine's own, beneath a layer that takes what is written. Inside of the lab only."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class ThrowawayRoot:
    """The root; `path` is where it is seen, `layer` where what was written to it is."""

    def __init__(self, folder: Path, *, hidden: Path, like: "ThrowawayRoot | None" = None) -> None:
        """Make it in an empty folder.

        Args:
            hidden: a folder that is empty in it: what is installed must do without the sources.
            like: another one, no longer in use; what was written there stands here too.
        """
        self.path, self.layer = folder / "root", folder / "layer"
        work = folder / "work"
        for made in (self.path, work):
            made.mkdir()
        if like is None:
            self.layer.mkdir()
        else:
            subprocess.run(["cp", "--archive", like.layer, self.layer], check=True)
        options = f"lowerdir=/,upperdir={self.layer},workdir={work}"
        self._mounted: list[Path] = []
        self._mount("-t", "overlay", "-o", options, "root", self.path)
        self._mount("-t", "proc", "proc", self.path / "proc")
        self._mount("--bind", "/dev", self.path / "dev")
        for empty in filter(lambda name: (self.path / name).is_dir(), (str(hidden).lstrip("/"), "run", "tmp")):
            self._mount("-t", "tmpfs", "-o", "mode=1777" if empty == "tmp" else "mode=755", "empty", self.path / empty)

    def close(self) -> None:
        """Take it away, with all that was written."""
        while self._mounted:
            subprocess.run(["umount", "--lazy", self._mounted.pop()], check=True)

    def run(self, *argv: str | Path, user: str = "root") -> str:
        """Give what a command prints in there; AssertionError with what it said when it fails."""
        with self.start(*argv, user=user) as started:
            said, _ = started.communicate()
        assert started.returncode == 0, f"{' '.join(map(str, argv))}: exit status {started.returncode}\n{said}"
        return said

    def start(self, *argv: str | Path, user: str) -> "subprocess.Popen[str]":
        """Start a program in there."""
        return subprocess.Popen(
            ["chroot", f"--userspec={user}", self.path, *argv],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, *packages: Path) -> str:
        """Install packages by dpkg, or upgrade to them; gives what they say."""
        copies = []
        for package in packages:
            copy = self.path / "tmp" / package.name
            copy.write_bytes(package.read_bytes())
            copies.append(Path("/tmp") / package.name)
        return self.run("dpkg", "--install", *copies)

    def changed(self) -> Iterator[str]:
        """Give each file, link or device that was written and is still there."""
        for folder, _, names in os.walk(self.layer):
            for name in names:
                path = Path(folder, name)
                status = path.lstat()
                is_whiteout = stat.S_ISCHR(status.st_mode) and not status.st_rdev  # overlayfs' sign of what is gone
                if not is_whiteout:
                    yield "/" + str(path.relative_to(self.layer))

    def _mount(self, *arguments: str | Path) -> None:
        subprocess.run(["mount", *arguments], check=True)
        self._mounted.append(Path(arguments[-1]))
