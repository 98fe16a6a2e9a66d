"""The control exchange: questions asked and answered, heartbeats sent and heard, `left` said.

Every daemon has one exclusive control queue on its own broker, bound to its node id
and to "any". Exclusive: it dies with the daemon's connection, so that a mandatory
heartbeat which comes back means, within a second, that the daemon crashed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from mirosd.bridge.questions import Questions
from mirosd.core.broker import DIRECT_REPLY, Incoming, Link, Outcome
from mirosd.core.control_messages import (
    ANSWER_KEY,
    Answer,
    Challenge,
    Heartbeat,
    Identity,
    Left,
    Matched,
    Matching,
    SealedChallenger,
    decode_control,
    encode_control,
)
from mirosd.core.envelope import Envelope, key_id_of
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, DIRECTORY_EXCHANGE, HINT_SYSTEM, HINT_UNKNOWN_KEY, SystemNames, node_routing_key
from mirosd.payloads import Introduction, PeerHeard, PeerSign
from mirosd.signals import Private

log = structlog.get_logger()

HEARTBEAT_S = 1.0
"""A crash is known within one of these; 20 peers cost 20 small messages a second."""

CONTROL_TTL_MS = 3000
"""Older heartbeats say nothing any more: after an alarm or a restart nobody reads a backlog of them."""


class Control:
    """Speaks for this daemon on the control exchange. Thread: loop.

    Args:
        post_peer: gives (signal, payload) to the peer chart; any thread may call it.
        clock: monotonic seconds.
        wall_ms: the wall clock, for noticing clocks that differ.

    Attributes:
        count_here: gives how many mesh queues of this host's programs a routing key matches.
    """

    def __init__(
        self,
        names: SystemNames,
        envelope: Envelope,
        challenger: SealedChallenger,
        *,
        post_peer: Callable[[int, Any], None],
        board: Board,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._names, self._envelope, self._challenger = names, envelope, challenger
        self._post_peer, self._board = post_peer, board
        self._clock, self._wall_ms = clock, wall_ms
        self.count_here: Callable[[str], int] = lambda _routing_key: 0
        self._own: Link | None = None
        self._peers: dict[str, Link | None] = {}
        self._echoes: dict[str, tuple[int, float]] = {}
        self._questions = Questions(names.control, CONTROL_TTL_MS)
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def identity(self) -> Identity:
        """Who this daemon is."""
        return self._challenger.identity

    async def opened(self, link: Link) -> None:
        """The own broker is there: take up the control queue, a new sealing session with it."""
        self._envelope.sealer.new_session()
        await link.declare_exchange(self._names.control)
        await link.declare_exchange(DIRECTORY_EXCHANGE)
        queue = await link.declare_queue("", durable=False, exclusive=True, arguments={"x-message-ttl": CONTROL_TTL_MS})
        await link.bind_queue(queue, self._names.control, node_routing_key(self.identity.node))
        await link.bind_queue(queue, self._names.control, ANY_NODE)
        directory = await link.declare_queue(
            "", durable=False, exclusive=True, arguments={"x-message-ttl": CONTROL_TTL_MS}
        )
        await link.bind_queue(directory, DIRECTORY_EXCHANGE, ANY_NODE)
        await self.listen(link)
        consumer = await link.consume(
            queue, lambda incoming: self._received(link, incoming, lambda: consumer.ack(incoming.tag)), prefetch=100
        )
        asked = await link.consume(
            directory, lambda incoming: self._asked(link, incoming, lambda: asked.ack(incoming.tag)), prefetch=100
        )
        self._own = link

    def lost(self) -> None:
        """The own broker is gone: nobody can reach us until it is back."""
        self._own = None

    # Peers: whom heartbeats go to, and over which link.

    def add_peer(self, node: str, link: Link | None) -> None:
        """Send heartbeats to `node` over `link`; None while its broker is away."""
        self._peers[node] = link
        if link is not None:
            self._beat_to(node, link)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def remove_peer(self, node: str) -> None:
        """Send `node` nothing any more."""
        self._peers.pop(node, None)
        self._echoes.pop(node, None)

    async def locate(self, node: str, link: Link) -> Introduction | None:
        """Ask through `link` for `node`: who answered, or None when it is not behind that broker."""
        body, nonce = self._challenger.challenge(node)
        return await self._questions.put(node, link, body, nonce, lambda answer: self._challenger.judge(answer, nonce))

    async def count_matches(self, routing_key: str) -> dict[str, int | None]:
        """Ask each peer how many mesh queues of its programs a routing key matches; None: it did not say."""
        peers = dict(self._peers)
        counts = await asyncio.gather(*(self._count_at(node, link, routing_key) for node, link in peers.items()))
        return dict(zip(peers, counts, strict=True))

    async def _count_at(self, node: str, link: Link | None, routing_key: str) -> int | None:
        if link is None or link.is_blocked:
            return None
        nonce = self._challenger.nonce()
        question = Matching(node=self.identity.node, nonce=nonce, routing_key=routing_key)

        def judge(answer: bytes) -> int:
            matched = decode_control(self._envelope.open(answer, ANSWER_KEY))
            if not isinstance(matched, Matched) or (matched.node, matched.nonce) != (node, nonce):
                raise RemoteProtocolError("an answer to another question", code="stale")
            return matched.queues

        body = self._envelope.seal(encode_control(question), node_routing_key(node))
        return await self._questions.put(node, link, body, nonce, judge)

    async def say_left(self) -> None:
        """Tell every peer that this daemon stops; waits at most half a second for their brokers."""
        if self._timer is not None:
            self._timer.cancel()
        waiting: list[asyncio.Future[None]] = []
        for node, link in self._peers.items():
            if link is None:
                continue
            done = asyncio.get_running_loop().create_future()
            waiting.append(done)
            self._sequence += 1
            text = encode_control(Left(node=self.identity.node, start=self.identity.start, sequence=self._sequence))
            self._publish(node, link, text, lambda _outcome, done=done: done.done() or done.set_result(None))  # type: ignore[misc]
        if waiting:
            await asyncio.wait(waiting, timeout=0.5)

    def _beat(self) -> None:
        self._timer = None
        for node, link in self._peers.items():
            if link is not None:
                self._beat_to(node, link)
        if self._peers:  # no peers, no timer: an idle daemon sleeps
            self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def _beat_to(self, node: str, link: Link) -> None:
        if link.is_blocked:  # what waits in front of a broker in alarm would be counted against the connection
            return
        self._sequence += 1
        echo_ms, heard_s = self._echoes.get(node, (None, 0.0))
        beat = Heartbeat(
            node=self.identity.node,
            name=self.identity.name,
            start=self.identity.start,
            sequence=self._sequence,
            daemon_version=self.identity.daemon_version,
            wall_ms=self._wall_ms(),
            sent_ms=int(self._clock() * 1000),
            echo_ms=echo_ms,
            echo_age_ms=int((self._clock() - heard_s) * 1000) if echo_ms is not None else 0,
        )

        def told(outcome: Outcome) -> None:
            signal = Private.peer_returned if outcome is Outcome.RETURNED else Private.peer_routed
            self._post_peer(signal, PeerSign(node))

        self._publish(node, link, encode_control(beat), told)

    def _publish(self, node: str, link: Link, text: bytes, on_outcome: Callable[[Outcome], Any]) -> None:
        routing_key = node_routing_key(node)
        body = self._envelope.seal(text, routing_key)
        link.publish(
            self._names.control,
            routing_key,
            body,
            mandatory=True,
            expiration_ms=CONTROL_TTL_MS,
            on_outcome=on_outcome,
        )

    # What arrives on the own broker.

    def _received(self, link: Link, incoming: Incoming, ack: Callable[[], None]) -> None:
        ack()
        try:
            message = decode_control(self._envelope.open(incoming.body, incoming.routing_key))
        except RemoteProtocolError as error:
            self._board.count(f"control_{error.code}")
            log.debug("control_unopened", code=error.code, key_id=key_id_of(incoming.body), reason=str(error))
            if error.code == "unknown_key":
                self._reply(link, incoming, HINT_UNKNOWN_KEY)
            return
        match message:
            case Challenge():
                self._reply(link, incoming, self._challenger.answer(message))
            case Heartbeat():
                self._heard(message)
            case Left():
                sign = PeerSign(message.node, message.start, message.sequence)
                self._post_peer(Private.peer_left, sign)
            case Matching():
                matched = Matched(
                    node=self.identity.node, nonce=message.nonce, queues=self.count_here(message.routing_key)
                )
                self._reply(link, incoming, self._envelope.seal(encode_control(matched), ANSWER_KEY))
            case Answer() | Matched():
                self._board.count("control_unexpected")

    def _heard(self, beat: Heartbeat) -> None:
        if beat.node == self.identity.node:
            return
        now_s = self._clock()
        self._echoes[beat.node] = beat.sent_ms, now_s
        rtt_ms = None if beat.echo_ms is None else max(0.0, now_s * 1000 - beat.echo_ms - beat.echo_age_ms)
        introduction = Introduction(
            node=beat.node,
            name=beat.name,
            start=beat.start,
            version=beat.daemon_version,
            networks=(),  # a heartbeat proves the system key alone
            wall_ahead_s=(beat.wall_ms - self._wall_ms()) / 1000,
        )
        self._post_peer(Private.peer_heard, PeerHeard(introduction, beat.sequence, rtt_ms))

    def _asked(self, link: Link, incoming: Incoming, ack: Callable[[], None]) -> None:
        """Somebody of another system wants to know which systems are here."""
        ack()
        self._reply(link, incoming, HINT_SYSTEM + self._names.system.encode())

    def _reply(self, link: Link, incoming: Incoming, body: bytes) -> None:
        if incoming.reply_to and incoming.reply_to.startswith(DIRECT_REPLY):
            link.publish("", incoming.reply_to, body, correlation_id=incoming.correlation_id)

    async def listen(self, link: Link) -> None:
        """Hear answers on a link."""
        await link.listen_for_replies(self._questions.replied)

    def close(self) -> None:
        """Send nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._peers.clear()
