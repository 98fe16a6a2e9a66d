"""Questions to another daemon: what counts as its answer, and what the lack of one means."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mirosd.bridge import questions
from mirosd.bridge.control import Control
from mirosd.core.broker import DIRECT_REPLY, Incoming, Outcome
from mirosd.core.challenger import Identity, SealedChallenger
from mirosd.core.control_messages import ANSWER_KEY, Matched, encode_control
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Keys, Opener, Sealer
from mirosd.names import SystemNames
from tests.bridge.fakes import CountingBoard, RecordingLink

KEY = bytes(32)
PEER = "b" * 32
NONCE = "0" * 32


class Asking:
    """A daemon whose one peer is a recording link, and the answers that a test makes up for it."""

    def __init__(self) -> None:
        sealer = Sealer(Keys(KEY), "default", "system", node="a" * 32, random=bytes, clock=lambda: 0.0)
        self.envelope = Envelope("default", "system", sealer, Opener(Keys(KEY), "default", "system"))
        challenger = SealedChallenger(
            Identity("a" * 32, "a", 1, "0"), self.envelope, {}, nonce=lambda: NONCE, wall_ms=lambda: 0
        )
        self.link = RecordingLink()
        self.control = Control(
            SystemNames("default"),
            self.envelope,
            challenger,
            post_peer=lambda _signal, _payload: None,
            board=CountingBoard(),
            clock=lambda: 0.0,
            wall_ms=lambda: 0,
        )
        self.control.add_peer(PEER, self.link)  # type: ignore[arg-type]
        self.link.answer()  # the first heartbeat
        self.asked = len(self.link.published)
        self.answer: asyncio.Task[dict[str, int | None]]

    async def ask(self) -> None:
        """Ask the peer for a key."""
        self.answer = asyncio.create_task(self.control.inquiries.count_matches("k"))
        while len(self.link.published) == self.asked and not self.answer.done():
            await asyncio.sleep(0)

    async def say(self, text: bytes, *, key: str = ANSWER_KEY, nonce: str = NONCE) -> None:
        """Reply with a sealed text."""
        self.control._questions.replied(Incoming(1, "", self.envelope.seal(text, key), False, correlation_id=nonce))
        await asyncio.sleep(0)


def asking(test: Callable[[Asking], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a loop of its own."""

    async def scene() -> None:
        made = Asking()
        try:
            await test(made)
        finally:
            made.control.close()

    asyncio.run(scene())


def matched(**fields: Any) -> bytes:
    """Give the text of an answer."""
    return encode_control(Matched(**({"node": PEER, "nonce": NONCE, "queues": 3} | fields)))


def test_the_peers_answer_is_its_number() -> None:
    """The question goes to the peer's control queue, mandatory, with a reply address; its answer counts."""

    async def test(s: Asking) -> None:
        await s.ask()
        options = s.link.options[-1]
        await s.say(matched())

        assert {PEER: 3} == await s.answer
        assert ("mirosd.default.control", f"node.{PEER}") == (options["exchange"], options["routing_key"])
        assert (True, DIRECT_REPLY, NONCE) == (options["mandatory"], options["reply_to"], options["correlation_id"])

    asking(test)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (matched(nonce="1" * 32), {}),
        (matched(node="c" * 32), {}),
        (matched(), {"key": "elsewhere"}),
        (matched(), {"nonce": "1" * 32}),
        (b"junk", {}),
    ],
    ids=["recorded earlier", "of another node", "sealed for another use", "to another question", "junk"],
)
def test_what_is_no_answer_leaves_the_question_open(text: bytes, how: dict[str, str]) -> None:
    """A reply that does not answer this question of this peer is passed over: the true one still counts."""

    async def test(s: Asking) -> None:
        await s.ask()
        await s.say(text, **how)
        assert not s.answer.done()
        await s.say(matched(queues=1))
        await s.say(matched(queues=2))  # one answer is enough

        assert {PEER: 1} == await s.answer

    asking(test)


def test_a_question_that_comes_back_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's queue is there: that is known at once."""
    monkeypatch.setattr(questions, "ANSWER_S", 3600.0)

    async def test(s: Asking) -> None:
        await s.ask()
        s.link.answer(outcome=Outcome.RETURNED)

        assert {PEER: None} == await asyncio.wait_for(s.answer, 5)

    asking(test)


def test_silence_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that hangs has said nothing; the question is forgotten."""
    monkeypatch.setattr(questions, "ANSWER_S", 0.01)

    async def test(s: Asking) -> None:
        await s.ask()

        assert {PEER: None} == await s.answer
        assert {} == s.control._questions._open

    asking(test)


@pytest.mark.parametrize("is_blocked", [True, False])
def test_a_peer_that_cannot_be_asked_has_said_nothing(is_blocked: bool) -> None:
    """Nothing is published towards a broker that is away or does not read."""

    async def test(s: Asking) -> None:
        if is_blocked:
            s.link.is_blocked = True
        else:
            s.control.add_peer(PEER, None)
        await s.ask()

        assert {PEER: None} == await s.answer
        assert s.asked == len(s.link.published)

    asking(test)
