"""The producers for one distinct broker: a lane for the mesh, a control link, and the nodes behind it.

Two publishing connections, so that what waits in one never holds up the other:
the mesh's, and control's (snoop networks share it). Exactly one set per broker,
however many peers are behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import structlog

from mirosd.bridge.control import Control
from mirosd.bridge.kept_link import KeptLink
from mirosd.bridge.lane import Lane
from mirosd.core.broker import BrokerAddress, BrokerConnector, Link, Outcome
from mirosd.core.measures import Histogram
from mirosd.errors import BrokerError
from mirosd.names import NETWORKS
from mirosd.payloads import Introduction, PeerSign, ProducerQueue
from mirosd.signals import Private
from mirosd_client.wire import Network

log = structlog.get_logger()


class Alarm(NamedTuple):
    """A broker does not read what is published: what it said of that, and when (seconds of the loop's clock)."""

    reason: str
    since_s: float


class Proof(NamedTuple):
    """What a node has proved: the networks whose keys both hosts have, and at which of its starts; 0: nobody knows."""

    networks: frozenset[Network]
    start: int


def proof_of(who: Introduction) -> Proof:
    """Give what a sealed answer proves."""
    return Proof(frozenset(NETWORKS[name] for name in who.networks), who.start)


def proofs_of(item: ProducerQueue) -> dict[tuple[str, str], Proof]:
    """Give what is proved by (node, host) of the producers in an item."""
    proofs: dict[tuple[str, str], Proof] = {}
    for producer in (*item.mesh_producers, *item.snoop_trace_producers, *item.snoop_spy_producers):
        place = producer.node, producer.host
        networks, start = proofs.get(place, NOTHING)
        proofs[place] = Proof(networks | {NETWORKS[producer.network]}, max(start, producer.start))
    return proofs


NOTHING = Proof(frozenset(), 0)


class ProducerSet:
    """One distinct broker that events and heartbeats are published to. Thread: loop.

    Args:
        prepare_mesh, prepare_control: make sure that the broker has what is needed
            (declare on the own broker, only check on others'), before anything is published.
        on_state: called with None when the control link is up and the broker reads, else with the error: of code
            "blocked" when it does not read.

    Attributes:
        nodes: who is behind the broker, each with what it has proved; read only.
        networks: those that any of them is a member of: on the others nothing is for this broker.
        alarm: why the broker does not read, None while it does or is away.
    """

    def __init__(
        self,
        connector: BrokerConnector,
        address: BrokerAddress,
        lane: Lane,
        control: Control,
        *,
        prepare_mesh: Callable[[Link], Awaitable[None]],
        prepare_control: Callable[[Link], Awaitable[None]],
        post_peer: Callable[[int, PeerSign], None],
        random: Callable[[], float],
        on_state: Callable[[BrokerError | None], None] = lambda _state: None,
    ) -> None:
        self.lane = lane
        self.nodes: dict[str, Proof] = {}
        self.networks: frozenset[Network] = frozenset()
        self.alarm: Alarm | None = None
        self._control, self._post_peer, self._on_state = control, post_peer, on_state
        self._prepare_mesh, self._prepare_control = prepare_mesh, prepare_control
        self._control_link: Link | None = None
        self._snoop_unconfirmed = 0
        mesh_name, control_name = _names(address)
        self._mesh = KeptLink(
            connector,
            address,
            mesh_name,
            on_up=self._mesh_up,
            on_down=self._mesh_down,
            on_blocked=self._mesh_blocked,
            random=random,
            is_quiet=True,
        )
        self._controls = KeptLink(
            connector,
            address,
            control_name,
            on_up=self._control_up,
            on_down=self._control_down,
            on_blocked=lambda _is_blocked: self._note_alarm(),
            random=random,
        )

    @property
    def address(self) -> BrokerAddress:
        """Where the broker is."""
        return self._mesh.address

    @property
    def control_link(self) -> Link | None:
        """The control link while it is up."""
        return self._control_link

    @property
    def is_untried(self) -> bool:
        """It is not known yet whether the broker can be reached at its address."""
        return self._controls.is_untried

    @property
    def shown_alarm(self) -> dict[str, Any] | None:
        """The alarm for people: its reason, and for how long it has lasted."""
        if self.alarm is None:
            return None
        for_s = asyncio.get_running_loop().time() - self.alarm.since_s
        return {"reason": self.alarm.reason, "for_s": round(for_s, 1)}

    async def attempted(self) -> None:
        """Return when the control link is up, or has just been tried in vain."""
        await self._controls.attempted()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._mesh.start()
        self._controls.start()

    def move(self, address: BrokerAddress) -> None:
        """The broker is at another address now; what is owed to it stays."""
        self.lane.name = address.display
        for link, name in zip((self._mesh, self._controls), _names(address), strict=True):
            link.move(address, name)

    def members(self, network: Network) -> frozenset[str]:
        """Give the nodes behind this broker that have the network's key."""
        return frozenset(node for node, proof in self.nodes.items() if network in proof.networks)

    def prove(self, node: str, proof: Proof) -> None:
        """`node`, which is behind this broker, has proved its keys, which may be others since its restart."""
        self.nodes[node] = proof
        self._note_networks()

    def add(self, node: str, proof: Proof) -> None:
        """`node` is behind this broker."""
        self.prove(node, proof)
        self._control.add_peer(node, self._control_link)
        if self._control_link is not None:
            self._post_peer(Private.peer_link_up, PeerSign(node))
        if self.alarm is not None:
            self._post_peer(Private.peer_blocked, PeerSign(node, detail=self.alarm.reason))

    def remove(self, node: str) -> None:
        """`node` is gone."""
        self.nodes.pop(node, None)
        self._note_networks()
        self._control.remove_peer(node)

    def snoop(self, exchange: str, routing_key: str, body: bytes, *, max_unconfirmed: int, answer_s: Histogram) -> bool:
        """Publish instrumentation over the control link; False when the broker cannot take it now.

        Args:
            max_unconfirmed: bytes of instrumentation that may be without a confirm, this body included.
            answer_s: takes how long the broker needed for its answer.
        """
        link = self._control_link
        if link is None or link.is_blocked or self._snoop_unconfirmed + len(body) > max_unconfirmed:
            return False
        clock = asyncio.get_running_loop().time
        sent_s = clock()

        def answered(_outcome: Outcome) -> None:
            answer_s.add(clock() - sent_s)
            if link is self._control_link:
                self._snoop_unconfirmed -= len(body)

        self._snoop_unconfirmed += len(body)
        link.publish(exchange, routing_key, body, on_outcome=answered)
        return True

    async def stop(self) -> None:
        """Close both connections."""
        self._control_link = None
        await self._mesh.stop()
        await self._controls.stop()

    async def _mesh_up(self, link: Link) -> None:
        await self._prepare_mesh(link)
        self.lane.opened(link)

    def _mesh_down(self, _error: BrokerError) -> None:
        self.lane.lost()
        self._note_alarm()

    def _mesh_blocked(self, is_blocked: bool) -> None:
        self.lane.blocked(is_blocked)
        self._note_alarm()

    async def _control_up(self, link: Link) -> None:
        await self._prepare_control(link)
        self._control_link = link
        self._snoop_unconfirmed = 0
        self._on_state(None)
        for node in self.nodes:
            self._control.add_peer(node, link)
            self._post_peer(Private.peer_link_up, PeerSign(node))

    def _control_down(self, error: BrokerError) -> None:
        self._control_link = None
        self._note_alarm()
        self._on_state(error)
        for node in self.nodes:
            self._control.add_peer(node, None)
            self._post_peer(Private.peer_link_down, PeerSign(node, detail=error.code))

    def _note_networks(self) -> None:
        self.networks = frozenset().union(*(proof.networks for proof in self.nodes.values()))

    def _note_alarm(self) -> None:
        """A broker in alarm tells only who publishes, each connection for itself: one that was told is enough."""
        links = (self._mesh.link, self._controls.link)
        reason = next((link.blocked_by for link in links if link is not None and link.is_blocked), None)
        if (reason is None) is (self.alarm is None):
            return
        now_s = asyncio.get_running_loop().time()
        if reason is not None:
            self.alarm = Alarm(reason, now_s)
            log.warning("broker_blocked", broker=self.address.display, reason=reason)
        elif self.alarm is not None:
            log.info("broker_unblocked", broker=self.address.display, after_s=round(now_s - self.alarm.since_s, 1))
            self.alarm = None
        for node in self.nodes:
            self._post_peer(Private.peer_blocked, PeerSign(node, detail=reason or ""))
        if self._control_link is not None:
            said = f"{self.address.display} takes no messages: it is {reason}"
            self._on_state(None if reason is None else BrokerError("blocked", said))


def _names(address: BrokerAddress) -> tuple[str, str]:
    """Give the names of the two connections, as the broker's tools show them."""
    return f"mirosd mesh {address.display}", f"mirosd control {address.display}"
