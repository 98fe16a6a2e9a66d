"""The producers for one distinct broker: a lane for the mesh, a control link, and the nodes behind it.

Two publishing connections, so that what waits in one never holds up the other:
the mesh's, and control's (snoop networks share it). Exactly one set per broker,
however many peers are behind it.
"""

from collections.abc import Awaitable, Callable

from mirosd.bridge.control import Control
from mirosd.bridge.kept_link import KeptLink
from mirosd.bridge.lane import Lane
from mirosd.core.broker import BrokerAddress, BrokerConnector, Link, Outcome
from mirosd.errors import BrokerError
from mirosd.payloads import PeerSign
from mirosd.signals import Private

MAX_SNOOP_UNCONFIRMED = 256 * 1024
"""Bytes of instrumentation a broker may owe a confirm for: heartbeats never wait behind more than that."""


class ProducerSet:
    """One distinct broker that events and heartbeats are published to. Thread: loop.

    Args:
        prepare_mesh, prepare_control: make sure that the broker has what is needed
            (declare on the own broker, only check on others'), before anything is published.
        on_state: called with None when the control link is up, with the error when it is not.
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
        self.nodes: set[str] = set()
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
            on_down=lambda _error: lane.lost(),
            on_blocked=lane.blocked,
            random=random,
            is_quiet=True,
        )
        self._controls = KeptLink(
            connector,
            address,
            control_name,
            on_up=self._control_up,
            on_down=self._control_down,
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

    def add(self, node: str) -> None:
        """`node` is behind this broker."""
        self.nodes.add(node)
        self._control.add_peer(node, self._control_link)
        if self._control_link is not None:
            self._post_peer(Private.peer_link_up, PeerSign(node))

    def remove(self, node: str) -> None:
        """`node` is gone."""
        self.nodes.discard(node)
        self._control.remove_peer(node)

    def snoop(self, exchange: str, routing_key: str, body: bytes) -> bool:
        """Publish instrumentation over the control link; False when the broker cannot take it now."""
        link = self._control_link
        if link is None or link.is_blocked or self._snoop_unconfirmed + len(body) > MAX_SNOOP_UNCONFIRMED:
            return False

        def answered(_outcome: Outcome) -> None:
            if link is self._control_link:
                self._snoop_unconfirmed -= len(body)

        self._snoop_unconfirmed += len(body)
        link.publish(exchange, routing_key, body, on_outcome=answered)
        return True

    async def stop(self) -> None:
        """Close both connections; what was pending is owed no longer."""
        self._control_link = None
        await self._mesh.stop()
        await self._controls.stop()
        self.lane.close()

    async def _mesh_up(self, link: Link) -> None:
        await self._prepare_mesh(link)
        self.lane.opened(link)

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
        self._on_state(error)
        for node in self.nodes:
            self._control.add_peer(node, None)
            self._post_peer(Private.peer_link_down, PeerSign(node, detail=error.code))


def _names(address: BrokerAddress) -> tuple[str, str]:
    """Give the names of the two connections, as the broker's tools show them."""
    return f"mirosd mesh {address.display}", f"mirosd control {address.display}"
