"""The side of the LAN search that asks: sends what core's schedules say is due, at the time they say."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import structlog

from mirosd.backends import lan_ping
from mirosd.backends.lan_answerer import Compose
from mirosd.backends.lan_ground import Ground
from mirosd.backends.lan_port import LanPort
from mirosd.core.addresses import AddressError, HostPort, parse_host
from mirosd.core.asking import Asked, Asking, Challenges, Place, Send
from mirosd.core.lan_facts import Neighbour
from mirosd.core.probe import Kind
from mirosd.core.settings import LanSettings
from mirosd.core.shown import Board
from mirosd.core.sweep import Search

log = structlog.get_logger()

WAKE_S = 0.005
"""What is due within so short a time is sent together: at 300/s, one or two addresses of a sweep."""


class Asker:
    """One search at a time, and single hosts beside it. Thread: loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        port: LanPort,
        ground: Ground,
        compose: Compose,
        settings: LanSettings,
        board: Board,
        questions: Iterator[int],
        random: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._loop, self._port, self._ground, self._compose = loop, port, ground, compose
        self._settings, self._board, self._questions = settings, board, questions
        self._random, self._clock = random, clock
        self._challenges, self._asking = Challenges(os.urandom), Asking()
        self._search: Search | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_searching(self) -> bool:
        """Whether a search was ever begun: it goes on until the end."""
        return self._search is not None

    @property
    def searched_for_s(self) -> float:
        """How long ago the search began; 0.0 without one."""
        return self._clock() - self._search.began_s if self._search is not None else 0.0

    def crowds(self) -> frozenset[str]:
        """Give the MACs that stand for more addresses than a host has."""
        return self._search.crowds() if self._search is not None else frozenset()

    def begin(self, known: Sequence[str]) -> None:
        """Search the networks that the ground has now from the beginning, `known` hosts first."""
        self._search = Search(
            self._ground.networks,
            mode=self._settings.sweep,
            window=self._ground.window(),
            question=lambda: next(self._questions),
            random=self._random,
            now_s=self._clock(),
            neighbours=self._ground.neighbours(),
            before=self._search,
        )
        if self._settings.ping:
            self._start(lan_ping.ping(self._ground.networks))
        self.ask(known)

    def ask(self, hosts: Sequence[str]) -> None:
        """Ask single hosts, as a hosts file writes them, until they answer."""
        question = next(self._questions)
        for host in hosts:
            try:
                self._ask_at(self._ground.places(_parsed(host)), question)
            except AddressError as exc:
                log.debug("not_asked", host=host, reason=str(exc))
            except ValueError:  # a name: finding its addresses takes a while
                self._start(self._ask_named(host, question))
        self._send_due()

    async def places(self, host: str) -> list[Place]:
        """Give where a host is asked: [] where it is never asked, or is a name that nobody knows."""
        try:
            parsed = _parsed(host)
        except AddressError:
            return []
        try:
            return self._ground.places(parsed)
        except ValueError:
            pass
        try:
            found = await self._loop.getaddrinfo(parsed.host, None, type=socket.SOCK_DGRAM)
        except OSError:
            return []
        places = [place for *_, where in found for place in self._ground.places(HostPort(f"{where[0]}"))]
        return list(dict.fromkeys(places))

    def probe(self, send: Send) -> None:
        """Send a probe now."""
        now_s = self._clock()
        to = ip_address(send.place.address.partition("%")[0])
        source = ip_address(send.place.source) if send.place.source else None
        challenge = self._challenges.draw(send, now_s)
        data = self._compose(Kind.PROBE, challenge, None if send.is_for_all else to, source)
        is_sent = self._port.send(data, to, ifindex=send.place.ifindex, source=source)
        if not is_sent and self._search is not None:
            self._search.unsent(send, now_s)

    def asked(self, challenge: bytes) -> Asked | None:
        """Give what a challenge was drawn for; None when it is not ours, or older than 5 s."""
        return self._challenges.asked(challenge, self._clock())

    def answered(self, address: str, *, broadcast_on: int = 0) -> None:
        """Ask `address` no more; `broadcast_on`: the interface where it answered an IPv4 broadcast, else 0."""
        self._asking.answered(address)
        if self._search is not None:
            self._search.answered(address, broadcast_on=broadcast_on)

    def neighbour(self, entry: Neighbour) -> None:
        """Take what the kernel tells of a neighbour."""
        if self._search is not None:
            self._search.neighbour(entry, self._clock())
            self._schedule()

    def close(self) -> None:
        """Ask nobody any more. Again: nothing."""
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def _ask_named(self, host: str, question: int) -> None:
        self._ask_at(await self.places(host), question)
        self._send_due()

    def _ask_at(self, places: Iterable[Place], question: int) -> None:
        refused = self._asking.ask(places, question)
        if refused:
            self._board.count("lan_unasked", refused)

    def _send_due(self) -> None:
        now_s = self._clock()
        search = self._search.due(now_s) if self._search is not None else []
        for send in (*self._asking.due(now_s), *search):
            self.probe(send)
        self._schedule()

    def _schedule(self) -> None:
        times = [self._asking.next_s(), self._search.next_s() if self._search is not None else None]
        due = [at_s for at_s in times if at_s is not None]
        if self._timer is not None:
            self._timer.cancel()
        wait_s = max(min(due) - self._clock(), WAKE_S) if due else None
        self._timer = self._loop.call_later(wait_s, self._send_due) if wait_s is not None else None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _parsed(host: str) -> HostPort:
    """Give a host as a hosts file writes it, or an address as the kernel does: bare IPv6 has no port."""
    return parse_host(f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host)
