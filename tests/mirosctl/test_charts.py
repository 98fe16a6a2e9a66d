"""mirosctl charts."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from mirosctl.commands import charts as command
from mirosctl.main import main
from mirosd_client.chart_row import ChartRow
from tests.lab.waiting import until
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon, charts_record, end_record

CODE = "from mirosctl.main import main; main()"
A, B, D = "aa" * 16, "bb" * 16, "dd" * 16
ARCHER = ChartRow(
    host="h2",
    client=B,
    number=1,
    chart="archer",
    program="battle.py",
    pid=77,
    state="skirmishing",
    since_s=3.14,
    queue=2,
    signal="Advance",
    handled=41,
    receives="archer.*",
)
ENDED = ChartRow(host="h1", client=A, number=2, chart="zulu", state="done", is_running=False, program="x")
NEW = ChartRow(host="h1", client=A, number=1, chart="archer")
PEERS = ChartRow(host="h2", client=D, number=1, chart="peers", state="serving", program="mirosd", handled=7)


def host(name: str, sources: int = 1, refused: str = "") -> dict[str, Any]:
    """Give what one host answers to a recall."""
    return {"host": name, "node": name * 16, "sources": sources, "refused": refused}


@pytest.fixture
def mesh(daemon: FakeDaemon) -> FakeDaemon:
    """Two hosts with three programs, whose answers cross."""
    daemon.answers["recall"] = ([host("h1"), host("h2", 2)], {"sources": 3})
    daemon.heard["recall"] = [
        charts_record(PEERS),
        charts_record(ENDED, NEW),
        end_record(A, "h1", 2),
        end_record(D, "h2", 1),
        charts_record(ARCHER),
        end_record(B, "h2", 1),
    ]
    return daemon


def test_each_chart_has_a_line(mesh: FakeDaemon, run: Run) -> None:
    """Sorted by host and name, the daemons' own among them; all hosts are asked, and the queue is given back."""
    result = run("charts")
    lines = [line.split() for line in result.stdout.splitlines()]

    assert lines == [
        ["HOST", "CHART", "STATE", "FOR", "QUEUE", "LAST", "EVENT", "HANDLED", "PROGRAM"],
        ["h1", "archer", "-", "-", "0", "-", "0", "-"],
        ["h1", "zulu", "done", "(ended)", "0.0", "s", "0", "-", "0", "x"],
        ["h2", "archer", "skirmishing", "3.1", "s", "2", "Advance", "41", "battle.py"],
        ["h2", "peers", "serving", "0.0", "s", "0", "-", "7", "mirosd"],
    ]
    assert (0, "") == (result.exit_code, result.stderr)
    ((verb, args),) = mesh.asked
    assert (verb, args["what"], args["network"]) == ("recall", "charts", "snoop_trace")
    assert args["hosts"] == args["charts"] == args["signals"] == []


def test_trouble_has_columns_where_there_is_any(mesh: FakeDaemon, run: Run) -> None:
    """What a handler failed at, and what found the queue full."""
    faulty = ChartRow(host="h2", client=B, number=1, chart="archer", program="p", faults=3, dropped=4)
    mesh.heard["recall"] = [charts_record(faulty, NEW), *(end_record(client) for client in (A, B, D))]
    head, *rows = [line.split() for line in run("charts").stdout.splitlines()]

    assert head[-3:] == ["PROGRAM", "FAULTS", "DROPPED"]
    assert [row[-2:] for row in rows] == [["0", "0"], ["3", "4"]]


def test_a_host_that_is_none_is_told(daemon: FakeDaemon, run: Run) -> None:
    """Rather than an empty table alone."""
    daemon.answers["recall"] = ([], {"sources": 0})
    result = run("charts", "--host", "h9")

    assert (0, 1) == (result.exit_code, len(result.stdout.splitlines()))
    assert "warning: no host is meant by h9 (mirosctl peers lists them)\n" == result.stderr


def test_json_has_all_that_is_known(mesh: FakeDaemon, run: Run) -> None:
    """Each field of a row, and nobody who was silent."""
    document = json.loads(run("charts", "--json").stdout)

    assert (document["schema"], document["silent"]) == ("mirosctl.charts/1", [])
    assert [row["chart"] for row in document["charts"]] == ["archer", "zulu", "archer", "peers"]
    assert document["charts"][2] == {
        "host": "h2",
        "client": B,
        "number": 1,
        "chart": "archer",
        "program": "battle.py",
        "pid": 77,
        "state": "skirmishing",
        "since_s": 3.14,
        "queue": 2,
        "signal": "Advance",
        "handled": 41,
        "faults": 0,
        "dropped": 0,
        "receives": "archer.*",
        "transmits": "",
        "trace": False,
        "spy": False,
        "spy_unavailable": "",
        "is_running": True,
    }


def test_only_what_is_asked_for(mesh: FakeDaemon, run: Run) -> None:
    """Globs of charts and hosts go to where the charts are."""
    run("charts", "archer*", "l?ad", "--host", "h2", "--host", "h[34]")
    args = mesh.asked[0][1]

    assert (args["charts"], args["hosts"]) == (["archer*", "l?ad"], ["h2", "h[34]"])


def test_a_glob_that_no_host_would_take_is_wrong_usage(mesh: FakeDaemon, run: Run) -> None:
    """Said before anything is asked."""
    assert run("charts", "x" * 129).exit_code == 2
    assert run("charts", *["--host", "x"] * 17).exit_code == 2
    assert mesh.asked == []


def test_who_says_nothing_is_named(daemon: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that refuse, or whose daemon or one of whose programs is silent, on stderr; the others are listed."""
    monkeypatch.setattr("mirosd_client.recollection.PATIENCE_S", 0.2)
    hosts = [host("h2", 2), host("h5", 0, "unanswered"), host("h\x1b4", 0, "policy"), host("h2", 1)]
    daemon.answers["recall"] = (hosts, {"sources": 3})
    daemon.heard["recall"] = [charts_record(ARCHER), end_record(B, "h2", 1), end_record(D, "h2", 0)]
    plain, as_json = run("charts"), json.loads(run("charts", "--json").stdout)

    assert plain.exit_code == 0
    assert len(plain.stdout.splitlines()) == 2
    assert plain.stderr == (
        "warning: h5: its mirosd did not answer\n"
        "warning: h\ufffd4: it lets nobody look at its charts (snoop.remote: off)\n"
        "warning: 1 program did not send all within 0.2 s\n"
    )
    assert [(row["host"], row["reason"], row["programs"]) for row in as_json["silent"]] == [
        ("h2", "programs", 1),
        ("h5", "unanswered", 0),
        ("h\ufffd4", "policy", 0),
    ]


def test_names_from_elsewhere_are_fit_to_print(daemon: FakeDaemon, run: Run) -> None:
    """Neither escape sequences nor markup change anything on the terminal."""
    nasty = ChartRow(host="h\x1b[2J", client=B, number=1, chart="[red]a[/red]\x07", state="s\x1b]0;t", program="p\r")
    daemon.answers["recall"] = ([host("h2")], {"sources": 1})
    daemon.heard["recall"] = [charts_record(nasty), end_record(B)]
    output = run("charts").stdout

    assert "[red]a[/red]\ufffd" in output
    assert not {"\x1b", "\x07", "\r"} & set(output)


def test_a_refusal_of_the_daemon_is_an_error(daemon: FakeDaemon, run: Run) -> None:
    """Who may not operate, or asks too often, is told so."""
    daemon.answers["recall"] = ("not_permitted", "looking at charts needs group mirosd-admin")
    refused = run("charts")
    daemon.answers["recall"] = ("too_many_recalls", "16 recalls are going on")

    assert (4, "Error: looking at charts needs group mirosd-admin\n") == (refused.exit_code, refused.stderr)
    assert run("charts").exit_code == 1


class Rounds:
    """Changes what the mesh has behind each look, and ends the watch."""

    def __init__(self, mesh: FakeDaemon, monkeypatch: pytest.MonkeyPatch, *rounds: list[ChartRow]) -> None:
        self._mesh, self._rounds = mesh, iter(rounds)
        self.slept_s: list[float] = []
        self._set(next(self._rounds))
        clock = SimpleNamespace(monotonic=time.monotonic, strftime=time.strftime, sleep=self._sleep)
        monkeypatch.setattr(command, "time", clock)  # of the command alone: other threads sleep too

    def _set(self, rows: list[ChartRow]) -> None:
        self._mesh.heard["recall"] = [charts_record(*rows), *(end_record(client) for client in (A, B, D))]

    def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        rows = next(self._rounds, None)
        if rows is None:
            raise KeyboardInterrupt
        self._set(rows)


LATER = ChartRow(host="h2", client=B, number=1, chart="archer", state="waiting", program="battle.py", handled=42)
OLDER = ChartRow(host="h2", client=D, number=1, chart="peers", state="serving", since_s=9, program="mirosd", handled=7)


def test_a_watch_in_a_pipe_appends_what_changed(mesh: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table first, then a line for each chart that is not as it was; that time passes is no change."""
    rounds = Rounds(mesh, monkeypatch, [PEERS, ARCHER], [OLDER, LATER, NEW], [OLDER, NEW], [OLDER, NEW])
    result = run("charts", "--watch")
    lines = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert [line[:2] for line in lines[:3]] == [["HOST", "CHART"], ["h2", "archer"], ["h2", "peers"]]
    assert [line[1:5] for line in lines[3:]] == [
        ["appeared", "h1", "archer", "-"],
        ["changed", "h2", "archer", "waiting"],
        ["gone", "h2", "archer", "waiting"],
    ]
    assert len(rounds.slept_s) == 4
    assert 0.0 <= rounds.slept_s[0] <= 1.0
    until(lambda: len(mesh.unsubscribed) == 4, what="each look's queue given back")


def test_a_watch_as_json_is_an_object_a_look(mesh: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is what `charts --json` would have said then."""
    Rounds(mesh, monkeypatch, [PEERS], [PEERS, NEW])
    looks = [json.loads(line) for line in run("charts", "--watch", "--json").stdout.splitlines()]

    assert [look["schema"] for look in looks] == ["mirosctl.charts/1"] * 2
    assert [[row["chart"] for row in look["charts"]] for look in looks] == [["peers"], ["archer", "peers"]]


def test_a_watch_tells_once_who_is_silent(mesh: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again each second, in a pipe."""
    mesh.answers["recall"] = ([host("h5", 0, "unanswered")], {"sources": 3})
    Rounds(mesh, monkeypatch, [PEERS], [PEERS], [PEERS])

    assert run("charts", "--watch").stderr == "warning: h5: its mirosd did not answer\n"


@contextmanager
def watching(daemon: FakeDaemon, output: int, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a watch that goes on, with its output to a descriptor."""
    argv = [sys.executable, "-c", CODE, "--socket", daemon.path, "charts", "--watch", *words]
    wide = os.environ | {"COLUMNS": "160"}
    with subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE, env=wide) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_terminal_gets_one_table_drawn_anew(mesh: FakeDaemon) -> None:
    """On a terminal the table is redrawn in place; Ctrl-C leaves the last one there, and the cursor."""
    screen, terminal = pty.openpty()
    os.set_blocking(screen, False)
    drawn = bytearray()

    def draws(text: bytes) -> bool:
        try:
            drawn.extend(os.read(screen, 65536))
        except BlockingIOError:
            pass
        return text in drawn

    with watching(mesh, terminal) as process:
        until(lambda: draws(b"skirmishing"), what="the first look drawn")
        mesh.heard["recall"] = [charts_record(LATER, PEERS), *(end_record(client) for client in (A, B, D))]
        until(lambda: draws(b"waiting"), what="the next look drawn")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        until(lambda: draws(b"\x1b[?25h"), what="the cursor shown again")
        until(lambda: draws(b"waiting") and b"waiting" in drawn.rpartition(b"\x1b[?25h")[2], what="the last look")
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(screen)
    os.close(terminal)

    assert b"skirmishing" not in drawn.rpartition(b"\x1b[?25h")[2]


TYPED = {"COMP_WORDS": "mirosctl charts ar", "COMP_CWORD": "2", "_MIROSCTL_COMPLETE": "bash_complete"}


def test_charts_are_completed_by_their_names(mesh: FakeDaemon) -> None:
    """From all hosts; without a daemon, nothing."""

    def completed(path: str) -> str:
        return CliRunner(env={**TYPED, "MIROSD_SOCKET": path}).invoke(main, prog_name="mirosctl").output

    assert completed(mesh.path).splitlines() == ["plain,archer"]
    assert completed("/nowhere").split() == []


@pytest.mark.parametrize("is_mute", [False, True])
def test_a_daemon_that_hangs_keeps_nobody_waiting_behind_the_tabulator_key(
    daemon: FakeDaemon, tmp_path: Path, is_mute: bool
) -> None:
    """One that does not ask the others, or says nothing at all: then nothing is completed."""
    daemon.answers["recall"] = ([], None)
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        path = str(tmp_path / "mute") if is_mute else daemon.path

        def complete() -> None:
            CliRunner(env={**TYPED, "MIROSD_SOCKET": path}).invoke(main, prog_name="mirosctl")
            done.set()

        threading.Thread(target=complete, daemon=True).start()
        assert done.wait(8), "a recall is waited for for 10 s, and people wait less"


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["table", "json"])
def test_a_watch_ends_when_nobody_reads_it(mesh: FakeDaemon, words: list[str]) -> None:
    """As behind `| head -1`: it is no error, and though nothing changes no host is asked any more."""
    read_end, write_end = os.pipe()
    with watching(mesh, write_end, *words) as process:
        os.close(write_end)
        assert os.read(read_end, 10)
        os.close(read_end)

        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
