"""Run a command on a private machine: `python -m tests.lab.enter -- COMMAND [ARGUMENT ...]` (as root).

The machine is this one, seen through five new namespaces: network (only `lo`, no way out), mounts, names, IPC
and processes. The last is what makes cleaning up certain: when the first process of a process namespace ends, for
whatever reason, the kernel ends every other one in it, and with them go the network namespaces, the mounts and
the files that were made inside. So nothing here, and nothing that runs in here, has to tidy up after SIGKILL;
but for control groups, which are in no namespace (control_groups.py).

What is different inside:
  /run    an empty tmpfs. It holds the lab's files, and hides the sockets through which a real service (nscd,
          resolved, D-Bus, a real mirosd) could be asked to send a packet for us.
  /etc    a copy: hosts and /etc/netns can be written, and what is written vanishes.
  /usr    with `.lab/root` (RabbitMQ unpacked, where Debian's package is not installed) laid over it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab.control_groups import CGROUP_VARIABLE, Guard, choose
from tests.lab.isolation import LAB_DIRECTORY, LAB_VARIABLE, faults, is_inside

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x20000000,
    0x40000000,
)
PR_SET_PDEATHSIG = 1
SI_KERNEL = 0x80  # the sender of a signal that the terminal made (Ctrl-C): it reaches the whole group by itself

WATCHED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNPACKED = Path(__file__).parents[2] / ".lab" / "root"
FOREIGN_VARIABLES = ("MIROSD_SOCKET", "MIROSD_CONFIG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET")

libc = ctypes.CDLL(None, use_errno=True)


def enter(argv: list[str]) -> int:
    """Give the exit status of `argv`, run on a private machine (128 + n when signal n ended it)."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    group = choose()
    guard = Guard(group)  # outside of what is made now
    if libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make namespaces (root is needed)")
    alive, parent = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(parent)
        guard.leave()
        os._exit(_be_first_process(argv, alive, {CGROUP_VARIABLE: str(group)} if group else {}))
    os.write(parent, b"\n")
    status = _supervise(first)
    guard.relieve()
    return status


def _be_first_process(argv: list[str], alive: int, told: dict[str, str]) -> int:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not os.read(alive, 1):  # the parent was gone before it could be watched
        return 1
    os.close(alive)
    _furnish()
    found = faults()
    if found:
        print("this machine is not private: " + "; ".join(found), file=sys.stderr)
        return 1
    command = os.fork()
    if command == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        try:
            os.execvpe(argv[0], argv, _environment() | told)
        except OSError as exc:
            print(f"{argv[0]}: {exc.strerror}", file=sys.stderr)
            os._exit(127)
    return _supervise(command)


def _furnish() -> None:
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "-o", "mode=755", "lab", "/run")
    for directory in (LAB_DIRECTORY / "tmp", Path("/run/netns"), Path("/run/lock")):
        directory.mkdir(parents=True)
    # not an overlay: those stack two deep at most, and a container's own root is often one
    subprocess.run(["cp", "--archive", "/etc", str(LAB_DIRECTORY / "etc")], check=True)
    _mount("--bind", str(LAB_DIRECTORY / "etc"), "/etc")
    if UNPACKED.is_dir() and not is_inside():
        _mount("-t", "overlay", "-o", f"lowerdir={UNPACKED}/usr:/usr", "lab", "/usr")
    for hidden in ("/etc/netns", "/etc/mirosd"):  # of the machine around
        shutil.rmtree(hidden, ignore_errors=True)
    for replaced in (Path("/etc/hosts"), Path("/etc/resolv.conf")):
        replaced.unlink(missing_ok=True)
    Path("/etc/hosts").write_text("127.0.0.1 localhost lab\n")
    Path("/etc/resolv.conf").write_text("# the lab has no DNS\n")
    subprocess.run(["hostname", "lab"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    path = kept.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"  # ip, nft: not on an ordinary user's PATH
    return kept | {"PATH": path, "TMPDIR": str(LAB_DIRECTORY / "tmp"), LAB_VARIABLE: str(LAB_DIRECTORY)}


def _supervise(child: int) -> int:
    """Give the exit status of `child`; meanwhile pass signals on to it and reap what was orphaned."""
    while True:
        caught = signal.sigwaitinfo(WATCHED)
        if caught.si_signo != signal.SIGCHLD:
            if caught.si_code != SI_KERNEL:
                os.kill(child, caught.si_signo)
            continue
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break


def main() -> None:
    """Run the command line."""
    argv = sys.argv[1:]
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv:
        sys.exit("usage: python -m tests.lab.enter -- COMMAND [ARGUMENT ...]")
    sys.exit(enter(argv))


if __name__ == "__main__":
    main()
