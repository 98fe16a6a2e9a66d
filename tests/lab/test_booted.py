"""A booted host is a machine of its own, and nothing of it is left, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.booted import BootedHost, why_not
from tests.lab.control_groups import CGROUP_VARIABLE
from tests.lab.isolation import is_inside
from tests.lab.namespaces import Lan
from tests.lab.test_enter import footprint
from tests.lab.waiting import until

REASON = why_not() if is_inside() else ""
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(REASON), reason=REASON)]

BOOT = """
import signal
from tests.lab.booted import BootedHost
from tests.lab.namespaces import Lan
booted = BootedHost(Lan(1)["h1"])
booted.start()
booted.wait_booted()
print("up", flush=True)
signal.pause()
"""


def groups() -> list[str]:
    """Give the control groups below this machine's own."""
    return [name for _, names, _ in os.walk(os.environ[CGROUP_VARIABLE]) for name in names]


def test_a_booted_host_is_a_machine_of_its_own() -> None:
    """It has a name, a first process, accounts and a network of its own; its files are not this machine's."""
    lan = Lan(1, prefix="10.78.0", name="boot")
    booted = BootedHost(lan["h1"])
    booted.write("/etc/mirosd/secret", "s", 0o640, "mirosd")
    booted.start()
    booted.wait_booted()
    try:
        told = "hostname; cat /proc/1/comm; id -un; id -Gn; hostname -I; stat -c '%a %U %G' /etc/mirosd/secret"
        said = booted.run("sh", "-c", told, user="alice").stdout
        booted.run("touch", "/etc/mirosd/made-there")
    finally:
        booted.close()
        lan.close()

    assert "h1\nsystemd\nalice\nalice mirosd\n10.78.0.1 \n640 root mirosd\n" == said
    assert not Path("/etc/mirosd/made-there").exists()
    assert [] == groups()
    assert not lan.hosts[0].directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_it_after(number: signal.Signals) -> None:
    """A lab with a booted host, ended by a signal, leaves no process, mount or control group."""
    before = footprint()
    lab = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.enter", "--", sys.executable, "-c", BOOT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert lab.stdout
    assert "up\n" == lab.stdout.readline()
    assert "h1" in groups()

    os.kill(lab.pid, number)
    lab.wait(timeout=30)
    lab.stdout.close()

    until(lambda: not groups(), what="no control group is left")
    until(lambda: not footprint() - before, what="nothing is left")
