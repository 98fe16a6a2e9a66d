"""mirosctl record."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirosctl.recording import RecordedEvent, read_recording
from mirosd_client.event_id import EventId, encode_extension
from mirosd_client.record import Record, encode_record
from mirosd_client.snoop_line import SnoopLine
from tests.lab.waiting import until
from tests.mirosctl.conftest import Run
from tests.mirosctl.fake_daemon import FakeDaemon, end_record, lines_record
from tests.mirosctl.test_charts import A, B, host

CODE = "from mirosctl.main import main; main()"
WILLING = {"host": "h2", "node": "ab" * 16, "remote": "trace", "accepts": True}

MOVE = SnoopLine("trace", "archer", 5.5, "ORDER", "idle", "firing", host="h2", client=B, number=1, hlc=20, line=1)
LATER = SnoopLine("event", "archer", 6.5, "ORDER", host="h2", client=B, number=1, hlc=40, line=2, event=f"{A}-1-6")
BEFORE = SnoopLine("trace", "archer", 4.5, None, "top", "idle", host="h2", client=B, number=1, hlc=5)


def event(sequence: int, hlc: int, cause: EventId | None = None) -> bytes:
    """Give an event of the mesh."""
    extension = encode_extension(cause)
    return encode_record(Record(bytes.fromhex(A), 1, sequence, hlc, 0, "json", "ORDER", extension, b'"\x1b"'))


CAUSE = EventId(bytes.fromhex(B), 1, 9)
ORDERS = [
    RecordedEvent(f"{A}-1-5", 10, "ORDER", "json", b'"\x1b"'),
    RecordedEvent(f"{A}-1-6", 30, "ORDER", "json", b'"\x1b"', str(CAUSE)),
]


@pytest.fixture
def mesh(daemon: FakeDaemon) -> FakeDaemon:
    """A mesh where something goes on for as long as is watched."""
    daemon.answers["watch"] = ([WILLING], {})
    daemon.answers["recall"] = ([host("h2")], {"sources": 1})
    daemon.heard = {
        "watch": [lines_record(LATER, MOVE)],
        "mesh": [event(6, 30, CAUSE), event(5, 10)],
        "recall": [lines_record(MOVE, BEFORE), end_record(B, count=2)],
    }
    return daemon


def test_lines_and_events_are_kept(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """What charts do, and each event of the mesh as it crossed, for the time that was asked for; and how many."""
    path = str(tmp_path / "r")
    result = run("record", path, "--for", "60s")

    assert ([MOVE, LATER], ORDERS, "") == tuple(read_recording(path))
    assert (0, "") == (result.exit_code, result.stdout)
    assert result.stderr == "recorded 2 lines of charts and 2 events\n"
    header = json.loads(Path(path).read_text().splitlines()[0])
    assert (header["schema"], header["host"], header["system"]) == ("mirosctl.recording/1", "h1", "default")


def test_all_is_asked_for_that_a_diagram_and_a_replay_need(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Events too, of the charts that are meant; the mesh is heard whole, and first."""
    run("record", str(tmp_path / "r"), "archer*", "--for", "2m")
    ((verb, args),) = mesh.asked

    assert (verb, args["network"], args["for_s"]) == ("watch", "snoop_trace", 120.0)
    assert (args["charts"], args["hosts"], args["events"]) == (["archer*"], [], True)
    assert [(one.network, one.binding_key) for one in mesh.subscribed] == [
        ("mesh", "#"),
        ("snoop_trace", "snoop.trace"),
    ]


def test_what_was_comes_with_what_is(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """History and live lines overlap; whoever reads the recording has each once."""
    path = str(tmp_path / "r")
    run("record", path, "--since", "10m", "--for", "1s")

    assert [BEFORE, MOVE, LATER] == read_recording(path).lines
    assert [args["since_s"] for verb, args in mesh.asked if verb == "recall"] == [600.0]


def test_only_what_was(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """With --for 0s nothing is watched, and no event is heard; without --since there is nothing to keep then."""
    path = str(tmp_path / "r")
    result = run("record", path, "--since", "10m", "--for", "0s")

    assert ([BEFORE, MOVE], [], "") == tuple(read_recording(path))
    assert result.stderr == "recorded 2 lines of charts and 0 events\n"
    assert ["recall"] == [verb for verb, _ in mesh.asked]
    assert run("record", path, "--for", "0s").exit_code == 2


def test_a_file_that_is_there_stays(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Unless it may be replaced."""
    path = tmp_path / "r"
    path.write_text("mine")
    refused = run("record", str(path), "--for", "1s")

    assert (1, f"Error: {path} is there already; --force replaces it\n") == (refused.exit_code, refused.stderr)
    assert (path.read_text(), mesh.asked) == ("mine", [])
    assert run("record", str(path), "--for", "1s", "--force").exit_code == 0
    assert [MOVE, LATER] == read_recording(str(path)).lines


def test_without_a_daemon_no_file_is_made(run: Run, tmp_path: Path) -> None:
    """Nothing is left of what could not begin."""
    assert run("--socket", str(tmp_path / "nobody"), "record", str(tmp_path / "r")).exit_code == 3
    assert not (tmp_path / "r").exists()


def test_json_says_what_there_is(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """For scripts."""
    path = str(tmp_path / "r")

    assert json.loads(run("record", path, "--for", "1s", "--json").stdout) == {
        "schema": "mirosctl.record/1",
        "file": path,
        "lines": 2,
        "events": 2,
    }


def test_standard_output_is_a_file_too(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Nothing but the recording stands there."""
    result = run("record", "-", "--for", "1s", "--json")
    path = tmp_path / "r"
    path.write_bytes(result.stdout_bytes)

    assert ([MOVE, LATER], ORDERS, "") == tuple(read_recording(str(path)))
    assert result.stderr == "recorded 2 lines of charts and 2 events\n"


def test_what_is_missing_is_told(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """Hosts that refuse, that are silent, and lines that did not arrive."""
    mesh.answers["watch"] = (
        [WILLING, {"host": "h\x1b3", "node": "cd" * 16, "remote": "off", "accepts": False}] * 2,
        {},
    )
    mesh.answers["recall"] = ([host("h2"), host("h5", 0, "unanswered")], {"sources": 1})
    behind = [
        SnoopLine("event", "archer", 6.5, "ORDER", host="h2", client=B, number=1, hlc=50 + line, line=line)
        for line in (9, 12)
    ]
    mesh.heard["watch"] = [lines_record(line) for line in (MOVE, *behind)]
    result = run("record", str(tmp_path / "r"), "--for", "1s", "--since", "1m")

    assert sorted(result.stderr.splitlines()) == [
        "recorded 5 lines of charts and 2 events",
        f"warning: 2 lines of h2 (client {B[:8]}) did not arrive",
        f"warning: 7 lines of h2 (client {B[:8]}) did not arrive",
        "warning: h5: its mirosd did not answer",
        "warning: h\ufffd3 lets nobody look at its charts (snoop.remote: off)",
    ]


def test_a_host_without_the_mesh_key_keeps_what_charts_do(mesh: FakeDaemon, run: Run, tmp_path: Path) -> None:
    """It may see no event; that is told, and the rest is recorded."""
    mesh.refused["mesh"] = "no_key", "this host has no key of the mesh"
    path = str(tmp_path / "r")
    result = run("record", path, "--for", "1s")

    assert ([MOVE, LATER], [], "") == tuple(read_recording(path))
    assert result.stderr.splitlines()[0] == (
        "warning: no events are recorded, only what charts do: this host has no key of the mesh"
    )
    mesh.refused["mesh"] = "too_many_queues", "32 are enough"
    assert run("record", path, "--for", "1s", "--force").exit_code == 1


@contextmanager
def recording(daemon: FakeDaemon, path: str, output: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one that goes on."""
    argv = [sys.executable, "-c", CODE, "--socket", daemon.path, "record", path]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE, env=buffered) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_ends_it_well(mesh: FakeDaemon, tmp_path: Path) -> None:
    """What came is on disk before the next comes; the file is whole, and how much is in it is said: no error."""
    mesh.answers["watch"] = ([WILLING], None)
    path = str(tmp_path / "r")

    def kept() -> bool:
        found = read_recording(path)
        return len(found.lines) == 2 and len(found.events) == 2

    with recording(mesh, path, subprocess.DEVNULL) as process:
        until(lambda: Path(path).exists() and kept(), what="all of it on disk")
        process.send_signal(signal.SIGINT)
        status = process.wait(30)
        assert process.stderr is not None
        said = process.stderr.read()

    assert (0, b"recorded 2 lines of charts and 2 events\n") == (status, said)
    assert ([MOVE, LATER], ORDERS, "") == tuple(read_recording(path))


def test_a_reader_that_has_had_enough_ends_it(mesh: FakeDaemon) -> None:
    """A closed pipe is no error of anybody."""
    mesh.answers["watch"] = ([WILLING], None)
    read_end, write_end = os.pipe()
    os.close(read_end)
    with recording(mesh, "-", write_end) as process:
        os.close(write_end)
        status = process.wait(30)
        assert process.stderr is not None
        said = process.stderr.read()

    assert (0, b"") == (status, said)


def test_a_full_disk_is_an_error(mesh: FakeDaemon, run: Run) -> None:
    """With the file's name and the reason."""
    result = run("record", "/dev/full", "--force", "--for", "1s")

    assert (1, "Error: /dev/full cannot be written: No space left on device\n") == (result.exit_code, result.stderr)
