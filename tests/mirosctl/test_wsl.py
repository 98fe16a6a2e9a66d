"""mirosctl recce in WSL, as far as it can be tried without a Windows: with an arp.exe of our own."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mirosctl.wsl import MAX_ADDRESSES
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

TABLE = b"""
Schnittstelle: 192.168.1.20 --- 0x5
  Internetadresse       Physische Adresse     Typ
  192.168.1.75          dc-a6-32-00-00-01     dynamisch
  192.168.1.76          dc-a6-32-00-00-02     dynamisch
  192.168.1.255         ff-ff-ff-ff-ff-ff     statisch
  224.0.0.22            01-00-5e-00-00-16     statisch

Schnittstelle: 172.20.0.1 --- 0x2a
  192.168.1.75          dc-a6-32-00-00-01     dynamisch
"""
DONE = {"number": 1, "is_complete": True, "found": 0}


@pytest.fixture
def wsl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make this host look like one of WSL's; gives the directory that is searched for programs first."""
    release = SimpleNamespace(release="5.15.167.4-microsoft-standard-WSL2")
    monkeypatch.setattr(os, "uname", lambda: release)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


def install(programs: Path, script: str) -> None:
    """Put an arp.exe there."""
    path = programs / "arp.exe"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_windows_neighbours_are_asked_too(daemon: FakeDaemon, run: Run, wsl: Path) -> None:
    """Once each, without broadcast and multicast, whatever language and code page Windows speaks."""
    (wsl / "table").write_bytes(TABLE.replace(b"Internetadresse", b"Adresse \x84\x94\x81"))
    install(wsl, f'[ "$*" = -a ] && cat {wsl}/table')
    daemon.answers["recce"] = ([], DONE)
    result = run("recce")

    assert (result.exit_code, result.stderr) == (0, "")
    assert daemon.asked[0][1]["addresses"] == ["192.168.1.75", "192.168.1.76"]


def test_a_large_table_is_cut_to_what_the_daemon_takes(daemon: FakeDaemon, run: Run, wsl: Path) -> None:
    """1,024 addresses."""
    (wsl / "table").write_text(
        "".join(f"  10.0.{n // 250}.{n % 250 + 1}  02-00-00-00-00-01 dynamic\n" for n in range(2000))
    )
    install(wsl, f"cat {wsl}/table")
    daemon.answers["recce"] = ([], DONE)
    run("recce")

    assert len(daemon.asked[0][1]["addresses"]) == MAX_ADDRESSES == 1024


@pytest.mark.parametrize("script", [None, "exit 1", "head -c 100000 /dev/urandom"])
def test_an_arp_that_fails_is_no_failure_of_the_search(
    daemon: FakeDaemon, run: Run, wsl: Path, script: str | None
) -> None:
    """The daemon searches by itself; that the program cannot be run at all is told."""
    if script is not None:
        install(wsl, script)
    daemon.answers["recce"] = ([], DONE)
    result = run("recce")

    assert result.exit_code == 0
    assert daemon.asked[0][1]["addresses"] == []
    assert ("warning: arp.exe -a cannot be run" in result.stderr) is (script is None)


def test_elsewhere_no_program_is_run(daemon: FakeDaemon, run: Run, wsl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Linux of its own the kernel's neighbours are all there is."""
    install(wsl, f"touch {wsl}/ran; cat {wsl}/table")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="6.1.0-18-amd64"))
    daemon.answers["recce"] = ([], DONE)
    run("recce")

    assert daemon.asked[0][1]["addresses"] == []
    assert not (wsl / "ran").exists()
