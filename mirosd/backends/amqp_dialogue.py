"""What is asked of, and heard from, whoever is behind a broker: a challenge for proof, or a question for a hint.

Everything heard while asking comes through one queue: answers, the broker's word on what was published, and the
loss of the link. Several daemons may share a broker, so a bad answer is held for a moment in which a good one wins.
"""

import asyncio
from typing import NamedTuple

from mirosd.backends.amqp_link import AmqpLink
from mirosd.core.broker import DIRECT_REPLY, Incoming, Outcome
from mirosd.core.interfaces import Challenger
from mirosd.errors import BrokerError, RemoteProtocolError
from mirosd.names import ANY_NODE, DIRECTORY_EXCHANGE, HINT_SYSTEM, HINT_UNKNOWN_KEY
from mirosd.payloads import Introduction

GRACE_S = 0.3
"""How long another answer may still come: a daemon on a LAN answers in some 10 ms, a busy one in 100."""

MAX_HINT_CHARS = 64
"""A hint is a stranger's text: this much of it is shown, and only what can be printed."""

HELD = ("key", "version", "self", "clone")
"""What a bad answer can prove; anything else (another nonce, junk) is as if it had not come."""

Heard = asyncio.Queue[Incoming | Outcome | BrokerError]


class Proof(NamedTuple):
    """What a challenge came to: code "" and the introduction, or the code of why not."""

    code: str
    detail: str
    introduction: Introduction | None = None


async def ask_proof(link: AmqpLink, heard: Heard, exchange: str, challenger: Challenger, within_s: float) -> Proof:
    """Publish a challenge to any daemon behind `exchange` and give what came of it within `within_s`.

    Codes: daemon (nobody is behind the exchange), daemon(silent), key, version, self (only our own daemon answers),
    clone (another daemon with our node id does). Whoever challenges us in its turn is answered.

    Raises:
        BrokerError: the link ended meanwhile.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    proof = Proof("daemon(silent)", f"a daemon took the challenge and did not answer within {within_s:.1f} s")
    try:
        async with asyncio.timeout_at(deadline):
            await link.listen_for_replies(heard.put_nowait)
    except TimeoutError:
        return proof
    body, nonce = challenger.challenge(None)
    link.publish(
        exchange,
        ANY_NODE,
        body,
        mandatory=True,
        reply_to=DIRECT_REPLY,
        correlation_id=nonce,
        on_outcome=heard.put_nowait,
    )
    while True:
        said = await _next(heard, deadline)
        match said:
            case None:
                return proof
            case BrokerError():
                raise said
            case Outcome.CONFIRMED:
                continue
            case Outcome():
                return Proof("daemon", f"no mirosd listens to {exchange} now ({said.value})")
        if (retort := challenger.retort(said.body)) is not None:
            routing_key, body, correlation_id = retort
            link.publish(exchange, routing_key, body, correlation_id=correlation_id)
            continue
        verdict = _judge(said, nonce, challenger)
        if verdict.code == "":
            return verdict
        if verdict.code in HELD and (proof.code == "daemon(silent)" or verdict.code != "key"):
            proof = verdict
            deadline = min(deadline, loop.time() + GRACE_S)


async def ask_directory(link: AmqpLink, heard: Heard) -> str:
    """Give the system that a daemon behind this broker says it is of; "" when none says so."""
    deadline = asyncio.get_running_loop().time() + GRACE_S
    try:
        async with asyncio.timeout_at(deadline):
            await link.check_exchange(DIRECTORY_EXCHANGE)
            await link.listen_for_replies(heard.put_nowait)
    except (BrokerError, TimeoutError):
        return ""
    link.publish(DIRECTORY_EXCHANGE, ANY_NODE, b"", mandatory=True, reply_to=DIRECT_REPLY, on_outcome=heard.put_nowait)
    while True:
        match await _next(heard, deadline):
            case Incoming(body=body) if body.startswith(HINT_SYSTEM):
                return _printable(body.removeprefix(HINT_SYSTEM))
            case None | BrokerError() | Outcome.RETURNED | Outcome.NACKED:
                return ""


async def _next(heard: Heard, deadline: float) -> Incoming | Outcome | BrokerError | None:
    try:
        async with asyncio.timeout_at(deadline):
            return await heard.get()
    except TimeoutError:
        return None


def _judge(answer: Incoming, nonce: str, challenger: Challenger) -> Proof:
    if answer.body.startswith(HINT_UNKNOWN_KEY):
        return Proof("key", _printable(answer.body))
    try:
        return Proof("", "", challenger.judge(answer.body, nonce, answer.routing_key))
    except RemoteProtocolError as exc:
        return Proof(exc.code, str(exc))


def _printable(text: bytes) -> str:
    shown = text[:MAX_HINT_CHARS].decode(errors="replace")
    return "".join(char if char.isprintable() else "?" for char in shown)
