"""The producer sets of this daemon: exactly one for each distinct broker, told by behaviour and not by address.

Before a set is made for a node, the node is asked for through the connections that are there: a broker that
serves it already needs no second set. In doubt there are two, since repeats are dropped and missing events are not.

The brokers of the sets, and of the reserve, are the delivery set: whom events are owed to. A broker behind which nobody
has the mesh key is not in it: such hosts are sent heartbeats, and instrumentation of the networks whose keys they have.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from mirosd.bridge.control import Control
from mirosd.bridge.kept_link import OPEN_DEADLINE_S
from mirosd.bridge.lane import Lane
from mirosd.bridge.producer_set import ProducerSet, Proof
from mirosd.bridge.reserve import Reserve
from mirosd.core.broker import BrokerAddress
from mirosd.core.delivery_set import DeliverySet
from mirosd.names import NETWORK_NAMES
from mirosd_client.wire import Network

log = structlog.get_logger()


@dataclass
class _Adoption:
    """A node that is being asked for, and whether it still is to be served when its answer comes."""

    node: str
    proof: Proof
    is_wanted: bool = True


class ProducerSets:
    """Thread: loop.

    Args:
        reserve: what is owed to brokers of an earlier start.
        make: makes a set for a peer's broker, with the lane that it is owed by already; it is not started.
        peer_address: gives where and as whom to reach a peer's broker, from a hosts-file entry.
        stop: told of each set that nobody needs any more.
        on_change: told the delivery set whenever it has changed.

    Attributes:
        all: the sets, the own broker's first.
    """

    def __init__(
        self,
        own: ProducerSet,
        control: Control,
        *,
        reserve: Reserve,
        make: Callable[[BrokerAddress, Lane | None], ProducerSet],
        peer_address: Callable[[str], BrokerAddress],
        stop: Callable[[ProducerSet], None],
        on_change: Callable[[DeliverySet], None],
    ) -> None:
        self.own = own
        self.all = [own]
        self._control, self._make, self._peer_address, self._stop = control, make, peer_address, stop
        self._reserve, self._on_change = reserve, on_change
        self._told: DeliverySet = self.delivery_set
        self._adopting = asyncio.Lock()
        self._adoptions: list[_Adoption] = []

    @property
    def lanes(self) -> list[Lane]:
        """The lanes of the delivery set, the own broker's first."""
        return [each.lane for each in self.all if self._is_owed(each)] + self._reserve.lanes

    @property
    def delivery_set(self) -> DeliverySet:
        """The nodes behind each broker but our own that events are owed to."""
        served = {
            each.address.display: each.members(Network.MESH)
            for each in self.all
            if each is not self.own and self._is_owed(each)
        }
        return {broker: frozenset(nodes) for broker, nodes in self._reserve.brokers.items()} | served

    def of(self, node: str) -> ProducerSet | None:
        """Give the set of the broker that a node is behind."""
        return next((producer_set for producer_set in self.all if node in producer_set.nodes), None)

    def lane_of(self, node: str) -> Lane | None:
        """Give the lane of the broker that a node is behind, our own node among them."""
        there = self.own if node == self._control.identity.node else self.of(node)
        return None if there is None else there.lane

    async def adopt(self, node: str, host: str, proof: Proof) -> None:
        """Have a proved node's broker served, unless the node is retired meanwhile."""
        adoption = _Adoption(node, proof)
        self._adoptions.append(adoption)
        try:
            await self._attempts_over()
            async with self._adopting:  # one at a time: two addresses may be one broker
                await self._adopt(adoption, self._peer_address(host))
        finally:
            self._adoptions.remove(adoption)
            self._note()

    async def _attempts_over(self) -> None:
        """Wait for links that are being opened: the node may turn out to be behind one of those brokers.

        Our own broker is tried at once, so that a scout which was faster after its restart makes no second set for it.
        """
        opening = [
            each.attempted() for each in self.all if each.control_link is None and (each is self.own or each.is_untried)
        ]
        if not opening:
            return
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                await asyncio.gather(*opening)
        except TimeoutError:
            log.debug("adopted_without_asking_all")

    async def _adopt(self, adoption: _Adoption, address: BrokerAddress) -> None:
        node, proof = adoption.node, adoption.proof
        if self._is_served(node, address):
            self._renew(node, proof)
            return
        for producer_set in list(self.all):
            link = producer_set.control_link
            if link is not None and await self._control.locate(node, link) is not None:
                if adoption.is_wanted:
                    self.adopt_here(node, proof, producer_set)
                return
        if not adoption.is_wanted or self._is_served(node, address):  # its own word, or its link, was faster
            return
        there = self.of(node)
        here = next((producer_set for producer_set in self.all if producer_set.address == address), None)
        if here is not None:  # somebody else was at this address, and has not been heard to leave it
            self.adopt_here(node, proof, here)
        elif there is not None and there.nodes.keys() == {node}:
            log.info("producers_moved", broker=there.address.display, to=address.display, node=node)
            there.move(address)
            self._renew(node, proof)
        else:
            self._part(node)
            producer_set = self._make(address, self._claim(node, proof, address))
            self.all.append(producer_set)
            producer_set.start()
            producer_set.add(node, proof)
            networks = sorted(NETWORK_NAMES[network] for network in proof.networks)
            log.info("producers_made", broker=address.display, node=node, networks=networks)

    def _claim(self, node: str, proof: Proof, address: BrokerAddress) -> Lane | None:
        """Give the lane by which the node's broker is owed events already, if they are owed to it still."""
        if Network.MESH in proof.networks:
            return self._reserve.claim(node, address.display)
        self._reserve.retire(node)
        return None

    def _renew(self, node: str, proof: Proof) -> None:
        """A node has proved its keys, perhaps again."""
        if (there := self.of(node)) is not None:
            there.prove(node, proof)

    def adopt_here(self, node: str, proof: Proof, producer_set: ProducerSet) -> None:
        """Take a node as a peer whose broker is served already, unless it is served where its link is up."""
        self._renew(node, proof)
        there = self.of(node)
        is_free = there is None or (there is not self.own and there.control_link is None)
        if producer_set in self.all and producer_set is not there and is_free:
            log.info("broker_shared", broker=producer_set.address.display, node=node)
            is_owed = self._is_owed(producer_set)
            self._part(node)
            producer_set.add(node, proof)
            if Network.MESH in proof.networks:
                self._reserve.served(node, is_owed=is_owed)
            else:
                self._reserve.retire(node)
        self._note()

    def retire(self, node: str) -> None:
        """Nothing is owed to `node` any more; the last peer behind a broker takes its producers along."""
        for adoption in self._adoptions:
            if adoption.node == node:
                adoption.is_wanted = False
        self._part(node)
        self._reserve.retire(node)
        self._note()

    def end_reserve(self) -> None:
        """Who has not come back by now has no queues any more."""
        self._reserve.close()
        self._note()

    async def stop(self) -> None:
        """The daemon stops: close every connection, and tell the log what is left for the next start."""
        await asyncio.gather(*(each.stop() for each in self.all))
        for lane in self.lanes:
            if events := lane.stop():
                log.warning("stopped_owing", broker=lane.name, events=events)

    def display(self) -> list[dict[str, Any]]:
        """Give the sets for people: where, which nodes, whether the control link is up, and bytes not confirmed.

        `alarm`: what the broker said when it stopped to take messages, and for how long it has; null while it does.
        """
        return [
            {
                "broker": each.address.display,
                "is_own": each is self.own,
                "nodes": sorted(each.nodes),
                "is_connected": each.control_link is not None,
                "pending_bytes": each.lane.pending_bytes,
                "alarm": each.shown_alarm,
            }
            for each in self.all
        ]

    def _note(self) -> None:
        """Tell the delivery set, if it has changed."""
        now = self.delivery_set
        if now != self._told:
            self._told = now
            self._on_change(now)

    def _is_owed(self, producer_set: ProducerSet) -> bool:
        """Say whether events are owed to a broker: the own one, and those behind which somebody has the mesh key."""
        return producer_set is self.own or Network.MESH in producer_set.networks

    def _is_served(self, node: str, address: BrokerAddress) -> bool:
        """Say whether a set serves the node: one that is connected, or is about to be where the node was proved."""
        there = self.of(node)
        return there is not None and (there is self.own or there.control_link is not None or there.address == address)

    def _part(self, node: str) -> None:
        """Take a node out of its set; one that is left by all but is not our own broker's is stopped, owed nothing."""
        there = self.of(node)
        if there is None:
            return
        there.remove(node)
        if not there.nodes and there is not self.own:
            self.all.remove(there)
            there.lane.close()
            log.info("producers_retired", broker=there.address.display, node=node)
            self._stop(there)
