"""What daemons and brokers hold, seen from outside but for timers and tasks; and how much memory is a process's own."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.lab.broker import Broker
from tests.lab.isolation import LAB_DIRECTORY
from tests.lab.waiting import until

Figures = dict[str, int]

COUNTED = '{length(rabbit_amqqueue:list()), length(rabbit_binding:list(<<"/">>)), '
COUNTED += "length(rabbit_networking:connections()), length(rabbit_channel:list())}."

PER_PROCESS = ("threads", "descriptors", "sockets", "timers", "tasks")
PER_BROKER = ("queues", "bindings", "connections", "channels")

LOOKS = 5
"""What heartbeats hold for some milliseconds each second is not there at every look: the least of so many counts."""


def of_process(pid: int) -> Figures:
    """Give the threads, descriptors and sockets of a process."""
    held = _descriptors(pid)
    return {
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "descriptors": len(held),
        "sockets": sum(what.startswith("socket:") for what in held),
    }


def of_broker(broker: Broker) -> Figures:
    """Give the queues, bindings, connections and channels of a broker."""
    counts = broker.call(COUNTED).strip("{}").split(",")
    return dict(zip(PER_BROKER, map(int, counts), strict=True))


def own_kb(pid: int) -> int:
    """Give the memory that no other process shares (the unique set size)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def written_by(pid: int) -> Path:
    """Give the file that a daemon run by observed.py writes to."""
    return LAB_DIRECTORY / f"census-{pid}.json"


def census(pid: int) -> tuple[Figures, Figures]:
    """Give what a daemon run by observed.py counts: timers and tasks; objects by class."""
    written = written_by(pid)
    seen: list[dict[str, int | dict[str, int]]] = []
    while len(seen) < LOOKS:
        written.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR1)
        until(written.exists, what="a census")
        seen.append(json.loads(written.read_text()))
    counted = least([{name: n for name, n in each.items() if isinstance(n, int)} for each in seen])
    return counted, least([each["classes"] for each in seen])  # type: ignore[misc]


def least(looks: list[Mapping[str, int]]) -> Figures:
    """Give the least count of each thing over several looks."""
    names = sorted({name for look in looks for name in look})
    return {name: min(look.get(name, 0) for look in looks) for name in names}


def medians_of_thirds(samples: Sequence[float]) -> tuple[float, float, float]:
    """Give the median of each third of at least three samples; what is left over belongs to the second."""
    size = len(samples) // 3
    first, last = samples[:size], samples[len(samples) - size :]
    return median(first), median(samples[size : len(samples) - size]), median(last)


def _descriptors(pid: int) -> list[str]:
    held = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.append(str(entry.readlink()))
        except FileNotFoundError:
            pass  # closed since it was listed
    return held
