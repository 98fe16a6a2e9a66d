"""What becomes of a body that a queue has brought: delivered, kept until more is known of its node, or dropped."""

import asyncio
from collections.abc import Mapping
from enum import Enum
from math import inf

import structlog

from mirosd.bridge.subscriptions import Subscription
from mirosd.core.aliens import Aliens, Verdict
from mirosd.core.broker import Incoming
from mirosd.core.envelope import Envelope, counter_of, node_tag_of
from mirosd.core.replay import Passage, ReplayGuard
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError
from mirosd.names import NETWORK_NAMES
from mirosd_client.record import salvage_records
from mirosd_client.wire import Network

log = structlog.get_logger()


TELL_S = 60.0
"""How often a code is told of bodies that do not open: who may write to our broker could fill the log with them."""


class Ruling(Enum):
    """What becomes of a body."""

    DELIVER = "deliver"
    WAIT = "wait"
    DROP = "drop"  # it is counted


class Screening:
    """Opens bodies, and holds them against what is known of their nodes. Thread: loop.

    Args:
        envelopes: of the networks whose keys this host has.
        aliens: whose bodies are delivered.
        replay: which bodies may be recordings.
    """

    def __init__(
        self, envelopes: Mapping[Network, Envelope], aliens: Aliens, replay: ReplayGuard, board: Board
    ) -> None:
        self._envelopes, self._aliens, self._replay, self._board = envelopes, aliens, replay, board
        self._clock = asyncio.get_running_loop().time
        self._told_s: dict[str, float] = {}  # by code; there is a handful

    def screen(self, subscription: Subscription, incoming: Incoming) -> tuple[Ruling, int, bytes]:
        """Give (ruling, held ms, records); the latter two count for what is delivered."""
        body, now_s = incoming.body, self._clock()
        try:
            held_ms, records = self._envelopes[subscription.network].open_records(body, incoming.routing_key)
        except RemoteProtocolError as error:
            self._board.count(f"unopened_{error.code}")
            if now_s - self._told_s.get(error.code, -inf) >= TELL_S:
                self._told_s[error.code] = now_s
                log.warning("body_unopened", code=error.code, reason=str(error), subscription=subscription.chart)
            return Ruling.DROP, 0, b""
        tag = node_tag_of(body)
        verdict = self._aliens.verdict(tag, now_s)
        if verdict is Verdict.QUARANTINE:
            return self._drop("quarantined", records)
        network, counter = NETWORK_NAMES[subscription.network], counter_of(body)
        passage = self._replay.judge(network, tag, counter, bound_s=subscription.bound_s, now_s=now_s)
        if passage in REFUSALS:
            return self._drop(passage.value, records)
        is_waiting = Verdict.WAIT is verdict or passage is Passage.WAIT
        return Ruling.WAIT if is_waiting else Ruling.DELIVER, held_ms, records

    def _drop(self, counter: str, records: bytes) -> tuple[Ruling, int, bytes]:
        self._board.count(counter, len(salvage_records(records)[0]))
        return Ruling.DROP, 0, b""


REFUSALS = frozenset({Passage.OLD, Passage.REPEATED})
