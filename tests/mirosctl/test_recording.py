"""Recordings: what is written is what is read, and all else has its error."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mirosctl import recording
from mirosctl.recording import (
    MAX_ENTRY_BYTES,
    RecordedEvent,
    RecordingError,
    RecordingWriter,
    read_recording,
    recorded_event,
)
from mirosd_client.event_id import EventId, encode_extension
from mirosd_client.record import Record
from mirosd_client.snoop_line import SnoopLine

A, B = "aa" * 16, "bb" * 16
NOW = 1_525_353_863.25
BEYOND = 2**53 + 1
"""A number that other languages round."""

MOVE = SnoopLine("trace", "archer", NOW, "ORDER", "idle", "firing", host="h2", client=B, number=1, hlc=BEYOND, line=7)
NOTE = SnoopLine("scribble", "archer", NOW, text='a "note" with ü', host="h2", client=B, number=1, hlc=BEYOND + 2)
ORDER = RecordedEvent(f"{A}-1-5", BEYOND - 1, "ORDER", "json", b'{"at":[1,2]}')
REPORT = RecordedEvent(f"{B}-1-9", BEYOND + 1, "REPORT", "x", b"\x00\xff", f"{A}-1-5")


def recorded(path: Path, lines: list[SnoopLine], events: list[RecordedEvent]) -> str:
    """Write a recording, and give its path."""
    with RecordingWriter(str(path), {"host": "h1"}) as writer:
        writer.add_lines(lines)
        writer.add_events(events)
    return str(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Each line and event with all its fields, sorted by hybrid time, however they came."""
    path = recorded(tmp_path / "r", [NOTE, MOVE], [REPORT, ORDER])

    assert ([MOVE, NOTE], [ORDER, REPORT], "") == tuple(read_recording(path))


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    """A JSON object a line behind the schema; numbers that others would round are texts of digits."""
    path = Path(recorded(tmp_path / "r", [MOVE], [REPORT]))
    header, line, event = map(json.loads, path.read_text().splitlines())

    assert header == {"schema": "mirosctl.recording/1", "host": "h1"}
    assert (line["line"]["hlc"], line["line"]["from"]) == (str(BEYOND), "idle")
    assert event == {
        "event": {
            "id": f"{B}-1-9",
            "hlc": str(BEYOND + 1),
            "signal": "REPORT",
            "content_type": "x",
            "payload": "AP8=",
            "cause": f"{A}-1-5",
        }
    }


def test_an_event_is_what_its_record_says() -> None:
    """The name, the bytes and the cause out of the extension."""
    cause = EventId(bytes.fromhex(A), 1, 5)
    record = Record(bytes.fromhex(B), 1, 9, BEYOND + 1, 30, "x", "REPORT", encode_extension(cause), b"\x00\xff")

    assert recorded_event(record) == REPORT
    assert recorded_event(record._replace(extension=b"")).cause == ""


def test_nothing_is_read_twice(tmp_path: Path) -> None:
    """History and what came live overlap, and differ in the live count alone; lines without a name all stay."""
    unnamed = SnoopLine("scribble", "c", NOW, text="x")
    again = SnoopLine("trace", "archer", NOW, "ORDER", "idle", "firing", host="h2", client=B, number=1, hlc=BEYOND)
    path = recorded(tmp_path / "r", [MOVE, again, unnamed, unnamed], [ORDER, ORDER])
    found = read_recording(path)

    assert [unnamed, unnamed, MOVE] == found.lines
    assert [ORDER] == found.events


def test_each_entry_is_on_disk_at_once(tmp_path: Path) -> None:
    """What a power cut would leave, without the file being closed; and it is its owner's alone: payloads are open."""
    path = tmp_path / "r"
    with RecordingWriter(str(path), {}) as writer:
        writer.add_lines([MOVE])
        assert [MOVE] == read_recording(str(path)).lines
        writer.add_events([ORDER, REPORT])
        assert [ORDER, REPORT] == read_recording(str(path)).events
        assert (1, 2) == (writer.lines, writer.events)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_lost_where_the_system_takes_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it may for a pipe, or before it says that a disk is full."""

    class Narrow(io.FileIO):
        def write(self, data: Any, /) -> int:
            return super().write(bytes(data)[:7])

    monkeypatch.setattr(recording, "_create", lambda path, *, is_forced: Narrow(path, "w"))

    assert ([MOVE], [ORDER], "") == tuple(read_recording(recorded(tmp_path / "r", [MOVE], [ORDER])))


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    """The error says what would; then it is replaced, and its owner's alone, whoever might read what was there."""
    path = recorded(tmp_path / "r", [MOVE], [])
    Path(path).chmod(0o644)
    with pytest.raises(RecordingError, match="is there already; --force replaces it"):
        RecordingWriter(path, {})
    assert [MOVE] == read_recording(path).lines

    RecordingWriter(path, {}, is_forced=True).close()
    assert [] == read_recording(path).lines
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "tail", [b'{"line": {"kind": "tra', b'{"line": {}', b"\0" * 100, b'{"event": {"signal": "\xc3']
)
def test_a_last_line_that_was_cut_off_is_told_and_left_out(tmp_path: Path, tail: bytes) -> None:
    """A power cut leaves half a line, or a file's end of zeros; all before it is whole."""
    path = tmp_path / "r"
    recorded(path, [MOVE], [])
    with path.open("ab") as file:
        file.write(tail)
    found = read_recording(str(path))

    assert ([MOVE], f"{path}, line 3, the last one, is cut off and left out") == (found.lines, found.warning)


def test_only_the_newline_may_be_missing(tmp_path: Path) -> None:
    """An object that is whole is read, cut off or not."""
    path = tmp_path / "r"
    recorded(path, [MOVE], [ORDER])
    path.write_bytes(path.read_bytes()[:-1])

    assert ([MOVE], [ORDER], "") == tuple(read_recording(str(path)))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "line 3: "),
        (b"{", "line 3: "),
        (b"{}", "line 3: neither a line nor an event"),
        (b"[]", "line 3: Expected `object`"),
        (b'{"line": {"kind": "song", "chart": "c", "time": 1}}', "line 3: Invalid enum value 'song'"),
        (b'{"line": {"kind": "spy", "chart": "c", "time": 1e99}}', "line 3: Expected `float` < "),
        (b'{"line": {"kind": "spy", "chart": "c", "time": 1, "hlc": "x"}}', "line 3: Expected `int`"),
        (b'{"line": {"kind": "spy", "chart": "c", "time": 1, "hlc": "1%s"}}' % (b"0" * 9999), "line 3: "),
        (b'{"event": {"id": "1-2-3", "hlc": "1", "signal": "S", "content_type": "", "payload": ""}}', "line 3: "),
        (b'{"event": {"id": "%s-1-2", "hlc": "1", "signal": "S", "content_type": "", "payload": "?"}}', "line 3: "),
        (b"[" * 200_000, "line 3: "),
        (b"x" * (MAX_ENTRY_BYTES + 1), "line 3: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, line: bytes, why: str) -> None:
    """Anything but a cut-off end is an error that names file, line and reason."""
    path = tmp_path / "r"
    recorded(path, [MOVE], [])
    with path.open("ab") as file:
        file.write(line.replace(b"%s", A.encode()) + b"\n")
    with pytest.raises(RecordingError) as caught:
        read_recording(str(path))

    assert str(caught.value).startswith(f"{path}, {why}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no recording"),
        (b"\x7fELF\n", "is no recording"),
        (b"{}\n", "is no recording"),
        (b'{"schema": "mirosctl.peers/1"}\n', "is no recording that this mirosctl reads"),
        (b'{"schema": "mirosctl.recording/2"}\n', "it is a mirosctl.recording/2: update mirosctl"),
        (b"\0" * (MAX_ENTRY_BYTES + 1), "is no recording"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """Any other file, by its first line."""
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=why):
        read_recording(str(path))


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """With the system's reason, whichever way they were to be used."""
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        read_recording(str(tmp_path / "gone"))
    with pytest.raises(RecordingError, match="cannot be written: No such file"):
        RecordingWriter(str(tmp_path / "gone" / "r"), {})
    with pytest.raises(RecordingError, match="/dev/full cannot be written: No space left"):
        RecordingWriter("/dev/full", {}, is_forced=True)


def test_texts_of_a_recording_are_fit_to_print(tmp_path: Path) -> None:
    """Whoever wrote the file: a viewer shows its lines."""
    path = tmp_path / "r"
    recorded(path, [], [])
    with path.open("a") as file:
        file.write(json.dumps({"line": {"kind": "spy", "chart": "a\x1b[2J", "time": 1, "text": "b\x07"}}) + "\n")
    (line,) = read_recording(str(path)).lines

    assert ("a\ufffd[2J", "b\ufffd") == (line.chart, line.text)
