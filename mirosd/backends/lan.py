"""The LAN search: interfaces.LanSearch over one UDP port, the kernel's neighbour table, and what core decides.

    core/sweep.py, asking.py   whom to ask when     lan_asker.py      sends what is due
    core/answering.py          who is answered      lan_answerer.py   answers
    core/probe.py              the datagrams        lan_port.py       the two sockets of the one port
    core/lan_networks.py       which networks       lan_ground.py     this host's interfaces, through netlink.py

An answer counts when it repeats a challenge that we drew within the last 5 s, and comes from the address that was
asked - or, when all were asked, names an address of ours as the asker's: who relays a probe gains nothing by it. The
broker is what the answer names inside; where it came from says nothing of a broker.
"""

import asyncio
import itertools
import os
import random as dice
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from mirosd.backends.lan_answerer import Answerer
from mirosd.backends.lan_asker import Asker
from mirosd.backends.lan_confirm import Confirmer
from mirosd.backends.lan_ground import Ground
from mirosd.backends.lan_port import LanPort
from mirosd.backends.lan_socket import Arrival
from mirosd.backends.netlink import Watch
from mirosd.core.addresses import HostPort
from mirosd.core.advertised import Advertised
from mirosd.core.answering import NONCES_KEPT, Recent
from mirosd.core.asking import Asked
from mirosd.core.lan_survey import survey
from mirosd.core.probe import Address, Datagram, Kind, ProbeSeal, filter_program, nonce_of
from mirosd.core.seal import Keys
from mirosd.core.settings import LanSettings
from mirosd.core.shown import Board
from mirosd.errors import RemoteProtocolError, StartError
from mirosd.payloads import LanAnswer
from mirosd.signals import Private

log = structlog.get_logger()

KEPT = 4096
"""Answers that are remembered: more hosts than a mesh of private brokers bears."""


class Lan:
    """See interfaces.LanSearch. Build and close it on the loop's thread; its sockets are of that thread's network.

    Args:
        system_keys: followed as they change; `system`: the label.
        node, instance: 32 and 16 hex digits: who we are, and which of its starts.
        broker_port: where our own broker takes connections on this host; 0: it takes none from outside.
        advertise: as broker.advertise; told instead of the address at which we were asked.
        random: gives a number in [0, 1). clock: monotonic seconds. wall_ms: ms since the epoch.
        on_answer: told of each broker that a sealed answer to a fresh probe of ours has just named, and when that
            probe was sent. Thread: loop.

    A search goes on at a broadcast a minute. An answer is posted once for each search, each minute's broadcast and each
    question of ours. Raises StartError when this process may not ask the kernel about its networks.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        system_keys: Keys,
        system: str,
        node: str,
        instance: str,
        broker_port: int,
        advertise: Sequence[str],
        settings: LanSettings,
        board: Board,
        random: Callable[[], float] = dice.random,
        clock: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        on_answer: Callable[[str, float], None] = lambda broker, asked_s: None,
    ) -> None:
        self._loop, self._board, self._clock, self._wall_ms = loop, board, clock, wall_ms
        self._node, self._instance = node, instance
        self.on_answer = on_answer
        self._system_keys, self._system = system_keys, system
        self._seal = ProbeSeal(system_keys, system, random=os.urandom)
        self._advertised = Advertised(advertise, broker_port)
        self._nonces, self._told = Recent(NONCES_KEPT), Recent(KEPT)
        self._nodes: dict[str, str] = {}  # by address: who answered there since the search began
        self._post: Callable[[int, Any], None] = _unheard
        self._is_closed = False
        if self._advertised.names:
            log.warning("advertised_names_not_told_on_lan", names=self._advertised.names, cure="advertise addresses")
        try:
            self._ground = Ground(settings)
        except OSError as exc:
            raise _blind(exc) from exc
        program = filter_program(self._seal.key_ids)
        self._port = LanPort(loop, settings.port, program=program, board=board, clock=clock)
        questions = itertools.count(1)
        self._asker = Asker(
            loop,
            port=self._port,
            ground=self._ground,
            compose=self._compose,
            settings=settings,
            board=board,
            questions=questions,
            random=random,
            clock=clock,
        )
        self._confirmer = Confirmer(self._asker.places, self._asker.probe, questions, clock)
        system_keys.on_change.append(self._rekeyed)
        self._answerer = Answerer(
            loop,
            port=self._port,
            ground=self._ground,
            compose=self._compose,
            on_heard=self._heard,
            board=board,
            random=random,
        )
        try:
            self._watch = Watch(loop, self._changed, self._asker.neighbour)
        except OSError as exc:
            self._port.close()
            self._ground.close()
            raise _blind(exc) from exc

    @property
    def addresses(self) -> tuple[str, ...]:
        """This host's addresses on the networks that are searched. Thread: loop."""
        return self._ground.addresses

    def listen(self, post: Callable[[int, Any], None]) -> None:
        """See LanSearch. Thread: any."""
        self._on_loop(self._listen, post)

    def search(self, known: Sequence[str]) -> None:
        """See LanSearch. Thread: any."""
        self._on_loop(self._begin, tuple(known))

    def ask(self, hosts: Sequence[str]) -> None:
        """See LanSearch. Thread: any."""
        self._on_loop(self._asker.ask, tuple(hosts))

    def survey(self) -> None:
        """See LanSearch. Thread: any."""
        self._on_loop(self._survey)

    async def confirm(self, host: str, timeout_s: float = 1.0) -> set[str]:
        """Ask the daemon at `host` ("10.0.0.7:5672") now; give the brokers that its sealed answer names.

        Empty when nobody answers within `timeout_s`. Thread: loop.
        """
        return await self._confirmer.confirm(host, timeout_s)

    def close(self) -> None:
        """Let go of sockets and timers; nothing is posted any more. Again: nothing."""
        self._is_closed = True
        self._asker.close()
        self._watch.close()
        self._ground.close()
        self._port.close()

    def _rekeyed(self) -> None:
        if not self._is_closed:
            self._seal = ProbeSeal(self._system_keys, self._system, random=os.urandom)
            self._port.filter(filter_program(self._seal.key_ids))

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():  # a chart's last words after the loop has ended reach nobody
            self._loop.call_soon_threadsafe(self._unless_closed, function, *args)

    def _unless_closed(self, function: Callable[..., None], *args: Any) -> None:
        if not self._is_closed:
            function(*args)

    def _listen(self, post: Callable[[int, Any], None]) -> None:
        self._post = post
        self._port.listen(self._arrived)

    def _begin(self, known: Sequence[str]) -> None:
        self._port.open()
        self._ground.refresh()
        self._nodes.clear()
        self._asker.begin(known)

    def _changed(self, what: str) -> None:
        """Interfaces or addresses are others: a search that is on begins anew, where it makes a difference."""
        if self._ground.refresh():
            self._post(Private.lan_changed, what)
            if self._asker.is_searching:
                self._begin(())

    def _survey(self) -> None:
        neighbours, asker = self._ground.neighbours(), self._asker
        seen = survey(self._ground.networks, neighbours, self._nodes, asker.crowds(), asker.searched_for_s)
        self._post(Private.ip_addresses_found, seen)

    def _compose(self, kind: Kind, challenge: bytes, target: Address | None, local: Address | None) -> bytes:
        broker, port = self._advertised.at(local) or (None, self._advertised.port)
        wall_ms = max(self._wall_ms(), 0)
        return self._seal.seal(
            Datagram(kind, challenge, self._node, self._instance, target, broker, port, port != 0, wall_ms)
        )

    def _arrived(self, arrival: Arrival) -> None:
        try:
            datagram = self._seal.open(arrival.data)
        except RemoteProtocolError as exc:
            self._board.count(f"lan_{exc.code}")
            return
        if (datagram.node, datagram.instance) == (self._node, self._instance):
            self._board.count("lan_own")  # our own broadcast, as the kernel gives it back
        elif not self._nonces.is_new(nonce_of(arrival.data)):
            self._board.count("lan_repeated")
        elif datagram.kind is Kind.PROBE:
            self._answerer.probed(datagram, arrival, self._clock())
        else:
            self._answered(datagram, arrival)

    def _heard(self, probe: Datagram, arrival: Arrival) -> None:
        heard = self._told_by(probe, arrival)
        if probe.has_broker and probe.broker is None:
            heard = heard._replace(broker=f"{HostPort(heard.address, probe.port)}")
        self._post(Private.lan_heard, heard)

    def _answered(self, answer: Datagram, arrival: Arrival) -> None:
        asked = self._asker.asked(answer.challenge)
        told = self._told_by(answer, arrival)
        if asked is None:
            self._board.count("lan_late")
            return
        if not self._is_from(asked, told.address, answer.target):
            self._board.count("lan_misdirected")
            return
        self._board.count("lan_answers")
        now_s = self._clock()
        self._answerer.heard(answer.node, now_s)
        was_for_all = not asked.address
        if was_for_all:
            self._board.count("lan_broadcast_answers")
        is_ipv4 = arrival.source.version == 4
        self._asker.answered(told.address, broadcast_on=arrival.ifindex if was_for_all and is_ipv4 else 0)
        if len(self._nodes) < KEPT:
            self._nodes[told.address] = told.node
        if told.broker:
            self.on_answer(told.broker, asked.at_s)
        place = self._ground.place(arrival.source, arrival.ifindex)
        is_confirmed = self._confirmer.answered(asked.question, place, told.broker)
        if not is_confirmed and self._told.is_new((asked.question, told.address, told.node, told.instance)):
            self._post(Private.lan_answered, told._replace(took_ms=(now_s - asked.at_s) * 1000))

    def _is_from(self, asked: Asked, address: str, target: Address | None) -> bool:
        """Tell whether an answer is from whom we asked: a relay has another address, or was itself the asker."""
        return address == asked.address if asked.address else target in self._ground.own

    def _told_by(self, datagram: Datagram, arrival: Arrival) -> LanAnswer:
        address = self._ground.printed(arrival.source, arrival.ifindex)
        broker = ""
        if datagram.has_broker and datagram.broker is not None:
            broker = f"{HostPort(self._ground.printed(datagram.broker, arrival.ifindex), datagram.port)}"
        return LanAnswer(address, datagram.node, broker, instance=datagram.instance)


def _unheard(number: int, payload: object) -> None:
    """Nobody listens yet, or any more."""


def _blind(exc: OSError) -> StartError:
    return StartError(
        f"cannot ask the kernel about this host's networks ({exc}); a service needs AF_NETLINK in its "
        "RestrictAddressFamilies=; or set discovery.lan.enabled: false"
    )
