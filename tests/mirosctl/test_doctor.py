"""mirosctl doctor: what it asks the daemon, what is printed, and its exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mirosctl.commands import doctor
from mirosctl.main import main
from tests.mirosctl.checks.play import FakeMachine, heard, peer, status
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Have a machine that is well, wherever these tests run."""
    made = FakeMachine()
    monkeypatch.setattr(doctor, "ThisMachine", lambda: made)
    return made


@pytest.fixture
def well(daemon: FakeDaemon) -> FakeDaemon:
    """Give a daemon that is well; its counters do not rise, so it searches nothing."""
    daemon.answers |= {
        "status": ([], status()),
        "peers": ([peer("h\x1b2")], {}),
        "clients": ([], {}),
        "recce": ([{"number": 2, "state": "private_search"}, heard(node=""), heard(took_ms=2.0)], {"number": 2}),
    }
    return daemon


def rights(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, *held: str) -> None:
    """Have the daemon give rights."""
    from tests.mirosctl import fake_daemon

    welcome: Callable[..., Any] = fake_daemon.Welcome
    monkeypatch.setattr(fake_daemon, "Welcome", lambda *args: welcome(*args[:-1], list(held)))


def test_one_who_may_only_read(well: FakeDaemon, run: Run) -> None:
    """No search is asked for; names are made printable; nothing is wrong."""
    result = run("doctor")

    assert 0 == result.exit_code
    assert ["status", "peers", "clients", "status"] == [verb for verb, _ in well.asked]
    lines = result.stdout.splitlines()
    assert "ok       peers     alive: h\N{REPLACEMENT CHARACTER}2" in lines
    assert any(
        line.startswith("skipped  lan       no search was made: it needs the right to operate") for line in lines
    )
    assert "nothing is wrong" == lines[-1]


def test_one_who_operates(well: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The LAN is searched, between two looks at the counters, and what each address answered last counts."""
    rights(well, monkeypatch, "read", "transmit", "operate")
    counts = iter(({}, {"lan_sent": 18, "lan_own": 10, "lan_broadcast_answers": 9}))
    answer_to = well.answer_to

    def answering(ask: Any) -> Any:
        if ask.verb == "status":
            well.answers["status"] = ([], status(counters=next(counts)))
        return answer_to(ask)

    monkeypatch.setattr(well, "answer_to", answering)
    result = run("doctor")

    assert ["status", "recce", "peers", "clients", "status"] == [verb for verb, _ in well.asked]
    assert "ok       lan       1 host answered; own broadcasts are heard" in result.stdout.splitlines()


def test_a_search_that_is_refused(well: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's own words are the reason."""
    rights(well, monkeypatch, "read", "transmit", "operate")
    well.answers["recce"] = ("lan_off", "the search is off")

    assert "no search was made: the search is off" in run("doctor").stdout


def test_what_is_wrong_is_printed_to_be_pasted(well: FakeDaemon, run: Run) -> None:
    """Aligned; the cure beneath the cause, a command a line; exit status 5, but for warnings alone."""
    well.answers["peers"] = ([peer("h2", clock_ahead_s=90.0), peer("h3", clock_ahead_s=-3.0)], {})
    result = run("doctor")
    at = result.stdout.splitlines().index(
        "fault    clock     h2's clock is 90 s ahead of this host's: traces of both are out of order"
    )

    assert 5 == result.exit_code
    assert [
        "                   -> set the wrong one by NTP; events are delivered all the same",
        "                      timedatectl  # here and at 10.0.0.2",
        "                      sudo timedatectl set-ntp true",
        "warning  clock     h3's clock is 3 s behind this host's: times in traces differ by so much, their order holds",
    ] == result.stdout.splitlines()[at + 1 : at + 5]
    assert "1 fault, 1 warning" == result.stdout.splitlines()[-1]
    well.answers["peers"] = ([peer(clock_ahead_s=-3.0)], {})
    assert 0 == run("doctor").exit_code


def test_json(well: FakeDaemon, run: Run) -> None:
    """One object with each finding; whether all is well, as the exit status says."""
    well.answers["peers"] = ([peer(clock_ahead_s=90.0)], {})
    result = run("doctor", "--json")
    document = json.loads(result.stdout)

    assert ("mirosctl.doctor/1", False, 5) == (document["schema"], document["healthy"], result.exit_code)
    assert {
        "check": "clock",
        "level": "fault",
        "code": "clock.far",
        "cause": "h2's clock is 90 s ahead of this host's: traces of both are out of order",
        "cure": "set the wrong one by NTP; events are delivered all the same",
        "commands": ["timedatectl  # here and at 10.0.0.2", "sudo timedatectl set-ntp true"],
    } in document["checks"]


def test_no_daemon(tmp_path: Path) -> None:
    """That is a fault as others are, and not an error: what else can be seen is shown."""
    result = CliRunner().invoke(main, ["doctor", "--socket", str(tmp_path / "none")])

    assert 5 == result.exit_code
    assert f"nobody answers at {tmp_path / 'none'}" in result.stdout
    assert "" == result.stderr


def test_help() -> None:
    """With examples, as they are typed, and what the exit status says."""
    told = CliRunner().invoke(main, ["doctor", "--help"]).output

    assert 3 == sum("mirosctl doctor" in line for line in told.splitlines())
    assert "Exit status 0 when nothing is wrong" in told


@pytest.mark.parametrize("environment", [{}, {"XDG_RUNTIME_DIR": "/run/user/1"}])
def test_the_service_is_looked_for(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where nobody names a socket, why the service is not there is of interest."""
    for name in ("XDG_RUNTIME_DIR", "MIROSD_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mirosd_client.socket_path.SYSTEM_SOCKET", str(tmp_path / "none"))
    result = CliRunner(env=environment).invoke(main, ["doctor"])

    assert "sudo systemctl enable --now mirosd" in result.stdout
    assert "ok       config" in result.stdout


def test_one_who_may_not_read(daemon: FakeDaemon, run: Run) -> None:
    """The daemon's refusal is told as what would permit it."""
    daemon.answers["status"] = ("not_permitted", "`status` needs group mirosd")
    result = run("doctor")

    assert 5 == result.exit_code
    assert "sudo usermod -aG mirosd" in result.stdout
