"""The side of the LAN search that answers: who asked with our key, once, from the address that was asked."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from mirosd.backends.lan_ground import Ground
from mirosd.backends.lan_port import LanPort
from mirosd.backends.lan_socket import Arrival
from mirosd.core.answering import SOURCES_KEPT, Answering
from mirosd.core.probe import Address, Datagram, Kind
from mirosd.core.shown import Board

HEARD_EVERY_S = 1.0
"""One address is told of as a candidate at most so often: a search sends it nine datagrams."""


class Compose(Protocol):
    """Seals a datagram of ours."""

    def __call__(self, kind: Kind, challenge: bytes, target: Address | None, local: Address | None) -> bytes:
        """Give the bytes; `local` is the address of ours that they leave from, None when the kernel chooses."""


class Answerer:
    """Answers probes, and tells of who sent them. Thread: loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        port: LanPort,
        ground: Ground,
        compose: Compose,
        on_heard: Callable[[Datagram, Arrival], None],
        board: Board,
        random: Callable[[], float],
    ) -> None:
        self._loop, self._port, self._ground, self._board = loop, port, ground, board
        self._compose, self._on_heard = compose, on_heard
        self._answering = Answering(random)
        self._heard: dict[tuple[Address, int, str], float] = {}

    def heard(self, node: str, now_s: float) -> None:
        """Note that another node is there: the more there are, the more their answers are spread."""
        self._answering.heard(node, now_s)

    def probed(self, probe: Datagram, arrival: Arrival, now_s: float) -> None:
        """Take a probe of another daemon that has opened, and was not here before."""
        if not self._answering.is_meant(probe, arrival.to, was_for_all=arrival.was_for_all):
            self._board.count("lan_misdirected")
            return
        self._answering.heard(probe.node, now_s)
        if self._is_due(arrival, probe.node, now_s):
            self._on_heard(probe, arrival)
        if not self._answering.may_answer(f"{arrival.source}", now_s):
            self._board.count("lan_limited")
            return
        delay_s = self._answering.delay_s(now_s) if arrival.was_for_all else 0.0
        if delay_s:
            self._loop.call_later(delay_s, self._answer, probe, arrival)
        else:
            self._answer(probe, arrival)

    def _answer(self, probe: Datagram, arrival: Arrival) -> None:
        towards = self._ground.own_towards(arrival.source, arrival.ifindex)
        # on the link, the interface it came by: routes know one of several on a network. From afar: as routes say
        ifindex = arrival.ifindex if towards is not None else 0
        local = towards or arrival.local if arrival.was_for_all else arrival.local
        data = self._compose(Kind.ANSWER, probe.challenge, arrival.source, local)
        self._port.send(data, arrival.source, arrival.port, ifindex=ifindex, source=local)

    def _is_due(self, arrival: Arrival, node: str, now_s: float) -> bool:
        key = arrival.source, arrival.ifindex, node
        if now_s - self._heard.get(key, -HEARD_EVERY_S) < HEARD_EVERY_S:
            return False
        self._heard.pop(key, None)  # so that the order is that of time
        self._heard[key] = now_s
        if len(self._heard) > SOURCES_KEPT:
            del self._heard[next(iter(self._heard))]
        return True
