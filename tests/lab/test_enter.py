"""The private machine: nothing leaves it, and nothing of it is left, however it ends."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.isolation import faults
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

LAB_IN_FULL = """
import signal
from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
lan = Lan(1)
broker = Broker(lan["h1"])
broker.start()
broker.wait_ready()
print("up", flush=True)
signal.pause()
"""
ENTER = [sys.executable, "-m", "tests.lab.enter", "--"]


def footprint() -> set[str]:
    """Give what this machine has of all that a lab could leave behind."""
    listening = [
        f"listening {line.split()[1]}"
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()
        if line.split()[3] == "0A"  # the state LISTEN
    ]
    sockets = [f"socket {line.split()[-1]}" for line in Path("/proc/net/unix").read_text().splitlines()]
    files = [str(path) for directory in ("/run", "/run/netns", "/etc") for path in Path(directory).iterdir()]
    processes = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    tables = [Path(f"/proc/{table}").read_text() for table in ("self/mounts", "net/route", "net/ipv6_route")]
    interfaces = [name for _, name in socket.if_nameindex()]
    return {*listening, *sockets, *files, *processes, *tables, *interfaces}


def test_this_machine_is_private() -> None:
    """The suite itself runs where no packet can leave."""
    assert faults() == []


def test_a_way_out_is_noticed() -> None:
    """An interface and a default route, of either family, are each named as a fault."""
    script = (
        "import subprocess as s\n"
        "from tests.lab.isolation import faults\n"
        "for c in ('link add out type veth peer name far', 'link set far up', 'link set out up',\n"
        "          'address add 10.9.9.1/24 dev out',\n"
        "          'route add default via 10.9.9.2', '-6 route add default dev out'):\n"
        "    s.run(['ip', *c.split()], check=True)\n"
        "print(faults())\n"
    )
    seen = subprocess.run([*ENTER, sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert seen.stdout == "['an interface far', 'an interface out', 'a default route (4)', 'a default route (6)']\n"


def test_status_of_the_command_is_given() -> None:
    """The exit status is the command's; 128 + n when a signal ended it; 127 when there is no such command."""
    ends = [["sh", "-c", "exit 7"], ["sh", "-c", "kill -9 $$"], ["no-such-command"]]

    assert [subprocess.run([*ENTER, *end], check=False, stderr=subprocess.DEVNULL).returncode for end in ends] == [
        7,
        137,
        127,
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after(number: signal.Signals) -> None:
    """A lab with a running broker, ended by a signal, leaves no process, mount, namespace, socket or file."""
    before = footprint()
    lab = subprocess.Popen(
        [*ENTER, sys.executable, "-c", LAB_IN_FULL],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert lab.stdout
    until(lambda: lab.stdout and lab.stdout.readline() == "up\n", 60.0, "the lab is up")
    assert any("beam" in name for name in command_names())

    os.kill(lab.pid, number)
    lab.wait(timeout=30)
    lab.stdout.close()

    until(lambda: not footprint() - before, what="nothing is left")


def command_names() -> list[str]:
    """Give the names of all processes that this process namespace shows."""
    names = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            names.append(path.read_text())
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended meanwhile
    return names


def test_lab_tests_are_refused_outside(tmp_path: Path) -> None:
    """pytest with a lab test, started without the private machine, stops with the cure; without it, it runs."""
    outside = {name: value for name, value in os.environ.items() if name != "MIROSD_LAB"}
    pytest_here = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/lab/test_waiting.py"]
    lab_test = "tests/lab/test_enter.py::test_this_machine_is_private"

    refused = subprocess.run([*pytest_here, lab_test], env=outside, capture_output=True, text=True, check=False)
    accepted = subprocess.run(pytest_here, env=outside, capture_output=True, text=True, check=False)

    assert refused.returncode == 4, refused.stdout
    assert "tests.lab.enter" in refused.stderr
    assert accepted.returncode == 0, accepted.stdout
