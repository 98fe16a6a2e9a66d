"""Sealing: who can read and write what crosses a broker, and nothing else.

A *network key* (32 bytes) is shared by the members of one network. Nobody seals
with it: each daemon draws a *session* (an id of 16 bytes) and derives that session's
key, so that a counter can be the nonce and no nonce is ever used twice with one
key. A new session begins at every start, every hour, with every new key and at
every new connection to the own broker. The counter goes on through all of them: in its upper 24 bits it has
the node's start, below them how many bodies this start has sealed. So it puts all that a node ever
seals for a network in one order (replay.py).

A network may have several keys for a while (key_ring.py): what any of them sealed is opened, and one is in use to seal.

    key id       SHA-256("mirosd key id" | network key)[:4]     which key; public
    node tag     SHA-256("mirosd session" | node id, as hex)[:6]     whose session; public
    session id   node tag | 10 random bytes
    session key  HKDF-SHA256(network key, salt=session, info="mirosd 2 session" | lp(system) | lp(network))
    system key   HKDF-SHA256(mesh key, salt="", info="mirosd 2 system"), or a file of its own
    wrapped key  nonce (12, random) | AES-256-GCM(HKDF-SHA256(old key, salt="", info="mirosd 2 wrap"), nonce, new key,
                 additional data = lp(system) | lp(network) | id of the old key | id of the new key)

lp(x) is the length of x in two bytes, then x.

The tag tells a receiver which node speaks, in every session that it will ever draw, before
it has said anything else. It is a member's word: whoever holds the network key could use
another's tag, and could read and forge everything anyway.

Two sessions with one id would use nonces twice. Those of one node differ in 80 random bits, so NIST's bound
of 2^-32 for a repeated nonce is reached after sqrt(2 * 2^80 * 2^-32) = 24 million sessions of one node on one
network under one key: a reconnect a second for nine months. Sessions of two nodes meet only if, beside
these bits, their tags do, which for any two is 2^-48. Clones share a tag, and draw their 80 bits apart.

A wrapped key has a random nonce: one of 2^32 for a key that wraps a handful of others in its life.

Source: RFC 5869 (HKDF), NIST SP 800-38D section 8.2.1 (deterministic nonces) and 8.3 (random ones).
"""

import hashlib
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mirosd.errors import RemoteProtocolError

KEY_BYTES = 32
KEY_ID_BYTES = 4
NODE_TAG_BYTES = 6
SESSION_BYTES = 16
TAG_BYTES = 16
MAX_SESSION_S = 3600.0
"""A session's life: bounds what one nonce counter and one snapshot of a virtual machine can repeat."""

_START_SHIFT = 40
"""Bits of a counter that count bodies: 2^40 of them are three years of 10,000 a second."""
_MAX_START = (1 << 24) - 1
"""The starts that a counter can tell apart: a crash each second for half a year."""

NODE_SESSIONS = 2
"""Sessions of one node whose keys are kept ready: it speaks in its latest, and repeats what it said in the one before.
Without this a host that lives for months keeps all that were ever drawn around it, up to the bound below."""

MAX_OPEN_SESSIONS = 1024
"""Sessions of others whose keys are kept ready; the least recently used goes first, and costs one derivation again."""

_NONCE = struct.Struct(">IQ")
_WRAP_NONCE_BYTES = 12
_LENGTH = struct.Struct(">H")


def length_prefixed(*fields: bytes) -> bytes:
    """Give the fields, each behind its length in two bytes: no two lists of fields give the same bytes."""
    return b"".join(_LENGTH.pack(len(field)) + field for field in fields)


def derive(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Give 32 bytes by HKDF-SHA256."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def first_counter(start: int) -> int:
    """Give the lowest counter of a node's start (from 1)."""
    return min(start, _MAX_START) << _START_SHIFT


def start_of(counter: int) -> int:
    """Give the start in which a counter was drawn."""
    return counter >> _START_SHIFT


def key_id(key: bytes) -> bytes:
    """Give the four public bytes that say which key sealed a body."""
    return hashlib.sha256(b"mirosd key id" + key).digest()[:KEY_ID_BYTES]


def node_tag(node: str) -> bytes:
    """Give the six public bytes with which every session id of a node (32 hex digits) begins."""
    return hashlib.sha256(b"mirosd session" + node.encode()).digest()[:NODE_TAG_BYTES]


def system_key(mesh_key: bytes) -> bytes:
    """Give the system key of a host that has no file of its own for it."""
    return derive(mesh_key, salt=b"", info=b"mirosd 2 system")


def membership_proof(network_key: bytes, network: str, nonce: str, node: str, *said: str) -> str:
    """Give the hex proof that `node` holds a network's key, bound to the challenger's nonce and to what it says."""
    key = derive(network_key, salt=b"", info=b"mirosd 2 proof")
    text = length_prefixed(*(field.encode() for field in (network, nonce, node, *said)))
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def position_proof(mesh_key: bytes, sender: str, receiver: str, counters: Iterable[int]) -> str:
    """Give the hex proof that what a heartbeat says of mesh bodies is the word of somebody with the mesh key."""
    key = derive(mesh_key, salt=b"", info=b"mirosd 2 position")
    said = (str(counter).encode() for counter in counters)
    return hmac.new(key, length_prefixed(sender.encode(), receiver.encode(), *said), hashlib.sha256).hexdigest()


def wrap_key(key: bytes, old: bytes, system: str, network: str, *, random: Callable[[int], bytes]) -> bytes:
    """Give a network's new key, sealed for whoever holds its old one."""
    nonce = random(_WRAP_NONCE_BYTES)
    cipher, bound = _wrapping(old, system, network, key_id(key))
    return nonce + cipher.encrypt(nonce, key, bound)


def unwrap_key(wrapped: bytes, old: bytes, system: str, network: str, new_id: bytes) -> bytes:
    """Give the key that wrap_key() sealed; RemoteProtocolError `forged` when it is not the key of that id."""
    cipher, bound = _wrapping(old, system, network, new_id)
    try:
        key = cipher.decrypt(wrapped[:_WRAP_NONCE_BYTES], wrapped[_WRAP_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as exc:
        raise RemoteProtocolError("a key that nobody with the old one has wrapped", code="forged") from exc
    if len(key) != KEY_BYTES or key_id(key) != new_id:
        raise RemoteProtocolError("a key that is another than its id says", code="forged")
    return key


def _wrapping(old: bytes, system: str, network: str, new_id: bytes) -> tuple[AESGCM, bytes]:
    bound = length_prefixed(system.encode(), network.encode()) + key_id(old) + new_id
    return AESGCM(derive(old, salt=b"", info=b"mirosd 2 wrap")), bound


class Keys:
    """The keys of one network as they are now: whoever seals or opens holds this, and follows. Thread: loop.

    Attributes:
        in_use: the one to seal with.
        on_change: called, all of them, when the keys have become others.
    """

    def __init__(self, in_use: bytes, accepted: Iterable[bytes] = ()) -> None:
        self.on_change: list[Callable[[], None]] = []
        self.change(in_use, accepted)

    def change(self, in_use: bytes, accepted: Iterable[bytes] = ()) -> None:
        """Seal with `in_use` from now on, and open with it and with those accepted beside it, and no other."""
        self.in_use = in_use
        self._by_id = {key_id(key): key for key in (in_use, *accepted)}
        for follow in self.on_change:
            follow()

    def __iter__(self) -> Iterator[bytes]:
        """Give all, the one in use first."""
        return iter(self._by_id.values())

    def find(self, wanted: bytes) -> bytes | None:
        """Give the key with this id, None when it is none of ours."""
        return self._by_id.get(wanted)


class Sealed(NamedTuple):
    """A sealed text with what a receiver needs to open it."""

    key_id: bytes
    session: bytes
    counter: int
    ciphertext: bytes


def _session_cipher(key: bytes, session: bytes, system: str, network: str) -> AESGCM:
    info = b"mirosd 2 session" + length_prefixed(system.encode(), network.encode())
    return AESGCM(derive(key, salt=session, info=info))


class Sealer:
    """Seals for one network of one system with the key in use, in sessions of its own.

    Args:
        keys: the network's; another in use begins a session.
        node: the id of the node that seals.
        start: the node's, from its state directory; 0 says nothing of the order of what is sealed.
        random: gives n unpredictable bytes (os.urandom).
        clock: monotonic seconds.

    Attributes:
        keys: as given.
        next_counter: that of the next body.
    """

    def __init__(
        self,
        keys: Keys,
        system: str,
        network: str,
        *,
        node: str,
        start: int = 0,
        random: Callable[[int], bytes],
        clock: Callable[[], float],
    ) -> None:
        self.next_counter = first_counter(start)
        self._tag = node_tag(node)
        self.keys, self._system, self._network = keys, system, network
        self._random, self._clock = random, clock
        self.new_session()

    def new_session(self) -> None:
        """Begin a session: at start, after an hour, with each key, and when what was published may be seen again."""
        self._key = self.keys.in_use
        self.key_id = key_id(self._key)
        self.session = self._tag + self._random(SESSION_BYTES - NODE_TAG_BYTES)
        self._cipher = _session_cipher(self._key, self.session, self._system, self._network)
        self._began_s = self._clock()

    def skip_to(self, start: int) -> None:
        """Go on as a later start: an earlier one of this node, which its state directory has forgotten, came so far."""
        self.next_counter = max(self.next_counter, first_counter(start))

    def seal(self, plaintext: bytes, associated: Callable[[bytes, int], bytes]) -> Sealed:
        """Seal; `associated(session, counter)` gives the additional authenticated data."""
        if self.keys.in_use is not self._key or self._clock() - self._began_s > MAX_SESSION_S:
            self.new_session()
        counter, self.next_counter = self.next_counter, self.next_counter + 1
        ciphertext = self._cipher.encrypt(_NONCE.pack(0, counter), plaintext, associated(self.session, counter))
        return Sealed(self.key_id, self.session, counter, ciphertext)


class Opener:
    """Opens what members of one network of one system sealed, with any of its keys."""

    def __init__(self, keys: Keys, system: str, network: str) -> None:
        self._keys, self._system, self._network = keys, system, network
        self._ciphers: OrderedDict[bytes, AESGCM] = OrderedDict()

    def open(self, sealed: Sealed, associated: bytes) -> bytes:
        """Give the text; RemoteProtocolError `unknown_key` or `forged` when it does not open."""
        key = self._keys.find(sealed.key_id)
        if key is None:
            raise RemoteProtocolError(f"sealed with key {sealed.key_id.hex()}, not ours", code="unknown_key")
        session = sealed.session + sealed.key_id
        cipher = self._ciphers.get(session)
        is_new = cipher is None
        if cipher is None:
            cipher = _session_cipher(key, sealed.session, self._system, self._network)
        try:
            plaintext = cipher.decrypt(_NONCE.pack(0, sealed.counter), sealed.ciphertext, associated)
        except (InvalidTag, ValueError, OverflowError) as exc:
            raise RemoteProtocolError("the body was not sealed by a member, or was changed", code="forged") from exc
        if is_new:  # only a session that proved itself may push another out
            self._keep(session, cipher)
        else:
            self._ciphers.move_to_end(session)
        return plaintext

    def _keep(self, session: bytes, cipher: AESGCM) -> None:
        tag = session[:NODE_TAG_BYTES]
        of_node = [known for known in self._ciphers if known.startswith(tag)]  # the least recently used first
        for old in of_node[: len(of_node) + 1 - NODE_SESSIONS]:
            del self._ciphers[old]
        self._ciphers[session] = cipher
        if len(self._ciphers) > MAX_OPEN_SESSIONS:
            self._ciphers.popitem(last=False)
