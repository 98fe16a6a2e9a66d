"""mirosctl recce."""

import json
import os
import pty
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from mirosctl.commands.recce import SILENCE
from mirosctl.cures import cure
from tests.lab.waiting import until
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

ERASE_LINE = b"\x1b[2K"
CODE = "from mirosctl.main import main; main()"


def row(address: str, **fields: Any) -> dict[str, Any]:
    """Give a row of a search: an address without a sign of life unless told otherwise."""
    nothing = {"neighbour": "dead", "mac": "", "node": "", "name": "", "verdict": "", "took_ms": None}
    return {"address": address, **nothing, **fields}


H2 = row("10.0.0.7", neighbour="alive", mac="02:00:00:00:00:07", node="ab" * 16, took_ms=0.42)
PROVED = {**H2, "name": "h2", "verdict": "proved"}
STRANGER = row("10.0.0.20", neighbour="stale", mac="02:00:00:00:00:20", verdict="silent")
NOBODY = row("10.0.0.9", verdict="nobody there")
UNKNOWN = row("10.0.0.8", neighbour="unknown", verdict="asked")
ANSWERED = row("10.0.0.30", neighbour="unknown", node="cd" * 16, took_ms=1.0)
REFUSED = row("fe80::1%eth0", verdict="auth")
SEARCH = [
    {"number": 4, "state": "fill_arp_table"},
    STRANGER,
    NOBODY,
    UNKNOWN,
    {"number": 4, "state": "fill_arp_table"},
    H2,
    {"number": 4, "state": "recce_rabbit_consumers"},
    ANSWERED,
    REFUSED,
    {"number": 4, "state": "recce_rabbit_consumers"},
    PROVED,
    {"number": 4, "state": "private_search"},
]
STATES = sum("state" in row for row in SEARCH)
DONE = {"number": 4, "is_complete": True, "found": 1}


@pytest.fixture(autouse=True)
def a_linux_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever these tests run, nobody asks a Windows (test_wsl.py does)."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="6.1.0-18-amd64"))


def lines(result: Result) -> list[str]:
    """Give what was printed, each run of spaces as one."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_search_ends_with_what_each_address_answered(daemon: FakeDaemon, run: Run) -> None:
    """Sorted as numbers, each as it was last, with the cures of what failed; who gave no sign is counted."""
    daemon.answers["recce"] = (SEARCH, DONE)
    result = run("recce")

    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result) == [
        "ADDRESS NEIGHBOUR MAC WHO VERDICT MS",
        "10.0.0.7 alive 02:00:00:00:00:07 h2 proved 0.4",
        "10.0.0.20 stale 02:00:00:00:00:20 - silent -",
        "10.0.0.30 unknown - cdcdcdcd - 1.0",
        "fe80::1%eth0 dead - - auth -",
        "",
        f"auth: {cure('auth')}",
        f"silent: {SILENCE}",
        "found 1 host; 2 addresses gave no sign of life (--all shows them)",
    ]
    assert daemon.asked == [("recce", {"addresses": [], "timeout_s": 30.0})]


def test_another_search_sees_the_lan_anew(daemon: FakeDaemon, run: Run) -> None:
    """What only the one before it saw is not shown; the daemon tells all that the last one saw."""
    later = {**DONE, "number": 5}
    daemon.answers["recce"] = ([*SEARCH, {"number": 5, "state": "fill_arp_table"}, STRANGER, PROVED], later)

    assert [line.split()[0] for line in lines(run("recce"))[1:3]] == ["10.0.0.7", "10.0.0.20"]
    assert lines(run("recce"))[-1] == "found 1 host"


def test_all_shows_who_gave_no_sign(daemon: FakeDaemon, run: Run) -> None:
    """Every address that was searched."""
    daemon.answers["recce"] = (SEARCH, DONE)
    shown = lines(run("recce", "--all"))

    addresses = ["10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.20", "10.0.0.30", "fe80::1%eth0"]

    assert [line.split()[0] for line in shown[1:7]] == addresses
    assert shown[-1] == "found 1 host"


def test_nobody_on_the_lan(daemon: FakeDaemon, run: Run) -> None:
    """No table, and no failure."""
    daemon.answers["recce"] = ([NOBODY], {**DONE, "found": 0})
    result = run("recce")

    assert result.exit_code == 0
    assert lines(result) == ["found 0 hosts; 1 address gave no sign of life (--all shows them)"]


def test_json_has_every_address(daemon: FakeDaemon, run: Run) -> None:
    """For machines: one object at the end, sorted."""
    daemon.answers["recce"] = (SEARCH, DONE)

    assert json.loads(run("recce", "--json").stdout) == {
        "schema": "mirosctl.recce/1",
        "number": 4,
        "complete": True,
        "found": 1,
        "addresses": [PROVED, UNKNOWN, NOBODY, STRANGER, ANSWERED, REFUSED],
    }


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_search_that_is_not_over_in_time_is_1(daemon: FakeDaemon, run: Run, as_json: list[str]) -> None:
    """What was seen until then is shown all the same."""
    daemon.answers["recce"] = ([PROVED], {**DONE, "is_complete": False})
    result = run("recce", "--timeout", "2.5", *as_json)

    assert result.exit_code == 1
    assert daemon.asked[0][1]["timeout_s"] == 2.5
    if as_json:
        assert (json.loads(result.stdout)["complete"], result.stderr) == (False, "")
    else:
        assert "10.0.0.7" in result.stdout
        assert result.stderr == "the search was not over after 2.5 s\n"


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_the_lan_says_cannot_move_the_cursor(daemon: FakeDaemon, run: Run, as_json: list[str]) -> None:
    """Names and verdicts come from other hosts."""
    hostile = {**PROVED, "name": "h\x1b[2J", "mac": "\x07", "verdict": "\u202ex"}
    daemon.answers["recce"] = ([{"number": 4, "state": "\x1b"}, hostile], DONE)
    stdout = run("recce", *as_json).stdout

    assert all(char.isprintable() or char == "\n" for char in stdout)
    assert "h\ufffd[2J" in (json.dumps(json.loads(stdout), ensure_ascii=False) if as_json else stdout)


def test_where_the_search_is_off_it_is_said_what_to_set(daemon: FakeDaemon, run: Run) -> None:
    """Exit status 1, with the daemon's advice."""
    daemon.answers["recce"] = ("lan_off", "set `discovery.lan.enabled: true`")
    result = run("recce")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: set `discovery.lan.enabled: true`\n"


def test_a_terminal_sees_the_search_as_it_goes(daemon: FakeDaemon) -> None:
    """The table with the phase beneath it, drawn again with what changes; at the end the last one stays alone."""
    daemon.answers["recce"] = (SEARCH, DONE)
    screen, terminal = pty.openpty()
    os.set_blocking(screen, False)
    drawn = bytearray()

    def draws(text: bytes) -> bool:
        try:
            drawn.extend(os.read(screen, 65536))
        except BlockingIOError:
            pass
        return text in drawn

    argv = [sys.executable, "-c", CODE, "--socket", daemon.path, "recce"]
    with subprocess.Popen(argv, stdout=terminal, stderr=subprocess.PIPE, env=os.environ | {"TERM": "xterm"}) as process:
        until(lambda: draws(b"found 1 host"), what="the end of the search")
        assert process.wait(30) == 0
    os.close(screen)
    os.close(terminal)
    before, passing, last = drawn.rsplit(b"ADDRESS", 2)

    assert before.index(b"asking the LAN") < before.index(b"scouting who answered")
    assert before.count(b"ADDRESS") >= STATES - 1, "drawn with each change"
    assert ERASE_LINE in passing, "the last one that was drawn meanwhile is gone"
    assert b"proved" in last
    assert b"scouting" not in last
    assert b"10.0.0.9" not in drawn
