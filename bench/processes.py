"""What the daemon and the commands cost: time to start, memory, wake-ups while idle, wall time."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.stage import ENVIRONMENT, Stage
from tests.lab.mirosd import Daemon
from tests.lab.waiting import until

READY_DEADLINE_S = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Give the resident memory of a process."""
    return _status(Path(f"/proc/{pid}/status"), "VmRSS") / 1024


def idle_cost(pid: int, seconds: float) -> dict[str, float]:
    """Give what a process that has nothing to do costs: voluntary context switches a second, percent of one core."""
    switches, ticks, began_s = _switches(pid), _ticks(pid), time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - began_s
    return {
        "switches_per_s": (_switches(pid) - switches) / passed_s,
        "cpu_percent": (_ticks(pid) - ticks) / TICKS_PER_S / passed_s * 100,
    }


def start_s(daemon: Daemon) -> float:
    """Give the seconds from starting a stopped daemon to its READY=1, interpreter and imports included."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{directory}/notify")
        manager.settimeout(READY_DEADLINE_S)
        began_s = time.monotonic()
        daemon.launch(
            [sys.executable, "-m", "mirosd.main", "--config", str(daemon.config_path)],
            ENVIRONMENT | {"NOTIFY_SOCKET": f"{directory}/notify"},
        )
        while b"READY=1" not in manager.recv(4096):
            pass
        return time.monotonic() - began_s


def wall_ms(stage: Stage, runs: int) -> dict[str, float]:
    """Give the median wall time of `mirosctl peers`, and of an interpreter that does nothing, run in turns."""
    commands = {
        "peers_ms": [str(Path(sys.executable).parent / "mirosctl"), "peers"],
        "nothing_ms": [sys.executable, "-c", "pass"],
    }
    took_ms: dict[str, list[float]] = {name: [] for name in commands}
    environment = os.environ | ENVIRONMENT | {"MIROSD_SOCKET": str(stage.hosts[0].socket)}
    for _ in range(runs):
        for name, argv in commands.items():
            took_ms[name].append(_run_ms(argv, environment))
    return {name: statistics.median(samples) for name, samples in took_ms.items()}


def settled(stage: Stage) -> None:
    """Return when no daemon uses a tenth of a core any more: what a flood left behind is done."""
    for daemon in stage.daemons:
        until(lambda pid=daemon.pid: _busy_percent(pid) < 10, what=f"{daemon.host.name} at rest")  # type: ignore[misc]


def _run_ms(argv: Sequence[str], environment: dict[str, str]) -> float:
    began_s = time.monotonic()
    subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began_s) * 1000


def _busy_percent(pid: int) -> float:
    return idle_cost(pid, 0.5)["cpu_percent"]


def _switches(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(_status(task / "status", "voluntary_ctxt_switches") for task in tasks)


def _ticks(pid: int) -> int:
    # after the name, which may hold anything up to the last bracket: utime and stime are the 12th and 13th
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _status(path: Path, name: str) -> int:
    lines = path.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
