"""Which keys the other hosts have, by their own word: a rotation goes on when all have the new key.

    key_holders.json   {"<node>": {"name": "h2", "keys": {"mesh": ["<key id>", ...]}, "takes": true, "seen_s": 1.7e9}}

It tells key ids, never keys. Who was seen within a day counts, through restarts, though it may be off.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from mirosd.core.cache_document import DocumentError, parse_object
from mirosd.core.key_ring import MAX_KEYS, RING_NETWORKS, Ring, RingKey

SEEN_S = 24 * 3600.0
"""Who was not seen for longer holds no rotation up: it may be gone for good, and then nothing would end one."""

ALIVE_S = 5.0
"""Heartbeats come each second: who was heard within this answers."""

NOTED_S = 3600.0
"""How far `seen_s` may be behind in the file, so that it is not written each second."""

MAX_NODES = 1024
"""As many as there are tombstones; who was seen longest ago goes first."""


@dataclass(slots=True)
class Holder:
    """Another host. `keys`: its key ids by network, the one in use first; those networks that have keys of their own.

    `takes`: whether it takes keys of a rotation. `seen_s`: since the epoch, when it was heard last; `heard_s`: the same
    on the monotonic clock, -inf: not since this start.
    """

    name: str
    keys: Mapping[str, Sequence[str]]
    takes: bool
    seen_s: float
    heard_s: float = -inf

    def lacks(self, network: str, key: RingKey, ring: Ring, now_s: float) -> str:
        """Say why it would lose touch if `key` sealed on this network, "" when it would not."""
        if not self.keys:
            return "its mirosd knows no rotations"
        if ring.follows("system") == network and "system" in self.keys:
            return "its system key is one of its own, and would not follow"
        affected = [each for each in self.keys if each == network or ring.follows(each) == network]
        ours = ring.networks[network]
        if all(key.id in self.keys[each] or not any(map(ours.find, self.keys[each])) for each in affected):
            return ""
        if not self.takes:
            return "keys.accept_remote is false there"
        return "it does not answer" if now_s - self.heard_s > ALIVE_S else "it is about to take it"

    def uses(self, network: str, ring: Ring) -> bool:
        """Say whether it seals with the key in use here, is no member of this network, or was not waited for."""
        ours, theirs = ring.networks[network], self.keys.get(network, ())
        is_cut_off = ours.current.is_forced and ours.in_use not in theirs
        return is_cut_off or not any(map(ours.find, theirs)) or theirs[0] == ours.in_use


class Holders:
    """All that were heard. Thread: loop."""

    def __init__(self) -> None:
        self._nodes: dict[str, Holder] = {}  # who was seen longest ago comes first

    def heard(
        self, node: str, name: str, keys: Mapping[str, Sequence[str]], *, takes: bool, wall_s: float, now_s: float
    ) -> bool:
        """Take what a peer says of its keys; True when it is to be written down."""
        kept = {network: ids[:MAX_KEYS] for network, ids in keys.items() if network in RING_NETWORKS}
        old = self._nodes.pop(node, None)
        self._nodes[node] = Holder(name, kept, takes, wall_s, now_s)
        if len(self._nodes) > MAX_NODES:
            del self._nodes[next(iter(self._nodes))]
        is_same = old is not None and (old.name, old.keys, old.takes) == (name, kept, takes)
        return not is_same or int(wall_s / NOTED_S) != int(old.seen_s / NOTED_S)  # type: ignore[union-attr]

    def seen(self, wall_s: float) -> dict[str, Holder]:
        """Give those seen within a day, by node."""
        return {node: holder for node, holder in self._nodes.items() if wall_s - holder.seen_s < SEEN_S}

    def text(self) -> str:
        """Give what a later start has to know."""
        rows = {node: asdict(holder) for node, holder in self._nodes.items()}
        for row in rows.values():
            del row["heard_s"]
        return json.dumps(rows) + "\n"

    def restore(self, text: str) -> None:
        """Take the text of an earlier start; DocumentError when it is none."""
        try:
            self._nodes = {node: _parse(**row) for node, row in [*parse_object(text).items()][-MAX_NODES:]}
        except (AttributeError, TypeError, ValueError) as exc:
            raise DocumentError(1, 1, "these are no holders of keys as mirosd writes them") from exc


def _parse(name: Any, keys: Any, takes: Any, seen_s: Any) -> Holder:
    held = {network: [id for id in ids if type(id) is str] for network, ids in keys.items()}
    if (type(name), type(takes)) != (str, bool):
        raise TypeError
    return Holder(name, held, takes, float(seen_s))
