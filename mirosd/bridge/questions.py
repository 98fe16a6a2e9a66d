"""Questions to other daemons through their broker, each answered by direct reply-to, or not."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from mirosd.core.broker import DIRECT_REPLY, Incoming, Link, Outcome
from mirosd.errors import RemoteProtocolError
from mirosd.names import node_routing_key

T = TypeVar("T")

ANSWER_S = 1.0
"""How long a question may stay open: a daemon answers within milliseconds, and somebody waits for all answers."""

log = structlog.get_logger()


class Questions:
    """The questions that are open. Thread: loop.

    Args:
        exchange: the control exchange.
        ttl_ms: life of a question on the broker.
    """

    def __init__(self, exchange: str, ttl_ms: int) -> None:
        self._exchange, self._ttl_ms = exchange, ttl_ms
        self._open: dict[str, tuple[asyncio.Future[Any], Callable[[bytes], Any]]] = {}

    async def put(self, node: str, link: Link, body: bytes, nonce: str, judge: Callable[[bytes], T]) -> T | None:
        """Give what `judge` makes of the answer of `node`; None when nobody is there, or says nothing in time.

        Args:
            nonce: what the sealed `body` asks to be answered with.
            judge: raises RemoteProtocolError for what is no answer to this question, which then stays open.
        """

        def publish(told: Callable[[Outcome], None]) -> None:
            link.publish(
                self._exchange,
                node_routing_key(node),
                body,
                mandatory=True,
                expiration_ms=self._ttl_ms,
                reply_to=DIRECT_REPLY,
                correlation_id=nonce,
                on_outcome=told,
            )

        return await self._answer(nonce, judge, publish)

    async def put_back(
        self, reply_to: str, link: Link, body: bytes, nonce: str, judge: Callable[[bytes], T]
    ) -> T | None:
        """Ask who sent a message with this `reply_to` to our own broker; it answers to our control queue there.

        Takes and gives what put() does, but that nobody's being there is known by silence alone.
        """

        def publish(_told: Callable[[Outcome], None]) -> None:
            # not mandatory: RabbitMQ returns what goes to a direct reply queue, delivered or not
            link.publish("", reply_to, body, correlation_id=nonce)

        return await self._answer(nonce, judge, publish)

    async def _answer(
        self, nonce: str, judge: Callable[[bytes], T], publish: Callable[[Callable[[Outcome], None]], None]
    ) -> T | None:
        answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._open[nonce] = answer, judge

        def told(outcome: Outcome) -> None:
            if outcome is Outcome.RETURNED and not answer.done():
                answer.set_result(None)

        publish(told)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._open[nonce]

    def is_open(self, nonce: str | None) -> bool:
        """Say whether a question with this nonce waits for its answer."""
        return nonce in self._open

    def replied(self, incoming: Incoming) -> None:
        """Take an answer, by direct reply or through our own control queue."""
        answer, judge = self._open.get(incoming.correlation_id or "", (None, None))
        if answer is None or judge is None or answer.done():
            return
        try:
            answer.set_result(judge(incoming.body))
        except RemoteProtocolError as error:
            log.debug("answer_refused", code=error.code, reason=str(error))
