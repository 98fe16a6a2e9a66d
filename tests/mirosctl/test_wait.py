"""mirosctl wait."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from mirosctl.main import main
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon


def test_ready_is_0_and_silent(daemon: FakeDaemon, run: Run) -> None:
    """A mesh that is there lets the script go on."""
    daemon.answers["wait"] = ([], {"ready": True, "missing": ""})
    result = run("wait")

    assert (result.exit_code, result.output) == (0, "")
    assert daemon.asked[0][1]["peers"] is None
    assert 59 < daemon.asked[0][1]["timeout_s"] <= 60


def test_not_ready_is_1_and_says_what_is_missing(daemon: FakeDaemon, run: Run) -> None:
    """A mesh that did not come is status 1, with what is missing."""
    daemon.answers["wait"] = ([], {"ready": False, "missing": "1 of 2 peers are alive; h\x1b3 is suspect"})
    result = run("wait", "--peers", "2", "--timeout", "0.5")

    assert result.exit_code == 1
    assert result.stderr == "not ready after 0.5 s: 1 of 2 peers are alive; h\ufffd3 is suspect\n"
    assert daemon.asked[0][1]["peers"] == 2
    assert 0 < daemon.asked[0][1]["timeout_s"] <= 0.5


def test_json_has_the_verdict(daemon: FakeDaemon, run: Run) -> None:
    """For machines: ready or not, and what is missing; the exit status is the same."""
    daemon.answers["wait"] = ([], {"ready": False, "missing": "all"})
    result = run("wait", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"schema": "mirosctl.wait/1", "ready": False, "missing": "all"}


def test_a_daemon_may_start_later(tmp_path: Path) -> None:
    """A daemon that goes away while a script waits, or is not there yet, may come within the time."""
    path = tmp_path / "mirosd.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
        old.listen()
        waiting = subprocess.Popen(
            [sys.executable, "-c", "from mirosctl.main import main; main()", "wait", "--socket", str(path)]
        )
        old.accept()[0].close()
    path.unlink()
    with waiting, FakeDaemon(path, {"wait": ([], {"ready": True, "missing": ""})}):
        assert waiting.wait(30) == 0


def test_no_daemon_in_time_is_3(tmp_path: Path) -> None:
    """When no daemon came, the status says so, and not that the mesh is incomplete."""
    result = CliRunner().invoke(main, ["wait", "--timeout", "0", "--socket", str(tmp_path / "none")])

    assert result.exit_code == 3
    assert "systemctl start mirosd" in result.stderr


def test_a_refusal_ends_the_waiting(daemon: FakeDaemon, run: Run) -> None:
    """A refusal of the daemon ends the waiting at once, with its own text."""
    daemon.answers["wait"] = ("stopping", "the daemon stops")
    result = run("wait")

    assert (result.exit_code, result.stderr) == (1, "Error: the daemon stops\n")
    assert len(daemon.asked) == 1
