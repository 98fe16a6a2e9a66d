"""LAN searches on hosts of the lab: each in a thread of its own, on the host's network, with what it posted."""

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mirosd.backends.lan import Lan
from mirosd.core.seal import Keys
from mirosd.core.settings import LanSettings
from mirosd.core.shown import LanCache, PeerRow, Recce
from mirosd.payloads import LanAnswer, LanSurvey
from mirosd.signals import Private
from tests.lab.namespaces import Host
from tests.lab.waiting import until

T = TypeVar("T")
KEY = bytes(range(32))
PORT = 27672


class RecordingBoard:
    """shown.Board: what was counted, and why the daemon would be degraded."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}

    def count(self, counter: str, amount: int = 1) -> None:
        self.counters[counter] += amount

    def raise_reason(self, code: str, detail: str) -> None:
        self.reasons[code] = detail

    def clear_reason(self, code: str) -> None:
        self.reasons.pop(code, None)

    def show_peers(self, rows: Sequence[PeerRow]) -> None:
        raise AssertionError("the LAN search shows no peers")

    def show_hosts(self, listed: Sequence[str], local: Sequence[str]) -> None:
        raise AssertionError("the LAN search shows no hosts")

    def show_recce(self, recce: Recce) -> None:
        raise AssertionError("the chart shows the search")

    def show_lan_cache(self, cache: LanCache) -> None:
        raise AssertionError("the chart shows its cache")


class Searcher:
    """One host's LAN search. Every method may be called from the test's thread."""

    def __init__(
        self,
        host: Host,
        *,
        node: str = "",
        key: bytes = KEY,
        system: str = "default",
        broker_port: int = 5672,
        advertise: Sequence[str] = (),
        seed: int = 1,
        **settings: Any,
    ) -> None:
        self.host = host
        self.node = node or (host.name.encode().hex() * 16)[:32]
        self.board = RecordingBoard()
        self.posted: list[tuple[float, int, Any]] = []
        self.named: list[str] = []
        self.keys = Keys(key)
        self.later_s = 0.0
        """Set it, and it is so much later for this host."""
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        is_ready = threading.Event()
        options = {
            "system_keys": self.keys,
            "system": system,
            "node": self.node,
            "instance": (f"{id(self):x}" * 16)[:16],
            "broker_port": broker_port,
            "advertise": advertise,
            "settings": LanSettings(**settings),
            "board": self.board,
            "random": random.Random(seed).random,
            "clock": lambda: time.monotonic() + self.later_s,
            "on_answer": lambda broker, _asked_s: self.named.append(broker),
        }
        self._thread = threading.Thread(target=self._run, args=(options, is_ready), daemon=True)
        self._thread.start()
        assert is_ready.wait(30)

    def _run(self, options: dict[str, Any], is_ready: threading.Event) -> None:
        with self.host.network():
            asyncio.run(self._serve(options, is_ready))

    async def _serve(self, options: dict[str, Any], is_ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.lan = Lan(self._loop, **options)
        self.lan.listen(lambda number, payload: self.posted.append((time.monotonic(), number, payload)))
        await asyncio.sleep(0)  # it listens
        is_ready.set()
        await self._stop.wait()
        self.lan.close()

    def call(self, function: Callable[[], T]) -> T:
        """Give what a function gives that runs on the loop."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def wait(self, seconds: float) -> None:
        """Let it be so much later, at once."""
        self.later_s += seconds
        self.call(self.lan._asker._send_due)

    def resolve(self, name: str, *addresses: str) -> None:
        """Let a name mean these addresses here, and no other name anything."""

        async def getaddrinfo(asked: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
            if asked != name:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [(0, 0, 0, "", (address, 0)) for address in addresses]

        self._loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]

    def confirm(self, host: str, timeout_s: float = 30.0) -> set[str]:
        """Give what Lan.confirm gives."""
        return asyncio.run_coroutine_threadsafe(self.lan.confirm(host, timeout_s), self._loop).result(60)

    def payloads(self, number: int) -> list[Any]:
        """Give what was posted with this signal."""
        return [payload for _, posted, payload in list(self.posted) if posted == number]

    @property
    def answers(self) -> list[LanAnswer]:
        """Every lan_answered."""
        return self.payloads(Private.lan_answered)

    @property
    def heard(self) -> list[LanAnswer]:
        """Every lan_heard."""
        return self.payloads(Private.lan_heard)

    @property
    def brokers(self) -> set[str]:
        """The brokers that answers named."""
        return {answer.broker for answer in self.answers}

    def survey(self) -> LanSurvey:
        """Give what Lan.survey posts."""
        before = len(self.payloads(Private.ip_addresses_found))
        self.lan.survey()
        until(lambda: len(self.payloads(Private.ip_addresses_found)) > before, what="a survey")
        survey: LanSurvey = self.payloads(Private.ip_addresses_found)[-1]
        return survey

    def wait_nodes(self, *others: "Searcher", within_s: float = 30.0) -> None:
        """Return when these have answered."""
        nodes = {other.node for other in others}
        until(lambda: nodes <= {answer.node for answer in self.answers}, within_s, f"{self.host.name} found all")

    def close(self) -> None:
        """End it. Again: nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)


@contextmanager
def searchers(*made: Searcher) -> Iterator[tuple[Searcher, ...]]:
    """Close them in the end."""
    try:
        yield made
    finally:
        for one in made:
            one.close()
