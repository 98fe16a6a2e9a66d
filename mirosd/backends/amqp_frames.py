"""The two methods of AMQP that every event costs, by hand: basic.publish out, basic.deliver in. All else is pika's.

An event that goes alone spends a third of its way in the two daemons' Python, and pika's general encoder and parser
were half of that (docs/performance.md). Both know here what they are about: fixed layouts, no objects in between.

Source: AMQP 0-9-1, sections 2.3.5 (frames), 4.2.5 (fields) and 4.2.6 (content), and its table of methods.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pika.data import decode_table, encode_table

from mirosd.core.broker import Incoming

METHOD, HEADER, BODY = 1, 2, 3  # types of frames
FRAME_END = b"\xce"
FRAME_OVERHEAD = 8  # type, channel, size and end

PUBLISH = b"\x00\x3c\x00\x28\x00\x00"  # class 60, method 40; a reserved field
DELIVER = b"\x00\x3c\x00\x3c"  # class 60, method 60

_FRAME = struct.Struct(">BHI")  # type, channel, size of the payload
_CONTENT = struct.Struct(">HHQH")  # class, weight, size of the body, flags of the properties
_DELIVERED = struct.Struct(">QB")  # delivery tag, redelivered
_TABLE_SIZE = struct.Struct(">I")
_BASIC = 60

_HEADERS, _DELIVERY_MODE, _CORRELATION_ID = 1 << 13, 1 << 12, 1 << 10
_REPLY_TO, _EXPIRATION, _MESSAGE_ID = 1 << 9, 1 << 8, 1 << 7
_SHORT_BEFORE_HEADERS = (1 << 15, 1 << 14)  # content-type, content-encoding
_PRIORITY = 1 << 11

_PERSISTENT = b"\x02"


class Publishing:
    """Encodes what is published on one channel.

    Args:
        channel: its number.
        max_frame: the largest frame that the broker takes, bytes.
    """

    def __init__(self, channel: int, max_frame: int) -> None:
        self._channel = channel
        self._max_body = max_frame - FRAME_OVERHEAD
        self._method = lru_cache(256)(self._make_method)

    def encode(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        persistent: bool = False,
        mandatory: bool = False,
        expiration: str | None = None,
        headers: dict[str, Any] | None = None,
        reply_to: str | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
    ) -> bytes:
        """Give the frames of one message."""
        flags, properties = 0, b""
        if headers is not None:
            flags, properties = _HEADERS, _table(tuple(headers.items()))
        if persistent:
            flags, properties = flags | _DELIVERY_MODE, properties + _PERSISTENT
        for flag, value in (
            (_CORRELATION_ID, correlation_id),
            (_REPLY_TO, reply_to),
            (_EXPIRATION, expiration),
            (_MESSAGE_ID, message_id),
        ):
            if value is not None:
                flags, properties = flags | flag, properties + _short(value)
        content = _CONTENT.pack(_BASIC, 0, len(body), flags) + properties
        frames = self._method(exchange, routing_key, mandatory) + self._frame(HEADER, content)
        for start in range(0, len(body), self._max_body):
            frames += self._frame(BODY, body[start : start + self._max_body])
        return frames

    def _make_method(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        return self._frame(METHOD, PUBLISH + _short(exchange) + _short(routing_key) + bytes([mandatory]))

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return _FRAME.pack(kind, self._channel, len(payload)) + payload + FRAME_END


class _Arriving:
    """A delivery whose method has been read: its header, and its body in one or more frames, follow on its channel."""

    __slots__ = ("header", "left", "method", "parts")

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.header = b""
        self.left = -1  # bytes of the body that are still to come; unknown before the header
        self.parts: list[bytes] = []


class Deliveries:
    """Cuts a broker's stream into frames. Deliveries on known channels are read here, the rest is handed to pika.

    Args:
        to_pika: takes whole frames.

    Attributes:
        takers: channel -> who takes its deliveries.
    """

    def __init__(self, to_pika: Callable[[bytes], None]) -> None:
        self.takers: dict[int, Callable[[Incoming], None]] = {}
        self._to_pika = to_pika
        self._rest = b""
        self._arriving: dict[int, _Arriving] = {}

    def forget(self, channel: int) -> None:
        """A channel is closed; its number may be used again."""
        self.takers.pop(channel, None)
        self._arriving.pop(channel, None)

    def feed(self, data: bytes) -> None:
        """Take what came.

        Whatever a sender may choose of a message makes no error here: a broker would bring it again and again.

        Raises:
            ValueError, struct.error, IndexError: this is no AMQP; and whatever pika and the takers raise.
        """
        data = self._rest + data
        self._rest = b""
        begin = offset = 0  # what lies between them is pika's
        while len(data) - offset >= _FRAME.size:
            kind, channel, size = _FRAME.unpack_from(data, offset)
            end = offset + size + FRAME_OVERHEAD
            if end > len(data):
                break
            payload = offset + _FRAME.size
            is_ours = channel in self._arriving if kind != METHOD else self._is_delivery(channel, data, payload)
            if is_ours:
                if begin < offset:
                    self._to_pika(data[begin:offset])
                if data[end - 1 : end] != FRAME_END:
                    raise ValueError("a frame of AMQP that does not end like one")
                self._take(kind, channel, data[payload : end - 1])
                begin = end
            offset = end
        if begin < offset:
            self._to_pika(data[begin:offset])
        self._rest = data[offset:]

    def _is_delivery(self, channel: int, data: bytes, payload: int) -> bool:
        return channel in self.takers and data.startswith(DELIVER, payload)

    def _take(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == METHOD:
            self._arriving[channel] = _Arriving(payload)
            return
        arriving = self._arriving[channel]
        if kind == HEADER:
            arriving.header = payload
            arriving.left = _CONTENT.unpack_from(payload)[2]
        else:
            arriving.parts.append(payload)
            arriving.left -= len(payload)
        if arriving.left == 0:
            del self._arriving[channel]
            taker = self.takers.get(channel)
            if taker is not None:
                taker(_incoming(arriving))


def _incoming(arriving: _Arriving) -> Incoming:
    method = arriving.method
    offset = 5 + method[4]  # class and method, consumer tag
    tag, redelivered = _DELIVERED.unpack_from(method, offset)
    offset += _DELIVERED.size
    offset += 1 + method[offset]  # exchange
    routing_key = _text(method[offset + 1 : offset + 1 + method[offset]])
    headers, reply_to, correlation_id = _properties(arriving.header)
    body = arriving.parts[0] if len(arriving.parts) == 1 else b"".join(arriving.parts)
    return Incoming(tag, routing_key, body, bool(redelivered & 1), headers, reply_to, correlation_id)


def _properties(header: bytes) -> tuple[dict[str, Any] | None, str | None, str | None]:
    """Give headers, reply-to and correlation id, as far as they are there."""
    flags = _CONTENT.unpack_from(header)[3]
    offset = _CONTENT.size
    headers: dict[str, Any] | None = None
    texts: list[str | None] = [None, None]
    for flag in _SHORT_BEFORE_HEADERS:
        if flags & flag:
            offset += 1 + header[offset]
    if flags & _HEADERS:
        headers, offset = _headers(header, offset)
    offset += bool(flags & _DELIVERY_MODE) + bool(flags & _PRIORITY)
    for n, flag in enumerate((_CORRELATION_ID, _REPLY_TO)):
        if flags & flag:
            end = offset + 1 + header[offset]
            texts[n] = _text(header[offset + 1 : end])
            offset = end
    return headers, texts[1], texts[0]


def _headers(properties: bytes, offset: int) -> tuple[dict[str, Any] | None, int]:
    """Give the headers, None for some that pika cannot read, and where they end."""
    end = offset + _TABLE_SIZE.size + _TABLE_SIZE.unpack_from(properties, offset)[0]
    try:
        return decode_table(properties, offset)[0], end
    except Exception:  # noqa: BLE001 -- the sender's word: a time beyond all years, an infinite number, and so on
        return None, end


def _text(data: bytes) -> str:
    """Give a text; "" for bytes that are none, which nobody of ours sends and a broker hands on as they are."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"AMQP has room for 255 bytes, not for {len(data)}: {text[:40]!r}...")
    return bytes([len(data)]) + data


@lru_cache(1024)  # as many as a body can hold records, and more
def _table(items: tuple[tuple[str, Any], ...]) -> bytes:
    pieces: list[bytes] = []
    encode_table(pieces, dict(items))
    return b"".join(pieces)
