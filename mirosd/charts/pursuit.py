"""Whoever may be a peer on the LAN is asked, scouted once its sealed answer has come, and asked again if that fails.

What is known of the candidates is in core.lan_candidates; here are the scouts that are out for
them, and the ask_again that is armed for each that is neither proved nor being scouted.
"""

from mirosd.charts.scout_party import ScoutParty
from mirosd.core.addresses import HostPort
from mirosd.core.backoff import LAN_HOST_CAP_S, LAN_HOST_FIRST_S, Dice, delay_s
from mirosd.core.interfaces import LanSearch
from mirosd.core.lan_candidate import ASKED_ATTEMPT
from mirosd.core.lan_candidates import FRESH_S, LAN, LanCandidates, ask_host, is_link_local
from mirosd.payloads import (
    AMQPConsumerCheckPayload,
    HostsSightedPayload,
    LanAnswer,
    LanHostFoundPayload,
    PeerGonePayload,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import ChartMixin, Event

SECOND_S = 0.25
"""So long another address of a host waits for the first one, and a link-local one for any other to answer."""

HOPE_S = 1.5
"""A scout is through in some 20 ms; one that is still out after this has lost frames, or is not answered."""


class Pursuit:
    """The candidates of the LAN's search, pursued. All methods are for the owner's thread."""

    def __init__(
        self, owner: ChartMixin, candidates: LanCandidates, party: ScoutParty, lan: LanSearch, dice: Dice
    ) -> None:
        self._owner, self._candidates, self._party, self._lan, self._dice = owner, candidates, party, lan, dice
        self._timers: dict[str, str | None] = {}  # ask_again, by address
        self.named: list[str] = []  # hosts that people named, until a search has seen them

    def answer(self, said: LanAnswer) -> None:
        """Scout the broker that a sealed answer names, unless a proof stands for who answered."""
        address = self._candidates.answer(said, self._now_s())
        if address:
            if not self._candidates.cover(address):
                seen = HostsSightedPayload((address,), LAN, said.node)
                self._owner.publish(Event(signal=Public.LAN_HOST_ANSWERED, payload=seen))
            self.pursue(address, is_patient=is_link_local(address))

    def hear(self, heard: LanAnswer) -> None:
        """Ask a node that searches: it is there itself."""
        if self._candidates.is_news(heard):
            address = self._candidates.sight(heard.broker, LAN, self._now_s(), ask=heard.address)
            if address and self._candidates.cover(address):  # by another node behind that broker
                self._lan.ask([str(HostPort(heard.address))])
            elif address:
                self._ask(address)

    def sight(self, sighted: HostsSightedPayload) -> None:
        """Ask the hosts that somebody named; scout where an alien says it is: its answer was one to us already."""
        if sighted.source == LAN:  # people's: as a rule a long list with few that are anybody
            self.named = [host for host in map(ask_host, sighted.addresses) if host]
            self._lan.ask(self.named)
            return
        node = sighted.node if sighted.source == "alien" else ""
        for host in sorted(sighted.addresses, key=is_link_local):
            address = self._candidates.sight(host, sighted.source, self._now_s(), node=node)
            if address and node:
                self.pursue(address, is_patient=is_link_local(address))
            elif address and not self._candidates.where(sighted.node):
                self._ask(address)

    def pursue(self, address: str, *, is_patient: bool = False) -> None:
        """Have a candidate scouted as soon as there is room, if no proof stands for it.

        A host with several addresses is scouted at one, and at another when that one does not lead to its broker.
        Patiently: a moment later, so that another address may come first.
        """
        cover = self._candidates.cover(address)
        if cover:
            self._disarm(address)
            self._publish_found(cover)
        elif is_patient or self._is_second(address):
            self._wait(address, SECOND_S)
        else:
            self._disarm(address)
            self._party.seek(address)

    def try_again(self, address: str) -> None:
        """The time of ask_again has come: try the candidate once more, if it is wanted still."""
        self._timers.pop(address, None)
        now_s, candidate = self._now_s(), self._candidates.of.get(address)
        if candidate is None:  # another took its place
            return
        candidate.note_silence()
        if now_s > candidate.wanted_until_s and not self._candidates.cover(address):
            self._drop(address)
        elif now_s - candidate.answered_s < FRESH_S:
            self.pursue(address)
        else:
            self._ask(address)

    def concerns(self, check: AMQPConsumerCheckPayload) -> bool:
        """Say whether a verdict is on a candidate, or makes one, and on what we search it for."""
        address = self._candidates.text(check.ip_address)
        is_ours = address in self._candidates.of or check.result
        return bool(address) and is_ours and self._party.is_verdict(check._replace(ip_address=address))

    def check(self, check: AMQPConsumerCheckPayload) -> None:
        """Note a verdict on a candidate. Whom others prove is known, and found once it is seen on the LAN."""
        address, who = self._candidates.text(check.ip_address), check.introduction
        candidate = self._candidates.know(address)
        if candidate is None:
            return
        candidate.judged = self._candidates.search
        self._party.drop(address)
        if who is not None and self._candidates.is_forgotten(who.node):
            self._drop(address)
        elif who is not None:
            self._disarm(address)
            if candidate.claimed != who.node or self._candidates.where(who.node) in ("", address):
                candidate.prove(who)  # else its proof at another address stands for this one
            self.pursue(address)
        else:
            candidate.code = check.code
            if not self._candidates.cover(address) and self._now_s() <= candidate.wanted_until_s:
                self._arm(address, candidate.attempts)
                candidate.attempts += 1

    def lose(self, gone: PeerGonePayload) -> None:
        """Ask again where nobody is any more."""
        for address in self._candidates.take_gone(gone, self._now_s()):
            self._arm(address, 0)

    def forget(self, nodes: tuple[str, ...]) -> None:
        """Want nothing of these nodes, and of no others."""
        for address in self._candidates.forget(nodes):
            self._drop(address)

    def _ask(self, address: str) -> None:
        candidate = self._candidates.of[address]
        if not self._candidates.cover(address) and address not in self._party.addresses:
            candidate.asked_s = self._now_s()
            self._lan.ask([candidate.ask])
            if address not in self._timers:
                self._arm(address, max(candidate.attempts, ASKED_ATTEMPT))

    def _is_second(self, address: str) -> bool:
        before = self._party.hopeful(HOPE_S)
        if not self._candidates.of[address].was_reached:  # else they would wait for each other
            armed = self._candidates.of.keys() & self._timers.keys()
            before += [other for other in armed if self._candidates.of[other].was_reached]
        return self._candidates.is_second(address, before)

    def _arm(self, address: str, attempt: int) -> None:
        self._wait(address, delay_s(attempt, first_s=LAN_HOST_FIRST_S, cap_s=LAN_HOST_CAP_S, random=self._dice))

    def _wait(self, address: str, wait_s: float) -> None:
        if address not in self._party.addresses:
            self._disarm(address)
            event = Event(signal=Private.ask_again, payload=address)
            self._timers[address] = self._owner.post_fifo(event, period=wait_s, times=1)

    def _disarm(self, address: str) -> None:
        self._owner.cancel_event(self._timers.pop(address, None))

    def _drop(self, address: str) -> None:
        self._disarm(address)
        del self._candidates.of[address]
        self._party.drop(address)

    def _publish_found(self, address: str) -> None:
        candidate = self._candidates.of[address]
        if candidate.who is not None:
            for source in candidate.untold():
                payload = LanHostFoundPayload(address, candidate.who, source)
                self._owner.publish(Event(signal=Public.LAN_HOST_FOUND, payload=payload))

    def _now_s(self) -> float:
        return self._owner.reactor.now()
