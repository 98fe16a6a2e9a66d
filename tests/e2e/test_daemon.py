"""The daemon's own life: starting without a broker, reloading, stopping, and what it refuses to start on."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import staged
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, Broker
from tests.lab.mirosd import MESH_KEY, ROOT
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


def test_it_is_useful_without_a_broker_and_connects_when_it_comes(lan: Lan, brokers: dict[str, Broker]) -> None:
    """With its broker down the daemon is degraded, says why, exits 5 from status; when the broker comes it is ready."""
    with staged(lan, brokers) as stage:
        stage.brokers["h1"].stop()
        daemon = stage.daemon("h1", [])
        daemon.start()
        until(lambda: daemon.ctl("status", check=False).returncode == 5, what="degraded")
        status = daemon.ask("status")

        assert ("degraded", ["broker"]) == (status["state"], status["reasons"])
        assert "tcp(refused)" == status["broker"]["state"]
        assert "5672" in daemon.ctl("status", check=False).stdout

        stage.brokers["h1"].start()
        daemon.wait_ready(60)

        assert [] == daemon.ask("status")["reasons"]
        assert 1 == daemon.log().count('"broker_unavailable"')


def test_guest_from_another_host_is_told(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A daemon that uses `guest` towards a broker that is not on loopback says so, and what to do."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [], settings={"broker": {"user": "guest", "password": "guest"}})
        daemon.start()
        until(lambda: daemon.ask("status")["broker"]["state"] == "guest_remote", what="guest_remote")

        assert "guest" in daemon.ctl("status", check=False).stdout


def test_a_new_key_takes_a_restart_and_nothing_of_a_program(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Both hosts get another key file: once their daemons are restarted, what programs say crosses again (D39)."""
    with staged(lan, brokers) as stage:
        for name, other in (("h1", "h2"), ("h2", "h1")):
            stage.daemon(name, [other]).start()
        stage.wait_alive("h1")
        sender, receiver = stage.actor("h1", "sender", rx="nothing"), stage.actor("h2", "receiver")
        assert receiver.do("wait_subscribed")["subscribed"]
        sender.do("send", count=10)
        until(lambda: receiver.numbers("sender") == list(range(1, 11)), what="events under the old key")
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        for daemon in stage.daemons.values():
            daemon.config_path.with_name("mesh.key").write_text(key + "\n")
            daemon.stop()
            daemon.start()
        stage.wait_alive("h1")
        until(lambda: receiver.do("wait_subscribed")["subscribed"], what="subscribed again")
        sender.do("send", count=10)
        until(lambda: receiver.numbers("sender") == list(range(1, 21)), what="events under the new key")


def test_wrong_clocks_are_told(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A peer whose wall clock is five minutes off makes the status say clock_skew; events still cross."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"], settings={"clock": {"offset_s": 300}}).start()
        stage.wait_alive("h1")
        until(lambda: "clock_skew" in stage.daemons["h1"].ask("status")["reasons"], what="clock_skew")


def test_a_reload_reads_the_hosts_file(lan: Lan, brokers: dict[str, Broker]) -> None:
    """SIGHUP and `hosts reload` take an edited hosts file into force; a wrong one leaves the last good one."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [])
        daemon.start()
        stage.daemon("h2", ["h1"]).start()
        daemon.wait_ready()
        daemon.write_hosts([stage.lan["h2"].address])
        os.kill(daemon.pid, signal.SIGHUP)
        stage.wait_alive("h1")
        daemon.hosts_path.write_text('{"hosts": [,]}')
        daemon.ctl("hosts", "reload")
        until(lambda: "hosts_file" in daemon.ask("status")["reasons"], what="hosts_file")

        assert "line 1" in daemon.ctl("status", check=False).stdout
        assert {"h2": "alive"} == daemon.peers()


def test_hosts_are_added_and_removed_by_hand(lan: Lan, brokers: dict[str, Broker]) -> None:
    """`hosts add` makes a peer and outlives a restart; `hosts remove` takes it off the list."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [])
        daemon.start()
        stage.daemon("h2", ["h1"]).start()
        daemon.wait_ready()
        daemon.ctl("hosts", "add", stage.lan["h2"].address)
        stage.wait_alive("h1")
        assert 0 == daemon.stop()
        daemon.start()
        stage.wait_alive("h1")
        daemon.ctl("hosts", "remove", stage.lan["h2"].address)

        assert [] == daemon.ask("hosts", "list")["hosts"]
        refused = daemon.ctl("hosts", "add", "not a host", check=False)
        assert refused.returncode in {1, 2}
        assert "host" in refused.stderr


def test_a_second_daemon_is_refused(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A stale socket file is taken over; a second daemon on one state directory does not start, and says why."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [])
        daemon.host.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(daemon.host.socket))
        daemon.start()
        daemon.wait_ready()
        second = daemon.host.run(
            [sys.executable, "-m", "mirosd.main", "--config", str(daemon.config_path)],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"},
            check=False,
        )

        assert 1 == second.returncode
        assert str(daemon.host.directory / "state") in second.stderr
        assert "ready" == daemon.ask("status")["state"]


def test_it_stops_in_order(lan: Lan, brokers: dict[str, Broker]) -> None:
    """SIGTERM ends it with status 0, its socket file is gone, and its peer says `left` (D48, D49)."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        daemon = stage.daemon("h2", ["h1"])
        daemon.start()
        stage.wait_alive("h1")

        assert 0 == daemon.stop()
        assert not daemon.host.socket.exists()
        until(lambda: stage.daemons["h1"].peers() == {"h2": "left"}, what="left")
        assert 3 == daemon.ctl("status", check=False).returncode

        daemon.start()
        stage.wait_alive("h1")


def test_a_killed_daemon_is_seen_and_comes_back(lan: Lan, brokers: dict[str, Broker]) -> None:
    """After kill -9 the peer is failed, crashed; a new start is the same node, one start later (D47)."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        daemon = stage.daemon("h2", ["h1"])
        daemon.start()
        stage.wait_alive("h1")
        node = daemon.ask("status")["node"]
        daemon.kill()
        until(
            lambda: (
                [(p["state"], p["reason"]) for p in stage.daemons["h1"].ask("peers")["peers"]]
                == [("failed", "crashed")]
            ),
            what="failed(crashed)",
        )
        daemon.start()
        stage.wait_alive("h1")

        assert node == daemon.ask("status")["node"]
        assert 1 == len(stage.daemons["h1"].peers())


def test_systemd_hears_of_it(lan: Lan, brokers: dict[str, Broker], tmp_path: Path) -> None:
    """Run by systemd it says READY=1 once it serves, and STOPPING=1 when told to stop."""
    with staged(lan, brokers) as stage, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(30)
        daemon = stage.daemon("h1", [])
        process = daemon.host.popen(
            [sys.executable, "-m", "mirosd.main", "--config", str(daemon.config_path)],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}", "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )
        heard = b""
        while b"READY=1" not in heard:
            heard += notify.recv(4096)
        process.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in heard:
            heard += notify.recv(4096)

        assert 0 == process.wait(30)


def test_check_tells_every_fault(tmp_path: Path) -> None:
    """`mirosd --check` prints configuration OK, or every fault with its line and the nearest name, and exits 0 or 2."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text((ROOT / "config.example.yaml").read_text())
    bad.write_text("sytem: mine\nbroker:\n  url: amqp://me:secret@h\n")

    def check(path: Path) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "mirosd.main", "--check", "--config", str(path)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)

    assert (0, "configuration OK\n") == (check(good).returncode, check(good).stdout)
    assert 2 == check(bad).returncode
    for words in ("line 1", "system", "line 3", "broker.url"):
        assert words in check(bad).stderr
    assert "secret" not in check(bad).stderr
    assert 2 == check(tmp_path / "none.yaml").returncode


def test_logs_are_json_and_hold_no_secret(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Every log line of a daemon with peers is JSON, and none holds a password or key (D53)."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"], settings={"log": {"level": "debug"}}).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        lines = stage.daemons["h1"].log().splitlines()

        assert all("event" in json.loads(line) for line in lines)
        assert not any(secret in line for line in lines for secret in (PASSWORD, PEERS_PASSWORD, MESH_KEY))
