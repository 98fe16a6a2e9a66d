"""One AMQP body, version 2: a sealed run of records, or a sealed control text.

    offset  bytes  field (big-endian)
    0       2      magic: D5 4D
    2       1      version: 2
    3       4      key id
    7       16     session id; its first 6 bytes name the node
    23      8      counter, rising through all sessions and starts of the node
    31      ...    AES-256-GCM ciphertext and its 16-byte tag

Additional data: lp(the 31 bytes above) | lp(system) | lp(network) | lp(routing key),
so a body opens only under the routing key, network and system it was sealed for.
Mesh and snoop plaintext: `held ms u32 | records`, where held is the time the
sender's daemon kept the records; control plaintext: a JSON message (control_messages.py).
Test vectors are in docs/protocol.md.
"""

import struct

from mirosd.core.seal import (
    KEY_ID_BYTES,
    NODE_TAG_BYTES,
    SESSION_BYTES,
    TAG_BYTES,
    Opener,
    Sealed,
    Sealer,
    length_prefixed,
)
from mirosd.errors import RemoteProtocolError

MAGIC = b"\xd5\x4d"
VERSION = 2
_HEADER = struct.Struct(f">2sB{KEY_ID_BYTES}s{SESSION_BYTES}sQ")
HEADER_BYTES = _HEADER.size
_SESSION_OFFSET = 3 + KEY_ID_BYTES
_COUNTER = struct.Struct(">Q")
_COUNTER_OFFSET = _SESSION_OFFSET + SESSION_BYTES
_HELD = struct.Struct(">I")


class Envelope:
    """Seals and opens the bodies of one network of one system."""

    def __init__(self, system: str, network: str, sealer: Sealer, opener: Opener) -> None:
        self.sealer, self._opener = sealer, opener
        self._system, self._network = system.encode(), network.encode()

    def _associated(self, header: bytes, routing_key: str) -> bytes:
        return length_prefixed(header, self._system, self._network, routing_key.encode())

    def seal(self, plaintext: bytes, routing_key: str) -> bytes:
        """Give the body of `plaintext` for `routing_key`."""

        def associated(session: bytes, counter: int) -> bytes:
            header = _HEADER.pack(MAGIC, VERSION, self.sealer.key_id, session, counter)
            return self._associated(header, routing_key)

        sealed = self.sealer.seal(plaintext, associated)
        return _HEADER.pack(MAGIC, VERSION, sealed.key_id, sealed.session, sealed.counter) + sealed.ciphertext

    def open(self, body: bytes, routing_key: str) -> bytes:
        """Give the plaintext of a body.

        Raises:
            RemoteProtocolError: `malformed` (not a body), `version` (of another version),
                `unknown_key`, `forged`. Nothing else, whatever the bytes.
        """
        if len(body) < HEADER_BYTES + TAG_BYTES:
            raise RemoteProtocolError(f"a body of {len(body)} bytes is too short to be one")
        magic, version, key, session, counter = _HEADER.unpack_from(body)
        if magic != MAGIC:
            raise RemoteProtocolError("a body that does not begin like one of ours")
        if version != VERSION:
            raise RemoteProtocolError(f"a body of version {version}; this daemon speaks {VERSION}", code="version")
        sealed = Sealed(key, session, counter, body[HEADER_BYTES:])
        return self._opener.open(sealed, self._associated(body[:HEADER_BYTES], routing_key))

    def seal_records(self, records: bytes, held_ms: int, routing_key: str) -> bytes:
        """Give the body of a run of records that this daemon kept for `held_ms`."""
        return self.seal(_HELD.pack(min(held_ms, 0xFFFFFFFF)) + records, routing_key)

    def open_records(self, body: bytes, routing_key: str) -> tuple[int, bytes]:
        """Give (held ms, records) of a body; errors as in open()."""
        plaintext = self.open(body, routing_key)
        if len(plaintext) <= _HELD.size:
            raise RemoteProtocolError("a body without records")
        return _HELD.unpack_from(plaintext)[0], plaintext[_HELD.size :]


def node_tag_of(body: bytes) -> bytes:
    """Give the tag of the node that sealed a body which opened (seal.node_tag)."""
    return body[_SESSION_OFFSET : _SESSION_OFFSET + NODE_TAG_BYTES]


def counter_of(body: bytes) -> int:
    """Give the counter of a body which opened, or was sealed here."""
    counter: int = _COUNTER.unpack_from(body, _COUNTER_OFFSET)[0]
    return counter


def key_id_of(body: bytes) -> str:
    """Give the key id a body names, in hex; "" when it is not a body."""
    return body[3 : 3 + KEY_ID_BYTES].hex() if body[:2] == MAGIC and len(body) >= HEADER_BYTES else ""
