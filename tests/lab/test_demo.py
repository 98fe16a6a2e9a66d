"""The demo does what it says, and leaves the machine as it was."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.mirosd import ROOT
from tests.lab.test_enter import ENTER, footprint
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that a lab within this one sees too: /run, where tests have theirs, is each lab's own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_the_demo_shows_events_crossing_and_leaves_nothing(outside: Path) -> None:
    """Exit 0, events crossed both ways, both peers tables; no process, socket, mount, namespace or file stays."""
    figures = outside / "figures.json"
    before = footprint()
    demo = subprocess.run(
        [*ENTER, sys.executable, "-m", "tests.lab.demo", "--json", str(figures)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )

    assert 0 == demo.returncode, demo.stdout + demo.stderr
    told = json.loads(figures.read_text())
    assert {"h1->h2", "h2->h1"} == told["events_crossed"].keys()
    assert all(count > 0 for count in told["events_crossed"].values())
    assert ["alive"] == [peer["state"] for peer in told["peers"]["h1"]]
    assert ["alive"] == [peer["state"] for peer in told["peers"]["h2"]]
    assert "mirosctl peers" in demo.stdout
    assert "outer->inner" in demo.stdout
    until(lambda: not footprint() - before, what="nothing is left")
