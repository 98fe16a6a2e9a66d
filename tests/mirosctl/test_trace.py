"""mirosctl trace."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from mirosctl.recording import RecordingWriter
from mirosd_client.snoop_line import SnoopLine
from tests.lab.waiting import until
from tests.mirosctl.conftest import Run
from tests.mirosctl.conversations import Conversation
from tests.mirosctl.fake_daemon import FakeDaemon, end_record, lines_record, snoop_record

CODE = "from mirosctl.main import main; main()"
H1, H2 = "0a" * 16, "0b" * 16
EVENT = f"{H1}-1-4711"
EVIL = '\x1b]0;owned\x07\x1b[2J[red]x[/red]\u202e\r\n;#"end'


def line(kind: str = "trace", chart: str = "archer", host: str = "h2", at: int = 1, **fields: object) -> SnoopLine:
    """Give a line that happened at some millisecond."""
    client = {"h1": H1, "h2": H2}.get(host, "0c" * 16)
    moved = {"signal": "PING", "from_state": "idle", "to_state": "firing"} if kind == "trace" else {}
    about = {"host": host, "client": client, "number": 1, "hlc": at << 16, **moved, **fields}
    return SnoopLine(kind, chart, 1525353863.25 + at, **about)  # type: ignore[arg-type]


def host(name: str, *, node: str = "ab" * 16, remote: str = "trace", accepts: bool = True) -> dict[str, object]:
    """Give what a host makes of a watch."""
    return {"host": name, "node": node, "remote": remote, "accepts": accepts}


@pytest.fixture(autouse=True)
def live(daemon: FakeDaemon) -> None:
    """A watch that two hosts accept, and that is over at once."""
    daemon.answers["watch"] = ([host("h1"), host("h2", node="cd" * 16)], {})
    daemon.heard["watch"] = [lines_record(line())]


def recalls(daemon: FakeDaemon, *lines: SnoopLine, older: bool = False) -> None:
    """Have the daemon's hosts have lines on record."""
    daemon.answers["recall"] = ([{"host": "h2", "node": "cd" * 16, "sources": 1, "refused": ""}], {"sources": 1})
    daemon.heard["recall"] = [lines_record(*lines), end_record(older=older)]


def test_a_line_is_the_host_and_the_ancestors_look(daemon: FakeDaemon, run: Run) -> None:
    """Host, time, chart, signal, states; without colour in a pipe. The dial holds what was asked for."""
    daemon.heard["watch"] = [
        lines_record(
            line(),
            line(at=2, signal=None, from_state="top", to_state="idle"),
            line("scribble", at=3, text="out of arrows"),
        )
    ]
    result = run("trace", "arch*", "lead", "--host", "h*", "--for", "1m")
    asked = dict(daemon.asked)["watch"]

    assert (0, "") == (result.exit_code, result.stderr)
    first, second, third = result.stdout.splitlines()
    assert first.startswith("h2 [2018-05-0")
    assert first.endswith("] [archer] e->PING() idle->firing")
    assert second.endswith("] [archer] e->start_at() top->idle")
    assert third.endswith("] [archer] # out of arrows")
    assert {
        "network": "snoop_trace",
        "hosts": ["h*"],
        "charts": ["arch*", "lead"],
        "signals": [],
        "events": False,
        "for_s": 60.0,
    } == asked
    assert ["snoop.trace"] == [each.binding_key for each in daemon.subscribed]


def test_events_have_their_names(daemon: FakeDaemon, run: Run) -> None:
    """With --events: what moved nothing, what was sent, and by which names `mirosctl why` takes them."""
    cause = f"{H2}-1-3"
    daemon.heard["watch"] = [
        lines_record(
            line(event=EVENT),
            line("event", at=2, signal="PONG", event=EVENT, cause=cause),
            line("send", at=3, signal="DONE", event=EVENT, cause=cause),
            line(at=4, cause=cause),
        )
    ]
    with_events, without = run("trace", "--events", "--for", "1s"), run("trace", "--for", "1s")

    assert [
        "e->PING() idle->firing 0a0a0a0a-1-4711",
        "e->PONG() 0a0a0a0a-1-4711 because of 0b0b0b0b-1-3",
        "transmit->DONE() 0a0a0a0a-1-4711 because of 0b0b0b0b-1-3",
        "e->PING() idle->firing because of 0b0b0b0b-1-3",
    ] == [text.partition("] [archer] ")[2] for text in with_events.stdout.splitlines()]
    assert 2 == len(without.stdout.splitlines())
    assert "0a0a0a0a" not in without.stdout
    assert [True, False] == [args["events"] for _, args in daemon.asked]


def test_lines_are_in_causal_order_and_once(daemon: FakeDaemon, run: Run) -> None:
    """However they come, and by however many ways: live, again, and from what programs remember."""
    daemon.heard["watch"] = [lines_record(line(at=3), line(at=2)), lines_record(line(at=3))]
    recalls(daemon, line(at=2), line(at=1))
    result = run("trace", "--since", "10m", "--for", "1s", "--json")

    assert ["65536", "131072", "196608"] == [json.loads(text)["hlc"] for text in result.stdout.splitlines()]
    assert 600.0 == dict(daemon.asked)["recall"]["since_s"]


def test_only_what_was(daemon: FakeDaemon, run: Run) -> None:
    """--for 0s holds no dial: it shows what programs remember, and ends."""
    recalls(daemon, line())
    result = run("trace", "--since", "10m", "--for", "0s")

    assert 1 == len(result.stdout.splitlines())
    assert ["recall"] == [verb for verb, _ in daemon.asked]
    until(lambda: daemon.unsubscribed == [1], what="the end of the queue for the answers")


def test_a_host_is_meant_by_the_beginning_of_its_node_id(daemon: FakeDaemon, run: Run) -> None:
    """Live and before: lines name their host alone, but only those of hosts that are meant were asked for."""
    recalls(daemon, line(at=1))
    daemon.answers["watch"] = ([host("h2", node="cd" * 16)], {})
    daemon.heard["watch"] = [lines_record(line(at=2), line(at=3, host="h3"))]

    assert 1 == len(run("trace", "--host", "cdcd", "--since", "10m", "--for", "0s").stdout.splitlines())
    assert 2 == len(run("trace", "--host", "cdcd", "--since", "10m", "--for", "1s").stdout.splitlines())


@pytest.mark.parametrize("since", [["--since", "10m", "--for", "0s"], ["--for", "1s"]])
def test_a_host_that_is_none_is_told(daemon: FakeDaemon, run: Run, since: list[str]) -> None:
    """Rather than nothing shown of it; once, also where it ends at once."""
    daemon.answers |= {"recall": ([], {"sources": 0}), "watch": ([], {})}
    daemon.heard["watch"] = []
    result = run("trace", "--host", "h9", "--host", "x*", *since)

    assert (0, "") == (result.exit_code, result.stdout)
    assert "warning: no host is meant by h9, x* (mirosctl peers lists them)\n" == result.stderr


def test_what_was_goes_before_what_is(daemon: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live lines wait for all history, however long that takes to come."""
    monkeypatch.setattr("mirosctl.causal_order.HOLD_S", -1.0)
    daemon.heard["watch"] = [lines_record(line(at=3)), lines_record(line(at=4))]
    recalls(daemon, line(at=2), line(at=1))
    result = run("trace", "--since", "10m", "--for", "1s", "--json")

    assert [1, 2, 3, 4] == [int(json.loads(text)["hlc"]) >> 16 for text in result.stdout.splitlines()]


def test_what_came_is_shown_though_it_ends_badly(daemon: FakeDaemon, run: Run) -> None:
    """Lines that are held when the daemon refuses something, or goes, are printed before the error."""
    daemon.answers["recall"] = ("too_many_recalls", "16 are answered: try again later")
    result = run("trace", "--since", "10m")

    assert (1, "Error: 16 are answered: try again later\n") == (result.exit_code, result.stderr)
    assert 1 == len(result.stdout.splitlines())


def test_what_cannot_be_read_is_told(daemon: FakeDaemon, run: Run) -> None:
    """How much of it; the rest is shown."""
    daemon.heard["watch"] = [snoop_record("lines", b"["), snoop_record("future", b"[]"), lines_record(line())]
    result = run("trace", "--for", "1s")

    assert "warning: 2 records could not be read: is a host of another version there?\n" == result.stderr
    assert 1 == len(result.stdout.splitlines())


def test_json_is_an_object_a_line(daemon: FakeDaemon, run: Run) -> None:
    """With its schema; hybrid times are texts, as numbers beyond 2^53 are not the same everywhere."""
    daemon.heard["watch"] = [lines_record(line(event=EVENT), line("send", at=2, signal="X", event=EVENT))]
    first, second = [json.loads(text) for text in run("trace", "--events", "--for", "1s", "--json").stdout.splitlines()]

    assert {
        "schema": "mirosctl.trace/1",
        "kind": "trace",
        "host": "h2",
        "chart": "archer",
        "client": H2,
        "number": 1,
        "time": 1525353864.25,
        "hlc": "65536",
        "signal": "PING",
        "from": "idle",
        "to": "firing",
        "event": EVENT,
        "cause": "",
    } == first
    assert ("send", "X", False, False) == (second["kind"], second["signal"], "from" in second, "text" in second)


def test_what_was_not_asked_for_is_not_shown(daemon: FakeDaemon, run: Run) -> None:
    """Live lines come for others too, and of programs that show themselves: each option holds here as well."""
    daemon.heard["watch"] = [
        lines_record(
            line(at=1),
            line(at=2, chart="lead"),
            line(at=3, host="h1"),
            line(at=4, signal="PONG"),
            line("send", at=5, signal="PING", event=EVENT),
            line("spy", at=6, text="PING:idle"),
        )
    ]

    def shown(*words: str) -> list[int]:
        lines = run("trace", "--for", "1s", "--json", *words).stdout.splitlines()
        return [int(json.loads(text)["hlc"]) >> 16 for text in lines]

    assert [1, 3, 4] == shown("archer")
    assert [1, 2, 4] == shown("--host", "h2")
    assert [1, 2, 4] == shown("--host", "cdcd")
    assert [1, 2, 3, 5] == shown("--signal", "PIN?", "--events")


def test_a_diagram_is_drawn(daemon: FakeDaemon, run: Run) -> None:
    """--sequence asks for events, as they are its arrows; --mermaid writes the same for documents."""
    said = [
        line(at=1, host="h1", signal=None, to_state="idle"),
        line("send", at=2, host="h1", signal="PING", event=EVENT),
        line(at=12, event=EVENT),
    ]
    daemon.heard["watch"] = [lines_record(*said)]
    drawn, written = run("trace", "--for", "1s", "--sequence"), run("trace", "--for", "1s", "--mermaid")

    assert [
        ["h1/archer", "h2/archer"],
        ["+0.000", "*[idle]", "|"],
        ["+0.011", "|----------PING---------->|"],
        ["+0.011", "|", "[firing]"],
    ] == [row.split() for row in drawn.stdout.splitlines()]
    assert [
        "sequenceDiagram",
        "    participant p1 as h1/archer",
        "    Note over p1: * [idle]",
        "    participant p2 as h2/archer",
        "    p1->>p2: PING",
        "    Note over p2: [firing]",
    ] == written.stdout.splitlines()
    assert [True, True] == [args["events"] for _, args in daemon.asked]


def test_a_recording_is_shown(tmp_path: Path, run: Run) -> None:
    """--from asks no daemon; two drawings are the same, and have each arrow once."""
    said = Conversation().play([(0, {1, 2}, True, 10), (1, {3}, False, 20), (2, {0}, False, 3)])
    path = tmp_path / "battle.jsonl"
    with RecordingWriter(str(path), {}) as writer:
        writer.add_lines(said.lines[::-1])
    drawings = [run("trace", "--from", str(path), "--sequence", "--socket", "/nowhere") for _ in range(2)]

    assert 0 == drawings[0].exit_code
    assert drawings[0].stdout == drawings[1].stdout
    assert said.arrows == {name: drawings[0].stdout.count(f"-{name}-") for name in said.arrows}
    assert "h1/archer" in run("trace", "--from", str(path), "--mermaid", "archer").stdout
    assert "h1/lead" not in run("trace", "--from", str(path), "--mermaid", "archer").stdout


def test_a_recording_that_was_cut_off_is_told(tmp_path: Path, run: Run) -> None:
    """What is whole of it is shown."""
    path = tmp_path / "cut.jsonl"
    with RecordingWriter(str(path), {}) as writer:
        writer.add_lines([line(at=1), line(at=2)])
    path.write_bytes(path.read_bytes()[:-10])
    result = run("trace", "--from", str(path))

    assert 1 == len(result.stdout.splitlines())
    assert "cut off" in result.stderr


def test_a_recording_that_is_none_is_told(tmp_path: Path, run: Run) -> None:
    """With the file's name, as an error."""
    result = run("trace", "--from", str(tmp_path / "none"))

    assert 1 == result.exit_code
    assert "none" in result.stderr


def test_who_does_not_do_what_is_wanted_is_told(daemon: FakeDaemon, run: Run) -> None:
    """Hosts that refuse, once; who is not meant is not told; what charts say of it; what did not arrive."""
    refusing = host("h3", node="ef" * 16, remote="off", accepts=False)
    daemon.answers["watch"] = ([host("h2"), refusing, refusing, {**refusing, "host": "other"}], {})
    daemon.heard["watch"] = [
        lines_record(line(at=1, line=1), line(at=2, line=2), line(at=4, line=4), line(at=9, line=9)),
        lines_record(line("notice", at=10, line=10, text="spy_unavailable: idle is not decorated")),
    ]
    result = run("trace", "--host", "h?", "--for", "1s")

    assert sorted(result.stderr.splitlines()) == sorted(
        [
            "warning: h3 lets nobody turn this on (snoop.remote: off); what its programs show by themselves is seen",
            "warning: h2 [archer] spy_unavailable: idle is not decorated",
            "warning: 5 lines of h2 (client 0b0b0b0b) did not arrive",
        ]
    )
    assert 4 == len(result.stdout.splitlines())


def test_what_is_missing_of_the_history_is_told(daemon: FakeDaemon, run: Run) -> None:
    """Who refused or was silent, and whose memory does not go back so far."""
    recalls(daemon, line(), older=True)
    rows, result = daemon.answers["recall"]
    assert isinstance(rows, list)
    silent = {"host": "h3", "node": "ef" * 16, "sources": 0, "refused": "unanswered"}
    daemon.answers["recall"] = ([*rows, silent], result)  # type: ignore[assignment]
    told = run("trace", "--since", "10m", "--for", "0s").stderr.splitlines()

    assert [
        "warning: h3: its mirosd did not answer",
        "warning: 1 of 1 programs no longer have all lines of the last 600 s",
    ] == told


def test_nothing_reaches_the_terminal(daemon: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Escape sequences, markup and line ends in any text change nothing there, in whichever way it is shown."""
    evil = [
        line(chart="EVIL", host="EVIL", signal="EVIL", from_state="EVIL", to_state="EVIL", event="EVIL", cause="EVIL"),
        line("scribble", "EVIL", at=2, text="EVIL"),
        line("send", "EVIL", at=3, signal="EVIL", event="EVIL-1-1"),
        line("event", "EVIL", at=4, signal="EVIL", event=f"{H2}-1-3"),
        line("notice", "EVIL", "EVIL", at=5, text="EVIL", line=1),
        line("trace", "EVIL", "EVIL", at=6, line=5),
    ]
    raw = [json.dumps(msgspec.to_builtins(each)).replace("EVIL", json.dumps(EVIL)[1:-1]) for each in evil]
    daemon.answers["watch"] = ([host(EVIL, remote=EVIL, accepts=False)], {})
    daemon.heard["watch"] = [snoop_record("lines", f"[{','.join(raw)}]".encode())]
    recording = tmp_path / "evil.jsonl"
    recording.write_text(
        "\n".join(['{"schema": "mirosctl.recording/1"}', *(f'{{"line": {each}}}' for each in raw), ""])
    )
    for words in ([], ["--events"], ["--sequence"], ["--mermaid"], ["--json", "--events"]):
        for source in (["--for", "1s"], ["--from", str(recording)]):
            result = run("trace", *source, *words)

            assert (0, True) == (result.exit_code, "owned" in result.stdout)
            assert all(text.isprintable() for text in result.output.splitlines())
            assert "\x1b" not in result.output
            assert "\u202e" not in result.output
            assert len(result.stdout.splitlines()) <= 12


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--for", "0s"], "say how far back with --since"),
        (["--json", "--sequence"], "choose one"),
        (["--mermaid", "--sequence"], "choose one"),
        (["--from", "x", "--for", "1s"], "for what is live"),
        (["--from", "x", "--since", "1s"], "for what is live"),
        (["--for", "soon"], "looks like 60s, 10m or 1h"),
        (["--for", "2d"], "at most 24h"),
        (["--since", "2d"], "at most 24h"),
        (["a"] * 17, "at most 16"),
        (["--host", "x" * 129], "at most 16 of 1 to 128 characters"),
        (["--signal", ""], "at most 16 of 1 to 128 characters"),
        (["\x1b[2J"], "no name has control characters"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(daemon: FakeDaemon, run: Run, words: list[str], why: str) -> None:
    """Said before anything is asked."""
    result = run("trace", *words)

    assert 2 == result.exit_code
    assert why in " ".join(result.stderr.split())
    assert [] == daemon.asked


def test_a_refusal_is_told(daemon: FakeDaemon, run: Run) -> None:
    """With its code's exit status; what to do is the daemon's text."""
    daemon.answers["watch"] = ("not_permitted", "`watch` needs the group mirosd-admin")
    not_permitted = run("trace")
    daemon.answers["watch"] = ("too_many_watches", "16 are held: end one")

    assert (4, "Error: `watch` needs the group mirosd-admin\n") == (not_permitted.exit_code, not_permitted.stderr)
    assert 1 == run("trace").exit_code


@contextmanager
def tracing(
    daemon: FakeDaemon, output: int, *words: str, stderr: int = subprocess.PIPE, **env: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a trace that goes on, with its output to a descriptor."""
    argv = [sys.executable, "-c", CODE, "--socket", daemon.path, "trace", *words]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | env
    with subprocess.Popen(argv, stdout=output, stderr=stderr, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_goes_on_until_ctrl_c(daemon: FakeDaemon) -> None:
    """Lines come as they happen, behind what was; Ctrl-C is no error, and is not followed by anything."""
    daemon.answers["watch"] = ([host("h2")], None)
    recalls(daemon, line())
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as lines, tracing(daemon, write_end, "--since", "10m") as process:
        os.close(write_end)
        first = lines.readline()
        process.send_signal(signal.SIGINT)
        status, rest = process.wait(30), lines.read()
        assert process.stderr is not None
        said = process.stderr.read()

    assert first.endswith("[archer] e->PING() idle->firing\n")
    assert (0, "", b"") == (status, rest, said)


def test_the_shell_goes_on_in_a_line_of_its_own(daemon: FakeDaemon) -> None:
    """And not behind the ^C that a terminal shows."""
    daemon.answers["watch"] = ([host("h2")], None)
    screen, terminal = pty.openpty()
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as lines, tracing(daemon, write_end, stderr=terminal) as process:
        os.close(write_end)
        assert lines.readline()
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(30)
    os.set_blocking(screen, False)

    assert b"\r\n" == os.read(screen, 100)
    os.close(screen)
    os.close(terminal)


@pytest.mark.parametrize("is_more_to_come", [True, False])
def test_a_reader_that_has_had_enough_ends_it(daemon: FakeDaemon, is_more_to_come: bool) -> None:
    """As `| head -1` does: quietly, whether there is more to print or nothing happens any more."""
    daemon.answers["watch"] = ([host("h2")], None)
    daemon.heard["watch"] = [lines_record(line(at=at)) for at in range(1, 500 if is_more_to_come else 2)]
    read_end, write_end = os.pipe()
    with tracing(daemon, write_end) as process:
        os.close(write_end)
        assert os.read(read_end, 10)
        os.close(read_end)
        status = process.wait(30)
        assert process.stderr is not None
        said = process.stderr.read()

    assert (0, b"") == (status, said)


@pytest.mark.parametrize(("words", "env", "is_coloured"), [
    ([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False)
])  # fmt: skip
def test_hosts_have_colours_on_a_terminal(
    daemon: FakeDaemon, words: list[str], env: dict[str, str], is_coloured: bool
) -> None:
    """The host and its charts in the host's colour, another for each; none where it is not wanted."""
    daemon.heard["watch"] = [lines_record(line(host="h1"), line(at=2), line(at=3, host="h1"))]
    printed = on_terminal(daemon, 80, "--for", "1s", *words, **env)
    hues = [text.partition("h")[0] for text in printed.splitlines()]

    if is_coloured:
        assert hues[0] == hues[2] != hues[1]
        assert all(hue.startswith("\x1b[") for hue in hues)
        assert 4 == printed.count(hues[0])
    else:
        assert "\x1b" not in printed


def test_a_diagram_fits_its_terminal(daemon: FakeDaemon) -> None:
    """No row is wider than the terminal, and what does not fit is told with what to do."""
    daemon.heard["watch"] = [lines_record(*(line(chart=f"archer-{at}", at=at) for at in range(1, 7)))]
    printed = on_terminal(daemon, 45, "--for", "1s", "--sequence")
    rows = [row for row in printed.splitlines() if not row.startswith("warning")]

    assert all(len(row) <= 45 for row in rows)
    assert ["h2/a…her-1", "h2/a…her-2", "h2/a…her-3"] == rows[0].split()
    assert "not all charts fit into 45 columns" in printed
    assert "left out from h2/archer-4 on" in printed


def on_terminal(daemon: FakeDaemon, columns: int, *words: str, **env: str) -> str:
    """Give what a terminal of that width gets, stderr included, until the command ends."""
    screen, terminal = pty.openpty()
    os.set_blocking(screen, False)
    printed = bytearray()

    def has_ended(process: "subprocess.Popen[bytes]") -> bool:
        is_over = process.poll() is not None
        try:
            while data := os.read(screen, 65536):
                printed.extend(data)
        except BlockingIOError:
            pass
        return is_over

    with tracing(daemon, terminal, *words, COLUMNS=str(columns), LINES="50", **env) as process:
        until(lambda: has_ended(process), what="the end of the trace")
        assert process.stderr is not None
        printed += process.stderr.read()
    os.close(screen)
    os.close(terminal)
    return printed.decode().replace("\r\n", "\n")
