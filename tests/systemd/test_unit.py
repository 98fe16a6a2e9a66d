"""The shipped unit under real systemd, in its own sandbox, on two hosts that nobody told of each other."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.booted import ACCOUNTS, BootedHost, why_not
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER, Broker
from tests.lab.isolation import is_inside
from tests.lab.machines import Machines
from tests.lab.mirosd import MESH_KEY
from tests.lab.waiting import until

REASON = why_not() if is_inside() else ""
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(REASON), reason=REASON)]

WATCHDOG_S = 6
"""Of the test, which waits for it: long enough for a loop on a loaded machine, a fifth of the unit's."""


@pytest.fixture(scope="module")
def pair(machines: Machines) -> Iterator[dict[str, BootedHost]]:
    """Two booted hosts, each with the unit and a broker beside it."""
    machines.clean()
    hosts = {name: BootedHost(machines.lan[name]) for name in ("h1", "h2")}
    try:
        for name, booted in hosts.items():
            install(booted, machines.brokers[name])
            booted.start()
        for booted in hosts.values():
            booted.wait_booted()
        yield hosts
    finally:
        for booted in hosts.values():
            booted.close()
        machines.clean()


@pytest.fixture
def h1(pair: dict[str, BootedHost]) -> BootedHost:
    """A host whose daemon runs."""
    return started(pair["h1"])


@pytest.fixture
def h2(pair: dict[str, BootedHost]) -> BootedHost:
    """Another one."""
    return started(pair["h2"])


def install(booted: BootedHost, broker: Broker) -> None:
    """Lay down what an administrator would; the mesh key is a file on the one host, a credential on the other."""
    config = {
        "name": broker.host.name,
        "broker": {"url": broker.url(), "user": USER, "password": PASSWORD},
        "peers": {"user": PEERS_USER, "password": PEERS_PASSWORD},
    }
    booted.write("/etc/mirosd/config.yaml", yaml.safe_dump(config), 0o640, "mirosd")
    if broker.host.name == "h1":
        booted.write("/etc/mirosd/keys/mesh.key", MESH_KEY, 0o640, "mirosd")
    else:
        booted.write("/etc/credstore/mirosd.mesh.key", MESH_KEY, 0o600)


def started(booted: BootedHost) -> BootedHost:
    """Have the service started and ready."""
    booted.run("systemctl", "reset-failed")
    booted.run("systemctl", "start", "mirosd")
    booted.run("mirosctl", "wait", "--timeout", "30")
    return booted


def ask(booted: BootedHost, *words: str) -> dict[str, Any]:
    """Give what mirosctl prints as JSON."""
    answer: dict[str, Any] = json.loads(booted.run("mirosctl", *words, "--json").stdout)
    return answer


def service(booted: BootedHost) -> dict[str, str]:
    """Give how systemd sees the daemon."""
    return booted.show("mirosd", "ActiveState", "MainPID", "NRestarts", "StatusText", "Result")


def fed(booted: BootedHost) -> int:
    """Give when the daemon's last keep-alive came, by the clock of systemd."""
    return int(booted.show("mirosd", "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])


def entries(booted: BootedHost, *matches: str) -> list[dict[str, str]]:
    """Give the entries of the journal that match."""
    shown = booted.run("journalctl", "--output=json", "--no-pager", *matches, check=False).stdout
    return [json.loads(line) for line in shown.splitlines()]


def peers(booted: BootedHost) -> dict[str, str]:
    """Give the state of each peer by its name."""
    return {peer["name"]: peer["state"] for peer in ask(booted, "peers")["peers"]}


def test_two_hosts_find_each_other_in_the_sandbox(h1: BootedHost, h2: BootedHost) -> None:
    """Without a hosts file each finds the other on the LAN, and `systemctl status` says so."""
    for booted in (h1, h2):
        booted.run("mirosctl", "wait", "--peers", "1", "--timeout", "30")

    until(lambda: service(h1)["StatusText"] == "ready; 1 of 1 peers alive", what="the status line")
    assert {"h2": "alive"} == peers(h1)
    assert {"h1": "alive"} == peers(h2)


def test_programs_that_need_peers_are_started_when_there_are_some(h1: BootedHost, h2: BootedHost) -> None:
    """mirosd-online.target is reached once a peer is alive, and is left when the daemon stops."""
    h1.run("systemctl", "start", "mirosd-online.target")

    assert "alive" == peers(h1)["h2"]
    assert "active" == h1.show("mirosd-online.target", "ActiveState")["ActiveState"]

    h1.run("systemctl", "stop", "mirosd")

    assert "inactive" == h1.show("mirosd-online.target", "ActiveState")["ActiveState"]


def test_the_journal_has_fields(h1: BootedHost, h2: BootedHost) -> None:
    """What was logged of one peer is found by its name, with the priority of its level."""
    h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "30")
    alive = until(lambda: entries(h1, "MIROSD_PEER=h2", "MIROSD_STATE=alive"), what="the entry")[-1]

    assert ("6", "peer_changed", "mirosd", "mirosd.service") == tuple(
        alive[name] for name in ("PRIORITY", "MIROSD_EVENT", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT")
    )
    assert alive["MESSAGE"].startswith("peer_changed peer=h2 node=")


def test_why_it_cannot_start_is_an_error(h1: BootedHost) -> None:
    """Each line that a wrong configuration is told with is found by `journalctl -p err`."""
    h1.run("systemctl", "stop", "mirosd")
    h1.run("sed", "-i.right", "1 i sytem: mine", "/etc/mirosd/config.yaml")
    try:
        assert h1.run("systemctl", "start", "mirosd", check=False).returncode
    finally:
        h1.run("mv", "/etc/mirosd/config.yaml.right", "/etc/mirosd/config.yaml")
    said = [entry["MESSAGE"] for entry in entries(h1, "--priority=err", "SYSLOG_IDENTIFIER=mirosd")]

    assert "/etc/mirosd/config.yaml:" in said
    assert any("line 1: sytem" in line for line in said)


def test_a_lost_link_is_no_error(h1: BootedHost, machines: Machines) -> None:
    """The daemon connects again by itself, and says so: nothing of that calls for anybody."""
    of_this_run = f"_PID={service(h1)['MainPID']}"
    machines.brokers["h1"].cut_connections()
    until(lambda: entries(h1, of_this_run, "MIROSD_EVENT=broker_unavailable"), what="the loss")
    h1.run("mirosctl", "wait", "--timeout", "30")

    assert [] == [entry["MESSAGE"] for entry in entries(h1, of_this_run, "--priority=err")]
    assert {"state_changed", "peer_changed"} >= {
        entry["MIROSD_EVENT"] for entry in entries(h1, of_this_run, "--priority=warning")
    }


def test_nothing_secret_comes_into_the_journal(h1: BootedHost, h2: BootedHost) -> None:
    """Neither the mesh key nor a password, at the level that tells most."""
    h1.run("sed", "-i", "$ a log: {level: debug}", "/etc/mirosd/config.yaml")
    h1.run("systemctl", "restart", "mirosd")
    h1.run("mirosctl", "wait", "--peers", "1", "--timeout", "30")
    until(lambda: entries(h1, "MIROSD_EVENT=peer_changed"), what="an entry")
    told = h1.run("journalctl", "--output=export", "--no-pager").stdout

    assert [] == [secret for secret in (MESH_KEY, PASSWORD, PEERS_PASSWORD) if secret in told]


def test_a_daemon_that_hangs_is_ended_and_started_anew(h1: BootedHost) -> None:
    """The watchdog is fed, and ends a stopped daemon; the journal tells where it was; the new one is ready."""
    dropin = "/run/systemd/system/mirosd.service.d/soon.conf"
    h1.run("mkdir", "-p", str(Path(dropin).parent))
    h1.run("sh", "-c", f"printf '[Service]\\nWatchdogSec={WATCHDOG_S}\\n' >{dropin}")
    h1.run("systemctl", "daemon-reload")
    h1.run("systemctl", "restart", "mirosd")
    before, fed_at = service(h1), fed(h1)
    try:
        until(lambda: fed(h1) > fed_at, what="a keep-alive")
        h1.run("kill", "-STOP", before["MainPID"])
        until(lambda: service(h1)["NRestarts"] > before["NRestarts"], 60.0, "the watchdog bit")
        until(lambda: service(h1)["ActiveState"] == "active", 60.0, "the daemon is back")
    finally:
        h1.run("rm", dropin)
        h1.run("systemctl", "daemon-reload")
    h1.run("mirosctl", "wait", "--timeout", "30")
    said = [entry["MESSAGE"] for entry in entries(h1, "--unit=mirosd")]

    assert service(h1)["MainPID"] != before["MainPID"]
    assert any("Watchdog timeout" in line for line in said)
    assert "Fatal Python error: Aborted" in said


def test_what_was_stopped_stays_stopped(h1: BootedHost, h2: BootedHost) -> None:
    """Programs that keep connecting do not start the daemon again; the other host is told that it left."""
    h2.run("mirosctl", "wait", "--peers", "1", "--timeout", "30")
    h1.run("systemctl", "stop", "mirosd")
    until(lambda: peers(h2) == {"h1": "left"}, what="h2 hears of it")
    for _ in range(3):
        knocked = h1.run("mirosctl", "wait", "--timeout", "0.5", user="alice", check=False)
        assert knocked.returncode == 3, knocked

    assert ("inactive", "success") == tuple(service(h1)[name] for name in ("ActiveState", "Result"))


def test_a_restart_keeps_who_the_host_is(h1: BootedHost) -> None:
    """Another process with the same node, and systemd had nothing to restart by itself."""
    before, node = service(h1), ask(h1, "status")["node"]
    h1.run("systemctl", "restart", "mirosd")
    h1.run("mirosctl", "wait", "--timeout", "30")
    after = service(h1)

    assert node == ask(h1, "status")["node"]
    assert after["MainPID"] != before["MainPID"]
    assert after["Result"] == "success"


def test_a_reload_is_the_same_process(h1: BootedHost) -> None:
    """`systemctl reload` has the configuration read again, and the daemon is active all the while."""
    before = service(h1)
    h1.run("systemctl", "reload", "mirosd")
    until(lambda: entries(h1, "MIROSD_EVENT=reloaded", f"_PID={before['MainPID']}"), what="the reload")

    assert {**before, "StatusText": ""} == {**service(h1), "StatusText": ""}


def test_the_daemon_knows_who_is_at_its_socket(h1: BootedHost) -> None:
    """alice comes in by her second group and is seen as herself; bob, who is in none, is not let in."""
    program = subprocess.Popen(
        h1.command("lab-python", "-m", "tests.e2e.actor", "seen", "--tx", "a.b", "--rx", "a.#", user="alice"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdin and program.stdout
        program.stdin.write('{"do": "wait_subscribed"}\n')
        program.stdin.flush()
        assert ['{"started": true}\n', '{"subscribed": true}\n'] == [program.stdout.readline() for _ in range(2)]
        seen = [(row["uid"], row["user"], row["rights"]) for row in ask(h1, "clients")["clients"] if row["charts"]]
    finally:
        program.kill()
        program.communicate()
    refused = h1.run("mirosctl", "status", user="bob", check=False)

    assert [(ACCOUNTS["alice"], "alice", ["read", "transmit"])] == seen
    assert refused.returncode == 4, refused
