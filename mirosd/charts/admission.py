"""Who is let in: the policy about aliens, what people decided of single nodes, and the search for those who were named.

A part of PeerChart, in its thread.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mirosd.charts.peer_table import PeerTable
from mirosd.core.peer_memory import Edit, PeerFile, PeerMemory
from mirosd.core.shown import Board
from mirosd.payloads import (
    CacheReadPayload,
    CacheWritePayload,
    HostsSightedPayload,
    NodesForgottenPayload,
    PeerAlien,
    PeerGossip,
)
from mirosd.signals import Private, Public
from mirosd_client.shell import Event

if TYPE_CHECKING:
    from mirosd.charts.peer import PeerChart
    from mirosd.charts.peer_life import PeerLife

Nodes = frozenset[str]
OnStanding = Callable[[Nodes, Nodes, Nodes], None]

ALLOW = "allow"

LEAST_WAIT_S = 1.0
"""Between two looks at a tombstone: timers and the wall clock need not agree about its end."""


class Admission:
    """The gate, kept by its chart.

    Args:
        memory_path, aliens, wall_s, on_standing: as in PeerChart.
    """

    def __init__(
        self,
        chart: "PeerChart",
        table: PeerTable,
        board: Board,
        *,
        memory_path: str,
        aliens: str,
        wall_s: Callable[[], float],
        on_standing: OnStanding,
    ) -> None:
        self._table = table
        self._chart, self._board, self._wall_s, self._aliens = chart, board, wall_s, aliens
        self._file = PeerFile(memory_path)
        self._told: tuple[str, ...] | None = None
        self._tombstone: str | None = None
        self._on_standing = on_standing
        self._standing: tuple[Nodes, Nodes, Nodes] = (frozenset(), frozenset(), frozenset())

    @property
    def path(self) -> str:
        """The file's name."""
        return self._file.path

    @property
    def memory(self) -> PeerMemory:
        """What people decided, as it is in force."""
        return self._file.memory

    def is_forgotten(self, node: str) -> bool:
        """Say whether a tombstone stands for the node."""
        return node in self.memory.forgotten

    def bar(self, node: str) -> str:
        """Give the policy that keeps the node out while it is an alien; "" when none does."""
        return "" if self._aliens == ALLOW or node in self.memory.allowed else self._aliens

    def tell_standing(self, lives: Mapping[str, "PeerLife"]) -> None:
        """Say who is proved, allowed and kept out, if that has changed."""
        standing = (
            frozenset(node for node, life in lives.items() if life.seen.proved_s is not None),
            frozenset(self.memory.allowed),
            frozenset(self.memory.forgotten).union(node for node, life in lives.items() if life.seen.barred),
        )
        if standing != self._standing:
            self._standing = standing
            self._on_standing(*standing)

    # --- what is told ----------------------------------------------------------------

    def take_alien(self, alien: PeerAlien) -> None:
        """Have an unknown node searched where it says that it is, unless the policy keeps it out."""
        life = self._table.lives.get(alien.introduction.node)
        if life is not None:  # else nothing was heard of it, or it is ignored
            life.seen.introduction = life.seen.introduction._replace(networks=alien.introduction.networks)
            if alien.brokers:
                self._name(alien.introduction.node, alien.brokers, "alien", is_let_in=not life.seen.barred)
            else:
                self._chart.note_change()

    def take_gossip(self, gossip: PeerGossip) -> None:
        """Have a node searched that a peer hears and we do not."""
        node = gossip.node
        if node not in self._table.lives and not self.is_forgotten(node) and not self.bar(node):
            self._name(node, gossip.brokers, "gossip", is_let_in=True)

    def is_ignored(self, node: str, address: str) -> bool:
        """Say whether people forgot the node; that one of its addresses is listed lifts its tombstone."""
        if self.is_forgotten(node) and address in self._table.listed:
            self._edit(lambda memory: memory.lift(node))
        return self.is_forgotten(node)

    # --- people's decisions ----------------------------------------------------------

    def forget(self, node: str) -> None:
        """End its life, and ignore it while its tombstone stands; a listed one begins anew at once."""
        life, now_s = self._table.lives.get(node), self._wall_s()
        self._table.sightings.drop(node)
        if life is None or not self._table.is_listed(life):
            self._edit(lambda memory: memory.forget(node, now_s))
        else:
            self._end(node)

    def allow(self, node: str) -> None:
        """Let it in for good, and search it where it said that it is; then again at its next word, which is fresh."""
        self._edit(lambda memory: memory.allow(node))
        self._table.sightings.renew(node)
        self._sight(node)
        self._table.sightings.renew(node)

    def _edit(self, edit: Edit) -> None:
        self._file.edit(edit)
        self.read_file()
        self._follow()

    def _end(self, node: str) -> None:
        self._table.lives.pop(node).tell(Event(signal=Private.peer_forgotten))
        self._chart.note_change()

    # --- the file --------------------------------------------------------------------

    def read_file(self) -> None:
        """Ask for the file."""
        self._chart.publish(Event(signal=Public.CACHE_FILE_READ, payload=self.path))

    def read_again(self) -> None:
        """Give a file that had a problem another chance."""
        if self._file.problem:
            self._file.retry()
            self.read_file()

    def take_file(self, cache: CacheReadPayload) -> None:
        """Take what the file holds, or its problem; write to it what it does not hold yet."""
        text = self._file.take(cache, self._wall_s())
        if text is not None:
            self._chart.publish(Event(signal=Public.CACHE_FILE_WRITE, payload=CacheWritePayload(text, self.path)))
            self.read_file()
        if self._file.problem:
            self._board.raise_reason("peers_file", self._file.problem)
        else:
            self._board.clear_reason("peers_file")
        self._follow()

    def end_tombstones(self) -> None:
        """A tombstone has ended, if the wall clock agrees."""
        self._file.expire(self._wall_s())
        self._follow()

    def _follow(self) -> None:
        """Say whom to ignore if that has changed, wait for the next end of a tombstone, and have the lives follow."""
        forgotten = tuple(self.memory.forgotten)
        if forgotten != self._told:
            self._told = forgotten
            self._chart.publish(Event(signal=Public.NODES_FORGOTTEN, payload=NodesForgottenPayload(forgotten)))
        self._chart.cancel_event(self._tombstone)
        self._tombstone = None
        if forgotten:
            wait_s = max(LEAST_WAIT_S, min(self.memory.forgotten.values()) - self._wall_s())
            event = Event(signal=Private.peer_tombstone_over)
            self._tombstone = self._chart.post_fifo(event, period=wait_s, times=1)
        for node, life in list(self._table.lives.items()):
            if self.is_forgotten(node) and not self._table.is_listed(life):
                self._end(node)
            elif life.seen.barred and not self.bar(node):
                life.tell(Event(signal=Private.peer_allowed))
        self._chart.note_change()

    def take_answer(self, seen: HostsSightedPayload) -> None:
        """Show a node that answered on the LAN, until it is proved."""
        if not self.is_forgotten(seen.node):
            self._table.sightings.note(seen.node, seen.addresses, seen.source, self._chart.reactor.now())
            self._chart.note_change()

    # --- nodes that were named -------------------------------------------------------

    def _name(self, node: str, brokers: tuple[str, ...], source: str, *, is_let_in: bool) -> None:
        self._table.sightings.note(node, brokers, source, self._chart.reactor.now())
        if is_let_in:
            self._sight(node)
        self._chart.note_change()

    def _sight(self, node: str) -> None:
        sighting = self._table.sightings.take(node, self._chart.reactor.now())
        if sighting is not None:
            payload = HostsSightedPayload(sighting.brokers, sighting.source, node)
            self._chart.publish(Event(signal=Public.HOSTS_SIGHTED, payload=payload))
