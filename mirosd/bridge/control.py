"""The control exchange: questions asked and answered, heartbeats sent and heard, `left` said.

Every daemon has one exclusive control queue on its own broker, bound to its node id
and to "any". Exclusive: it dies with the daemon's connection, so that a mandatory
heartbeat which comes back means, within a second, that the daemon crashed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from mirosd.bridge.heartbeats import Heartbeats
from mirosd.bridge.inquiries import Inquiries
from mirosd.bridge.pulse import Pulse
from mirosd.bridge.questions import Questions
from mirosd.core.broker import DIRECT_REPLY, Incoming, Link, Outcome
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.control_messages import (
    Answer,
    Challenge,
    Heartbeat,
    Left,
    Matched,
    Matching,
    Offering,
    Recalled,
    Recalling,
    decode_control,
    encode_control,
)
from mirosd.core.envelope import Envelope, key_id_of
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, DIRECTORY_EXCHANGE, HINT_SYSTEM, HINT_UNKNOWN_KEY, SystemNames, node_routing_key
from mirosd.payloads import Introduction, PeerSign
from mirosd.signals import Private

log = structlog.get_logger()

CONTROL_TTL_MS = 3000
"""Older heartbeats say nothing any more: after an alarm or a restart nobody reads a backlog of them."""


class Control:
    """Speaks for this daemon on the control exchange. Thread: loop.

    Args:
        post_peer: gives (signal, payload) to the peer chart; any thread may call it.
        clock: monotonic seconds.
        wall_ms: the wall clock, for noticing clocks that differ.

    Attributes:
        inquiries: what daemons ask each other about their programs.
        on_heartbeat: told each authentic heartbeat of another node, with its direct reply-to.
        on_offering: told each key that another node offers.
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
        self.on_heartbeat: Callable[[Heartbeat, str], None] = lambda _beat, _reply_to: None
        self.on_offering: Callable[[Offering], None] = lambda _offer: None
        self._pulse = Pulse(self._send_pulse, post_peer=post_peer, clock=clock)
        self.heartbeats = Heartbeats(
            challenger,
            send=self._send_beat,
            on_beat=self._pulse.beat,
            post_peer=post_peer,
            clock=clock,
            wall_ms=wall_ms,
            measures=board.measures,
        )
        self._own: Link | None = None
        self._questions = Questions(names.control, CONTROL_TTL_MS)
        self.inquiries = Inquiries(challenger, envelope, self._questions, self.heartbeats.peers, board)
        self._asking: set[asyncio.Task[Introduction | None]] = set()

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
        self._pulse.opened(link)

    def lost(self, code: str) -> None:
        """The own broker is gone, or cannot be reached: nobody can reach us until it is back."""
        self._own = None
        self._pulse.lost(code)

    def add_peer(self, node: str, link: Link | None) -> None:
        """Send heartbeats to `node` over `link`; None while its broker is away."""
        self.heartbeats.add_peer(node, link)

    def remove_peer(self, node: str) -> None:
        """Send `node` nothing any more."""
        self.heartbeats.remove_peer(node)

    def offer(self, node: str, offer: Offering) -> None:
        """Hand a key to a peer, unless its broker is away."""
        link = self.heartbeats.peers.get(node)
        if link is not None and not link.is_blocked:
            self._publish(node, link, encode_control(offer))

    async def locate(self, node: str, link: Link) -> Introduction | None:
        """Ask through `link` for `node`: who answered, or None when it is not behind that broker."""
        body, nonce = self._challenger.challenge(node)
        return await self._questions.put(node, link, body, nonce, lambda answer: self._challenger.judge(answer, nonce))

    async def challenge_back(self, node: str, reply_to: str) -> Introduction | None:
        """Ask `node` who it is, by the reply-to of a message of its to our own broker; None when it does not say."""
        link = self._own
        if link is None or link.is_blocked:
            return None
        body, nonce = self._challenger.challenge(node)
        key = node_routing_key(self.identity.node)
        return await self._questions.put_back(
            reply_to, link, body, nonce, lambda answer: self._challenger.judge_at(key, answer, nonce)
        )

    async def say_left(self) -> None:
        """Tell every peer that this daemon stops; waits at most half a second for their brokers."""
        self.heartbeats.stop()
        waiting: list[asyncio.Future[None]] = []
        for node, link in self.heartbeats.peers.items():
            if link is None:
                continue
            done = asyncio.get_running_loop().create_future()
            waiting.append(done)
            sequence = self.heartbeats.next_sequence()
            text = encode_control(Left(node=self.identity.node, start=self.identity.start, sequence=sequence))
            self._publish(node, link, text, lambda _outcome, done=done: done.done() or done.set_result(None))  # type: ignore[misc]
        if waiting:
            await asyncio.wait(waiting, timeout=0.5)

    def _send_beat(self, node: str, link: Link, beat: Heartbeat) -> None:
        def told(outcome: Outcome) -> None:
            signal = Private.peer_returned if outcome is Outcome.RETURNED else Private.peer_routed
            self._post_peer(signal, PeerSign(node))

        self._publish(node, link, encode_control(beat), told, reply_to=DIRECT_REPLY)

    def _send_pulse(self, link: Link) -> None:
        text = encode_control(self.heartbeats.template())
        self._publish(self.identity.node, link, text, reply_to=DIRECT_REPLY)

    def _publish(
        self,
        node: str,
        link: Link,
        text: bytes,
        on_outcome: Callable[[Outcome], Any] | None = None,
        reply_to: str | None = None,
    ) -> None:
        routing_key = node_routing_key(node)
        body = self._envelope.seal(text, routing_key)
        link.publish(
            self._names.control,
            routing_key,
            body,
            mandatory=on_outcome is not None,
            expiration_ms=CONTROL_TTL_MS,
            reply_to=reply_to,
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
                self._doubt(message, incoming)
            case Heartbeat() if message.node != self.identity.node:
                self.heartbeats.heard(message)
                self.on_heartbeat(message, _direct(incoming))
            case Heartbeat() if message.instance == self.identity.instance:
                self._pulse.came_back()
            case Heartbeat():
                self._doubt(message, incoming)
            case Left():
                sign = PeerSign(message.node, message.start, message.sequence)
                self._post_peer(Private.peer_left, sign)
            case Matching() | Recalling():
                answer = self.inquiries.answer(message)
                if answer is not None:
                    self._reply(link, incoming, answer)
            case Offering():
                self.on_offering(message)
            case Answer() if self._questions.is_open(incoming.correlation_id):
                self._questions.replied(incoming)
            case Answer() | Matched() | Recalled():
                self._board.count("control_unexpected")

    def _doubt(self, message: Challenge | Heartbeat, incoming: Incoming) -> None:
        """Ask who it is that speaks with our own node id; the challenger knows what to do when it is a clone."""
        reply_to = _direct(incoming)
        if reply_to and not self._asking and self._challenger.is_clone(message.node, message.instance):
            task = asyncio.get_running_loop().create_task(self.challenge_back(message.node, reply_to))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def _asked(self, link: Link, incoming: Incoming, ack: Callable[[], None]) -> None:
        """Somebody of another system wants to know which systems are here."""
        ack()
        self._reply(link, incoming, HINT_SYSTEM + self._names.system.encode())

    def _reply(self, link: Link, incoming: Incoming, body: bytes) -> None:
        if reply_to := _direct(incoming):
            link.publish("", reply_to, body, correlation_id=incoming.correlation_id)

    async def listen(self, link: Link) -> None:
        """Hear answers on a link, and challenges by those who heard our heartbeats over it."""
        self._board.measures.opened["control"] += 1
        await link.listen_for_replies(lambda incoming: self._replied(link, incoming))

    def _replied(self, link: Link, incoming: Incoming) -> None:
        if self._questions.is_open(incoming.correlation_id):
            self._questions.replied(incoming)
            return
        retort = self._challenger.retort(incoming.body)
        if retort is not None:
            routing_key, body, nonce = retort
            link.publish(self._names.control, routing_key, body, expiration_ms=CONTROL_TTL_MS, correlation_id=nonce)

    def close(self) -> None:
        """Send nothing any more."""
        self.heartbeats.stop()
        self.heartbeats.peers.clear()
        for task in self._asking:
            task.cancel()


def _direct(incoming: Incoming) -> str:
    """Give the direct reply-to of a message, "" when it has none: answers go nowhere else."""
    reply_to = incoming.reply_to or ""
    return reply_to if reply_to.startswith(DIRECT_REPLY) else ""
