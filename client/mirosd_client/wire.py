"""The local API's frames: bytes on the Unix socket, and nothing about what is done with them.

A frame is `length u32 | type u8 | body`, big-endian, where the length counts the body.
Control messages (messages.py) are JSON in frames of type MESSAGE, so that a client can
be written in any language; events and their acknowledgements are binary.

    EVENTS     client -> daemon   network u8 | key length u8 | routing key | records
    DELIVERY   daemon -> client   subscription u16 | tag u64 | held ms u32 | flags u8 | records
    ACK        client -> daemon   subscription u16 | tag u64: everything up to this tag is in the chart
    SETTLED    daemon -> client   safe u64 | settled u64 | unroutable u64

`safe` and `settled` are sequence numbers, cumulative; `unroutable` counts, from the
beginning of this connection, the settled events that no broker had a queue for.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from mirosd_client.errors import LocalProtocolError, RemoteProtocolError
from mirosd_client.limits import MAX_FRAME_BYTES, MAX_ROUTING_KEY_BYTES

PROTOCOL_VERSION = 1

DEFAULT_ROUTING_KEY = "empty"
"""The ancestor's, for charts that were given none."""

_FRAME = struct.Struct(">IB")
_EVENTS = struct.Struct(">BB")
_DELIVERY = struct.Struct(">HQIB")
_ACK = struct.Struct(">HQ")
_SETTLED = struct.Struct(">QQQ")


class FrameType(IntEnum):
    """What a frame's body is."""

    MESSAGE = 1
    EVENTS = 2
    DELIVERY = 3
    ACK = 4
    SETTLED = 5


_FRAME_TYPES: dict[int, FrameType] = {int(kind): kind for kind in FrameType}


class Network(IntEnum):
    """The three topic networks; the number is the byte on the wire."""

    MESH = 1
    SNOOP_TRACE = 2
    SNOOP_SPY = 3


NETWORKS = {network.name.lower(): network for network in Network}


def network_called(name: str) -> Network:
    """Give the network of a name; LocalProtocolError when there is none."""
    network = NETWORKS.get(name)
    if network is None:
        raise LocalProtocolError(f"no network is called {name!r}; there are {', '.join(NETWORKS)}")
    return network


class Frame(NamedTuple):
    """One frame: its type and its body."""

    type: FrameType
    body: bytes


class Events(NamedTuple):
    """A run of records with one routing key. `records` is their bytes (record.py)."""

    network: Network
    routing_key: str
    records: bytes


class Delivery(NamedTuple):
    """Records for one subscription; acknowledged by `tag` when all of them are in the chart."""

    subscription: int
    tag: int
    held_ms: int
    redelivered: bool
    records: bytes


class Ack(NamedTuple):
    """All deliveries of `subscription` up to `tag` are in the chart."""

    subscription: int
    tag: int


class Settled(NamedTuple):
    """How far a client's events have come: see the module's text."""

    safe: int
    settled: int
    unroutable: int


_REDELIVERED = 1


def encode_frame(kind: FrameType, body: bytes) -> bytes:
    """Give a frame's bytes; LocalProtocolError above MAX_FRAME_BYTES."""
    return _frame(kind, body)


def _frame(kind: FrameType, *parts: bytes) -> bytes:
    size = sum(map(len, parts))
    if size > MAX_FRAME_BYTES:
        raise LocalProtocolError(f"a frame of {size} bytes; the limit is {MAX_FRAME_BYTES}")
    return b"".join((_FRAME.pack(size, kind), *parts))


def encode_events(network: Network, routing_key: str, records: bytes) -> bytes:
    """Give an EVENTS frame; the routing key has at most 255 bytes of UTF-8."""
    key = routing_key.encode()
    if len(key) > MAX_ROUTING_KEY_BYTES:
        raise LocalProtocolError(f"the routing key has {len(key)} bytes; AMQP allows {MAX_ROUTING_KEY_BYTES}")
    return _frame(FrameType.EVENTS, _EVENTS.pack(network, len(key)), key, records)


def encode_delivery(subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> bytes:
    """Give a DELIVERY frame."""
    flags = _REDELIVERED if redelivered else 0
    return _frame(FrameType.DELIVERY, _DELIVERY.pack(subscription, tag, held_ms, flags), records)


def encode_ack(subscription: int, tag: int) -> bytes:
    """Give an ACK frame."""
    return encode_frame(FrameType.ACK, _ACK.pack(subscription, tag))


def encode_settled(safe: int, settled: int, unroutable: int) -> bytes:
    """Give a SETTLED frame."""
    return encode_frame(FrameType.SETTLED, _SETTLED.pack(safe, settled, unroutable))


def decode_events(body: bytes) -> Events:
    """Read an EVENTS body; RemoteProtocolError for anything else."""
    try:
        network, key_bytes = _EVENTS.unpack_from(body)
        key_end = _EVENTS.size + key_bytes
        if key_end > len(body):
            raise RemoteProtocolError("an EVENTS frame is shorter than its routing key")
        return Events(Network(network), body[_EVENTS.size : key_end].decode(), body[key_end:])
    except (struct.error, ValueError) as exc:
        raise RemoteProtocolError(f"not an EVENTS frame: {exc}") from exc


def decode_delivery(body: bytes) -> Delivery:
    """Read a DELIVERY body; RemoteProtocolError for anything else."""
    try:
        subscription, tag, held_ms, flags = _DELIVERY.unpack_from(body)
    except struct.error as exc:
        raise RemoteProtocolError(f"not a DELIVERY frame: {exc}") from exc
    return Delivery(subscription, tag, held_ms, bool(flags & _REDELIVERED), body[_DELIVERY.size :])


def decode_ack(body: bytes) -> Ack:
    """Read an ACK body; RemoteProtocolError for anything else."""
    try:
        return Ack(*_ACK.unpack(body))
    except struct.error as exc:
        raise RemoteProtocolError(f"not an ACK frame: {exc}") from exc


def decode_settled(body: bytes) -> Settled:
    """Read a SETTLED body; RemoteProtocolError for anything else."""
    try:
        return Settled(*_SETTLED.unpack(body))
    except struct.error as exc:
        raise RemoteProtocolError(f"not a SETTLED frame: {exc}") from exc


class FrameReader:
    """Cuts a byte stream into frames, however the stream was cut before."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_midframe(self) -> bool:
        """True while part of a frame is held: a stream that ends now was cut off."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Give the frames that `data` completes, in order.

        Raises:
            RemoteProtocolError: a frame is longer than MAX_FRAME_BYTES (`frame_too_large`)
                or of no known type (`frame_type`); the stream cannot be read on.
        """
        self._buffer += data
        frames: list[Frame] = []
        offset, end = 0, len(self._buffer)
        with memoryview(self._buffer) as view:  # a slice of it is no copy
            while end - offset >= _FRAME.size:
                length, kind = _FRAME.unpack_from(view, offset)
                if length > MAX_FRAME_BYTES:
                    raise RemoteProtocolError(
                        f"a frame announces {length} bytes; the limit is {MAX_FRAME_BYTES}", code="frame_too_large"
                    )
                frame_type = _FRAME_TYPES.get(kind)
                if frame_type is None:
                    raise RemoteProtocolError(f"no frame has type {kind}", code="frame_type")
                body_at = offset + _FRAME.size
                if end < body_at + length:
                    break
                offset = body_at + length
                frames.append(Frame(frame_type, bytes(view[body_at:offset])))
        if offset:
            del self._buffer[:offset]
        return frames
