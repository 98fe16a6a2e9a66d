"""mirosctl metrics."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirosctl.main import main
from mirosctl.metrics_text import Exposition
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon
from tests.mirosctl.test_metrics_text import PEER, answered

OLD = "what was there\n"


def test_figures_are_printed(daemon: FakeDaemon, run: Run) -> None:
    """As text, of what the daemon answers."""
    daemon.answers["metrics"] = ([PEER], answered())
    result = run("metrics")

    assert (0, "") == (result.exit_code, result.stderr)
    assert Exposition(answered(), [PEER]).text() == result.stdout
    assert 'mirosd_peer_alive{node="' in result.stdout


def test_json_has_all_of_it(daemon: FakeDaemon, run: Run) -> None:
    """The daemon's own words, and the peers beside them."""
    daemon.answers["metrics"] = ([PEER], answered())
    result = run("metrics", "--json")

    assert {"schema": "mirosctl.metrics/1", **answered(), "peers": [PEER]} == json.loads(result.stdout)


def test_a_file_is_replaced_as_a_whole(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Who has the old one open reads it to its end; nothing lies beside it, and others may read it as any new file."""
    daemon.answers["metrics"] = ([PEER], answered())
    (folder := tmp_path / "collected").mkdir()
    path = folder / "mirosd.prom"
    path.write_text(OLD)
    umask = os.umask(0o022)
    try:
        with path.open() as old:
            result = run("metrics", "--output", str(path))
            assert OLD == old.read()
    finally:
        os.umask(umask)

    assert (0, "") == (result.exit_code, result.output)
    assert Exposition(answered(), [PEER]).text() == path.read_text()
    assert [path] == list(folder.iterdir())
    assert 0o644 == path.stat().st_mode & 0o777


def test_a_file_says_that_no_daemon_runs(tmp_path: Path) -> None:
    """Else the last figures would stand there as if all were well; the exit status tells it as well."""
    path = tmp_path / "mirosd.prom"
    path.write_text(OLD)
    result = CliRunner().invoke(main, ["metrics", "--output", str(path), "--socket", str(tmp_path / "none")])

    assert 3 == result.exit_code
    assert Exposition(None).text() == path.read_text()


def test_a_daemon_that_refuses_leaves_the_file(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """It runs: what it would have said is not known."""
    path = tmp_path / "mirosd.prom"
    path.write_text(OLD)
    daemon.answers["metrics"] = ("unknown_verb", "no verb is called 'metrics'")
    result = run("metrics", "--output", str(path))

    assert 1 == result.exit_code
    assert OLD == path.read_text()


def test_a_file_that_cannot_be_written_is_told(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """With its name and why; status 1."""
    daemon.answers["metrics"] = ([], answered())
    path = tmp_path / "nowhere" / "mirosd.prom"
    result = run("metrics", "--output", str(path))

    assert 1 == result.exit_code
    assert f"Error: {path} cannot be written: No such file or directory\n" == result.stderr


def test_a_file_in_a_file_is_told(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Where a directory should be and is none, likewise."""
    daemon.answers["metrics"] = ([], answered())
    (tmp_path / "file").touch()
    result = run("metrics", "--output", str(tmp_path / "file" / "mirosd.prom"))

    assert 1 == result.exit_code
    assert "mirosd.prom cannot be written: Not a directory" in result.stderr


def test_a_draft_that_cannot_be_put_in_place_is_taken_away(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Nothing is left where a collector looks."""
    daemon.answers["metrics"] = ([], answered())
    path = tmp_path / "collected" / "mirosd.prom"
    path.parent.mkdir()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", _refused)
        result = run("metrics", "--output", str(path))

    assert 1 == result.exit_code
    assert [] == list(path.parent.iterdir())


def _refused(_draft: Path, _path: Path) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_file_has_one_format(run: Run, tmp_path: Path) -> None:
    """--json beside --output is a mistake."""
    assert 2 == run("metrics", "--json", "--output", str(tmp_path / "mirosd.prom")).exit_code
