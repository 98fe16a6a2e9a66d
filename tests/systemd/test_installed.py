"""The packages on two hosts with real systemd and Debian's own RabbitMQ, from installation to purge."""

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirosd import __version__
from tests.lab.booted import ACCOUNTS, SYSTEMD, BootedHost, why_not
from tests.lab.isolation import is_inside
from tests.lab.machines import Machines
from tests.lab.waiting import until
from tests.packaging.conftest import NEXT_VERSION, Package, next_packages, packages  # noqa: F401 -- fixtures

UNIT = SYSTEMD.parent / "system/rabbitmq-server.service"
REASON = (
    (why_not() or ("" if UNIT.exists() else "RabbitMQ is not installed here as Debian's package"))
    if is_inside()
    else ""
)
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]

PYTHON = "/usr/lib/mirosd/bin/python"
BROKER_S = 240.0
"""For two stock brokers side by side on a loaded machine: some 20 s on an idle one."""
WATCHDOG_S = 6
"""As in test_unit.py."""
EVENTS_PER_S = 200
DROP_IN = "/etc/systemd/system/mirosd.service.d/own.conf"
"""As `systemctl edit` makes one."""

RECEIVER = """
import json, os, threading
from mirosd_client.client import Client

threading.Thread(target=lambda: os.read(0, 1) or os._exit(0), daemon=True).start()  # ends with the test
heard, is_done = [], threading.Event()
with Client() as client:
    def hear(event):
        is_done.set() if event.signal == "END" else heard.append(event.payload)
    client.subscribe("load.#", hear).wait_bound(30)
    print("ready", flush=True)
    is_done.wait(300)
print(json.dumps(heard), flush=True)
"""

SENDER = f"""
import os, threading, time
from mirosd_client.client import Client

is_over = threading.Event()
threading.Thread(target=lambda: os.read(0, 1) or is_over.set(), daemon=True).start()
with Client() as client:
    client.wait_connected(30)
    print("ready", flush=True)
    sent = 0
    while not is_over.wait(1 / {EVENTS_PER_S}):
        while not client.transmit("LOAD", sent, routing_key="load.a"):
            time.sleep(0.01)
        sent += 1
    client.transmit("END", routing_key="load.a")
    assert client.wait_safe(30)
print(sent, flush=True)
"""


@pytest.fixture
def hosts(
    machines: Machines,
    packages: dict[str, Package],  # noqa: F811
    next_packages: list[Path],  # noqa: F811
) -> Iterator[dict[str, BootedHost]]:
    """Two booted hosts with nothing of mirosd but the packages, as files; RabbitMQ runs as Debian ships it.

    h1 has the packages of a later version too, in /root/next.
    """
    machines.clean()
    booted = {name: BootedHost(machines.lan[name], is_bare=True) for name in ("h1", "h2")}
    for name in booted:
        machines.brokers[name].close()  # Debian's own takes its port
    try:
        for path in next_packages:
            booted["h1"].copy(path, f"/root/next/{path.name}")
        for host in booted.values():
            for package in packages.values():
                host.copy(package.path, f"/root/{package.path.name}")
            host.start()
        for host in booted.values():
            host.wait_booted()
        for host in booted.values():
            host.run("systemctl", "start", "--no-block", "rabbitmq-server")
        for host in booted.values():
            until(lambda host=host: is_active(host, "rabbitmq-server"), BROKER_S, "RabbitMQ")  # type: ignore[misc]
        yield booted
    finally:
        for host in booted.values():
            host.close()
        machines.clean()


def is_active(host: BootedHost, unit: str) -> bool:
    """Tell whether a unit is active."""
    return host.show(unit, "ActiveState")["ActiveState"] == "active"


def ask(host: BootedHost, *words: str) -> dict[str, Any]:
    """Give what mirosctl prints as JSON."""
    answer: dict[str, Any] = json.loads(host.run("mirosctl", *words, "--json").stdout)
    return answer


def peers(host: BootedHost) -> dict[str, str]:
    """Give the state of each peer by its name."""
    return {peer["name"]: peer["state"] for peer in ask(host, "peers")["peers"]}


def lay(host: BootedHost, path: str, text: str) -> None:
    """Write a file on a host that runs; its directory is made."""
    coded = base64.b64encode(text.encode()).decode()
    host.run("sh", "-c", f"umask 077; mkdir -p $(dirname {path}); echo {coded} | base64 -d > {path}")


@contextmanager
def program(host: BootedHost, text: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a program of alice's, by the Python of the package, from when it says that it is ready."""
    running = subprocess.Popen(
        host.command(PYTHON, "-c", text, user="alice"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        yield running
    finally:
        running.communicate(timeout=60)  # closes its input: to kill would end `nsenter`, not the program behind it


def install(host: BootedHost, folder: str = "/root") -> str:
    """Install both packages of a folder, or have those that are installed replaced by them."""
    command = f"DEBIAN_FRONTEND=noninteractive dpkg --install {folder}/*.deb 2>&1"
    return host.run("sh", "-c", command, timeout_s=120).stdout


def set_up(h1: BootedHost, h2: BootedHost) -> None:
    """Make h1 the first host of a mesh, and h2 the next one."""
    h1.run("mirosctl", "init", timeout_s=120)
    lay(h1, "/root/passphrase", "four words in a row\n")
    lay(h2, "/root/passphrase", "four words in a row\n")
    invitation = h1.run("mirosctl", "invite", "--passphrase-file", "/root/passphrase").stdout
    lay(h2, "/root/invitation", invitation)
    h2.run("mirosctl", "join", "/root/invitation", "--passphrase-file", "/root/passphrase", timeout_s=120)
    for host in (h1, h2):
        host.run("usermod", "-aG", "mirosd", "alice")
        host.run("systemctl", "start", "mirosd")
    for host in (h1, h2):
        host.run("mirosctl", "wait", "--peers", "1", "--timeout", "60", timeout_s=90)


@contextmanager
def events_across(h1: BootedHost, h2: BootedHost) -> Iterator[None]:
    """Have alice's program on h1 send to hers on h2 meanwhile; each event must arrive once, in order."""
    with program(h2, RECEIVER) as receiver:
        with program(h1, SENDER) as sender:
            yield
            said, _ = sender.communicate(timeout=120)
            assert sender.returncode == 0
        assert receiver.stdout is not None
        assert list(range(int(said))) == json.loads(receiver.stdout.readline())


def kept(host: BootedHost) -> dict[str, Any]:
    """Give what an upgrade must not touch: who the host is, what it knows, and every file that somebody wrote."""
    status, cache = ask(host, "status"), ask(host, "cache", "show")
    found = f"find /etc/mirosd {DROP_IN} -type f -exec stat -c '%n %a %u %g %y' {{}} + -exec sha256sum {{}} +"
    return {
        "files": sorted(host.run("sh", "-c", found).stdout.splitlines()),
        "unit": host.show("mirosd", "WatchdogUSec"),
        "node": (status["node"], status["name"]),
        "cached": sorted(cache["addresses"]),
    }


def test_from_installation_to_purge(hosts: dict[str, BootedHost]) -> None:
    """What an administrator does in the life of a host, in this order, each step as the manual has it."""
    h1, h2 = hosts["h1"], hosts["h2"]
    with ThreadPoolExecutor() as both:
        for said in both.map(install, (h1, h2)):
            assert "mirosctl init" in said  # what to do next
    set_up(h1, h2)

    # an event across, and who is at the socket
    with program(h2, RECEIVER):
        [mine] = [row for row in ask(h2, "clients")["clients"] if row["uid"] == ACCOUNTS["alice"]]
        assert ("alice", ["read", "transmit"]) == (mine["user"], mine["rights"])
        sent = ask(h1, "send", "LOAD", "--key", "load.a")
        assert (1, 1) == (sent["queues"], sent["hosts"])
    refused = h1.run("mirosctl", "status", user="bob", check=False)
    assert refused.returncode == 4, refused

    # restarts of both daemons under load
    restart = ["systemctl", "restart", "mirosd"]
    with events_across(h1, h2):
        for host in (h1, h2):
            host.run(*restart)
            host.run("mirosctl", "wait", "--timeout", "30")

    # a daemon that hangs
    lay(h1, DROP_IN, f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
    h1.run("systemctl", "daemon-reload")
    h1.run(*restart)
    before = h1.show("mirosd", "MainPID", "NRestarts")
    h1.run("kill", "-STOP", before["MainPID"])
    until(lambda: h1.show("mirosd", "NRestarts")["NRestarts"] > before["NRestarts"], 60.0, "the watchdog bit")
    h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "60", timeout_s=90)

    # a stop is a stop, whoever keeps connecting
    with program(h1, RECEIVER):
        h1.run("systemctl", "stop", "mirosd")
        until(lambda: peers(h2) == {"h1": "left"}, what="h2 hears of it")
        for _ in range(3):
            assert h1.run("mirosctl", "wait", "--timeout", "0.5", user="alice", check=False).returncode == 3
        assert not is_active(h1, "mirosd")
    h1.run("systemctl", "start", "mirosd")

    # an upgrade under load, and back: another daemon, and nothing else
    h1.run("sed", "-i", "/^name:/d; $ a name: renamed", "/etc/mirosd/config.yaml")
    lay(h1, DROP_IN, "[Service]\nWatchdogSec=90\n")
    h1.run("systemctl", "daemon-reload")
    h1.run(*restart)
    h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "60", timeout_s=90)
    until(lambda: kept(h1)["cached"], what="h2 is in the cache")
    before = kept(h1)
    for version, folder in ((NEXT_VERSION, "/root/next"), (__version__, "/root")):
        former = h1.show("mirosd", "MainPID")
        with events_across(h1, h2):
            assert "mirosctl init" not in install(h1, folder)
            h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "60", timeout_s=90)
        assert former != h1.show("mirosd", "MainPID")
        assert version == ask(h1, "status")["version"]
        until(lambda: before == kept(h1), what="what was there")
        assert {"renamed": "alive"} == peers(h2)

    # nothing is left of it
    h1.run("rm", "-r", DROP_IN.rpartition("/")[0])
    h1.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg --purge mirosd mirosd-client 2>&1", timeout_s=120)
    # systemd's own notes and private directories of units go with the boot
    find = ["find", "/etc", "/lib", "/run", "/usr", "/var", "-xdev", "-name", "*miros*"]
    find += [
        word
        for kept in ("/var/log/*", "/run/systemd/*", "/run/credentials/*", "/var/tmp/*")
        for word in ("-not", "-path", kept)
    ]
    assert "" == h1.run(*find, check=False).stdout
    until(lambda: not h1.run("pgrep", "-fa", "mirosd", check=False).stdout, what="no process of it left")
    assert "0 unit files listed" in h1.run("systemctl", "list-unit-files", "mirosd*", check=False).stdout
