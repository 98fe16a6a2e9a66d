"""The bridge as the daemon sees it: clients in, producers in, events across."""

import asyncio
import queue
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog

from mirosd.bridge.control import Control
from mirosd.bridge.greeter import Greeter
from mirosd.bridge.inbound import Inbound
from mirosd.bridge.kept_link import KeptLink
from mirosd.bridge.lane import Lane
from mirosd.bridge.outbound import Outbound
from mirosd.bridge.positions import Positions
from mirosd.bridge.producer_set import ProducerSet, proofs_of
from mirosd.bridge.producer_sets import ProducerSets
from mirosd.bridge.reserve import Reserve
from mirosd.bridge.snooping import Snooping
from mirosd.bridge.tasks import Tasks
from mirosd.core.aliens import Aliens
from mirosd.core.broker import BrokerAddress, BrokerConnector, Link
from mirosd.core.delivery_set import DeliverySet
from mirosd.core.envelope import Envelope
from mirosd.core.interest import Remote
from mirosd.core.interfaces import ClientSession
from mirosd.core.replay import ReplayGuard
from mirosd.core.seal import node_tag
from mirosd.core.settings import DeliverySettings
from mirosd.core.shown import Board
from mirosd.errors import BrokerError
from mirosd.names import SystemNames
from mirosd.payloads import ProducerQueue
from mirosd_client.messages import Subscribe
from mirosd_client.record import Span
from mirosd_client.wire import Events, Network

log = structlog.get_logger()

DRAIN_S = 2.0
"""How long an orderly stop waits for brokers to confirm what clients handed over."""


class Bridge:
    """Carries all three networks. Implements interfaces.ClientSink for the local API. Thread: loop.

    Args:
        connector: opens connections to the own broker.
        peer_connector: opens those to others' brokers, where our account may go only.
        own: the own broker, with the account that never leaves this host.
        envelopes: of the networks whose keys this host has.
        peer_address: gives where and as whom to reach a peer's broker, from a hosts-file entry.
        snoop_remote: what other hosts may turn on here.
        aliens: whose events are delivered here, and who may be a peer by its own word.
        producers: the queue that ProducerFactoryChart fills and wake() empties.
        on_own_state: called with None when the own broker is connected, with the error when it is not.
        former: the delivery set that an earlier start left.
        on_delivery_set: told the delivery set whenever it has changed.
        on_behind: told the start that this one counts as from now on (bridge.positions).
    """

    def __init__(
        self,
        connector: BrokerConnector,
        names: SystemNames,
        *,
        peer_connector: BrokerConnector,
        own: BrokerAddress,
        peer_address: Callable[[str], BrokerAddress],
        envelopes: Mapping[Network, Envelope],
        control: Control,
        aliens: Aliens,
        settings: DeliverySettings,
        snoop_remote: Remote = "trace",
        producers: "queue.Queue[ProducerQueue]",
        board: Board,
        post_peer: Callable[[int, Any], None],
        on_own_state: Callable[[BrokerError | None], None],
        random: Callable[[], float],
        former: DeliverySet,
        on_delivery_set: Callable[[DeliverySet], None],
        on_behind: Callable[[int], None] = lambda _start: None,
    ) -> None:
        self.own_error: BrokerError | None = None
        self._on_own_state = on_own_state
        self._names = names
        self._envelopes, self._control, self._settings = envelopes, control, settings
        self._producers, self._board, self._post_peer, self._random = producers, board, post_peer, random
        exchange = names.exchanges[Network.MESH]
        self._tasks = Tasks("bridge_task_failed")
        self.snooping = Snooping(
            control, remote=snoop_remote, envelopes=envelopes, names=names, sets=lambda: self._sets, board=board
        )
        mesh, snoop = envelopes.get(Network.MESH), self.snooping.outbound
        self.outbound = Outbound(mesh, exchange, self._lanes, self._lanes_for, snoop, ttl_s=settings.ttl_s, board=board)
        node = control.identity.node
        self.replay = ReplayGuard(node_tag(node), settings.ttl_s)
        self.inbound = Inbound(envelopes, names, control.identity, settings, board, aliens=aliens, replay=self.replay)
        control.inquiries.count_here = self.inbound.subscriptions.count_matches
        self._aliens = aliens
        self._own = self._make_set(connector, own, self._declare_mesh, control.opened, self._own_state)
        self._sets = ProducerSets(
            self._own,
            control,
            reserve=Reserve(former, self._make_lane),
            make=lambda address, lane: self._make_set(
                peer_connector, address, lambda link: link.check_exchange(exchange), self._listen_control, lane=lane
            ),
            peer_address=peer_address,
            stop=lambda producer_set: self._tasks.spawn(producer_set.stop()),
            on_change=on_delivery_set,
        )
        self._greeter = Greeter(
            control,
            aliens,
            sets=lambda: self._sets.all,
            adopt=self._sets.adopt_here,
            post_peer=post_peer,
            clock=asyncio.get_running_loop().time,
        )
        control.on_heartbeat = self._greeter.heard
        if mesh is not None:
            positions = Positions(node, envelopes, self.replay, self._sets.lane_of, settings.ttl_s, on_behind=on_behind)
            positions.on_news, self.inbound.before_bind = self.inbound.reconsider, positions.note_own
            control.heartbeats.positions = positions
        self._consuming = KeptLink(
            connector,
            own,
            f"mirosd consume {own.display}",
            on_up=self.inbound.opened,
            on_down=lambda _error: self.inbound.lost(),
            random=random,
            is_quiet=True,
        )

    def start(self) -> None:
        """Begin to connect to the own broker; returns at once."""
        self._own.start()
        self._consuming.start()
        later = asyncio.get_running_loop().call_later
        self._reserve_end = later(self._settings.queue_expires_s, self._sets.end_reserve)

    @property
    def is_connected(self) -> bool:
        """True while the own broker can be reached."""
        return self._own.control_link is not None

    @property
    def own_broker(self) -> BrokerAddress:
        """The own broker's address."""
        return self._own.address

    def producer_sets(self) -> list[dict[str, Any]]:
        """The producer sets, one for each distinct broker, the own one's first."""
        return self._sets.display()

    async def count_matches(self, routing_key: str) -> dict[str, int | None]:
        """Give by node how many mesh queues a routing key matches there, this host included; None: it did not say."""
        here = self._control.identity.node, self.inbound.subscriptions.count_matches(routing_key)
        return dict([here]) | await self._control.inquiries.count_matches(routing_key)

    async def stop(self, *, is_farewell: bool = True) -> None:
        """Wait a little for what is on its way, say goodbye, and close every connection.

        Not `is_farewell`: another daemon goes on under our node id, so nobody is told that we left.
        """
        self._reserve_end.cancel()
        self.outbound.flush()
        deadline_s = asyncio.get_running_loop().time() + DRAIN_S
        while any(lane.is_open and not lane.is_idle for lane in self._lanes()):
            if asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.sleep(0.01)  # bounded, and only while stopping
        await self._greeter.close()
        if is_farewell:
            await self._control.say_left()
        self._control.close()
        await self._tasks.close()
        await self.inbound.close()
        await self._consuming.stop()
        await self._sets.stop()

    # interfaces.ClientSink

    def attached(self, session: ClientSession) -> None:
        """A client said hello."""
        self.outbound.attached(session)
        if session.has_charts:
            self.snooping.attached(session)

    def events(self, session: ClientSession, events: Events, span: Span) -> None:
        """A client handed records over."""
        self.outbound.events(session, events, span)

    def follow(self, session: ClientSession, sequences: Sequence[int]) -> None:
        """A client wants to know what becomes of events."""
        self.outbound.follow(session, sequences)

    def flush(self) -> None:
        """All frames of one read were handed over."""
        self.outbound.flush()

    def subscribe(self, session: ClientSession, request: Subscribe) -> None:
        """A chart wants to hear a binding key."""
        self.inbound.subscribe(session, request)
        self.snooping.follow(self.inbound.subscriptions.all())

    def unsubscribe(self, session: ClientSession, subscription: int) -> None:
        """A chart wants to hear no more."""
        self.inbound.unsubscribe(session, subscription)
        self.snooping.follow(self.inbound.subscriptions.all())

    def acknowledged(self, session: ClientSession, subscription: int, tag: int) -> None:
        """A client has posted what was delivered."""
        self.inbound.acknowledged(session, subscription, tag)

    def detached(self, session: ClientSession) -> None:
        """A client's socket ended."""
        self.inbound.detached(session)
        self.outbound.detached(session)
        self.snooping.detached(session)
        self.snooping.follow(self.inbound.subscriptions.all())

    # Producers

    def wake(self) -> None:
        """ProducerFactoryChart put an item into the queue: take it, and adopt its producers."""
        try:
            item = self._producers.get_nowait()
        except queue.Empty:
            return
        for (node, host), proof in proofs_of(item).items():
            self._tasks.spawn(self._sets.adopt(node, host, proof))

    def retire(self, node: str) -> None:
        """Nothing is owed to `node` any more; the last peer behind a broker takes its producers along."""
        self._sets.retire(node)

    def stand(self, known: Collection[str], allowed: Collection[str], barred: Collection[str]) -> None:
        """Take which nodes the peer chart knows, which people allowed, and which are kept out."""
        self._greeter.admitted(self._aliens.stand(known, allowed, barred))
        self.inbound.reconsider()

    async def confirm(self, broker: str) -> Collection[str]:
        """Ask the nodes heard just now that name this broker theirs; gives what they answer (backends.guarded)."""
        return await self._greeter.confirm(broker)

    def _make_set(
        self,
        connector: BrokerConnector,
        address: BrokerAddress,
        prepare_mesh: Callable[[Link], Any],
        prepare_control: Callable[[Link], Any],
        on_state: Callable[[BrokerError | None], None] = lambda _state: None,
        *,
        lane: Lane | None = None,
    ) -> ProducerSet:
        return ProducerSet(
            connector,
            address,
            lane or self._make_lane(address.display),
            self._control,
            prepare_mesh=prepare_mesh,
            prepare_control=prepare_control,
            post_peer=self._post_peer,
            random=self._random,
            on_state=on_state,
        )

    def _make_lane(self, name: str) -> Lane:
        relieved = self.outbound.relieved
        return Lane(name, max_bytes=self._settings.pending_bytes, board=self._board, on_relief=relieved)

    def _lanes_for(self, routing_key: str) -> list[Lane]:
        """Give the lanes that a body is owed to: all, but the own broker's when nobody there can have a queue."""
        is_heard_here = Network.MESH in self._own.networks or self.inbound.subscriptions.may_hear(routing_key)
        return [lane for lane in self._lanes() if is_heard_here or lane is not self._own.lane]

    def _lanes(self) -> Iterable[Lane]:
        """Give all lanes, the own broker's last: what goes to other hosts has the longer way."""
        return reversed(self._sets.lanes)

    async def _declare_mesh(self, link: Link) -> None:
        for envelope in self._envelopes.values():
            envelope.sealer.new_session()
        for exchange in self._names.exchanges.values():
            await link.declare_exchange(exchange)

    async def _listen_control(self, link: Link) -> None:
        for exchange in (self._names.control, *self._names.exchanges.values()):
            await link.check_exchange(exchange)
        await self._control.listen(link)

    def _own_state(self, error: BrokerError | None) -> None:
        if error is not None and error.code != "blocked":
            self._control.lost(error.code)
        self.own_error = error
        self._on_own_state(error)
