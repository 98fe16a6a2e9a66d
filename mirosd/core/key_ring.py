"""The keys of this host, network by network: which one seals, which ones open beside it, and which never will again.

    keys/ring.json   {"version": 1, "networks": {"mesh": {"in_use": "08508521", "retired": ["<key id>", ...],
                     "keys": [{"key": "<urlsafe base64>", "since_s": 1.7e9, "generation": 0, "parent": "<key id>",
                     "is_forced": false}, ...]}, ...}}

A network without keys of its own follows the mesh: a snoop network has the mesh's keys, the system one derived from
each of them.

A rotation adds a key that was made from nothing, and handed on wrapped under its *parent*, the key in use where it was
made. Its generation is its parent's and one, so all who have both keys agree which is the later one, whatever their
clocks say and however many rotations were begun at once: the greater (generation, id) is. A key that people laid down
begins anew at 0, as all others go when it comes.

Files and credentials only seed the ring: after a rotation they hold a key that is in use no more. One that the ring has
or had changes nothing, one that it never saw was written by the operator, and replaces the network's keys.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mirosd.core.cache_document import Document, DocumentError, parse_object
from mirosd.core.seal import KEY_BYTES, Keys, key_id, system_key
from mirosd.errors import MirosdError

RING_NETWORKS = ("mesh", "snoop_trace", "snoop_spy", "system")

MAX_KEYS = 8
"""Of one network at a time: a rotation needs two; each costs a datagram filter an instruction."""

MAX_RETIRED = 4096
"""Ids remembered of one network: a daily rotation for eleven years. One that was forgotten could be seeded again."""

_TO_STANDARD = str.maketrans("-_", "+/")  # so a key in the standard alphabet is taken as well; none is ambiguous
_VERSION = 1
_NO_RING = "this is not a ring of keys as this mirosd writes it"
_DERIVE: Mapping[str, Callable[[bytes], bytes]] = {"system": system_key}


class KeysError(MirosdError):
    """Keys cannot be changed so; the text says why and what to do.

    Attributes:
        code: `no_key`, `follows`, `too_many_keys`, `key_retired`, `bad_key`, `keys_not_stored`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key. `since_s`: when it came here, since the epoch; `is_forced`: it does not wait for who does not answer."""

    key: bytes = field(repr=False)
    since_s: float = 0.0
    generation: int = 0
    parent: str = ""
    is_forced: bool = False

    @property
    def id(self) -> str:
        """Its key id, 8 hex digits."""
        return key_id(self.key).hex()


@dataclass(frozen=True, slots=True)
class NetworkRing:
    """The keys of one network: `in_use` is the id of one of them."""

    keys: tuple[RingKey, ...]
    in_use: str
    retired: tuple[str, ...] = ()

    def find(self, wanted: str) -> RingKey | None:
        """Give the key with an id, None when there is none."""
        return next((key for key in self.keys if key.id == wanted), None)

    @property
    def current(self) -> RingKey:
        """The key in use."""
        return next(key for key in self.keys if key.id == self.in_use)

    @property
    def latest(self) -> RingKey:
        """The key that is in use or is to be."""
        return max(self.keys, key=lambda key: (key.generation, key.id))

    def taken(self, key: bytes, parent: str, *, since_s: float, is_forced: bool) -> "NetworkRing":
        """Give the ring with a key that a rotation made; without, when it is no later than the one in use."""
        old, known = self.find(parent), self.find(key_id(key).hex())
        if known is not None:
            forced = replace(known, is_forced=known.is_forced or is_forced)
            return replace(self, keys=tuple(forced if each is known else each for each in self.keys))
        if old is None or key_id(key).hex() in self.retired:
            return self
        made = RingKey(key, since_s, old.generation + 1, parent, is_forced)
        if (made.generation, made.id) < (self.current.generation, self.in_use):
            return self
        if len(self.keys) == MAX_KEYS:
            raise KeysError("too_many_keys", f"there are {MAX_KEYS} keys already: wait until older ones have retired")
        return replace(self, keys=(*self.keys, made))

    def using(self, wanted: str) -> "NetworkRing":
        """Give the ring with another of its keys in use."""
        return replace(self, in_use=wanted)

    def settled(self) -> "NetworkRing":
        """Give the ring with the key in use alone; all others are retired."""
        return _alone(self.current, self)

    def replaced(self, key: bytes, since_s: float) -> "NetworkRing":
        """Give the ring with a key that people laid down, alone."""
        return _alone(self.find(key_id(key).hex()) or RingKey(key, since_s), self)


def _alone(key: RingKey, old: NetworkRing) -> NetworkRing:
    gone = [each.id for each in old.keys if each.id != key.id]
    return NetworkRing((key,), key.id, (*old.retired, *gone)[-MAX_RETIRED:])


@dataclass(frozen=True, slots=True)
class Ring:
    """The rings of the networks that have keys of their own."""

    networks: Mapping[str, NetworkRing]

    def follows(self, network: str) -> str:
        """Give the network whose keys this one has, "" when it has its own or none at all."""
        return "mesh" if network not in self.networks and "mesh" in self.networks else ""

    def keys_of(self, network: str) -> tuple[bytes, ...]:
        """Give a network's keys, the one in use first; () when it does not exist on this host."""
        ring = self.networks.get(self.follows(network) or network)
        if ring is None:
            return ()
        keys = [ring.current.key, *(each.key for each in ring.keys if each.id != ring.in_use)]
        derive = _DERIVE.get(network) if self.follows(network) else None
        return tuple(keys if derive is None else map(derive, keys))

    def changed(self, network: str, ring: NetworkRing) -> "Ring":
        """Give the ring with other keys for one network."""
        return Ring({**self.networks, network: ring})

    def replaced(self, network: str, key: bytes, since_s: float) -> "Ring":
        """Give the ring with a key that people laid down, as the only one of its network."""
        old = self.networks.get(network)
        made = RingKey(key, since_s)
        return self.changed(network, NetworkRing((made,), made.id) if old is None else old.replaced(key, since_s))

    def seeded(self, seeds: Mapping[str, bytes], since_s: float) -> "Ring":
        """Give the ring with what files and credentials hold, as far as it never saw that."""
        ring = self
        for network, key in seeds.items():
            old = self.networks.get(network)
            if old is None or (old.find(key_id(key).hex()) is None and key_id(key).hex() not in old.retired):
                ring = ring.replaced(network, key, since_s)
        return ring

    def ids(self) -> dict[str, list[str]]:
        """Give the key ids of each network that has keys of its own, the one in use first."""
        return {name: [key_id(key).hex() for key in self.keys_of(name)] for name in self.networks}


class KeyRing:
    """The ring as it is now, and the keys that the daemon seals and opens with, which follow it. Thread: loop.

    Attributes:
        ring: change it by apply().
        keys: of each network that this host has, all through its life.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        held = {network: ring.keys_of(network) for network in RING_NETWORKS}
        self.keys = {network: Keys(keys[0], keys[1:]) for network, keys in held.items() if keys}

    def apply(self, ring: Ring) -> None:
        """Seal and open by this ring from now on."""
        self.ring = ring
        for network, held in self.keys.items():
            keys = ring.keys_of(network)
            if keys != tuple(held):
                held.change(keys[0], keys[1:])


def parse_key(text: str) -> bytes:
    """Give the key in a file's text: base64 of 32 bytes, in either alphabet.

    Raises:
        ValueError: with what is wrong, as "is not base64"; never with the text.
    """
    try:
        key = base64.b64decode("".join(text.split()).translate(_TO_STANDARD), validate=True)
    except ValueError as exc:  # binascii.Error, or characters beyond ASCII
        raise ValueError("is not base64") from exc
    if len(key) != KEY_BYTES:
        raise ValueError(f"holds {len(key)} bytes and a key has {KEY_BYTES}")
    return key


def ring_text(ring: Ring) -> str:
    """Give the document; it holds the keys."""
    networks = {
        name: {
            "in_use": each.in_use,
            "retired": each.retired,
            "keys": [asdict(key) | {"key": base64.urlsafe_b64encode(key.key).decode()} for key in each.keys],
        }
        for name, each in ring.networks.items()
    }
    return json.dumps({"version": _VERSION, "networks": networks}, indent=1) + "\n"


def parse_ring(text: str) -> Ring:
    """Give the ring that ring_text() wrote; an empty text is an empty ring.

    Raises:
        DocumentError: it is anything else; nothing of it is repeated.
    """
    document: Document = {"version": _VERSION, "networks": {}} | parse_object(text)
    try:
        ring = Ring({name: _parse_network(**rows) for name, rows in document["networks"].items()})
    except (AttributeError, TypeError, ValueError) as exc:
        raise DocumentError(1, 1, _NO_RING) from exc
    if document["version"] != _VERSION or not ring.networks.keys() <= {*RING_NETWORKS}:
        raise DocumentError(1, 1, _NO_RING)
    return ring


def _parse_network(in_use: Any, retired: Any, keys: Any) -> NetworkRing:
    ring = NetworkRing(tuple(_parse_key(**row) for row in keys), in_use, tuple(retired))
    if ring.find(in_use) is None or not all(type(each) is str for each in retired):
        raise ValueError
    return ring


def _parse_key(key: Any, since_s: Any, generation: Any, parent: Any, is_forced: Any) -> RingKey:
    made = RingKey(base64.urlsafe_b64decode(key), float(since_s), generation, parent, is_forced)
    if (
        len(made.key) != KEY_BYTES
        or (type(generation), type(parent), type(is_forced)) != (int, str, bool)
        or not 0 <= made.since_s < float("inf")
    ):
        raise ValueError
    return made
