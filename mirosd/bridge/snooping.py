"""The snoop networks as this host takes part in them: what is watched, what its programs are told, where lines go.

What is watched (core.interest) changes with local subscriptions and dials, and with peers' heartbeats. A change goes
to every source, that is to each program with charts, and in a heartbeat to every peer, at once.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from mirosd.bridge.control import Control
from mirosd.bridge.inquiries import Recollection
from mirosd.bridge.producer_set import ProducerSet
from mirosd.bridge.producer_sets import ProducerSets
from mirosd.bridge.snoop import SnoopOutbound
from mirosd.bridge.subscriptions import Subscription
from mirosd.core.control_messages import NOTHING, Heartbeat
from mirosd.core.envelope import Envelope
from mirosd.core.interest import SNOOP_NETWORKS, HostRow, Interest, Remote, Watching, grants
from mirosd.core.open_recalls import MAX_OPEN, OPEN_S, OpenRecalls
from mirosd.core.shown import Board
from mirosd.names import NETWORKS, SystemNames
from mirosd_client.dial import Dial, SnoopNetwork
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.messages import RECALL_PREFIX, Recall, Watched
from mirosd_client.wire import Network

SNOOP_NAMES = {NETWORKS[network]: network for network in SNOOP_NETWORKS}


class Source(Protocol):
    """A program with charts. Thread: loop."""

    def watched(self, watched: Watched) -> None:
        """Say what is watched from now on."""

    def recall(self, recall: Recall) -> None:
        """Have it send what it has; every recall ends with an End of its."""


class Snooping:
    """Thread: loop. Implements heartbeats.Watchers, and localapi's SnoopView.

    Args:
        remote: what other hosts may turn on here (settings.snoop).
        envelopes: of the networks whose keys this host has.
        sets: gives the producer sets.

    Attributes:
        outbound: the way out of lines.
        said: what is watched here, as heartbeats carry it.
    """

    def __init__(
        self,
        control: Control,
        *,
        remote: Remote,
        envelopes: Mapping[Network, Envelope],
        names: SystemNames,
        sets: Callable[[], ProducerSets],
        board: Board,
    ) -> None:
        self.outbound = SnoopOutbound(envelopes, names, self._targets, board)
        self.remote = remote
        self.said = NOTHING
        self._heartbeats, self._inquiries, self._sets, self._board = control.heartbeats, control.inquiries, sets, board
        self._name, self._node = control.identity.name, control.identity.node
        keys = [network for network in SNOOP_NETWORKS if NETWORKS[network] in envelopes]
        self._interest, self._recalls = Interest(self._name, self._node, remote, keys), OpenRecalls()
        self._clock = asyncio.get_running_loop().time
        self._sources: dict[Source, None] = {}  # an ordered set
        self._asked: Watching = {}
        self._changed = asyncio.Event()
        control.heartbeats.watchers, control.inquiries.recall_here = self, self._recall_for

    # --- what is watched here

    def follow(self, subscriptions: Iterable[Subscription]) -> None:
        """Take the subscriptions that local programs have by now."""
        lively = [each for each in subscriptions if each.session is not None and each.network in SNOOP_NAMES]
        self._interest.subscribe(
            {SNOOP_NAMES[each.network] for each in lively if not each.binding_key.startswith(RECALL_PREFIX)}
        )
        self._note()

    @contextmanager
    def hold(self, network: SnoopNetwork, dial: Dial) -> Iterator[None]:
        """Watch by a dial for as long as this is open.

        Raises:
            DaemonRefusedError: too_many_watches, no_key.
        """
        hold = self._interest.hold(network, dial)
        self._note()
        try:
            yield
        finally:
            self._interest.release(hold)
            self._note()

    def hosts(self, network: SnoopNetwork, dial: Dial) -> list[dict[str, Any]]:
        """Give a row for each host that a dial takes, this one first: {host, node, remote, accepts}.

        Peers that have not said yet what others may turn on there come when they have.
        """
        return [
            {
                "host": host.name,
                "node": host.node,
                "remote": host.remote,
                "accepts": host.node == self._node or grants(host.remote, network),
            }
            for host in self._hosts(dial)
            if host.remote
        ]

    def next_change(self) -> asyncio.Event:
        """Give what is set when what `hosts` shows may have changed."""
        return self._changed

    # --- heartbeats.Watchers

    def heard(self, beat: Heartbeat) -> None:
        """Take the heartbeat of a peer."""
        if self._interest.heard(beat, self._clock()):
            self._show_change()
            self._tell()

    def gone(self, node: str) -> None:
        """A node is a peer no more."""
        self._interest.gone(node)
        self._show_change()
        self._tell()

    def pass_time(self) -> None:
        """Who has not been heard for a while watches nothing."""
        self._tell()

    # --- what this host's programs have

    def attached(self, source: Source) -> None:
        """A program with charts is there: say what is watched, and whenever that changes."""
        self._sources[source] = None
        source.watched(Watched(self._asked))

    def detached(self, source: Source) -> None:
        """It is gone."""
        self._sources.pop(source, None)

    async def recall(self, recall: Recall) -> list[dict[str, Any]]:
        """Have every program of every host that the dial takes send what it has.

        Gives a row {host, node, sources, refused} for each of the hosts: how many programs will answer, or the code
        of why none will. A peer that has not said its name yet says itself whether it is meant.

        Raises:
            DaemonRefusedError: too_many_recalls, no_key.
        """
        self._interest.check_key(recall.network)
        if not self._recalls.open(recall.id, self._node, recall.network, self._clock()):
            raise DaemonRefusedError(
                "too_many_recalls",
                f"{MAX_OPEN} recalls of the last {OPEN_S:.0f} s are on from this host already, or one had this very "
                "id: draw a new id, and ask again in a few seconds",
            )
        hosts = self._hosts(recall.dial)
        here = {self._node: self._recall_here(recall)} if any(host.node == self._node for host in hosts) else {}
        asked = [host.node for host in hosts if host.node != self._node]
        recollections = here | await self._inquiries.recall(recall, asked)
        rows = []
        for host in hosts:
            sources, refused, name = recollections[host.node]
            name = name or host.name
            if refused or recall.dial.takes_host(name, host.node):
                rows.append({"host": name, "node": host.node, "sources": sources, "refused": refused})
        return rows

    def _recall_for(self, node: str, recall: Recall) -> Recollection:
        """A peer asks; it may not know yet what we are called."""
        if not recall.dial.takes_host(self._name, self._node):
            return Recollection(0)
        if not self._interest.has_key(recall.network):
            return Recollection(0, "no_key")
        may_see_charts = recall.what == "charts" and self.remote != "off"
        if not (may_see_charts or grants(self.remote, recall.network)):
            return Recollection(0, "policy")
        if not self._recalls.open(recall.id, node, recall.network, self._clock()):
            return Recollection(0, "busy")
        return self._recall_here(recall)

    def _recall_here(self, recall: Recall) -> Recollection:
        recall = replace(recall, dial=replace(recall.dial, hosts=[]))
        sources = list(self._sources)  # one that does not read is closed, and so detached, by the attempt
        for source in sources:
            source.recall(recall)
        return Recollection(len(sources))

    def _hosts(self, dial: Dial) -> list[HostRow]:
        """Give the hosts that a dial takes, and those that nobody has heard yet: `remote` is "" then."""
        hosts = self._interest.hosts(self._heartbeats.peers)
        return [host for host in hosts if not host.remote or dial.takes_host(host.name, host.node)]

    # --- where records go

    def _targets(self, network: Network, routing_key: str, records: int) -> Collection[ProducerSet]:
        sets, name, now_s = self._sets(), SNOOP_NAMES[network], self._clock()
        if routing_key.startswith(RECALL_PREFIX):
            asker = self._recalls.asker(routing_key.removeprefix(RECALL_PREFIX), name, now_s)
            there = None if asker is None else sets.own if asker == self._node else sets.of(asker)
            if there is None:
                self._board.count("unasked", records)
            return () if there is None else (there,)
        watches = self._interest.watches
        return [
            each
            for each in sets.all
            if (each is sets.own and watches(self._node, name, now_s))
            or any(network in proof.networks and watches(node, name, now_s) for node, proof in each.nodes.items())
        ]

    # --- changes

    def _note(self) -> None:
        """What is watched here may have changed."""
        said = msgspec.Raw(msgspec.json.encode(self._interest.here))
        if said != self.said:
            self.said = said
            self._heartbeats.beat_now()
            self._tell()

    def _tell(self) -> None:
        """What this host's programs are asked for may have changed."""
        asked = self._interest.asked(self._clock())
        if asked != self._asked:
            self._asked = asked
            for source in list(self._sources):
                source.watched(Watched(asked))

    def _show_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
