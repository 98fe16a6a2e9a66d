"""mirosctl status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirosctl.cures import cure
from mirosctl.main import main
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon

STATUS = {
    "state": "ready",
    "reasons": [],
    "node": "0123456789abcdef0123456789abcdef",
    "name": "h1",
    "system": "default",
    "networks": ["mesh", "snoop_trace"],
    "version": "0.1.0",
    "uptime_s": 7.25,
    "broker": {"address": "127.0.0.1:5672", "state": "connected", "detail": ""},
    "clients": 2,
    "subscriptions": 3,
    "counters": {"overflow": 5, "expired": 0},
}


def test_a_ready_daemon(daemon: FakeDaemon, run: Run) -> None:
    """For people: who, where, how long, the broker, the programs, and what was counted."""
    daemon.answers["status"] = ([], STATUS)
    result = run("status")

    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "host      h1 (node 0123456789abcdef0123456789abcdef)",
        "system    default",
        "networks  mesh, snoop_trace",
        "state     ready",
        "version   0.1.0, up 7.2 s",
        "broker    127.0.0.1:5672 connected",
        "clients   2 with 3 subscriptions",
        "overflow  5",
    ]


def test_brokers_that_take_nothing(daemon: FakeDaemon, run: Run) -> None:
    """Others' are told with why and for how long; the own one is the daemon's own trouble, with its cure."""
    alarm = {"reason": "low on memory", "for_s": 12.25}
    there = {"broker": "10.0.0.7:5672", "is_own": False, "nodes": [], "is_connected": True, "pending_bytes": 4096}
    own = {**there, "broker": "127.0.0.1:5672", "is_own": True}
    daemon.answers["status"] = ([], {**STATUS, "producer_sets": [{**own, "alarm": None}, {**there, "alarm": alarm}]})
    others = run("status")
    detail = "127.0.0.1:5672 takes no messages: it is low on memory"
    broker = {"address": "127.0.0.1:5672", "state": "blocked", "detail": detail}
    reasons = [{"code": "broker", "detail": f"blocked: {detail}"}]
    sets = [{**own, "alarm": alarm}, {**there, "alarm": None}]
    daemon.answers["status"] = (
        [],
        {**STATUS, "state": "degraded", "reasons": reasons, "broker": broker, "producer_sets": sets},
    )
    ours = run("status")

    assert (0, 5) == (others.exit_code, ours.exit_code)
    assert "blocked   broker 10.0.0.7:5672 for 12 s: low on memory; 4096 bytes wait for it\n" in others.stdout
    assert f"\nbroker: blocked: {detail}\n  {cure('blocked')}\n" in ours.stdout


def test_a_degraded_daemon(daemon: FakeDaemon, run: Run) -> None:
    """Each reason is told with its cure, sorted, and the exit status is 5."""
    reasons = [{"code": "hosts_file", "detail": "line 2"}, {"code": "broker", "detail": "tcp(refused): 127.0.0.1"}]
    daemon.answers["status"] = ([], {**STATUS, "state": "degraded", "reasons": reasons})
    result = run("status")

    assert result.exit_code == 5
    assert result.stdout.partition("\n\n")[2].splitlines() == [
        "broker: tcp(refused): 127.0.0.1",
        f"  {cure('tcp(refused)')}",
        "",
        "hosts_file: line 2",
        f"  {cure('hosts_file')}",
    ]


def test_a_broker_that_is_not_there_is_told_once(daemon: FakeDaemon, run: Run) -> None:
    """The broker's own state has its cure, unless a reason has told it."""
    broker = {"address": "127.0.0.1:5672", "state": "auth", "detail": "user 'x' is refused"}
    daemon.answers["status"] = ([], {**STATUS, "state": "starting", "broker": broker})
    assert run("status").stdout.count(cure("auth")) == 1

    daemon.answers["status"] = ([], {**STATUS, "broker": broker, "reasons": [{"code": "auth", "detail": "x"}]})
    assert run("status").stdout.count(cure("auth")) == 1


def test_json_has_the_reasons_as_codes(daemon: FakeDaemon, run: Run) -> None:
    """For machines: the daemon's fields, `reasons` as a sorted list of codes, the details beside it."""
    reasons = [{"code": "hosts_file", "detail": "line 2"}, {"code": "auth", "detail": ""}]
    daemon.answers["status"] = ([], {**STATUS, "state": "degraded", "reasons": reasons})
    result = run("--json", "status")

    assert result.exit_code == 5
    assert json.loads(result.stdout) == {
        **STATUS,
        "schema": "mirosctl.status/1",
        "state": "degraded",
        "reasons": ["auth", "hosts_file"],
        "details": {"auth": "", "hosts_file": "line 2"},
    }


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_control_characters_are_replaced(daemon: FakeDaemon, run: Run, as_json: list[str]) -> None:
    """A name cannot speak to the terminal, nor to the terminal behind a JSON tool."""
    daemon.answers["status"] = ([], {**STATUS, "name": "h\x1b[2J\u202e1"})
    result = run("status", *as_json)

    assert "h\ufffd[2J\ufffd1" in (json.loads(result.stdout)["name"] if as_json else result.stdout)


@pytest.mark.parametrize(
    ("code", "like"),
    [
        ("tcp(refused)", "tcp(refused)"),
        ("broker tcp(refused)", "tcp(refused)"),
        ("broker_tcp(refused)", "tcp(refused)"),
        ("tcp(reset)", "tcp"),
    ],
)
def test_a_code_finds_its_cure(code: str, like: str) -> None:
    """A code has its own cure, or that of the stage it belongs to."""
    assert cure(code) == cure(like) != ""


@pytest.mark.parametrize("code", ["", "ok", "broker", "never heard of"])
def test_what_needs_no_cure_has_none(code: str) -> None:
    """A code without advice gets none."""
    assert cure(code) == ""


@pytest.mark.parametrize(("state", "status"), [("ready", 0), ("degraded", 5), ("starting", 1), ("stopping", 1)])
@pytest.mark.parametrize("words", [[], ["--json"], ["--quiet"]])
def test_each_state_has_its_exit_status(
    daemon: FakeDaemon, run: Run, words: list[str], state: str, status: int
) -> None:
    """Whatever is printed: monitoring looks at nothing else."""
    daemon.answers["status"] = ([], {**STATUS, "state": state})

    assert status == run("status", *words).exit_code


@pytest.mark.parametrize("words", [["--quiet"], ["-q"], ["--quiet", "--json"]])
def test_a_quiet_status_says_nothing(daemon: FakeDaemon, run: Run, words: list[str]) -> None:
    """On either stream, well or not."""
    daemon.answers["status"] = ([], {**STATUS, "state": "degraded", "reasons": [{"code": "auth", "detail": ""}]})

    assert "" == run("status", *words).output


@pytest.mark.parametrize(("words", "said"), [([], True), (["--quiet"], False)])
def test_no_daemon_is_3(tmp_path: Path, words: list[str], said: bool) -> None:
    """How to start it is told, unless nothing is to be."""
    result = CliRunner().invoke(main, ["status", *words, "--socket", str(tmp_path / "none")])

    assert (3, said) == (result.exit_code, bool(result.output))
