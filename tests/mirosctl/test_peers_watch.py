"""mirosctl peers --watch."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.waiting import until
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon
from tests.mirosctl.test_peers import peer

CODE = "from mirosctl.main import main; main()"
CHANGES = [
    {"change": "appeared", "peer": peer("h3")},
    {"change": "appeared", "peer": peer("h2", node="cd" * 16)},
    {"change": "complete"},
    {"change": "changed", "peer": peer("h3", state="failed", reason="crashed")},
    {"change": "gone", "peer": peer("h2", node="cd" * 16)},
    {"change": "appeared", "peer": peer("h\x1b4", node="ef" * 16)},
]


def bare(name: str, **fields: object) -> dict[str, object]:
    """Give a row without the stages."""
    row = peer(name, **fields)
    del row["stages"]
    return row


def test_json_is_the_table_and_then_an_object_a_line(daemon: FakeDaemon, run: Run) -> None:
    """The first line is what `peers --json` prints, sorted; each line after it is a change."""
    daemon.answers["peers_watch"] = (CHANGES, {})
    first, *changes = [json.loads(line) for line in run("peers", "--watch", "--json").stdout.splitlines()]

    assert first == {"schema": "mirosctl.peers/1", "peers": [bare("h2", node="cd" * 16), bare("h3")]}
    schema = {"schema": "mirosctl.peers.change/1"}
    assert changes == [
        {**schema, "change": "changed", "peer": bare("h3", state="failed", reason="crashed")},
        {**schema, "change": "gone", "peer": bare("h2", node="cd" * 16)},
        {**schema, "change": "appeared", "peer": bare("h\ufffd4", node="ef" * 16)},
    ]


def test_a_pipe_gets_the_table_and_then_a_line_a_change(daemon: FakeDaemon, run: Run) -> None:
    """Nothing is drawn over where there is no terminal; each change has its time."""
    daemon.answers["peers_watch"] = (CHANGES, {})
    lines = [line.split() for line in run("peers", "--watch").stdout.splitlines()]

    assert lines[:3] == [
        ["NAME", "NODE", "ADDRESS", "STATE", "NETWORKS"],
        ["h2", "cdcdcdcd", "10.0.0.7", "alive", "mesh", "snoop_trace"],
        ["h3", "89abcdef", "10.0.0.7", "alive", "mesh", "snoop_trace"],
    ]
    assert [line[1:5] for line in lines[3:]] == [
        ["changed", "h3", "89abcdef", "10.0.0.7"],
        ["gone", "h2", "cdcdcdcd", "10.0.0.7"],
        ["appeared", "h\ufffd4", "efefefef", "10.0.0.7"],
    ]
    assert all(len(line[0].split(":")) == 3 for line in lines[3:])


def test_a_watch_does_not_tell_why(run: Run) -> None:
    """Stages are no changes: wrong usage."""
    assert run("peers", "--watch", "--why").exit_code == 2


@contextmanager
def watching(daemon: FakeDaemon, output: int, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a watch that goes on, with its output to a descriptor."""
    argv = [sys.executable, "-c", CODE, "--socket", daemon.path, "peers", "--watch", *words]
    with subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_lines_come_as_they_happen_and_ctrl_c_ends_the_watch(daemon: FakeDaemon) -> None:
    """Each line is there before the next change; Ctrl-C is no error."""
    daemon.answers["peers_watch"] = (CHANGES, None)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as lines, watching(daemon, write_end, "--json") as process:
        os.close(write_end)
        first = [json.loads(lines.readline())["schema"] for _ in range(4)]
        process.send_signal(signal.SIGINT)
        status, rest = process.wait(30), lines.read()
        assert process.stderr is not None
        said = process.stderr.read()

    assert first == ["mirosctl.peers/1", *["mirosctl.peers.change/1"] * 3]
    assert (status, rest, said) == (0, "", b"")


def test_a_terminal_gets_one_table_drawn_anew(daemon: FakeDaemon) -> None:
    """On a terminal the table is redrawn in place: who is gone is not in the last one; Ctrl-C gives the cursor back."""
    daemon.answers["peers_watch"] = (CHANGES, None)
    screen, terminal = pty.openpty()
    os.set_blocking(screen, False)
    drawn = bytearray()

    def draws(text: bytes) -> bool:
        try:
            drawn.extend(os.read(screen, 65536))
        except BlockingIOError:
            pass
        return text in drawn

    with watching(daemon, terminal) as process:
        until(lambda: draws("h\ufffd4".encode()), what="the last change drawn")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        until(lambda: draws(b"\x1b[?25h"), what="the cursor shown again")
    os.close(screen)
    os.close(terminal)
    last = drawn.rpartition(b"NAME")[2]

    assert drawn.count(b"NAME") >= 4, "drawn with each change"
    assert b"h2" in drawn
    assert b"h2" not in last
    assert b"failed(crashed)" in last
    assert b"h\x1b4" not in drawn
