"""Who may be a peer on the LAN: broker addresses that somebody named, who answered for them, and what scouts proved.

A candidate is one broker address, as its sealed answer names it; where the answer's datagram came from is only
where it is asked. Several nodes may be behind one broker, and one node at several addresses, or at another tomorrow:
a proof stands for the nodes that it was made for, wherever they answer; an answer of any other is worth a new scout.

Times in seconds on the monotonic clock.
"""

from collections.abc import Iterable, Set

from mirosd.core.addresses import AddressError, HostPort, parse_host
from mirosd.core.lan_candidate import NEVER_S, Candidate
from mirosd.core.shown import RecceRow
from mirosd.payloads import LanAnswer, LanNeighbour, LanSurvey, PeerGonePayload

FRESH_S = 5.0
"""So long a sealed answer clears the broker that it names: a scout within this time needs no new answer."""

LEAST_WANTED_S = 300.0
"""A candidate is asked again for as long as the cache counts, and this at the least: a host takes minutes to boot."""

NEW_LIFE_S = 60.0
"""Who answers after a longer silence has just come up: what failed before says nothing of it."""

MAX_CANDIDATES = 4096
"""Four networks of the largest kind that is swept; made-up addresses fill no more than this."""

LAN = "lan"
PROVED, NO_BROKER = "proved", "no_broker"
"""Verdicts beside a scout's codes: a daemon proved itself; it answered, and its broker is for nobody else."""


def is_link_local(address: str) -> bool:
    """Say whether a broker's address counts on one link alone: another one is better."""
    return address.startswith("[fe80:")


def ask_host(host: str) -> str:
    """Give the host alone, to be asked on the port of all LAN probes: "[fe80::1%eth0]" of "[fe80::1%eth0]:5672"."""
    try:
        return str(HostPort(parse_host(host).host))
    except AddressError:
        return ""


class LanCandidates:
    """All of them, and what was seen of the LAN by the search that is on, or was last.

    Args:
        default_port: of a host that is written without one (`peers.port`).
        wanted_s: how long a candidate is asked again after its last sign.
    """

    def __init__(self, *, default_port: int, wanted_s: float) -> None:
        self._default_port = default_port
        self._wanted_s = max(wanted_s, LEAST_WANTED_S)
        self.of: dict[str, Candidate] = {}
        self.search = 0
        self.my_address = ""
        self.refused = 0
        self._answers: dict[str, LanAnswer] = {}  # by the address that they came from
        self._neighbours: dict[str, LanNeighbour] = {}
        self._forgotten: frozenset[str] = frozenset()

    def text(self, host: str) -> str:
        """Give the one spelling of `host`, "" of junk: without its port where that is the one of peers anyway."""
        try:
            parsed = parse_host(host)
        except AddressError:
            return ""
        return str(HostPort(parsed.host, None if parsed.port == self._default_port else parsed.port))

    def begin_search(self, now_s: float, busy: Set[str]) -> None:
        """Begin to see the LAN anew. Candidates that are wanted no more go; `busy` ones stay."""
        self.search += 1
        self._answers.clear()
        self._neighbours.clear()
        for address, candidate in list(self.of.items()):
            if not candidate.is_proved and candidate.wanted_until_s < now_s and address not in busy:
                del self.of[address]

    @property
    def hosts(self) -> list[str]:
        """Whom to ask first in a search."""
        return [candidate.ask for candidate in self.of.values()]

    def sight(self, host: str, source: str, now_s: float, *, ask: str = "", node: str = "") -> str:
        """Note that somebody named `host`; give its address, "" if it is junk or there is no room.

        Args:
            ask: the address, bare, at which to ask about it, if it is not the same.
            node: whose sealed answer to us named it, "" if none did.
        """
        address = self.text(host)
        candidate = self._candidate(address, ask_host(address))
        if candidate is None:
            return ""
        if ask and not candidate.is_proved:
            candidate.ask = str(HostPort(ask))
        candidate.sources.setdefault(source)
        candidate.wanted_until_s = now_s + self._wanted_s
        if node:
            if now_s - candidate.answered_s > NEW_LIFE_S:
                candidate.attempts = 0
            candidate.claimed, candidate.answered_s, candidate.search = node, now_s, self.search
            cover = self.cover(address)
            if cover:
                self.of[cover].sources |= candidate.sources
                self.of[cover].search = self.search
        return address

    def answer(self, said: LanAnswer, now_s: float) -> str:
        """Note a sealed answer; give the address of the broker that it names, "" if there is none to be scouted."""
        if said.node in self._forgotten:
            return ""
        if said.address in self._answers or len(self._answers) < MAX_CANDIDATES:
            self._answers[said.address] = said
        address = self.sight(said.broker, LAN, now_s, ask=said.address, node=said.node)
        if address:
            self.of[address].ask = str(HostPort(said.address))
            self._take_over(self.of[address], address)
        return address

    def know(self, address: str) -> Candidate | None:
        """Give the candidate at an address in its one spelling, new if need be; None if there is no room."""
        return self._candidate(address, ask_host(address))

    def cover(self, address: str) -> str:
        """Give the address whose proof stands for whoever answered last at `address`, mostly the same; "" if none."""
        candidate = self.of[address]
        if candidate.is_proved and candidate.claimed in ("", *candidate.proved_for):
            return address
        return self.where(candidate.claimed) if candidate.claimed else ""

    def where(self, node: str) -> str:
        """Give an address at which a node is proved, "" if it is at none."""
        return next((address for address, candidate in self.of.items() if node in candidate.proved_for), "")

    def is_second(self, address: str, pursued: Iterable[str]) -> bool:
        """Say whether one of these addresses is the same host's, and is being scouted or reached its broker."""
        claimed = self.of[address].claimed
        return bool(claimed) and any(self.of[other].claimed == claimed for other in pursued if other != address)

    def is_news(self, heard: LanAnswer) -> bool:
        """Say whether a node that sent a probe is to be asked: nobody proved that it is where it says it is."""
        candidate = self.of.get(self.text(heard.broker)) if heard.broker else None
        is_known = candidate is not None and (
            heard.node in candidate.proved_for or (heard.node == candidate.claimed and bool(self.where(heard.node)))
        )
        return bool(heard.broker) and not is_known and heard.node not in self._forgotten

    def take_survey(self, survey: LanSurvey) -> None:
        """Note what the kernel and our probes know of the LAN's addresses."""
        self.my_address = survey.my_address
        self._neighbours = {seen.address: seen for seen in survey.neighbours if seen.address != survey.my_address}

    def neighbours(self, named: Iterable[str]) -> list[str]:
        """Make every neighbour that is alive, or named by people, a candidate of this search; give their addresses."""
        alive = [str(HostPort(seen.address)) for seen in self._neighbours.values() if seen.state == "alive"]
        addresses = []
        for host in dict.fromkeys((*alive, *named)):
            address = self.text(host)
            is_own = ask_host(address) == str(HostPort(self.my_address))
            candidate = None if is_own else self._candidate(address, ask_host(address))
            if candidate is not None:
                candidate.sources.setdefault(LAN)
                candidate.search = self.search
                addresses.append(address)
        return addresses

    def unjudged(self, addresses: Iterable[str]) -> set[str]:
        """Give those of the addresses on which this search has no verdict yet."""
        return {address for address in addresses if self.of[address].judged < self.search}

    def proved(self) -> tuple[str, ...]:
        """Give the addresses of this search for which a proof stands."""
        return tuple(
            address for address, candidate in self.of.items() if candidate.is_proved and candidate.search == self.search
        )

    def take_gone(self, gone: PeerGonePayload, now_s: float) -> list[str]:
        """Take back the proofs of a node that is gone; give the addresses to be asked again, all where it ever was."""
        proved = [
            candidate
            for address, candidate in self.of.items()
            if candidate.is_proved and (gone.node in candidate.proved_for or address in gone.hosts)
        ]
        nodes = {gone.node}.union(*(candidate.proved_for for candidate in proved))
        for candidate in proved:
            candidate.forget_proof()
        addresses = [
            address
            for address, candidate in self.of.items()
            if proved and (candidate in proved or (candidate.claimed in nodes and not self.cover(address)))
        ]
        for address in addresses:
            self.of[address].wanted_until_s = now_s + self._wanted_s
        return addresses

    def forget(self, nodes: Iterable[str]) -> list[str]:
        """Have exactly these nodes ignored; give the addresses at which they were, which are no candidates now."""
        self._forgotten = frozenset(nodes)
        for address, said in list(self._answers.items()):
            if said.node in self._forgotten:
                del self._answers[address]
        return [
            address
            for address, candidate in self.of.items()
            if self._forgotten & {candidate.claimed, *candidate.proved_for}
        ]

    def take_refused(self) -> int:
        """Give how many candidates there was no room for, since the last time."""
        refused, self.refused = self.refused, 0
        return refused

    def is_forgotten(self, node: str) -> bool:
        """Say whether people want nothing of this node."""
        return node in self._forgotten

    def rows(self) -> tuple[RecceRow, ...]:
        """Give a line for each neighbour that is, or was, there, then for who else answered or was asked by name."""
        asked = {parse_host(candidate.ask).host: address for address, candidate in self.of.items()}
        seen = (address for address, neighbour in self._neighbours.items() if neighbour.state in ("alive", "stale"))
        named = (
            host
            for host, address in asked.items()
            if not self.of[address].is_proved or self.of[address].search == self.search
        )
        return tuple(
            self._row(address, asked.get(address, "")) for address in dict.fromkeys((*seen, *self._answers, *named))
        )

    def _row(self, address: str, asked: str) -> RecceRow:
        said, seen = self._answers.get(address), self._neighbours.get(address)
        broker = self.text(said.broker) if said is not None and said.broker else asked
        candidate = self.of.get(broker)
        cover = self.cover(broker) if candidate is not None else ""
        node = "" if said is None else said.node
        if cover:
            verdict = PROVED
        elif said is not None and not said.broker:
            verdict = NO_BROKER
        else:
            verdict = candidate.code if candidate is not None else ""
        who = self.of[cover].who if cover else None
        return RecceRow(
            address=address,
            neighbour="unknown" if seen is None else seen.state,
            mac="" if seen is None else seen.mac,
            answer=node,
            name=who.name if who is not None and node in ("", who.node) else "",
            verdict=verdict or (seen.verdict if seen is not None else ""),
            took_ms=None if said is None else said.took_ms,
        )

    def _candidate(self, address: str, ask: str) -> Candidate | None:
        if not address or address in self.of:
            return self.of.get(address)
        if len(self.of) >= MAX_CANDIDATES:
            self.refused += 1
            return None
        return self.of.setdefault(address, Candidate(ask))

    def _take_over(self, candidate: Candidate, address: str) -> None:
        """What was named as the answering host, and is not the broker that it answers for, has had its answer."""
        for other_address, other in list(self.of.items()):
            if (
                other_address != address
                and other.ask == candidate.ask
                and not other.is_proved
                and other.answered_s == NEVER_S
                and other.search != self.search
            ):
                candidate.sources |= other.sources
                del self.of[other_address]
