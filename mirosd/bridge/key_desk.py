"""What people see of the keys, and ask of them: never a key's value, but the one that they give to replace others."""

import asyncio
from collections.abc import Callable
from typing import Any

from mirosd.bridge.rotation import FORCE_S, Rotation
from mirosd.core.challenger import Identity
from mirosd.core.key_holders import ALIVE_S
from mirosd.core.key_ring import RING_NETWORKS, KeyRing, KeysError, parse_key
from mirosd.core.seal import KEY_BYTES, key_id

ROTATED_S = 10.0
"""How long people are kept waiting for a rotation to come into use; it goes on without them."""


class KeyDesk:
    """The keys as people see and change them (verb.KeysView). Thread: loop.

    Args:
        clock: monotonic seconds; wall_s: since the epoch; random: gives n unpredictable bytes.
    """

    def __init__(
        self,
        key_ring: KeyRing,
        rotation: Rotation,
        identity: Identity,
        *,
        clock: Callable[[], float],
        wall_s: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._key_ring, self._rotation, self._me = key_ring, rotation, identity
        self._clock, self._wall_s, self._random = clock, wall_s, random

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `keys_list`: networks, then hosts, this one first."""
        wall_s, now_s, ring, me = self._wall_s(), self._clock(), self._key_ring.ring, self._me
        networks = [
            {"network": network, "follows": ring.follows(network), "keys": self._keys(network)}
            for network in RING_NETWORKS
            if ring.keys_of(network)
        ]
        own = {"node": me.node, "name": me.name, "takes": self._rotation.takes, "keys": ring.ids(), "seen_s": 0.0}
        others = [
            {
                "node": node,
                "name": each.name,
                "takes": each.takes,
                "keys": dict(each.keys),
                "seen_s": round(max(0.0, wall_s - each.seen_s), 1),
                "is_alive": now_s - each.heard_s <= ALIVE_S,
            }
            for node, each in self._rotation.holders.seen(wall_s).items()
        ]
        return [*networks, own | {"is_alive": True}, *sorted(others, key=lambda row: str(row["name"]))]

    def _keys(self, network: str) -> list[dict[str, Any]]:
        ring = self._key_ring.ring.networks.get(network)
        if ring is None:
            return []
        return [
            {
                "id": key.id,
                "state": "in_use" if key.id == ring.in_use else "accepted",
                "since_s": round(max(0.0, self._wall_s() - key.since_s), 1),
                "lacking": self._lacking(network, key.id) if key == ring.latest else [],
            }
            for key in sorted(ring.keys, key=lambda key: key.id != ring.in_use)
        ]

    async def rotate(self, network: str, *, is_forced: bool) -> dict[str, Any]:
        """Make a new key and hand it on, or go on with the one that is on its way: the result of `keys_rotate`."""
        ring = self._key_ring.ring.networks.get(network)
        if ring is None:
            lead = self._key_ring.ring.follows(network)
            if lead:
                raise KeysError("follows", f"{network} has the keys of {lead}: rotate {lead}, and it follows")
            raise KeysError("no_key", f"this host has no key of {network}, and so none to rotate")
        key, parent = ring.latest.key, ring.latest.parent
        if ring.latest.id == ring.in_use:
            key, parent = self._random(KEY_BYTES), ring.in_use
        new = key_id(key).hex()
        await self._rotation.change(self._rotation.taking(network, key, parent, is_forced=is_forced))
        self._rotation.step()
        await self._used(network, new, ROTATED_S + (FORCE_S if is_forced else 0.0))
        is_used = self._key_ring.ring.networks[network].in_use == new
        return {
            "network": network,
            "id": new,
            "state": "in_use" if is_used else "accepted",
            "lacking": self._lacking(network, new),
            "cut_off": self._rotation.cut_off.get(new, []),
        }

    async def replace(self, network: str, text: str) -> dict[str, Any]:
        """Take a key that people give, and retire all others of its network: the result of `keys_replace`."""
        try:
            key = parse_key(text)
        except ValueError as exc:
            raise KeysError("bad_key", f"what was given {exc}; mirosctl keys generate makes a key") from exc
        old, new = self._key_ring.ring.networks.get(network), key_id(key).hex()
        if old is not None and new in old.retired:
            raise KeysError("key_retired", f"{new} was retired from {network}; mirosctl keys generate makes a new one")
        since_s = self._wall_s()
        await self._rotation.change(lambda ring: ring.replaced(network, key, since_s))
        return {
            "network": network,
            "id": new,
            "retired": [] if old is None else [each.id for each in old.keys if each.id != new],
            "restart_needed": network not in self._key_ring.keys,
        }

    def _lacking(self, network: str, wanted: str) -> list[dict[str, str]]:
        ring = self._key_ring.ring.networks[network]
        key = ring.find(wanted)
        if key is None or wanted == ring.in_use:
            return []
        lacking = self._rotation.lacking(network, key)
        return [
            {"node": node, "name": "" if holder is None else holder.name, "why": why}
            for node, (holder, why) in lacking.items()
        ]

    async def _used(self, network: str, wanted: str, timeout_s: float) -> None:
        """Wait until a key is in use, or until the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._key_ring.ring.networks[network].in_use != wanted:
                    self._rotation.news.clear()
                    await self._rotation.news.wait()
        except TimeoutError:
            pass
