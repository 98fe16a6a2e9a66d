"""The hosts file is followed as it is edited: nobody has to tell the daemon."""

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


def listed(daemon: Daemon) -> list[str]:
    """Give the hosts in force."""
    return sorted(row["host"] for row in daemon.ask("hosts", "list")["hosts"])


def reasons(daemon: Daemon) -> dict[str, str]:
    """Give why the daemon is degraded: code and detail."""
    details: dict[str, str] = daemon.ask("status")["details"]
    return details


def wait_listed(daemon: Daemon, *hosts: str) -> None:
    """Return when these hosts are in force, and no others."""
    until(lambda: listed(daemon) == sorted(hosts), what=f"{hosts} listed")


def alone(stage: Stage) -> Daemon:
    """Give a running daemon that lists nobody."""
    daemon = stage.daemon("h1", [])
    daemon.start()
    daemon.wait_ready()
    return daemon


def test_an_edit_is_followed_and_a_wrong_one_is_told(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A good edit makes a peer; a wrong one keeps the last good list and tells its place, until it is cured (D65)."""
    with staged(lan, brokers) as stage:
        daemon = alone(stage)
        stage.daemon("h2", ["h1"]).start()
        address = stage.lan["h2"].address
        daemon.write_hosts([address])
        stage.wait_alive("h1")

        daemon.hosts_path.write_text('{"hosts": [\n  "10.77.0.2",,\n]}')
        until(lambda: "hosts_file" in reasons(daemon), what="hosts_file")
        assert (5, [address], {"h2": "alive"}) == (
            daemon.ctl("status", check=False).returncode,
            listed(daemon),
            daemon.peers(),
        )
        assert "line 2 column 15" in reasons(daemon)["hosts_file"]

        daemon.hosts_path.write_text('{"hosts": ["10.77.0.2", "10.77.0.200"]}')
        wait_listed(daemon, address, "10.77.0.200")
        until(lambda: reasons(daemon) == {}, what="all well")


def test_a_hosts_file_that_comes_goes_and_comes_back(lan: Lan, brokers: dict[str, Broker], tmp_path: Path) -> None:
    """Without a file nobody is listed, and it is no fault; what is put there later counts, wherever it comes from."""
    with staged(lan, brokers) as stage:
        path = tmp_path / "etc" / "mirosd" / "hosts.json"
        daemon = stage.daemon("h1", [], settings={"discovery": {"hosts_file": str(path)}})
        daemon.start()
        daemon.wait_ready()
        assert [] == listed(daemon)
        path.parent.mkdir(parents=True)
        path.write_text('{"hosts": ["10.77.0.201"]}')
        wait_listed(daemon, "10.77.0.201")
        path.unlink()
        wait_listed(daemon)
        (tmp_path / "etc").rename(tmp_path / "old")
        path.parent.mkdir(parents=True)
        (tmp_path / "draft").write_text('{"hosts": ["10.77.0.202"]}')
        (tmp_path / "draft").rename(path)
        wait_listed(daemon, "10.77.0.202")

        assert {} == reasons(daemon)


def test_the_state_directorys_hosts_file_is_followed_too(lan: Lan, brokers: dict[str, Broker]) -> None:
    """What `hosts add` writes and what is written there by hand are one list."""
    with staged(lan, brokers) as stage:
        daemon = alone(stage)
        daemon.ctl("hosts", "add", "10.77.0.201")
        (daemon.host.directory / "state" / "hosts.json").write_text('{"hosts": ["10.77.0.202"]}')
        wait_listed(daemon, "10.77.0.202")
        daemon.ctl("hosts", "add", "10.77.0.203")

        assert ["10.77.0.202", "10.77.0.203"] == listed(daemon)
