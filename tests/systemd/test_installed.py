"""The packages on two hosts with real systemd and Debian's own RabbitMQ, from installation to purge."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab.booted import ACCOUNTS, SYSTEMD, BootedHost, why_not
from tests.lab.isolation import is_inside
from tests.lab.machines import Machines
from tests.lab.waiting import until
from tests.packaging.conftest import Package, packages  # noqa: F401 -- a fixture

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
EVENTS_PER_S, UNDER_LOAD_S = 200, 8

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
    is_done.wait(120)
print(json.dumps(heard), flush=True)
"""

SENDER = f"""
import sys, time
from mirosd_client.client import Client

with Client() as client:
    client.wait_connected(30)
    print("ready", flush=True)
    for number in range({EVENTS_PER_S * UNDER_LOAD_S}):
        while not client.transmit("LOAD", number, routing_key="load.a"):
            time.sleep(0.01)
        time.sleep(1 / {EVENTS_PER_S})
    client.transmit("END", routing_key="load.a")
    assert client.wait_safe(30)
"""


@pytest.fixture
def hosts(machines: Machines, packages: dict[str, Package]) -> Iterator[dict[str, BootedHost]]:  # noqa: F811
    """Two booted hosts with nothing of mirosd but the packages, as files; RabbitMQ runs as Debian ships it."""
    machines.clean()
    booted = {name: BootedHost(machines.lan[name], is_bare=True) for name in ("h1", "h2")}
    for name in booted:
        machines.brokers[name].close()  # Debian's own takes its port
    try:
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
    """Write a file on a host that runs."""
    coded = base64.b64encode(text.encode()).decode()
    host.run("sh", "-c", f"umask 077; echo {coded} | base64 -d > {path}")


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


def install(host: BootedHost) -> str:
    """Install both packages, or install them again."""
    return host.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg --install /root/*.deb 2>&1", timeout_s=120).stdout


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


def heard_under(h1: BootedHost, h2: BootedHost, trouble: list[list[str]]) -> list[int]:
    """Give what alice's program on h2 hears of hers on h1, while h1 and h2 run these commands in turn."""
    with program(h2, RECEIVER) as receiver, program(h1, SENDER) as sender:
        for host, command in zip((h1, h2), trouble, strict=True):
            host.run(*command)
            host.run("mirosctl", "wait", "--timeout", "30")
        assert sender.wait(120) == 0
        assert receiver.stdout is not None
        heard: list[int] = json.loads(receiver.stdout.readline())
    return heard


def test_from_installation_to_purge(hosts: dict[str, BootedHost]) -> None:
    """What an administrator does in the life of a host, in this order, each step as the manual has it."""
    h1, h2 = hosts["h1"], hosts["h2"]
    for host in (h1, h2):
        assert "mirosctl init" in install(host)  # what to do next
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
    assert list(range(EVENTS_PER_S * UNDER_LOAD_S)) == heard_under(h1, h2, [restart, restart])

    # a daemon that hangs
    lay(h1, "/run/soon.conf", f"[Service]\nWatchdogSec={WATCHDOG_S}\n")
    h1.run("sh", "-c", "cd /run/systemd/system && mkdir -p mirosd.service.d && mv /run/soon.conf mirosd.service.d/")
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

    # an upgrade keeps what the operator wrote
    h1.run("sh", "-c", "echo '# mine' >> /etc/mirosd/config.yaml")
    configuration = h1.run("cat", "/etc/mirosd/config.yaml").stdout
    install(h1)
    h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "60", timeout_s=90)
    assert configuration == h1.run("cat", "/etc/mirosd/config.yaml").stdout

    # nothing is left of it
    h1.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg --purge mirosd mirosd-client 2>&1", timeout_s=120)
    # systemd's own notes and private directories of units, and the drop-in above, go with the boot
    find = ["find", "/etc", "/lib", "/run", "/usr", "/var", "-xdev", "-name", "*miros*"]
    find += [
        word
        for kept in ("/var/log/*", "/run/systemd/*", "/run/credentials/*", "/var/tmp/*")
        for word in ("-not", "-path", kept)
    ]
    assert "" == h1.run(*find, check=False).stdout
    until(lambda: not h1.run("pgrep", "-fa", "mirosd", check=False).stdout, what="no process of it left")
    assert "0 unit files listed" in h1.run("systemctl", "list-unit-files", "mirosd*", check=False).stdout
