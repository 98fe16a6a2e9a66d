"""Asks nodes that nothing is known of who they are, when their heartbeats are heard; and peers that moved or restarted.

Whoever heartbeats to us has proved us, and we know nothing of it: no hosts file lists it, no search found it. Its
word alone leads nowhere. It is asked for, by a sealed challenge, through each connection that we have: an
answer means that this broker serves it already, and needs no producers of its own. Else it is asked by the reply-to
of its heartbeat; its sealed answer names its brokers, which may then be scouted.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import structlog

from mirosd.bridge.control import Control
from mirosd.bridge.producer_set import ProducerSet, Proof, proof_of
from mirosd.bridge.tasks import Tasks
from mirosd.core.aliens import MAX_STRANGERS, Aliens, Strangers
from mirosd.core.control_messages import Heartbeat
from mirosd.core.gossip import one_spelling
from mirosd.payloads import Introduction, PeerAlien
from mirosd.signals import Private

log = structlog.get_logger()

MAX_ASKED = 32
"""Strangers asked at a time; the others are asked at their next heartbeat."""

REACHABLE_S = 5.0
"""A reply-to is of use while its heartbeats come: five lost ones in a row are no accident."""


class Seat(NamedTuple):
    """Where a node can be answered: the reply-to of its last heartbeat, when that came, and its brokers."""

    reply_to: str
    heard_s: float
    brokers: list[str]


class Greeter:
    """Thread: loop.

    Args:
        sets: gives all producer sets, the own broker's among them.
        adopt: takes a node, with what it has proved, as a peer behind a producer set that is there already.
        post_peer: gives (signal, payload) to the peer chart; any thread may call it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        control: Control,
        aliens: Aliens,
        *,
        sets: Callable[[], Iterable[ProducerSet]],
        adopt: Callable[[str, Proof, ProducerSet], None],
        post_peer: Callable[[int, Any], None],
        clock: Callable[[], float],
    ) -> None:
        self._control, self._aliens = control, aliens
        self._sets, self._adopt, self._post_peer, self._clock = sets, adopt, post_peer, clock
        self._strangers = Strangers()
        self._seats: OrderedDict[str, Seat] = OrderedDict()  # who was heard longest ago comes first
        self._tasks = Tasks("greeting_failed")

    def heard(self, beat: Heartbeat, reply_to: str) -> None:
        """Take another node's heartbeat."""
        node, now_s = beat.node, self._clock()
        self._seats[node] = Seat(reply_to, now_s, beat.brokers)
        self._seats.move_to_end(node)
        if len(self._seats) > MAX_STRANGERS:
            self._seats.popitem(last=False)
        if node in self._control.heartbeats.peers:
            self._control.heartbeats.take_gossip(beat)
            is_to_be_asked = self._is_news(beat)
        else:
            is_to_be_asked = self._aliens.is_to_be_asked(node)
        if is_to_be_asked and len(self._tasks) < MAX_ASKED and self._strangers.heard(node, now_s):
            self._tasks.spawn(self._ask(node, reply_to))

    def _is_news(self, beat: Heartbeat) -> bool:
        """Say whether a peer has restarted, perhaps with other keys, or has moved: our link to its broker is down."""
        there = next((each for each in self._sets() if beat.node in each.nodes), None)
        if there is None:
            return False
        if there.control_link is not None:
            return 0 < there.nodes[beat.node].start < beat.start
        brokers = one_spelling(beat.brokers)
        return bool(brokers) and there.address.display not in brokers

    def admitted(self, nodes: Iterable[str]) -> None:
        """These nodes are no strangers any more, or may be peers from now on: ask them at their next heartbeat."""
        for node in nodes:
            self._strangers.forget(node)

    async def confirm(self, broker: str) -> tuple[str, ...]:
        """Ask those heard just now whose broker this is ("10.0.0.7:5672"); gives the brokers that they answer with.

        The sealed answers have cleared those by then (core/clearance.py).
        """
        now_s = self._clock()
        there = [
            (node, seat.reply_to)
            for node, seat in self._seats.items()
            if seat.reply_to and now_s - seat.heard_s < REACHABLE_S and broker in one_spelling(seat.brokers)
        ]
        answers = await asyncio.gather(*(self._control.challenge_back(*seat) for seat in there[:MAX_ASKED]))
        return tuple(broker for who in answers if who is not None for broker in who.brokers)

    async def close(self) -> None:
        """Ask nobody any more."""
        await self._tasks.close()

    async def _ask(self, node: str, reply_to: str) -> None:
        here, who = await self._locate(node)
        if who is None and reply_to:
            who = await self._control.challenge_back(node, reply_to)
        if who is None:
            return  # it is asked again when it speaks again, later and later
        self._strangers.answered(node, self._clock())
        is_served = here is not None and node in here.nodes
        log.info("peer_restarted" if is_served else "alien_answered", node=node, name=who.name, brokers=who.brokers)
        if here is not None and self._aliens.is_admitted(node):
            self._adopt(node, proof_of(who), here)
        self._post_peer(Private.peer_alien, PeerAlien(who, () if is_served else who.brokers))

    async def _locate(self, node: str) -> tuple[ProducerSet | None, Introduction | None]:
        """Give the producer set whose broker serves the node already, and its answer."""
        linked = [(each, each.control_link) for each in self._sets()]
        asked = [(each, self._control.locate(node, link)) for each, link in linked if link and not link.is_blocked]
        answers = await asyncio.gather(*(question for _, question in asked))
        found = [(each, who) for (each, _), who in zip(asked, answers, strict=True) if who is not None]
        return found[0] if found else (None, None)
