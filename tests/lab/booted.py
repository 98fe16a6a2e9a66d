"""A host of the lab with a systemd of its own, which is its first process: for what only a service manager shows.

Its root is this machine's with a layer of its own on top, so what is installed here is installed there; this checkout
stands in /opt/mirosd, read only, and `mirosd`, `mirosctl` and `lab-python` (a Python with all of it) run from there.
Its network is the host's, and the host's broker runs beside it. It ends with its first process, whoever ends that;
its control group then goes with the private machine, if it is not removed before (control_groups.py).
"""

import functools
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.lab.control_groups import CGROUP_VARIABLE, remove
from tests.lab.namespaces import Host
from tests.lab.waiting import until

ROOT = Path(__file__).parents[2]
SITE = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
SYSTEMD = Path("/lib/systemd/systemd")
BOOT_DEADLINE_S = 30.0
OPT = "/opt/mirosd"

ACCOUNTS = {"mirosd": 990, "mirosd-admin": 991, "alice": 2001, "bob": 2002}
"""Users of every booted host, each with a group of its name."""
MEMBERS = {"mirosd": "alice,root", "mirosd-admin": "root"}

TRIAL = """
mount -t tmpfs trial /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work trial /mnt/root
"""

COMMAND = f"""#!/bin/sh
export PYTHONPATH={OPT}/daemon:{OPT}/client:{OPT}/site PYTHONDONTWRITEBYTECODE=1
exec {os.path.realpath(sys.executable)} {{}} "$@"
"""
RUN = "-c 'import sys; from {}.main import main; sys.exit(main())'"
COMMANDS = {"mirosd": RUN.format("mirosd"), "mirosctl": RUN.format("mirosctl"), "lab-python": ""}


BESIDE = ("rabbitmq-server.service",)
"""Units that would start what the lab runs beside a host; a bare one has its own."""

OWN = ("etc/systemd/system", "etc/mirosd", "etc/credstore", "var/lib/mirosd", "var/log/journal")
"""Directories in which nothing of this machine shows: what it has enabled, and a mirosd of its own."""

RABBITMQ = ("etc/rabbitmq", "var/lib/rabbitmq", "var/log/rabbitmq")
"""Directories of Debian's RabbitMQ, as new, where a bare host runs that."""

MASKED = (
    *("systemd-logind.service", "systemd-random-seed.service", "systemd-modules-load.service", "getty-static.service"),
    *("systemd-binfmt.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "getty@tty1.service"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount"),
)
"""Units that ask for hardware, or for the whole machine; and RabbitMQ, which the lab has faster, beside it."""


@functools.cache
def why_not() -> str:
    """Say why this machine cannot boot hosts, "" when it can."""
    if not SYSTEMD.exists():
        return "there is no systemd here (apt install systemd)"
    python = os.path.realpath(sys.executable)
    if not python.startswith(("/usr/", "/opt/")):
        return f"{python} runs the tests, and the unit's sandbox hides it: use the system's Python"
    if CGROUP_VARIABLE not in os.environ:
        return "no cgroup2 is mounted here, and systemd needs one"
    try:
        Path(os.environ[CGROUP_VARIABLE]).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        return f"no control group can be made here: {exc}"
    trial = subprocess.run(["unshare", "--mount", "sh", "-euc", TRIAL], capture_output=True, text=True, check=False)
    return f"no layer can be put over / here: {trial.stderr.strip()}" if trial.returncode else ""


class BootedHost:
    """A machine with systemd on the network of `host`.

    Args:
        is_bare: nothing of mirosd is there, neither this checkout nor its users: for what installs it.
    """

    def __init__(self, host: Host, *, is_bare: bool = False) -> None:
        """Describe it, with files of its own; nothing runs before `start`."""
        self.host = host
        self._is_bare = is_bare
        self._directory = host.directory / "booted"
        self._cgroup = Path(os.environ[CGROUP_VARIABLE]) / host.name
        self._launched: subprocess.Popen[bytes] | None = None
        self._upper = self._directory / "upper"
        for name in ("upper", "work", "root"):
            (self._directory / name).mkdir(parents=True)
        for own in OWN + (RABBITMQ if is_bare else ()):
            (self._upper / own).mkdir(parents=True)
            os.setxattr(self._upper / own, "trusted.overlay.opaque", b"y")
            if own in RABBITMQ:
                shutil.chown(self._upper / own, "rabbitmq", "rabbitmq")
        self._write_base()

    def write(self, path: str, text: str, mode: int = 0o644, group: str = "root") -> None:
        """Write a file of the machine before it is booted; its directories are made."""
        target = self._upper / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        os.chown(target, 0, ACCOUNTS.get(group, 0))

    def copy(self, source: Path, path: str) -> None:
        """Copy a file to the machine before it is booted."""
        target = self._upper / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    def start(self) -> None:
        """Boot; returns at once."""
        self._cgroup.mkdir(parents=True)
        places = (str(self._directory / name) for name in ("upper", "work", "root"))
        trees = {ROOT / "mirosd": "daemon/mirosd", ROOT / "tests": "daemon/tests", ROOT / "client": "client"}
        mounts = [f"{tree}:{OPT}/{place}" for tree, place in (trees | {SITE: "site"}).items()]
        mounts = [] if self._is_bare else mounts
        with (self._directory / "console.log").open("w") as console:
            self._launched = subprocess.Popen(
                # not `ip netns exec`, which lays another /sys over ours: control groups vanish in it
                [
                    *("nsenter", f"--net=/run/netns/{self.host.namespace}"),
                    *("unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc"),
                    *("--propagation", "private", "sh", str(Path(__file__).with_name("boot.sh")), *places),
                    *(str(self._cgroup), self.host.name, *mounts),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def wait_booted(self, deadline_s: float = BOOT_DEADLINE_S) -> None:
        """Return when systemd has started all that it is to start; AssertionError with its console when not."""
        try:
            until(self._is_booted, deadline_s, f"{self.host.name} booted")
        except (AssertionError, RuntimeError) as exc:
            raise AssertionError(f"{exc}\n{self.console()[-4000:]}") from None

    def run(
        self, *argv: str, user: str = "root", check: bool = True, timeout_s: float = 60.0
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command there to its end, as a user with all their groups; its output is captured.

        A failure is an AssertionError, with what it said and the end of the journal (`check=False`: is none).
        """
        command = self.command(*argv, user=user)
        options: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, check=False, timeout=timeout_s, **options)
        if check and done.returncode:
            journal = self.run("journalctl", "--no-pager", "--lines=30", check=False).stdout
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal}")
        return done

    def command(self, *argv: str, user: str = "root") -> list[str]:
        """Give the command line that runs `argv` there."""
        environment = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/", "SYSTEMD_PAGER="]
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return ["nsenter", f"--target={self._first()}", "--all", "--", "env", "-i", *environment, *become, *argv]

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Give properties of a unit, as systemd shows them."""
        shown = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
        return dict(line.partition("=")[::2] for line in shown.splitlines())

    def console(self) -> str:
        """Give what its systemd has said so far."""
        return (self._directory / "console.log").read_text(errors="replace")

    def close(self) -> None:
        """Take its power away, and its files and control group."""
        if self._launched is not None:
            self._launched.kill()  # takes the first process with it
            self._launched.wait(timeout=30)
            until(self._remove_cgroup, what=f"no process of {self.host.name} left")
        shutil.rmtree(self._directory)

    def _remove_cgroup(self) -> bool:
        remove(self._cgroup)
        return True

    def _first(self) -> int:
        """Give the process id of its systemd, as this machine counts."""
        if self._launched is None or self._launched.poll() is not None:
            raise RuntimeError(f"{self.host.name} is not up")
        pid = self._launched.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise OSError(f"{self.host.name} has no first process yet")
        return int(children[0])

    def _is_booted(self) -> bool:
        if Path(f"/proc/{self._first()}/comm").read_text() != "systemd\n":
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def _add_accounts(self, file: str, lines: list[str]) -> None:
        there = Path("/etc", file).read_text().splitlines()
        kept = [line for line in there if line.partition(":")[0] not in ACCOUNTS]
        self.write(f"/etc/{file}", "\n".join([*kept, *lines, ""]))

    def _write_base(self) -> None:
        self.write("/etc/machine-id", uuid.uuid4().hex + "\n")  # an empty one means a first boot: all would be enabled
        self.write("/etc/hostname", f"{self.host.name}\n")
        self.write("/etc/hosts", (Path("/etc/netns") / self.host.namespace / "hosts").read_text())
        self.write("/etc/resolv.conf", "# the lab has no DNS\n")
        accounts = {name: n for name, n in ACCOUNTS.items() if not (self._is_bare and name.startswith("mirosd"))}
        self._add_accounts("passwd", [f"{name}:x:{n}:{n}::/nonexistent:/bin/sh" for name, n in accounts.items()])
        self._add_accounts("group", [f"{name}:x:{n}:{MEMBERS.get(name, '')}" for name, n in accounts.items()])
        for masked in MASKED + (() if self._is_bare else BESIDE):
            (self._upper / "etc/systemd/system" / masked).symlink_to(os.devnull)
        if self._is_bare:
            # a container's base forbids packages to start, restart and stop their services
            self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)
            return
        for name, arguments in COMMANDS.items():
            self.write(f"/usr/bin/{name}", COMMAND.format(arguments), 0o755)
        for unit in (ROOT / "systemd").iterdir():
            self.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
