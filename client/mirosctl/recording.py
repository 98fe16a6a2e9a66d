"""Recordings of a mesh: what charts did, and the events that they were sent, a JSON object a line.

     {"schema": "mirosctl.recording/1", "host": "h1", "system": "default", "time": 1525353863.2}
     {"line": {"kind": "event", "chart": "archer", "hlc": "99970...", ...}}
     {"event": {"id": "3f9a...-1-4711", "hlc": "99970...", "signal": "ORDER", "payload": "eyJ..."}}

A line is a SnoopLine; an event's payload is the bytes that crossed, in base64. Hybrid times are
texts of digits: other programs' numbers end at 2**53. They stand as they came; a reader sorts.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple, Self

import msgspec

from mirosctl.causal_order import in_order
from mirosd_client.errors import MirosdError
from mirosd_client.event_id import EventId, decode_extension
from mirosd_client.limits import MAX_PAYLOAD_BYTES
from mirosd_client.printable import printable
from mirosd_client.record import Record
from mirosd_client.snoop_line import SnoopLine

SCHEMA = "mirosctl.recording/1"
STDOUT = "-"
MAX_ENTRY_BYTES = 1024 * 1024
"""Of one line of a file: the largest payload in base64 is a third of that, a line with all its texts a tenth. What is
no recording at all need not be read as a whole to be refused."""
_OWNER_ALONE = 0o600
"""Who may read what the keys keep from others: payloads stand here open."""


class RecordingError(MirosdError):
    """A recording cannot be written or read; the text names the file, and the line of it that is wrong."""

    code = "recording"


class RecordedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of the mesh: its name (the text of an EventId), its sender's time, what crossed, what led to it."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}-\d{1,5}-\d{1,20}\Z")]
    hlc: Annotated[int, msgspec.Meta(ge=0)]
    signal: str
    content_type: Annotated[str, msgspec.Meta(pattern=r"\A[\x00-\x7f]{0,255}\Z")]
    payload: Annotated[bytes, msgspec.Meta(max_length=MAX_PAYLOAD_BYTES)]
    cause: str = ""


class Recording(NamedTuple):
    """What a file held, in causal order. `warning` says what of it is missing, "" for nothing."""

    lines: list[SnoopLine]
    events: list[RecordedEvent]
    warning: str = ""


class _Header(msgspec.Struct):
    schema: str = ""


class _Entry(msgspec.Struct):
    line: SnoopLine | None = None
    event: RecordedEvent | None = None


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(_Header)
_entry_decoder = msgspec.json.Decoder(_Entry, strict=False)  # which takes texts of digits for numbers


def recorded_event(record: Record) -> RecordedEvent:
    """Give what a record of the mesh leaves in a recording."""
    cause = decode_extension(record.extension).cause
    return RecordedEvent(
        id=str(EventId(record.client, record.chart, record.sequence)),
        hlc=record.hlc,
        signal=record.signal,
        content_type=record.content_type,
        payload=record.payload,
        cause=str(cause or ""),
    )


class RecordingWriter:
    """A recording that is being made; each call's entries are with the system when it returns.

    Args:
        path: of the file, or STDOUT.
        header: what the first line says beside the schema: where and when.
        is_forced: replaces a file that is there.

    Raises:
        RecordingError: the file is there already, or cannot be written. So does each method.

    Attributes:
        lines: how many were written.
        events: how many were written.
    """

    def __init__(self, path: str, header: dict[str, Any], *, is_forced: bool = False) -> None:
        self._path = path
        self.lines = self.events = 0
        try:
            self._file = _stdout() if path == STDOUT else _create(path, is_forced=is_forced)
        except FileExistsError as exc:
            raise RecordingError(f"{path} is there already; --force replaces it") from exc
        except OSError as exc:
            raise _unwritable(path, exc) from exc
        self._write([{"schema": SCHEMA, **header}])

    def add_lines(self, lines: list[SnoopLine]) -> None:
        """Write what charts did."""
        self._write([{"line": _entry(line)} for line in lines])
        self.lines += len(lines)

    def add_events(self, events: list[RecordedEvent]) -> None:
        """Write what crossed the mesh."""
        self._write([{"event": _entry(event)} for event in events])
        self.events += len(events)

    def close(self) -> None:
        """End it."""
        if self._path != STDOUT:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write(self, entries: list[dict[str, Any]]) -> None:
        rest = memoryview(b"".join(_encoder.encode(entry) + b"\n" for entry in entries))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BrokenPipeError:
            raise  # who reads has had enough, which is no fault
        except OSError as exc:
            self.close()
            raise _unwritable(self._path, exc) from exc


def read_recording(path: str) -> Recording:
    """Give what a file holds, as a whole and in causal order, nothing twice.

    Raises:
        RecordingError: it cannot be read or is no recording; a last line that was cut off is left out, and told.
    """
    lines: list[SnoopLine] = []
    events: dict[str, RecordedEvent] = {}
    warning = ""
    try:
        with Path(path).open("rb") as file:
            _check_header(path, file)
            for number, text in _numbered(file):
                try:
                    entry = _entry_decoder.decode(text)
                except (msgspec.DecodeError, ValueError, RecursionError) as exc:
                    if text.endswith(b"\n") or len(text) > MAX_ENTRY_BYTES:
                        raise RecordingError(f"{path}, line {number}: {exc}") from exc
                    warning = f"{printable(path)}, line {number}, the last one, is cut off and left out"
                    break
                if entry.line is not None:
                    lines.append(entry.line)
                elif entry.event is not None:
                    events[entry.event.id] = entry.event
                else:
                    raise RecordingError(f"{path}, line {number}: neither a line nor an event")
    except OSError as exc:
        raise RecordingError(f"{path} cannot be read: {exc.strerror}") from exc
    by_time = sorted(events.values(), key=lambda event: (event.hlc, event.id))
    return Recording(in_order(lines), by_time, warning)


def _check_header(path: str, file: IO[bytes]) -> None:
    try:
        schema = _header_decoder.decode(file.readline(MAX_ENTRY_BYTES)).schema
    except (msgspec.DecodeError, ValueError, RecursionError):
        schema = ""
    if schema != SCHEMA:
        later = f"; it is a {schema}: update mirosctl" if schema.startswith(SCHEMA.partition("/")[0]) else ""
        raise RecordingError(f"{path} is no recording that this mirosctl reads{later}")


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Give each line behind the header with its number; one that has no end is given up at MAX_ENTRY_BYTES."""
    number = 1
    while text := file.readline(MAX_ENTRY_BYTES + 1):
        number += 1
        yield number, text


def _entry(content: SnoopLine | RecordedEvent) -> dict[str, Any]:
    return {**msgspec.to_builtins(content), "hlc": str(content.hlc)}


def _create(path: str, *, is_forced: bool) -> IO[bytes]:
    """Open a file without a buffer: what could not be written must not be tried again when it is closed."""
    mode: Literal["wb", "xb"] = "wb" if is_forced else "xb"
    return open(path, mode, buffering=0, opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, _OWNER_ALONE)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a device has its mode for others
            os.fchmod(descriptor, _OWNER_ALONE)  # one that was there may have been for all to read
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _stdout() -> IO[bytes]:
    """Give standard output without its buffer, for the same reason; what stands in for it in tests may have none."""
    sys.stdout.flush()
    return getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)


def _unwritable(path: str, error: OSError) -> RecordingError:
    return RecordingError(f"{path} cannot be written: {error.strerror}")
