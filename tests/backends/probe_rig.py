"""Both sides of a scouting: a scout that uses a probe as a chart would, and a daemon that says what a test wants."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_probe import AmqpProbe, AmqpProber
from mirosd.core.broker import BrokerAddress, Incoming, Link
from mirosd.core.interfaces import ProbeResult
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, SystemNames
from mirosd.payloads import Introduction
from mirosd.signals import Private
from tests.backends.broker_rig import eventually
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER, Broker

NAMES = SystemNames("t")
BROKER_STAGES = ["resolve", "tcp", "amqp", "auth"]
THERE = Introduction("b" * 32, "there", 1, "0.1.0", ("mesh",))


class PlainChallenger:
    """Challenges without seals: an answer is `verdict nonce reply-to`, and proves itself when the verdict is `ok`."""

    def __init__(self) -> None:
        self._nonces = map(str, itertools.count(1000))

    def challenge(self, node: str | None) -> tuple[bytes, str]:
        """Give the body and the nonce."""
        assert node is None
        nonce = next(self._nonces)
        return f"who? {nonce}".encode(), nonce

    def judge(self, body: bytes, nonce: str, routing_key: str) -> Introduction:
        """Give the introduction, or raise with the verdict as code."""
        verdict, answered, where = body.decode().split(" ")
        if (answered, where) != (nonce, routing_key):
            raise RemoteProtocolError("another nonce", code="stale")
        if verdict != "ok":
            raise RemoteProtocolError(f"a text about {verdict}", code=verdict)
        return THERE

    def retort(self, body: bytes) -> tuple[str, bytes, str] | None:
        """Give the answer to a challenge of the other side's: what it said, turned round."""
        return (ANY_NODE, body[::-1], "theirs") if body.startswith(b"and you?") else None


class Scout:
    """What a chart would hear of one probe."""

    def __init__(self, broker: Broker | None, host: str = "", *, user: str = PEERS_USER) -> None:
        self.heard: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, int]] = []
        password = {USER: PASSWORD, PEERS_USER: PEERS_PASSWORD}.get(user, "geheim")

        def credentials(host: str, port: int) -> BrokerAddress:
            self.asked.append((host, port))
            return BrokerAddress(host, port, user=user, password=password)

        prober = AmqpProber(asyncio.get_running_loop(), AmqpConnector(), credentials, NAMES, PlainChallenger())
        text = host or (f"{broker.host.address}:{broker.port}" if broker else "")
        self.probe: AmqpProbe = prober.probe(text, lambda number, payload: self.heard.append((number, payload)))

    async def connect(self) -> "Scout":
        """Connect, from another thread as a chart does, and wait for the answer."""
        await asyncio.to_thread(self.probe.connect)
        await eventually(lambda: self.heard, "an answer to connect()")
        return self

    async def challenge(self) -> ProbeResult:
        """Connect, challenge and give the result."""
        await self.connect()
        assert self.heard[0][0] == Private.try_to_connect_to_consumer, self.heard
        assert [report.stage for report in self.heard[0][1]] == [*BROKER_STAGES, "exchange"]
        await asyncio.to_thread(self.probe.challenge)
        await eventually(lambda: len(self.heard) > 1, "an answer to challenge()")
        return self.result

    @property
    def result(self) -> ProbeResult:
        """The last thing heard, which must be the result."""
        number, result = self.heard[-1]
        assert number == Private.consumer_test_complete, self.heard
        assert isinstance(result, ProbeResult)
        assert all(report.code == "ok" for report in result.stages[:-1])
        assert result.stages[-1].code == (result.code or "ok")
        assert all(report.took_ms >= 0 for report in result.stages)
        return result


class Daemon:
    """The other side: listens to the control exchange with its own account and says what a test tells it to."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.questions: list[Incoming] = []

    @classmethod
    async def at(cls, broker: Broker, *answers: Callable[[Incoming], bytes], exchange: str = NAMES.control) -> "Daemon":
        """Listen on `exchange`; each question gets each of the answers."""
        address = BrokerAddress(broker.host.address, broker.port, user=USER, password=PASSWORD)
        daemon = cls(await AmqpConnector().open(address, deadline_s=10.0, name="daemon", on_lost=lambda _: None))
        await daemon.link.declare_exchange(exchange)
        queue = await daemon.link.declare_queue("", durable=False, exclusive=True, arguments={})
        await daemon.link.bind_queue(queue, exchange, ANY_NODE)

        def hear(question: Incoming) -> None:
            daemon.questions.append(question)
            for answer in answers:
                daemon.link.publish(
                    "", question.reply_to or "", answer(question), correlation_id=question.correlation_id
                )

        await daemon.link.consume(queue, hear, prefetch=10)
        return daemon


def sealed(verdict: str) -> Callable[[Incoming], bytes]:
    """Give an answer that judges as `verdict`."""
    return lambda question: f"{verdict} {question.correlation_id} {question.reply_to}".encode()


def plain(text: bytes) -> Callable[[Incoming], bytes]:
    """Give an answer in clear."""
    return lambda _: text
