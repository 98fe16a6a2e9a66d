"""The broadcast ping: run once, bounded, and only a warning when it fails."""

import os
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mirosd.backends import lan_ping
from mirosd.core.lan_networks import LanNetwork
from mirosd.logs import LogOnChange
from tests.lab.waiting import until

FakePing = Callable[[str], Path]


def network(prefix: str, broadcast: str | None) -> LanNetwork:
    """Give a network as far as a ping is concerned."""
    net = ip_network(prefix)
    return LanNetwork(2, "eth0", net[1], net, ip_address(broadcast) if broadcast else None, is_swept=False)


LAN = network("10.0.0.0/24", "10.0.0.255")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePing:
    """Put a `ping` on PATH that does what a shell's line says; its arguments are in the file that is given."""
    monkeypatch.setattr(lan_ping, "_changes", LogOnChange())
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(line: str) -> Path:
        program = tmp_path / "ping"
        program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/arguments\n{line}\n')
        program.chmod(0o755)
        return tmp_path / "arguments"

    return make


@pytest.mark.parametrize("line", ["exit 0", "exit 1"], ids=["answered", "silence"])
async def test_each_ipv4_broadcast_once(fake: FakePing, line: str) -> None:
    """Once to each network's broadcast address; that nobody answers is usual."""
    arguments = fake(line)
    with capture_logs() as logs:
        await lan_ping.ping(
            [LAN, network("10.1.0.0/24", "10.1.0.255"), network("10.2.0.0/31", None), network("fe80::/64", "ff02::1")]
        )

    assert ["-b -c 1 -W 1 10.0.0.255", "-b -c 1 -W 1 10.1.0.255"] == sorted(arguments.read_text().splitlines())
    assert [] == [entry for entry in logs if entry["log_level"] != "debug"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("echo one >&2; echo 'not permitted' >&2; exit 2", "not permitted"), ("exit 3", "it ended with 3")],
    ids=["said", "unsaid"],
)
async def test_a_failure_is_one_warning(fake: FakePing, line: str, reason: str) -> None:
    """What ping says last is the reason; it is told once, not at every search."""
    fake(line)
    with capture_logs() as logs:
        await lan_ping.ping([LAN])
        await lan_ping.ping([LAN])

    assert [("ping_ended", "warning", reason)] == [(one["event"], one["log_level"], one["reason"]) for one in logs]


async def test_without_ping(fake: FakePing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has no ping is searched all the same."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with capture_logs() as logs:
        await lan_ping.ping([LAN])

    assert ["warning"] == [one["log_level"] for one in logs]


async def test_a_hanging_one_is_ended(fake: FakePing, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed when its time is over, and nothing is left of it."""
    monkeypatch.setattr(lan_ping, "BOUND_S", 0.5)
    arguments = fake("echo $$ >>$(dirname $0)/arguments; exec sleep 1000")
    with capture_logs() as logs:
        await lan_ping.ping([LAN])
    pid = int(arguments.read_text().split()[-1])

    assert ["it took more than 0.5 s"] == [one["reason"] for one in logs]
    until(lambda: not _is_there(pid), what="it is gone")


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
