"""Output that nobody takes: no command ends with a traceback."""

import subprocess
import sys
from pathlib import Path
from typing import IO

import msgspec
import pytest

from tests.mirosctl.fake_daemon import FakeDaemon, charts_record, end_record
from tests.mirosctl.test_charts import ARCHER, B, host

CODE = "from mirosctl.main import main; main()"
CLOSING = ["bash", "-c", 'exec "$@" >&-', "bash"]


@pytest.fixture(autouse=True)
def mesh(daemon: FakeDaemon) -> None:
    """A host with a chart."""
    daemon.answers["recall"] = ([host("h2")], {"sources": 1})
    daemon.heard["recall"] = [charts_record(ARCHER), end_record(B)]


def run(
    daemon: FakeDaemon, *words: str, before: list[str] | None = None, output: IO[str] | None = None
) -> tuple[int, str]:
    """Give the exit status of a command, and what it says on stderr."""
    argv = [*(before or []), sys.executable, "-c", CODE, "--socket", daemon.path, *words]
    done = subprocess.run(argv, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


COMMANDS = [
    ["charts"],
    ["charts", "--json"],
    ["charts", "--watch"],
    ["trace", "--since", "1m", "--for", "0s", "--mermaid"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_is_an_error(daemon: FakeDaemon, words: list[str]) -> None:
    """Told in one line, with the system's reason."""
    with Path("/dev/full").open("w") as full:
        expected = 1, "Error: the output cannot be written: No space left on device\n"

        assert expected == run(daemon, *words, output=full)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_a_locale_does_not_know_are_replaced(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """By their numbers: names come from hosts whose locale knows them."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    daemon.heard["recall"] = [charts_record(msgspec.structs.replace(ARCHER, chart="弓手")), end_record(B)]
    path = tmp_path / "output"
    with path.open("w") as output:
        assert (0, "") == run(daemon, "charts", output=output)

    assert ["h2", r"\u5f13\u624b"] == path.read_text(encoding).splitlines()[1].split()[:2]


@pytest.mark.parametrize("words", [COMMANDS[0], COMMANDS[3]], ids=" ".join)
def test_closed_output_is_no_output(daemon: FakeDaemon, words: list[str]) -> None:
    """As to /dev/null."""
    assert (0, "") == run(daemon, *words, before=CLOSING)
