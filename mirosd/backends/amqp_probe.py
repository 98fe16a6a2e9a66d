"""Probing one address for a scout: is there a broker, are its doors open to us, and does a mirosd with our key answer?

    probe                           may our account be sent there at all? (guarded.py)
    resolve tcp (tls) amqp auth     opening a link (amqp.py)
    exchange                        our system's control exchange is there; nothing is ever created on that broker
    daemon                          a sealed challenge to whoever is behind the exchange is taken, and answered
    key version                     the answer opens and proves what it says

What a broker or a stranger says in clear (a hint) goes into a detail for people, and never decides alone.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_dialogue import Heard, ask_directory, ask_proof
from mirosd.backends.amqp_link import AmqpLink
from mirosd.backends.guarded import GuardedConnector
from mirosd.core.addresses import AMQP_PORT, AddressError, parse_host
from mirosd.core.broker import BrokerAddress
from mirosd.core.interfaces import Challenger, ProbeResult
from mirosd.errors import BrokerError
from mirosd.names import SystemNames
from mirosd.payloads import StageReport
from mirosd.signals import Private

DEADLINE_S = 1.5
"""For all of a probe, while no frame is lost. LAN hosts answer in some 20 ms."""

PROGRESS_S = 1.0
"""Who has just passed a stage has at least this long for the next: a lost frame costs TCP 0.2 s, a second one 0.4 s."""

TCP_DEADLINE_S = 1.2
"""For TCP alone: one SYN may be lost, since Linux sends the next after 1 s."""

SLOW_DEADLINE_S = 8.0
"""For a broker that took the connection and is slow to greet: it looks our name up, 5-6 s where no DNS answers."""

SLOW_GREETING_S = 1.0

STAGE_OF = {
    "vhost": "auth",
    "guest_remote": "auth",
    "lost": "exchange",
    "closed": "exchange",
    "system": "exchange",
    "self": "daemon",
    "clone": "daemon",
    "unproved": "probe",
}
"""The stage in which a code is found, where it is not the code's own name."""


class AmqpProber:
    """Makes probes. Thread: any."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connector: AmqpConnector | GuardedConnector,
        credentials: Callable[[str, int], BrokerAddress],
        names: SystemNames,
        challenger: Challenger,
        *,
        default_port: int = AMQP_PORT,
    ) -> None:
        """Describe what all probes have in common.

        Args:
            credentials: gives who we are at (host, port), called on the loop's thread at each connect.
            default_port: of a host that is written without one.
        """
        self.loop = loop
        self.default_port = default_port
        self.connector = connector
        self.credentials = credentials
        self.names = names
        self.challenger = challenger

    def probe(self, host: str, post: Callable[[int, Any], None]) -> "AmqpProbe":
        """Give a probe of `host`; see interfaces.Prober for what is posted, and when."""
        return AmqpProbe(self, host, post)


class AmqpProbe:
    """One scouting of one address. Its methods may be called from any thread; the rest runs on the loop's."""

    def __init__(self, prober: AmqpProber, host: str, post: Callable[[int, Any], None]) -> None:
        self._prober = prober
        self._host = host
        self._post = post
        self._stages: list[StageReport] = []
        self._link: AmqpLink | None = None
        self._heard: Heard = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._is_abandoned = False
        self._began_s = 0.0
        self._last_s = 0.0

    def connect(self) -> None:
        """Resolve, connect, log in, check the exchange. Thread: any."""
        self._prober.loop.call_soon_threadsafe(self._run, self._connect)

    def challenge(self) -> None:
        """Send the sealed challenge over the connection. Thread: any."""
        self._prober.loop.call_soon_threadsafe(self._run, self._challenge)

    def abandon(self) -> None:
        """Let go of everything; no answer follows. Thread: any."""
        self._is_abandoned = True
        self._prober.loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._link is not None:
            self._link.abort()

    def _run(self, work: Callable[[], Any]) -> None:
        if not self._is_abandoned:
            self._task = self._prober.loop.create_task(work())

    async def _connect(self) -> None:
        self._began_s = self._last_s = self._prober.loop.time()
        try:
            host, port = parse_host(self._host)
        except AddressError as exc:
            self._finish("resolve", str(exc))
            return
        address = self._prober.credentials(host, port or self._prober.default_port)
        try:
            self._link = await self._prober.connector.open(
                address,
                deadline_s=SLOW_DEADLINE_S,
                tcp_deadline_s=TCP_DEADLINE_S,
                name=f"mirosd scout of {self._prober.names.system}",
                on_lost=self._heard.put_nowait,
                on_passed=self._passed,
            )
        except BrokerError as exc:
            self._finish(exc.code, str(exc))
            return
        await self._check_exchange(self._link)

    async def _check_exchange(self, link: AmqpLink) -> None:
        control = self._prober.names.control
        try:
            async with asyncio.timeout(self._left_s()):
                await link.check_exchange(control)
        except TimeoutError:
            self._finish("exchange", f"no answer about {control}")
        except BrokerError as exc:
            if exc.code != "exchange":
                self._finish(exc.code, str(exc))
            elif label := await ask_directory(link, self._heard):
                self._finish("system", f"a mirosd of another system answers there: {label}")
            else:
                self._finish("exchange", f"no mirosd of system {self._prober.names.system!r} was ever there: {exc}")
        else:
            self._passed("exchange", control)
            self._answer(Private.try_to_connect_to_consumer, tuple(self._stages))

    async def _challenge(self) -> None:
        assert self._link is not None, "challenge() belongs behind try_to_connect_to_consumer"
        self._last_s = self._prober.loop.time()
        try:
            proof = await ask_proof(
                self._link, self._heard, self._prober.names.control, self._prober.challenger, self._left_s()
            )
        except BrokerError as exc:
            self._finish(exc.code, str(exc), stage="daemon")
            return
        passed = {"": ("daemon", "key"), "version": ("daemon", "key"), "key": ("daemon",)}.get(proof.code, ())
        for stage in passed:
            self._passed(stage, "")
        if proof.introduction is None:
            self._finish(proof.code, proof.detail)
            return
        self._passed("version", proof.introduction.version)
        await self._link.close()
        self._answer(Private.consumer_test_complete, ProbeResult("", tuple(self._stages), proof.introduction))

    def _left_s(self) -> float:
        """Give the time left for the stage that begins now."""
        greeting_ms = sum(report.took_ms for report in self._stages if report.stage == "amqp")
        whole_s = SLOW_DEADLINE_S if greeting_ms > SLOW_GREETING_S * 1000 else DEADLINE_S
        return max(self._began_s + whole_s - self._prober.loop.time(), PROGRESS_S)

    def _passed(self, stage: str, detail: str) -> None:
        self._report(stage, "ok", detail)

    def _report(self, stage: str, code: str, detail: str) -> None:
        now_s = self._prober.loop.time()
        self._stages.append(StageReport(stage, code, detail, (now_s - self._last_s) * 1000))
        self._last_s = now_s

    def _finish(self, code: str, detail: str, *, stage: str = "") -> None:
        if self._link is not None:
            self._link.abort()
        self._report(stage or STAGE_OF.get(code, code.partition("(")[0]), code, detail)
        self._answer(Private.consumer_test_complete, ProbeResult(code, tuple(self._stages)))

    def _answer(self, number: int, payload: Any) -> None:
        if not self._is_abandoned:
            self._post(number, payload)
