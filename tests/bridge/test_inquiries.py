"""What daemons ask each other about their programs: two of them, with a broker between that may be away."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mirosd.bridge.inquiries import Inquiries, Recollection
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.control_messages import Recalled, Recalling, decode_control, encode_control
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd.errors import RemoteProtocolError
from mirosd.names import node_routing_key
from mirosd_client.dial import Dial
from mirosd_client.messages import Recall
from tests.bridge.fakes import CountingBoard

A, B, STRANGER = "a" * 32, "b" * 32, "c" * 32
RECALL = Recall("f" * 32, "history", "snoop_spy", Dial(charts=["a*"], events=True), 600.0)


class Host:
    """A daemon's inquiries, its peers, and what its programs were asked."""

    def __init__(self, node: str, *peers: str) -> None:
        sealer = Sealer(Keys(bytes(32)), "default", "system", node=node, random=bytes, clock=lambda: 0.0)
        self.envelope = Envelope("default", "system", sealer, Opener(Keys(bytes(32)), "default", "system"))
        challenger = SealedChallenger(
            Identity(node, node[0], 1, "0"), self.envelope, {}, nonce=lambda: "0" * 32, wall_ms=lambda: 0
        )
        self.board = CountingBoard()
        self.peers: dict[str, Any] = {peer: SimpleNamespace(is_blocked=False) for peer in peers}
        self.other: Host | None = None
        self.change: Callable[[bytes], bytes] = lambda answer: answer
        self.inquiries = Inquiries(
            challenger,
            self.envelope,
            self,  # type: ignore[arg-type]  # questions.Questions
            self.peers,
            self.board,
        )
        self.asked: list[tuple[str, Recall]] = []
        self.inquiries.recall_here = self._recall

    async def put(self, node: str, _link: Any, body: bytes, _nonce: str, judge: Callable[[bytes], Any]) -> Any:
        """Have the other daemon answer, unless it hangs."""
        if self.other is None:
            return None
        question: Any = decode_control(self.other.envelope.open(body, node_routing_key(node)))
        answer = self.other.inquiries.answer(question)
        return None if answer is None else judge(self.change(answer))

    def _recall(self, node: str, recall: Recall) -> Recollection:
        self.asked.append((node, recall))
        return Recollection(2)


def ask(host: Host, *nodes: str) -> dict[str, Recollection]:
    """Recall, by these peers' programs."""
    return asyncio.run(host.inquiries.recall(RECALL, nodes))


def test_a_recall_arrives_as_it_was_asked() -> None:
    """With who asks; the number of programs comes back, and what the host is called."""
    a, b = Host(A, B), Host(B, A)
    a.other = b

    assert {B: Recollection(2, "", "b")} == ask(a, B)
    assert [(A, RECALL)] == b.asked
    assert {} == b.board.counters


def test_only_peers_recall() -> None:
    """Whoever holds the system key may ask whom a key reaches; what programs did, a peer alone is sent."""
    a, b = Host(A, B), Host(B, STRANGER)
    a.other = b
    b.inquiries.count_here = len

    assert {B: Recollection(0, "unanswered")} == ask(a, B)
    assert [] == b.asked
    assert {"recalls_refused": 1} == b.board.counters
    assert {B: 3} == asyncio.run(a.inquiries.count_matches("k.1"))


def test_a_refusal_is_told_and_counted() -> None:
    """By its code."""
    a, b = Host(A, B), Host(B, A)
    a.other = b
    b.inquiries.recall_here = lambda _node, _recall: Recollection(0, "policy")

    assert {B: Recollection(0, "policy", "b")} == ask(a, B)
    assert {"recalls_refused": 1} == b.board.counters


@pytest.mark.parametrize("how", ["away", "blocked", "hanging", "no peer"])
def test_who_cannot_be_asked_has_not_answered(how: str) -> None:
    """Whatever keeps it from that; others answer all the same."""
    a, b = Host(A, B), Host(B, A)
    a.other = None if how == "hanging" else b
    if how == "no peer":
        del a.peers[B]
    elif how != "hanging":
        a.peers[B] = None if how == "away" else SimpleNamespace(is_blocked=True)

    assert {B: Recollection(0, "unanswered")} == ask(a, B)
    assert [] == b.asked


@pytest.mark.parametrize("change", [{"node": STRANGER}, {"nonce": "1" * 32}])
def test_an_answer_is_held_to_its_question(change: dict[str, str]) -> None:
    """Another's, or one to an earlier question, counts for nothing."""
    a, b = Host(A, B), Host(B, A)
    a.other = b
    answer = encode_control(Recalled(**({"node": B, "nonce": "0" * 32, "sources": 9} | change)))
    a.change = lambda _answer: b.envelope.seal(answer, "answer")

    with pytest.raises(RemoteProtocolError) as refused:
        ask(a, B)
    assert "stale" == refused.value.code


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "f" * 31},
        {"id": "../" * 10},
        {"what": "all"},
        {"network": "mesh"},
        {"since_s": -1},
        {"dial": {"charts": 1}},
    ],
)
def test_a_question_that_is_none_is_refused_whole(wrong: dict[str, Any]) -> None:
    """Nothing of it reaches a program."""
    right = {"node": A, "nonce": "0" * 32, "id": "f" * 32, "what": "charts", "network": "snoop_trace"}
    assert isinstance(decode_control(encode_control(Recalling(**right))), Recalling)  # type: ignore[arg-type]

    with pytest.raises(RemoteProtocolError):
        decode_control(encode_control(Recalling(**(right | wrong))))  # type: ignore[arg-type]
