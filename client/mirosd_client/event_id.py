"""The name of one event across all hosts, and what a record says beside the event itself.

An event is named by who transmitted it (client id and chart number) and its sequence number
there. Who transmits while handling another event names that one as the cause; what is meant
for one chart alone, though others hear the same routing key, names that chart. Both stand in
the extension of a record (record.py): (type u8, length u8, value) triples, of which a reader
skips the types that it does not know.

    1  cause      client id 16 | chart u16 | sequence u64
    2  addressee  client id 16 | chart u16
"""

import re
import struct
from typing import NamedTuple

import msgspec

from mirosd_client.errors import LocalProtocolError

_CAUSE = struct.Struct(">BB16sHQ")
_ADDRESSEE = struct.Struct(">BB16sH")
CAUSE, ADDRESSEE = 1, 2
SHOWN_CLIENT_DIGITS = 8
"""Of a client id, where people read it: two of a mesh of thousands of programs alike are one in a million."""

_TEXT = re.compile(r"([0-9a-f]{6,32})-(\d{1,5})-(\d{1,20})")


class EventId(msgspec.Struct, frozen=True, gc=False):
    """An event: the client id (16 bytes) and chart number of its source, and its sequence number there.

    (A Struct that the garbage collector passes over is made in half the time of a named tuple; so are others that are
    made for each event. They hold nothing that could lead back to them.)
    """

    client: bytes
    chart: int
    sequence: int

    def __str__(self) -> str:
        return event_text(self.client.hex(), self.chart, self.sequence)

    @property
    def short(self) -> str:
        """For people: with the beginning of the client id."""
        return event_text(self.client.hex()[:SHOWN_CLIENT_DIGITS], self.chart, self.sequence)


def event_text(client: str, chart: int, sequence: int) -> str:
    """Give an event's name as text; of the client id there are all 32 hex digits or the first of them."""
    return f"{client}-{chart}-{sequence}"


class Addressee(NamedTuple):
    """A chart: client id (16 bytes) and chart number."""

    client: bytes
    chart: int


class Extension(NamedTuple):
    """What a record says beside its event."""

    cause: EventId | None = None
    addressee: Addressee | None = None


NOTHING_SAID = Extension()
"""What most records say beside their event: it is read of each one that arrives."""


def encode_extension(cause: EventId | None, addressee: Addressee | None = None) -> bytes:
    """Give the bytes of a record's extension; its length depends only on which of the two there are."""
    parts = []
    if cause is not None:
        parts.append(_CAUSE.pack(CAUSE, _CAUSE.size - 2, cause.client, cause.chart, cause.sequence))
    if addressee is not None:
        parts.append(_ADDRESSEE.pack(ADDRESSEE, _ADDRESSEE.size - 2, *addressee))
    return b"".join(parts)


def decode_extension(extension: bytes) -> Extension:
    """Read an extension; what is unknown, cut off or of the wrong length is skipped, and raises nothing."""
    if not extension:
        return NOTHING_SAID
    cause = addressee = None
    offset = 0
    while offset + 2 <= len(extension):
        kind, length = extension[offset], extension[offset + 1]
        end = offset + 2 + length
        if kind == CAUSE and length == _CAUSE.size - 2 and end <= len(extension):
            cause = EventId(*_CAUSE.unpack_from(extension, offset)[2:])
        elif kind == ADDRESSEE and length == _ADDRESSEE.size - 2 and end <= len(extension):
            addressee = Addressee(*_ADDRESSEE.unpack_from(extension, offset)[2:])
        offset = end
    return Extension(cause, addressee)


def parse_event_id(text: str) -> tuple[str, int, int]:
    """Read an event's name as people write it: the beginning of a client id (hex), chart and sequence number.

    Raises:
        LocalProtocolError: it is none; says what one looks like.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise LocalProtocolError(
            f"{text!r} names no event; one looks like 3f9a1c02-1-4711, as `mirosctl trace --events` shows them"
        )
    return match[1], int(match[2]), int(match[3])


def is_named_by(event: str, wanted: tuple[str, int, int]) -> bool:
    """Tell whether an event's name (the text of an EventId) is the one that people wrote (parse_event_id)."""
    client, _, numbers = event.partition("-")
    return client.startswith(wanted[0]) and numbers == f"{wanted[1]}-{wanted[2]}"
