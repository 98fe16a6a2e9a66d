"""One event on a wire: the record, as clients write it and only clients read it.

A record is the same bytes on the local socket and inside a sealed AMQP body, so a
daemon forwards records without taking them apart; it reads only who sent them.

    offset  bytes  field (big-endian)
    0       4      size of what follows
    4       16     client id of the source
    20      2      chart number of the source
    22      8      sequence number, rising per client
    30      8      hybrid logical clock (see hlc.py)
    38      4      age in ms when the sender handed it over
    42      1      length of content type
    43      1      length of signal name
    44      2      length of extension
    46      ...    content type (ASCII), signal name (UTF-8), extension, payload (the rest)

The extension says what led to the event, and which chart is meant (event_id.py); a reader
skips what it does not know of it, so that later versions can say more.
"""

import struct
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from mirosd_client.errors import LocalProtocolError, RemoteProtocolError
from mirosd_client.event_id import Addressee, EventId, decode_extension
from mirosd_client.limits import MAX_PAYLOAD_BYTES, MAX_RECORDS

_HEADER = struct.Struct(">I16sHQQIBBH")
_SOURCE = struct.Struct(">I16s2xQ")
_FRONT = struct.Struct(">I18sQQI")
_SEQUENCE_OFFSET = 22
HEADER_BYTES = _HEADER.size
_SIZE_BYTES = 4
CLIENT_ID_BYTES = 16
_HLC_OFFSET = 30
_HLC = struct.Struct(">Q")
_AGE_OFFSET = 38
_AGE = struct.Struct(">I")
MAX_AGE_MS = 0xFFFFFFFF


class Record(NamedTuple):
    """One event with its source. `client` is 16 bytes, `hlc` as in hlc.py, `age_ms` at hand-over."""

    client: bytes
    chart: int
    sequence: int
    hlc: int
    age_ms: int
    content_type: str
    signal: str
    extension: bytes
    payload: bytes

    @property
    def source(self) -> tuple[bytes, int]:
        """Who sent it: only this chart never gets the event back."""
        return self.client, self.chart

    @property
    def event(self) -> EventId:
        """The event's name across all hosts."""
        return EventId(self.client, self.chart, self.sequence)

    @property
    def cause(self) -> EventId | None:
        """The event that its sender was handling."""
        return decode_extension(self.extension).cause

    @property
    def addressee(self) -> Addressee | None:
        """The one chart that is meant; None: every chart that hears the routing key."""
        return decode_extension(self.extension).addressee


class Span(NamedTuple):
    """What a daemon may know of a run of records: how many, their first and last sequence numbers, the first's age."""

    records: int
    first_sequence: int
    last_sequence: int
    age_ms: int = 0


def encode_record(record: Record) -> bytes:
    """Give the bytes of one record; LocalProtocolError when a field does not fit its place."""
    content_type = record.content_type.encode("ascii", "strict")
    signal = record.signal.encode()
    if len(record.payload) > MAX_PAYLOAD_BYTES or len(record.client) != CLIENT_ID_BYTES:
        raise LocalProtocolError("a record's payload or client id has the wrong size")
    size = HEADER_BYTES - _SIZE_BYTES + len(content_type) + len(signal) + len(record.extension) + len(record.payload)
    try:
        header = _HEADER.pack(
            size,
            record.client,
            record.chart,
            record.sequence,
            record.hlc,
            record.age_ms,
            len(content_type),
            len(signal),
            len(record.extension),
        )
    except struct.error as exc:
        raise LocalProtocolError(f"a record's field does not fit its place: {exc}") from exc
    return b"".join((header, content_type, signal, record.extension, record.payload))


class Heading:
    """What the records of one chart with one signal have in common, checked and encoded once.

    Args:
        extension_bytes: the length of their extensions.

    Raises:
        LocalProtocolError: a field does not fit its place.
    """

    __slots__ = ("_names", "_source", "size")

    def __init__(self, client: bytes, chart: int, content_type: str, signal: str, extension_bytes: int = 0) -> None:
        sample = encode_record(Record(client, chart, 0, 0, 0, content_type, signal, bytes(extension_bytes), b""))
        self.size = len(sample) - extension_bytes  # of a record, without its extension and payload
        self._source = sample[_SIZE_BYTES:_SEQUENCE_OFFSET]
        self._names = sample[_AGE_OFFSET + _AGE.size : self.size]

    def record(self, sequence: int, hlc: int, age_ms: int, data: bytes) -> bytes:
        """Give the bytes of one record, as encode_record does; nothing is checked any more.

        `data` is extension and payload, one behind the other.
        """
        size = self.size - _SIZE_BYTES + len(data)
        return _FRONT.pack(size, self._source, sequence, hlc, age_ms) + self._names + data


def decode_records(buffer: bytes | memoryview) -> list[Record]:
    """Give the records of a run, in order; RemoteProtocolError when anything in it is none."""
    records, errors = salvage_records(buffer)
    if errors:
        raise errors[0]
    return records


def salvage_records(buffer: bytes | memoryview) -> tuple[list[Record], list[RemoteProtocolError]]:
    """Give the records of a run, in order, and an error for each thing in it that is none; a wrong size ends it."""
    data = bytes(buffer)
    records: list[Record] = []
    errors: list[RemoteProtocolError] = []
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < HEADER_BYTES:
            errors.append(RemoteProtocolError(f"a record's header is cut off at byte {offset}"))
            break
        size, client, chart, sequence, hlc, age_ms, type_len, signal_len, ext_len = _HEADER.unpack_from(data, offset)
        names_at = offset + HEADER_BYTES
        ext_at = names_at + type_len + signal_len
        payload_at = ext_at + ext_len
        offset += _SIZE_BYTES + size
        if offset > end or offset < names_at:
            errors.append(RemoteProtocolError(f"a record's size does not fit at byte {names_at - HEADER_BYTES}"))
            break
        if payload_at > offset:
            errors.append(RemoteProtocolError(f"record {sequence} has fields that do not fit its size"))
            continue
        if offset - payload_at > MAX_PAYLOAD_BYTES:
            errors.append(RemoteProtocolError(f"record {sequence} has a payload larger than 256 KiB", code="too_large"))
            continue
        try:
            content_type, signal = _names(data[names_at:ext_at], type_len)
        except UnicodeDecodeError:
            errors.append(RemoteProtocolError(f"record {sequence} has a content type or signal name that is no text"))
            continue
        extension, payload = data[ext_at:payload_at], data[payload_at:offset]
        fields = client, chart, sequence, hlc, age_ms, content_type, signal, extension, payload
        records.append(_make_record(fields))
    return records, errors


_make_record: Callable[[tuple[Any, ...]], Record] = partial(tuple.__new__, Record)
"""Makes a Record of its fields, in half the time of the call of its class."""


@lru_cache(maxsize=1024)  # of some 500 bytes at most; programs have few signals
def _names(names: bytes, type_len: int) -> tuple[str, str]:
    """Give content type and signal name; UnicodeDecodeError when one is no text."""
    return names[:type_len].decode("ascii"), names[type_len:].decode()


def scan_records(buffer: bytes | memoryview, client: bytes) -> Span:
    """Check a run of records that `client` handed over, without opening them.

    Raises:
        RemoteProtocolError: sizes do not add up, a record of another client is among
            them, sequence numbers do not rise, or there are none or more than MAX_RECORDS.
    """
    offset, end = 0, len(buffer)
    count, first, last = 0, 0, -1
    unpack_source, least_size = _SOURCE.unpack_from, HEADER_BYTES - _SIZE_BYTES
    while offset < end:
        try:
            size, source, sequence = unpack_source(buffer, offset)
        except struct.error as exc:
            raise RemoteProtocolError(f"a record's header is cut off at byte {offset}") from exc
        if size < least_size or offset + _SIZE_BYTES + size > end:
            raise RemoteProtocolError(f"a record's size does not fit at byte {offset}")
        if source != client:
            raise RemoteProtocolError("a record names another client as its source", code="foreign_source")
        if sequence <= last:
            raise RemoteProtocolError("sequence numbers of a client must rise", code="sequence")
        if not count:
            first = sequence
        count, last = count + 1, sequence
        offset += _SIZE_BYTES + size
    if not 0 < count <= MAX_RECORDS:
        raise RemoteProtocolError(f"{count} records in one frame; 1 to {MAX_RECORDS} are allowed", code="record_count")
    return Span(count, first, last, _AGE.unpack_from(buffer, _AGE_OFFSET)[0])


def count_records(buffer: bytes) -> int:
    """Give how many records a run holds, by their sizes alone; what is no record ends it."""
    offset, count, end = 0, 0, len(buffer)
    while end - offset >= HEADER_BYTES:
        offset += _SIZE_BYTES + int.from_bytes(buffer[offset : offset + _SIZE_BYTES], "big")
        count += 1
    return count


def first_hlc(buffer: bytes) -> int:
    """Give the hybrid time of a run's first record; the run has HEADER_BYTES at least."""
    hlc: int = _HLC.unpack_from(buffer, _HLC_OFFSET)[0]
    return hlc


def after_sequence(buffer: bytes, sequence: int) -> tuple[bytes, int]:
    """Give what a checked run holds beyond `sequence`, and how many records that is.

    A client that reconnects replays from its oldest unsettled event; what the daemon
    still holds of it need not be published twice.
    """
    offset, kept_from, count, end = 0, None, 0, len(buffer)
    while offset < end:
        size, _source, number = _SOURCE.unpack_from(buffer, offset)
        if number > sequence:
            kept_from = offset if kept_from is None else kept_from
            count += 1
        offset += _SIZE_BYTES + size
    return (b"", 0) if kept_from is None else (buffer[kept_from:], count)
