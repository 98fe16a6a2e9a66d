"""The peers as people see them: which address is whose, and a line for each node and each address that is nobody's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirosd.core.peer_rows import address_row, clock_skew_detail
from mirosd.core.peers import is_refusal
from mirosd.core.shown import Board, PeerRow
from mirosd.core.sightings import Sighting, Sightings
from mirosd.payloads import AMQPConsumerCheckPayload

if TYPE_CHECKING:
    from mirosd.charts.peer_life import PeerLife


class PeerTable:
    """What PeerChart keeps, in its thread.

    Attributes:
        lives: by node.
        listed: the hosts whose addresses have a line whatever becomes of them.
        sightings: nodes that somebody named; those without a life are candidates.
        verdicts: the last one on each address without a node.
    """

    def __init__(self, peer_port: int) -> None:
        self.lives: dict[str, PeerLife] = {}
        self.listed: frozenset[str] = frozenset()
        self.sightings = Sightings(default_port=peer_port)
        self.verdicts: dict[str, AMQPConsumerCheckPayload] = {}
        self._skew = ""

    def owner(self, address: str) -> "PeerLife | None":
        """Give the life of the node that proved to be at `address`."""
        return next((life for life in self.lives.values() if address in life.seen.addresses), None)

    def speaker(self, address: str) -> "PeerLife | None":
        """Give the life of an unproved node that says that `address` is its broker's."""
        for node, sighting in self.sightings:
            if address in sighting.brokers and node in self.lives:
                return self.lives[node]
        return None

    def is_listed(self, life: "PeerLife") -> bool:
        """Say whether the hosts files name an address of a node."""
        return bool(life.seen.addresses & self.listed)

    def note_failure(self, check: AMQPConsumerCheckPayload, owner: "PeerLife | None", real_s: float) -> None:
        """Note that an address was not proved; `owner` is whose it was so far."""
        address = check.ip_address
        if owner is not None and not (owner.is_gone and is_refusal(check.code)):
            owner.seen.stages = check.stages
            return
        if owner is not None:
            owner.seen.move_from(address, real_s)
        speaker = self.speaker(address)
        if speaker is not None:
            speaker.seen.verdict, speaker.seen.stages = check.code, check.stages
        if speaker is None or address in self.listed:
            self.verdicts[address] = check

    def show(self, board: Board, real_s: float) -> None:
        """Let go of what has no line any more, show the others, and whose wall clock is far off."""
        self._prune(real_s)
        # sorted, so that a table stays readable while it changes
        board.show_peers(sorted(self._rows(), key=lambda row: (row.name, row.node, row.address)))
        there = (life.seen for life in self.lives.values() if not (life.is_gone or life.seen.left))
        skew = clock_skew_detail(seen.introduction for seen in there)
        if skew and skew != self._skew:
            board.raise_reason("clock_skew", skew)
        elif self._skew and not skew:
            board.clear_reason("clock_skew")
        self._skew = skew

    def _prune(self, now_s: float) -> None:
        """Let go of what has no line any more."""
        self.sightings.forget_old(now_s)
        for node, life in list(self.lives.items()):
            if life.is_gone and not self.is_listed(life):
                del self.lives[node]
                self.sightings.drop(node)
        named = {address for _, sighting in self.sightings for address in sighting.brokers}
        self.verdicts = {
            address: check
            for address, check in self.verdicts.items()
            if address in self.listed or address in named or is_refusal(check.code)
        }

    def _rows(self) -> Iterator[PeerRow]:
        shown: set[str] = set()
        for life in self.lives.values():
            shown |= life.seen.addresses
            yield life.row(self.listed)
        for node, sighting in self.sightings:
            if node not in self.lives and not shown.issuperset(sighting.brokers):
                yield self._sighting_row(node, sighting)
                shown |= set(sighting.brokers) - self.listed
        for address in (self.listed | self.verdicts.keys()) - shown:
            check = self.verdicts.get(address)
            sources = ("manual",) if address in self.listed else ()
            yield address_row(address, sources, check and check.code, check.stages if check else ())

    def _sighting_row(self, node: str, sighting: Sighting) -> PeerRow:
        check = next((self.verdicts[address] for address in sighting.brokers if address in self.verdicts), None)
        return address_row(
            ", ".join(sighting.brokers),
            (sighting.source,),
            check and check.code,
            check.stages if check else (),
            node=node,
        )
