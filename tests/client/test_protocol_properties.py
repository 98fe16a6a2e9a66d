"""Every codec of the protocol is total: any bytes give a value or RemoteProtocolError, nothing else.

Each property makes a valid case, reads it back, and reads it again cut off at every byte
and with one byte changed.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd_client import codec
from mirosd_client.errors import RemoteProtocolError
from mirosd_client.messages import (
    Ask,
    Closing,
    Done,
    Failed,
    Fate,
    Follow,
    Hello,
    Row,
    Subscribe,
    Subscribed,
    Unroutable,
    Unsubscribe,
    Welcome,
    decode_client_message,
    decode_daemon_message,
    encode_message,
)
from mirosd_client.record import (
    HEADER_BYTES,
    Heading,
    Record,
    after_sequence,
    count_records,
    decode_records,
    encode_record,
    first_hlc,
    scan_records,
)
from mirosd_client.wire import (
    Ack,
    Delivery,
    Events,
    FrameReader,
    FrameType,
    Network,
    Settled,
    decode_ack,
    decode_delivery,
    decode_events,
    decode_settled,
    encode_ack,
    encode_delivery,
    encode_events,
    encode_settled,
)
from tests.properties import TOTAL

CLIENT = bytes(range(16))
U16, U32, U64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
SHORT = st.text(max_size=6)
SMALL = st.binary(max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | SHORT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SHORT, inner, max_size=2),
    max_leaves=3,
)
HASHABLE = st.integers() | SHORT | SMALL | st.tuples(st.integers(), SHORT) | st.frozensets(SMALL, max_size=2)
PAYLOAD = st.recursive(
    HASHABLE
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.text(st.characters(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(HASHABLE, inner, max_size=2)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=2)
    ),
    max_leaves=2,
)


def _record(first: int, second: int, signal: str, payload: bytes) -> Record:
    """Give a record of few draws, which keeps 20,000 examples cheap: two numbers fill all the fields of that kind."""
    content_type = ("", "json", "pack")[first % 3]
    return Record(
        CLIENT, second & 0xFFFF, first, second, first >> 32, content_type, signal, payload[: second % 3], payload
    )


RECORD = st.builds(_record, U64, U64, SHORT, SMALL)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Damaged tags are warned of, which is not what is tested here."""
    logger = logging.getLogger("mirosd_client.codec")
    logger.disabled = True
    yield
    logger.disabled = False


def damaged(data: bytes, noise: int) -> list[bytes]:
    """Give data cut off at every byte, and with one byte changed."""
    cuts = [data[:length] for length in range(len(data))]
    if data:
        position = noise % len(data)
        cuts.append(data[:position] + bytes([data[position] ^ (noise % 255 + 1)]) + data[position + 1 :])
    return cuts


def survives(decode: Any, data: bytes) -> bool:
    """Tell whether bytes decode; any exception but RemoteProtocolError fails the test."""
    try:
        decode(data)
    except RemoteProtocolError:
        return False
    return True


@TOTAL
@given(PAYLOAD, st.text('[]{}"$v:,1tuple', max_size=10), U32)
def test_payloads(payload: Any, junk: str, noise: int) -> None:
    """A payload comes back equal; damaged, or never a payload, it is a value or a protocol error."""
    data = codec.encode(payload)

    back = codec.decode(data)
    assert (type(back), back) == (type(payload), payload)
    for bad in [*damaged(data, noise), junk.encode(), noise.to_bytes(4, "big")]:
        survives(codec.decode, bad)


@TOTAL
@given(RECORD, RECORD, U32)
def test_records(first: Record, second: Record, noise: int) -> None:
    """A run of records comes back; cut inside a record it is refused, whole or by the daemon's scan."""
    head, tail = encode_record(first), encode_record(second)
    run = head + tail

    assert decode_records(run) == [first, second]
    heading = Heading(CLIENT, first.chart, first.content_type, first.signal, len(first.extension))
    data = first.extension + first.payload
    assert head == heading.record(first.sequence, first.hlc, first.age_ms, data)
    assert len(head) == heading.size + len(data)
    assert survives(scan, run) == (first.sequence < second.sequence)
    assert (count_records(run), first_hlc(run)) == (2, first.hlc)
    assert after_sequence(run, min(first.sequence, second.sequence))[1] == (first.sequence != second.sequence)
    assert not survives(read, run[: len(head) + 1 + noise % (len(tail) - 1)])
    *cuts, changed = damaged(head, noise)
    for bad in cuts:
        assert survives(read, bad) == (bad == b"")
        assert not survives(scan, bad)
    survives(read, changed)
    survives(scan, changed)
    assert count_records(changed + tail) <= 1 + len(head) // HEADER_BYTES + len(tail) // HEADER_BYTES


def read(run: bytes) -> None:
    """Decode a run of records."""
    decode_records(run)


def scan(run: bytes) -> None:
    """Check a run of records as the daemon does."""
    scan_records(run, CLIENT)


BODIES = (
    st.builds(Events, st.sampled_from(Network), SHORT, SMALL)
    | st.builds(Delivery, U16, U64, U32, st.booleans(), SMALL)
    | st.builds(Ack, U16, U64)
    | st.builds(Settled, U64, U64, U64)
)
CODECS: dict[type, Any] = {
    Events: (encode_events, decode_events),
    Delivery: (encode_delivery, decode_delivery),
    Ack: (encode_ack, decode_ack),
    Settled: (encode_settled, decode_settled),
}


@TOTAL
@given(st.lists(BODIES, min_size=1, max_size=2), U16, U32)
def test_wire(bodies: list[Any], cut: int, noise: int) -> None:
    """Frames come out of a stream however it was cut, and their bodies as they went in; damage is noticed or waits."""
    data = b"".join(CODECS[type(body)][0](*body) for body in bodies)

    reader, byte_by_byte = FrameReader(), FrameReader()
    frames = reader.feed(data[: cut % len(data)]) + reader.feed(data[cut % len(data) :])
    assert [frame for byte in data for frame in byte_by_byte.feed(bytes([byte]))] == frames
    assert not reader.is_midframe
    assert [CODECS[type(body)][1](frame.body) for body, frame in zip(bodies, frames, strict=True)] == bodies
    for bad in damaged(data, noise):
        survives(FrameReader().feed, bad)
    for bad in damaged(frames[0].body, noise):
        survives(CODECS[type(bodies[0])][1], bad)


SMALL_INT = st.integers(0, 70000)
ROWS = st.dictionaries(SHORT, JSON, max_size=2)
MESSAGES = (
    st.builds(Hello, st.lists(SMALL_INT, max_size=2), SHORT, SHORT, SMALL_INT)
    | st.builds(Subscribe, SMALL_INT, SHORT, SHORT, SHORT)
    | st.builds(Unsubscribe, SMALL_INT)
    | st.builds(Ask, SMALL_INT, SHORT, ROWS)
    | st.builds(Welcome, SMALL_INT, SHORT, SHORT, SHORT, SHORT, SHORT, st.lists(SHORT, max_size=1))
    | st.builds(Subscribed, SMALL_INT)
    | st.builds(Unroutable, SHORT)
    | st.builds(Follow, st.lists(SMALL_INT, max_size=2))
    | st.builds(Fate, st.lists(SMALL_INT, max_size=2), SMALL_INT, expired=SMALL_INT, is_known=st.booleans())
    | st.builds(Row, SMALL_INT, ROWS)
    | st.builds(Done, SMALL_INT, ROWS)
    | st.builds(Failed, SMALL_INT, SHORT, SHORT)
    | st.builds(Closing, SHORT, SHORT)
)


@TOTAL
@given(MESSAGES, U32)
def test_messages(message: Any, noise: int) -> None:
    """Each control message is read by the side it is for, and by that side alone."""
    (frame,) = FrameReader().feed(encode_message(message))
    assert frame.type is FrameType.MESSAGE

    is_clients = isinstance(message, Hello | Subscribe | Unsubscribe | Ask | Follow)
    right, wrong = (
        (decode_client_message, decode_daemon_message) if is_clients else (decode_daemon_message, decode_client_message)
    )
    assert right(frame.body) == message
    assert not survives(wrong, frame.body)
    for bad in damaged(frame.body, noise):
        survives(right, bad)
