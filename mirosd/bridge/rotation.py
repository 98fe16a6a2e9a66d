"""New keys without a lost event: made on one host, handed to all, used when all have them, and the old ones retired.

    offered   whoever has a key that is later than the one in use offers it, wrapped under its parent, to each peer that
              lacks it, each second; who takes it stores it, and says so in its heartbeats
    in use    a host seals with it once every peer that it saw within a day has it; the system key that follows from
              a mesh key is part of it, so nobody is sent a heartbeat that it cannot open
    retired   once every such peer has sealed with it for longer than anything sealed before can be delivered

Every host goes by this rule alone, so there is none that must live through it: the ring, which is stored before
anything is said of it, is all that there is to a rotation. A forced one does not wait for who does not answer. A
rotation shuts nobody out, since the new key is sealed with the old one; replacing a key does (key_desk.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import structlog

from mirosd.bridge.control import Control
from mirosd.bridge.tasks import Tasks
from mirosd.core.control_messages import Heartbeat, Offering
from mirosd.core.key_holders import ALIVE_S, Holder, Holders
from mirosd.core.key_ring import KeyRing, KeysError, NetworkRing, Ring, RingKey
from mirosd.core.seal import unwrap_key, wrap_key
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError
from mirosd.logs import LogOnChange

log = structlog.get_logger()

STEP_S = 1.0
"""How often a rotation that is on is looked after, as heartbeats are: they bring what it waits for."""

FORCE_S = 10.0
"""How long a forced rotation waits for peers that are heard: they need two heartbeats and a write to a disk."""

Edit = Callable[[Ring], Ring]


class Rotation:
    """The keys of this host as they change, and who has them (heartbeats.KeyTeller). Thread: loop.

    Args:
        store: replaces the stored ring, and returns when that lasts; KeysError `keys_not_stored`.
        holders: who has which keys, as an earlier start left it; `keep` writes their text, soon.
        takes: whether keys of another host's rotation are taken (settings.keys.accept_remote).
        expire_s: after which nothing that was sealed is delivered any more.
        clock: monotonic seconds; wall_s: since the epoch; random: gives n unpredictable bytes.

    Attributes:
        said: the key ids of this host by network, and `takes`, as heartbeats tell them.
        holders: who has which keys.
        cut_off: by key id, the names of those that a forced rotation did not wait for.
        news: set when the keys have become others.
    """

    def __init__(
        self,
        key_ring: KeyRing,
        control: Control,
        *,
        system: str,
        store: Callable[[Ring], Awaitable[None]],
        holders: Holders,
        keep: Callable[[str], None],
        takes: bool,
        expire_s: float,
        board: Board,
        clock: Callable[[], float],
        wall_s: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._key_ring, self._control, self._system = key_ring, control, system
        self._store, self.holders, self._keep = store, holders, keep
        self.takes, self._expire_s, self._board = takes, expire_s, board
        self._clock, self._wall_s, self._random = clock, wall_s, random
        self._tasks, self._refusals = Tasks("key_change_failed"), LogOnChange()
        self._changing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._forced_s: dict[str, float] = {}  # by key id: since when this start knows of it
        self._used_s: dict[str, float] = {}  # by key id: since when all have sealed with it
        self.cut_off: dict[str, list[str]] = {}
        self.news = asyncio.Event()
        control.heartbeats.keys = self
        control.on_offering = self.offered
        self._follow()

    @property
    def ring(self) -> Ring:
        """The keys of this host."""
        return self._key_ring.ring

    def close(self) -> None:
        """Change nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    # What peers say.

    def heard(self, beat: Heartbeat) -> None:
        """Take a peer's heartbeat."""
        told = {"wall_s": self._wall_s(), "now_s": self._clock()}
        if self.holders.heard(beat.node, beat.name, beat.keys, takes=beat.takes_keys, **told):
            self._keep(self.holders.text())

    def offered(self, offer: Offering) -> None:
        """Take a key that a peer offers, unless there is a reason not to."""
        ring = self.ring.networks.get(offer.network)
        old = None if ring is None else ring.find(offer.old)
        refusal = ""
        if not self.takes:
            refusal = "keys.accept_remote is false here"
        elif offer.node not in self._control.heartbeats.peers:
            refusal = "who offers it is no peer"
        elif ring is None or old is None:
            refusal = "the key that it is wrapped under is not ours"
        if refusal or ring is None or old is None:
            self._refuse(offer, refusal)
            return
        try:
            key = unwrap_key(
                bytes.fromhex(offer.wrapped), old.key, self._system, offer.network, bytes.fromhex(offer.key)
            )
            edit = self.taking(offer.network, key, old.id, is_forced=offer.is_forced)
            is_news = edit(self.ring) != self.ring
        except (RemoteProtocolError, KeysError) as error:
            self._refuse(offer, str(error))
            return
        if is_news and not self._changing.locked():  # else it comes again
            log.info("key_taken", network=offer.network, key=offer.key, peer=offer.node)
            self._tasks.spawn(self._attempt(edit))

    def _refuse(self, offer: Offering, reason: str) -> None:
        self._board.count("key_offers_refused")
        said = {"network": offer.network, "key_id": offer.key, "peer": offer.node, "reason": reason}
        self._refusals.log(logging.WARNING, "key_refused", key="refused", value=reason, **said)  # it comes each second

    # What follows.

    async def _attempt(self, edit: Edit) -> None:
        try:
            await self.change(edit)
        except KeysError as error:
            log.warning("keys_unchanged", code=error.code, reason=str(error))  # it is tried again

    async def change(self, edit: Edit) -> None:
        """Store what is to be, and then go by it: what was said of a key must be true after any restart.

        Raises:
            KeysError: `keys_not_stored`, `too_many_keys`; nothing has changed.
        """
        async with self._changing:
            ring = edit(self.ring)
            if ring == self.ring:
                return
            try:
                await self._store(ring)
            except KeysError as error:
                self._board.raise_reason("keys_not_stored", str(error))
                raise
            self._board.clear_reason("keys_not_stored")
            self._key_ring.apply(ring)
        log.info("keys_changed", keys=ring.ids())
        self._follow()
        self._control.heartbeats.beat_now()

    def _follow(self) -> None:
        self.said = self.ring.ids()
        self.news.set()
        if self._timer is None and any(len(ring.keys) > 1 for ring in self.ring.networks.values()):
            self._timer = asyncio.get_running_loop().call_later(STEP_S, self._step_again)

    def _step_again(self) -> None:
        self._timer = None
        self.step()
        self._follow()

    def step(self) -> None:
        """Look after what is going on, as each second."""
        for network, ring in self.ring.networks.items():
            self._offer(network, ring)
            edit = self._due(network, ring)
            if edit is not None and not self._changing.locked():
                self._tasks.spawn(self._attempt(edit))

    def _due(self, network: str, ring: NetworkRing) -> Edit | None:
        """Give what is to become of a network's keys now."""
        latest = ring.latest
        if latest.id != ring.in_use:
            return _of(network, lambda ring: ring.using(latest.id)) if self._may_use(network, latest) else None
        return _of(network, NetworkRing.settled) if len(ring.keys) > 1 and self._is_over(network, ring) else None

    def _offer(self, network: str, ring: NetworkRing) -> None:
        """Offer the latest key to whoever may take it; a forced one until it is used, so that others force it too.

        Who has not even its parent is offered that before.
        """
        seen = self.holders.seen(self._wall_s())
        for node in self._control.heartbeats.peers:
            holder = seen.get(node)
            theirs = () if holder is None or not holder.takes else holder.keys.get(network, ())
            key, old = ring.latest, ring.find(ring.latest.parent)
            while old is not None and old.id not in theirs:
                key, old = old, ring.find(old.parent)
            if old is not None and (key.id not in theirs or (key.is_forced and theirs[0] != key.id)):
                wrapped = wrap_key(key.key, old.key, self._system, network, random=self._random)
                offer = Offering(
                    node=self._control.identity.node,
                    network=network,
                    old=old.id,
                    key=key.id,
                    wrapped=wrapped.hex(),
                    is_forced=key.is_forced,
                )
                self._control.offer(node, offer)

    def _may_use(self, network: str, key: RingKey) -> bool:
        lacking = self.lacking(network, key)
        if lacking and key.is_forced:
            now_s = self._clock()
            is_patient = now_s - self._forced_s.setdefault(key.id, now_s) < FORCE_S
            answering = (holder is None or now_s - holder.heard_s <= ALIVE_S for holder, _ in lacking.values())
            if is_patient and any(answering):
                return False
            names = [holder.name if holder is not None else node for node, (holder, _) in lacking.items()]
            self.cut_off[key.id] = names
            log.warning("key_peers_cut_off", network=network, key_id=key.id, peers=names)
            return True
        return not lacking

    def lacking(self, network: str, key: RingKey) -> dict[str, tuple[Holder | None, str]]:
        """Give who would lose touch if a key were in use, and why, by node."""
        seen, now_s = self.holders.seen(self._wall_s()), self._clock()
        silent = {
            node: (None, "it has not been heard yet") for node in self._control.heartbeats.peers if node not in seen
        }
        judged = {node: (holder, holder.lacks(network, key, self.ring, now_s)) for node, holder in seen.items()}
        return silent | {node: (holder, why) for node, (holder, why) in judged.items() if why}

    def _is_over(self, network: str, ring: NetworkRing) -> bool:
        """Say whether nothing that an older key sealed can be on its way any more."""
        seen = self.holders.seen(self._wall_s())
        is_used = all(node in seen for node in self._control.heartbeats.peers)
        if not is_used or not all(holder.uses(network, self.ring) for holder in seen.values()):
            self._used_s.pop(ring.in_use, None)
            return False
        return self._clock() - self._used_s.setdefault(ring.in_use, self._clock()) > self._expire_s

    def taking(self, network: str, key: bytes, parent: str, *, is_forced: bool) -> Edit:
        """Give the edit that takes a key of a rotation."""
        since_s = self._wall_s()
        return _of(network, lambda ring: ring.taken(key, parent, since_s=since_s, is_forced=is_forced))


def _of(network: str, edit: Callable[[NetworkRing], NetworkRing]) -> Edit:
    return lambda ring: ring.changed(network, edit(ring.networks[network]))
