"""What daemons ask each other about their programs: whom a key reaches there, and to send what is on record."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from mirosd.bridge.questions import Questions
from mirosd.core.broker import Link
from mirosd.core.challenger import SealedChallenger
from mirosd.core.control_messages import (
    ANSWER_KEY,
    Matched,
    Matching,
    Recalled,
    Recalling,
    decode_control,
    encode_control,
)
from mirosd.core.envelope import Envelope
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError
from mirosd.names import node_routing_key
from mirosd_client.messages import Recall

A = TypeVar("A", Matched, Recalled)
R = TypeVar("R")


class Recollection(NamedTuple):
    """How many programs will answer a recall, or why none will: `policy`, `no_key`, `busy` or `unanswered`.

    `name`: what a peer that has answered calls itself.
    """

    sources: int
    refused: str = ""
    name: str = ""


class Inquiries:
    """Puts such questions to peers, and answers theirs. Thread: loop.

    Args:
        peers: node -> link to its broker, None while that is away.

    Attributes:
        count_here: gives how many mesh queues of this host's programs a routing key matches.
        recall_here: has this host's programs answer the recall of a peer, which it is given with.
    """

    def __init__(
        self,
        challenger: SealedChallenger,
        envelope: Envelope,
        questions: Questions,
        peers: Mapping[str, Link | None],
        board: Board,
    ) -> None:
        self.count_here: Callable[[str], int] = lambda _routing_key: 0
        self.recall_here: Callable[[str, Recall], Recollection] = lambda _node, _recall: Recollection(0)
        self._challenger, self._envelope, self._questions = challenger, envelope, questions
        self._peers, self._board = peers, board

    async def count_matches(self, routing_key: str) -> dict[str, int | None]:
        """Ask each peer how many mesh queues of its programs a routing key matches; None: it did not say."""

        async def ask(node: str) -> int | None:
            question = Matching(node=self._me, nonce=self._challenger.nonce(), routing_key=routing_key)
            matched = await self._put(node, question, Matched)
            return None if matched is None else matched.queues

        return await _of_each(self._peers, ask)

    async def recall(self, recall: Recall, nodes: Iterable[str]) -> dict[str, Recollection]:
        """Ask these peers to have their programs answer a recall."""

        async def ask(node: str) -> Recollection:
            question = Recalling(
                node=self._me,
                nonce=self._challenger.nonce(),
                id=recall.id,
                what=recall.what,
                network=recall.network,
                dial=recall.dial,
                since_s=recall.since_s,
            )
            recalled = await self._put(node, question, Recalled)
            if recalled is None:
                return Recollection(0, "unanswered")
            return Recollection(recalled.sources, recalled.refused, recalled.name)

        return await _of_each(nodes, ask)

    def answer(self, question: Matching | Recalling) -> bytes | None:
        """Give the sealed answer to another's question; None: it is none that this node may ask."""
        if isinstance(question, Matching):
            return self._seal(
                Matched(node=self._me, nonce=question.nonce, queues=self.count_here(question.routing_key)), ANSWER_KEY
            )
        if question.node not in self._peers:
            self._board.count("recalls_refused")
            return None
        recall = Recall(question.id, question.what, question.network, question.dial, question.since_s)
        here = self.recall_here(question.node, recall)
        if here.refused:
            self._board.count("recalls_refused")
        name = self._challenger.identity.name
        recalled = Recalled(node=self._me, nonce=question.nonce, sources=here.sources, refused=here.refused, name=name)
        return self._seal(recalled, ANSWER_KEY)

    @property
    def _me(self) -> str:
        return self._challenger.identity.node

    async def _put(self, node: str, question: Matching | Recalling, kind: type[A]) -> A | None:
        link = self._peers.get(node)
        if link is None or link.is_blocked:
            return None

        def judge(answer: bytes) -> A:
            said = decode_control(self._envelope.open(answer, ANSWER_KEY))
            if not isinstance(said, kind) or (said.node, said.nonce) != (node, question.nonce):
                raise RemoteProtocolError("an answer to another question", code="stale")
            return said

        body = self._seal(question, node_routing_key(node))
        return await self._questions.put(node, link, body, question.nonce, judge)

    def _seal(self, message: Matching | Matched | Recalling | Recalled, routing_key: str) -> bytes:
        return self._envelope.seal(encode_control(message), routing_key)


async def _of_each(nodes: Iterable[str], ask: Callable[[str], Awaitable[R]]) -> dict[str, R]:
    asked = list(nodes)
    return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))
