"""What a daemon's charts do for delivery, modelled: whom they have proved, and when they let go of somebody.

man_net and the scouts: each listed host is tried, again with the pauses of mirosd.core.backoff, until it is proved. A
host is proved when packets pass both ways, its broker is there, and its daemon is connected to it.
producer_factory: a proved host's producers go through the queue.
peer: what was seen of a node is kept in mirosd.core.peers.Seen; who gave no sign for 60 s of our hearing is let go, and
scouted anew; so is who is adrift, or names itself.
"""

import asyncio
import queue
from collections.abc import Callable
from random import Random
from typing import Any

from mirosd.bridge.bridge import Bridge
from mirosd.core.backoff import LISTED_HOST_CAP_S, LISTED_HOST_FIRST_S, delay_s
from mirosd.core.hearing import Hearing
from mirosd.core.peers import Seen, is_owed, owed_until_s
from mirosd.payloads import Introduction, Producer, ProducerQueue
from mirosd.signals import Private

PROOF_S = 0.05
"""The longest that a scouting takes where all is well."""

Prove = Callable[[str], Introduction | None]


class PeerModel:
    """The charts of one start of one daemon.

    Args:
        prove: gives who is at a broker now, None when nobody can be proved there.
        producers: the queue that the bridge empties.
        on_retired: told each node that nothing is owed to any more.
    """

    def __init__(
        self,
        listed: list[str],
        prove: Prove,
        producers: "queue.Queue[ProducerQueue]",
        random: Random,
        *,
        on_retired: Callable[[str], None],
    ) -> None:
        self._listed, self._prove, self._producers, self._random = listed, prove, producers, random
        self._on_retired = on_retired
        self._loop = asyncio.get_running_loop()
        self._hearing = Hearing()
        self._lives: dict[str, Seen] = {}
        self._hosts: dict[str, str] = {}  # by node
        self._scouted: dict[str, int] = {}  # host -> attempts so far
        self.bridge: Bridge | None = None

    def start(self, bridge: Bridge) -> None:
        """Begin to scout."""
        self.bridge = bridge
        for host in self._listed:
            self._send_scout(host)

    def post(self, signal: int, payload: Any) -> None:
        """Take a sign, as a chart does: later."""
        self._loop.call_soon(self._take, signal, payload)

    def _send_scout(self, host: str) -> None:
        if host not in self._scouted:
            self._scouted[host] = 0
            self._loop.call_later(self._random.random() * PROOF_S, self._scout, host)

    def _scout(self, host: str) -> None:
        introduction = self._prove(host)
        if introduction is None:
            attempt = self._scouted[host]
            self._scouted[host] += 1
            pause_s = delay_s(attempt, first_s=LISTED_HOST_FIRST_S, cap_s=LISTED_HOST_CAP_S, random=self._random.random)
            self._loop.call_later(pause_s, self._scout, host)
            return
        del self._scouted[host]
        node = introduction.node
        self._hosts[node] = host
        seen = self._lives.setdefault(node, Seen(introduction))
        seen.prove(introduction, self._now_s())
        self._watch(node)
        assert self.bridge is not None
        self._producers.put_nowait(ProducerQueue((Producer("mesh", host, node),), (), (), (host,)))
        self.bridge.wake()

    def _take(self, signal: int, payload: Any) -> None:
        match signal:
            case Private.peer_own_blocked:
                self._hearing.stop(self._loop.time())
            case Private.peer_own_free:
                self._hearing.resume(self._loop.time())
            case Private.peer_alien:
                for host in payload.brokers:
                    self._send_scout(host.partition(":")[0])
            case Private.peer_heard:
                if seen := self._lives.get(payload.introduction.node):
                    seen.hear(payload.introduction, payload.sequence, payload.rtt_ms, self._now_s())
            case _:
                self._sign(signal, payload)

    def _sign(self, signal: int, sign: Any) -> None:
        seen = self._lives.get(getattr(sign, "node", ""))
        if seen is None:
            return
        match signal:
            case Private.peer_routed:
                seen.routed_s, seen.returned = self._now_s(), False
            case Private.peer_returned:
                seen.returned = True
            case Private.peer_link_up:
                seen.down = ""
            case Private.peer_link_down if not seen.down:
                seen.down = "lost"
                self._send_scout(self._hosts[sign.node])
            case Private.peer_left:
                seen.leave(sign.start, sign.sequence)

    def _watch(self, node: str) -> None:
        """Look again when the node may have been silent for too long."""
        seen = self._lives.get(node)
        if seen is None:
            return
        if is_owed(seen, self._now_s()):
            wait_s = max(owed_until_s(seen) - self._now_s(), 1.0)  # more, if nothing is heard now at all
            self._loop.call_later(wait_s, self._watch, node)
            return
        del self._lives[node]
        assert self.bridge is not None
        self._on_retired(node)
        self.bridge.retire(node)
        self._send_scout(self._hosts[node])

    def _now_s(self) -> float:
        return self._hearing.now_s(self._loop.time())
