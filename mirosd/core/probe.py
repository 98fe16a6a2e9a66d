"""The datagram that asks the LAN who is there, and the one that answers: 128 bytes each, sealed.

Both have one size, so nobody is made to send more than was sent to him. Nothing in
them is readable without the system key but which key sealed them. Of several system keys (key_ring.py) each makes a
key here: what any of them sealed is opened, and that of the one in use seals.

    key    HKDF-SHA256(system key, no salt, info "mirosd 2 probe")
    nonce  12 random bytes

Random nonces under a key shared by all hosts: a hundred hosts that ask and answer each
other every minute send 2^36 datagrams in ten years, and two of them share a nonce with
a probability of 2^-25; a new system key begins anew. What that would give away is the
difference of the two, and the power to forge datagrams.

An answer is no use to anybody else: it repeats the challenge of the probe, and names
in `target` whom it answers, and in `broker` where its own broker is.

Source: NIST SP 800-38D section 8.3 (random nonces); linux/filter.h (the filter's instructions).
"""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mirosd.core.seal import KEY_ID_BYTES, Keys, derive, key_id, length_prefixed
from mirosd.errors import RemoteProtocolError

PROBE_BYTES = 128
"""The kernel charges a datagram that waits for ARP alike up to 197 bytes: 256 of them fill a default buffer."""

MAGIC = bytes.fromhex("d54d4c50")
VERSION = 2
CHALLENGE_BYTES = 8
INSTANCE_BYTES = 8

Address = IPv4Address | IPv6Address

_NO_BROKER = 1  # of the sealed flags
_HEADER = struct.Struct(">4sBB6x4s12s")
_SEALED = struct.Struct(">Q8s16s16s16sHH8s8x")
_UDP_HEADER_BYTES = 8  # a filter on a UDP socket sees it before the datagram
_KEY_ID_AT = 12


class Kind(IntEnum):
    """What a datagram is."""

    PROBE = 1
    ANSWER = 2


class Datagram(NamedTuple):
    """What a datagram says.

    `challenge` is 8 bytes that the asker drew and the answer repeats; `node` 32 and `instance` 16 hex digits.
    `target` of a probe is the address it is sent to, None when it is sent to everybody; of an answer, the address
    that the probe came from. `broker`: where the sender's broker takes connections on `port`, None: at the address
    that the datagram came from. `has_broker` False: it has none for others.
    """

    kind: Kind
    challenge: bytes
    node: str
    instance: str
    target: Address | None
    broker: Address | None = None
    port: int = 0
    has_broker: bool = True
    wall_ms: int = 0


class ProbeSeal:
    """Seals and opens the datagrams of one system with the keys that it has now.

    Args:
        system: the system's label, bound into every datagram.
        random: gives n unpredictable bytes (os.urandom).

    Attributes:
        key_ids: of what is opened, that of the key in use first.
    """

    def __init__(self, system_keys: Keys, system: str, *, random: Callable[[int], bytes]) -> None:
        keys = [derive(key, salt=b"", info=b"mirosd 2 probe") for key in system_keys]
        self.key_ids = [key_id(key) for key in keys]
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._bound = length_prefixed(system.encode()) + bytes([VERSION])
        self._random = random

    def seal(self, datagram: Datagram) -> bytes:
        """Give the 128 bytes."""
        nonce = self._random(12)
        in_use = self.key_ids[0]
        header = _HEADER.pack(MAGIC, datagram.kind, 0, in_use, nonce)
        plaintext = _SEALED.pack(
            datagram.wall_ms,
            datagram.challenge,
            bytes.fromhex(datagram.node),
            _packed(datagram.target),
            _packed(datagram.broker),
            datagram.port,
            0 if datagram.has_broker else _NO_BROKER,
            bytes.fromhex(datagram.instance),
        )
        return header + self._ciphers[in_use].encrypt(nonce, plaintext, header + self._bound)

    def open(self, data: bytes) -> Datagram:
        """Give what was sealed; nonce_of(data) tells a repeat.

        Raises:
            RemoteProtocolError: code `malformed` (size, magic, kind), `unknown_key`, or `forged`: of another system,
                of another version, or of nobody.
        """
        if len(data) != PROBE_BYTES or data[: len(MAGIC)] != MAGIC:
            raise RemoteProtocolError(f"{len(data)} bytes that are no datagram of ours")
        _, kind, _, sealed_with, nonce = _HEADER.unpack_from(data)
        cipher = self._ciphers.get(sealed_with)
        if cipher is None:
            raise RemoteProtocolError(f"sealed with key {sealed_with.hex()}, not ours", code="unknown_key")
        header = data[: _HEADER.size]
        try:
            plaintext = cipher.decrypt(nonce, data[_HEADER.size :], header + self._bound)
        except InvalidTag as exc:
            raise RemoteProtocolError("not sealed by a member of this system", code="forged") from exc
        if kind not in (Kind.PROBE, Kind.ANSWER):
            raise RemoteProtocolError(f"a datagram of unknown kind {kind}")
        wall_ms, challenge, node, target, broker, port, flags, instance = _SEALED.unpack(plaintext)
        return Datagram(
            Kind(kind),
            challenge,
            node.hex(),
            instance.hex(),
            _address(target),
            _address(broker),
            port,
            not flags & _NO_BROKER,
            wall_ms,
        )


def nonce_of(data: bytes) -> bytes:
    """Give the nonce of a datagram that has opened."""
    return data[_HEADER.size - 12 : _HEADER.size]


class Instruction(NamedTuple):
    """One instruction of a classic BPF program: struct sock_filter."""

    code: int
    jump_true: int
    jump_false: int
    k: int


def filter_program(key_ids: Sequence[bytes]) -> tuple[Instruction, ...]:
    """Give the program that lets a UDP socket hear datagrams of ours alone: size, magic, and one of `key_ids`.

    Junk then costs this process nothing. All jumps of the checks lead to the last instruction, which drops.
    """
    load_length, load_word, jump_if_equal, give = 0x80, 0x20, 0x15, 0x06
    count = len(key_ids)
    return (
        Instruction(load_length, 0, 0, 0),
        Instruction(jump_if_equal, 0, 4 + count, _UDP_HEADER_BYTES + PROBE_BYTES),
        Instruction(load_word, 0, 0, _UDP_HEADER_BYTES),
        Instruction(jump_if_equal, 0, 2 + count, int.from_bytes(MAGIC)),
        Instruction(load_word, 0, 0, _UDP_HEADER_BYTES + _KEY_ID_AT),
        *(
            Instruction(jump_if_equal, count - 1 - place, int(place == count - 1), int.from_bytes(one))
            for place, one in enumerate(key_ids)
        ),
        Instruction(give, 0, 0, 0xFFFF),
        Instruction(give, 0, 0, 0),
    )


def _packed(address: Address | None) -> bytes:
    if address is None:
        return bytes(16)
    if isinstance(address, IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def _address(packed: bytes) -> Address | None:
    if not any(packed):
        return None
    address = IPv6Address(packed)
    return address.ipv4_mapped or address


assert KEY_ID_BYTES == 4 and _HEADER.size == 28 and _SEALED.size == 84
