"""The example programs, run as a user runs them, against a fake daemon."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosd_client.record import Record
from mirosd_client.snoop_line import LINES_SIGNAL
from tests.client.fake_daemon import FakeDaemon, Link, record, until

ROOT = Path(__file__).parents[2]
TRACE = re.compile(
    r"^ \[\+t\] \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\] \[\x1b\[34m(\w+)\x1b\[0m\] e->(\w+)\(\) (\w+)->(\w+)$"
)


def talk(link: Link) -> list[Record]:
    """Give the events that came in, without the lines of the trace."""
    return [r for r in link.records if r.signal != LINES_SIGNAL]


@contextlib.contextmanager
def started(program: str, daemon: FakeDaemon, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start an example in the fast mode; it is gone when the test is over."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", f"examples/{program}.py", "--fast", *options],
        env={**os.environ, "MIROSD_SOCKET": str(daemon.path)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("program", ["networked_active_object", "networked_factory", "horse_archer"])
def test_help_has_the_picture_of_the_chart(program: str) -> None:
    """As it stands above the program, line by line."""
    argv = [sys.executable, f"examples/{program}.py", "--help"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    picture = (ROOT / "examples" / f"{program}.py").read_text().split('"""')[1].strip()

    assert picture in said


@pytest.mark.parametrize(("program", "suffix"), [("networked_active_object", "ao"), ("networked_factory", "fo")])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_example_talks_follows_and_ends_cleanly(
    daemon: FakeDaemon, tmp_path: Path, program: str, suffix: str, stop: signal.Signals
) -> None:
    """It transmits both of its signals, follows another chart, prints its trace, and writes its figures."""
    daemon.settles = True
    figures = tmp_path / "figures.json"
    with started(program, daemon, "--seconds", "60", "--json", str(figures)) as running:
        link = daemon.link
        until(lambda: link.subscribes)
        until(lambda: [r for r in talk(link) if r.signal == "other_to_inner"], "its own way in")
        name = json.loads(talk(link)[0].payload)
        for n in range(3):  # whatever its state, it is made to go in once
            link.deliver(
                link.subscribes[0].subscription, n + 1, record(n + 1, f"other_to_{('outer', 'inner')[n % 2]}", b'"x"')
            )
        until(lambda: link.acks and link.acks[-1].tag == 3)
        until(lambda: len(talk(link)) >= 4)
        running.send_signal(stop)
        out, err = running.communicate(timeout=60)

    assert (running.returncode, err) == (0, "")
    assert re.fullmatch(rf"[0-9a-f]{{5}}_{suffix}", name)
    moves = [TRACE.match(line) for line in out.splitlines() if line]
    assert all(moves), out
    assert {move[1] for move in moves if move} == {name}
    assert {(move[3], move[4]) for move in moves if move} >= {("top", "outer"), ("outer", "inner"), ("inner", "outer")}
    assert "other_to_inner" in {move[2] for move in moves if move}
    counts = json.loads(figures.read_text())
    assert counts == {"chart": name, "transmitted": len(talk(link)), "received": 3, "received_from_other": 3}
    assert (link.subscribes[0].binding_key, link.events[0].routing_key) == ("#.man", "heya.man")


def test_an_example_ends_by_itself(daemon: FakeDaemon) -> None:
    """After its seconds it is over."""
    with started("networked_factory", daemon, "--seconds", "0.5") as running:
        out, _ = running.communicate(timeout=60)

    assert running.returncode == 0
    assert "top->outer" in out
