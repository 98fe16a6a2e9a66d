"""From the own broker to clients: one queue per subscription, each consumed on a channel of its own.

So a slow or stopped chart delays only itself, and a restarted daemon finds its
clients' mesh queues where it left them; snoop queues are exclusive, unnamed, and die
with the connection, as nobody wants old instrumentation. Delivery tags given to
clients carry the epoch of their consumer: an acknowledgement of a channel that is
gone touches nothing. What quarantined nodes send is counted, and goes no further.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import structlog

from mirosd.bridge.dead_letters import count_dead_letters
from mirosd.bridge.subscriptions import Subscription, Subscriptions
from mirosd.core.aliens import Aliens, Verdict
from mirosd.core.broker import Incoming, Link
from mirosd.core.challenger import Identity
from mirosd.core.envelope import Envelope, node_tag_of
from mirosd.core.interfaces import ClientSession
from mirosd.core.settings import DeliverySettings
from mirosd.core.shown import Board
from mirosd.errors import BrokerError, RemoteProtocolError
from mirosd.names import SystemNames
from mirosd_client.messages import Subscribe
from mirosd_client.record import decode_records
from mirosd_client.wire import Network

log = structlog.get_logger()

LINGER_S = 2.0
"""How long a client's queues outlive its socket: enough to reconnect, too short for a crash loop to fill a broker."""

HELD_POLL_S = 0.5
"""How often it is looked whether the patience with an unknown node is over, while a body of one waits."""

SNOOP_ARGUMENTS: dict[str, Any] = {"x-max-length-bytes": 8 * 1024 * 1024, "x-overflow": "drop-head"}
"""A viewer that falls behind by more sees the newest: some 40,000 lines."""

_EPOCH_SHIFT = 40
"""AMQP counts deliveries per channel from 1; 2^40 of them outlive any channel."""


class Inbound:
    """The way in of all three networks. Thread: loop.

    Args:
        envelopes: of the networks whose keys this host has.
        aliens: whose bodies are delivered.
    """

    def __init__(
        self,
        envelopes: Mapping[Network, Envelope],
        names: SystemNames,
        identity: Identity,
        settings: DeliverySettings,
        board: Board,
        *,
        aliens: Aliens,
    ) -> None:
        node = identity.node
        self._envelopes, self._names, self._node = envelopes, names, node
        self._settings, self._board, self._aliens = settings, board, aliens
        self._arguments: dict[str, Any] = {
            "x-message-ttl": int(settings.ttl_s * 1000),
            "x-max-length-bytes": settings.queue_bytes,
            "x-overflow": "drop-head",
            "x-expires": int(settings.queue_expires_s * 1000),
            "x-dead-letter-exchange": names.dead,
            "x-dead-letter-routing-key": node,
        }
        self._link: Link | None = None
        heirs_s = settings.queue_expires_s if identity.start > 1 else 0.0
        self._clock = asyncio.get_running_loop().time
        self.subscriptions = Subscriptions(self._clock, heirs_s)
        self._patience: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def opened(self, link: Link) -> None:
        """The own broker is there: consume its dead letters, and bind every subscription (again)."""
        for exchange in self._names.exchanges.values():
            await link.declare_exchange(exchange)
        await count_dead_letters(link, self._names, self._node, self._settings, self._board)
        self._link = link
        for subscription in self.subscriptions.all():
            if subscription.session is not None:
                await self._bind(subscription, link)

    def lost(self) -> None:
        """The own broker is gone; its queues keep what they have."""
        self._link = None
        for subscription in self.subscriptions.all():
            subscription.consumer = None
            subscription.held.clear()
            subscription.is_bound = False

    def subscribe(self, session: ClientSession, request: Subscribe) -> None:
        """Bind a chart, now or as soon as the broker is there; the session hears `subscribed`."""
        subscription = self.subscriptions.take(session, request)
        if self._link is not None:
            self._spawn(self._bind(subscription, self._link))

    def unsubscribe(self, session: ClientSession, number: int) -> None:
        """End a subscription and delete its queue."""
        subscription = self.subscriptions.drop(session.client, number)
        if subscription is not None:
            subscription.session = None
            self._spawn(self._delete(subscription))

    def acknowledged(self, session: ClientSession, number: int, tag: int) -> None:
        """Everything of a subscription up to `tag` is in the chart.

        A tag that was not delivered, or is acknowledged already, would make the
        broker close the channel: it is left alone.
        """
        subscription = self.subscriptions.find(session.client, number)
        epoch, amqp_tag = tag >> _EPOCH_SHIFT, tag & ((1 << _EPOCH_SHIFT) - 1)
        if subscription is None or subscription.consumer is None or subscription.epoch != epoch:
            return
        if subscription.acknowledged < amqp_tag <= subscription.delivered:
            subscription.acknowledged = amqp_tag
            subscription.consumer.ack(amqp_tag, multiple=True)

    def detached(self, session: ClientSession) -> None:
        """A client's socket ended: its deliveries go back to their queues, and those go after a while."""
        for subscription in self.subscriptions.all():
            if subscription.session is session:
                subscription.session = None
                self._spawn(self._release(subscription))
                subscription.linger = asyncio.get_running_loop().call_later(
                    LINGER_S, self._expire, session.client, subscription.number
                )

    async def close(self) -> None:
        """Stop consuming; the queues stay for the next start."""
        self._link = None
        if self._patience is not None:
            self._patience.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self.subscriptions.all():
            if subscription.linger is not None:
                subscription.linger.cancel()

    async def _bind(self, subscription: Subscription, link: Link) -> None:
        async with subscription.lock:
            session = subscription.session
            if session is None or link is not self._link:
                return
            await self._release_consumer(subscription)
            queue = await self._declare(subscription, session, link)
            exchange, wanted = self._names.exchanges[subscription.network], subscription.binding_key
            await link.bind_queue(queue, exchange, wanted)
            for stale in subscription.bound_keys - {wanted}:
                await link.unbind_queue(queue, exchange, stale)
            subscription.bound_keys = {wanted}
            self.subscriptions.changed()
            subscription.epoch += 1
            subscription.delivered = subscription.acknowledged = 0
            epoch = subscription.epoch
            subscription.consumer = await link.consume(
                queue,
                lambda incoming: self._deliver(subscription, epoch, incoming),
                prefetch=self._settings.prefetch,
                on_cancelled=lambda code: self._cancelled(subscription, epoch, code),
            )
            if subscription.session is session:
                subscription.is_bound = True
                session.subscribed(subscription.number)
            else:  # its client left meanwhile
                await self._release_consumer(subscription)

    async def _declare(self, subscription: Subscription, session: ClientSession, link: Link) -> str:
        """Give the name of the subscription's queue, which is there now."""
        if subscription.network is Network.MESH:
            name = self._names.mesh_queue(self._node, session.client, subscription.number, self._arguments)
            await link.declare_queue(name, durable=True, exclusive=False, arguments=self._arguments)
        else:
            name = await link.declare_queue("", durable=False, exclusive=True, arguments=SNOOP_ARGUMENTS)
            subscription.bound_keys.clear()
        subscription.queue = name
        return name

    def _deliver(self, subscription: Subscription, epoch: int, incoming: Incoming) -> None:
        if subscription.session is None or subscription.epoch != epoch:
            return  # goes back to its queue with the channel
        if subscription.held or not self._hand_on(subscription, subscription.session, incoming):
            subscription.held.append(incoming)
            if self._patience is None:
                self._patience = asyncio.get_running_loop().call_later(HELD_POLL_S, self.reconsider)

    def _hand_on(self, subscription: Subscription, session: ClientSession, incoming: Incoming) -> bool:
        """Deliver a body, or drop it for good; False when it has to wait for the verdict on its node."""
        try:
            held_ms, records = self._envelopes[subscription.network].open_records(incoming.body, incoming.routing_key)
            verdict = self._aliens.verdict(node_tag_of(incoming.body), self._clock())
            if verdict is Verdict.WAIT:
                return False
            if verdict is Verdict.QUARANTINE:
                self._board.count("quarantined", len(decode_records(records)))
        except RemoteProtocolError as error:
            self._board.count(f"unopened_{error.code}")
            log.warning("body_unopened", code=error.code, reason=str(error), subscription=subscription.chart)
            verdict = Verdict.QUARANTINE
        subscription.delivered = incoming.tag
        if verdict is Verdict.DELIVER:
            tag = subscription.epoch << _EPOCH_SHIFT | incoming.tag
            session.deliver(subscription.number, tag, held_ms, incoming.redelivered, records)
        elif subscription.consumer is not None:
            subscription.consumer.ack(incoming.tag)  # dropped, never requeued: it would come back for ever
        return True

    def reconsider(self) -> None:
        """The verdict on some node may have changed: hand on what waited for it."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        is_any_held = False
        for subscription in self.subscriptions.all():
            held, session = subscription.held, subscription.session
            while held and session is not None and self._hand_on(subscription, session, held[0]):
                held.popleft()
            is_any_held |= bool(held)
        if is_any_held:
            self._patience = asyncio.get_running_loop().call_later(HELD_POLL_S, self.reconsider)

    def _cancelled(self, subscription: Subscription, epoch: int, code: str) -> None:
        """The broker ended a consumer: its queue was deleted, or its channel closed. Begin again."""
        if subscription.epoch == epoch and self._link is not None:
            log.warning("consumer_cancelled", queue=subscription.queue, code=code)
            subscription.consumer = None
            subscription.is_bound = False
            self._spawn(self._bind(subscription, self._link))

    async def _release(self, subscription: Subscription) -> None:
        async with subscription.lock:
            if subscription.session is None:
                await self._release_consumer(subscription)

    async def _release_consumer(self, subscription: Subscription) -> None:
        consumer, subscription.consumer = subscription.consumer, None
        subscription.is_bound = False
        subscription.held.clear()
        subscription.epoch += 1
        if consumer is not None:
            await consumer.cancel()

    def _expire(self, client: str, number: int) -> None:
        subscription = self.subscriptions.find(client, number)
        if subscription is not None and subscription.session is None:
            self.subscriptions.drop(client, number)
            self._spawn(self._delete(subscription))

    async def _delete(self, subscription: Subscription) -> None:
        async with subscription.lock:
            await self._release_consumer(subscription)
            if self._link is not None and subscription.queue:  # else x-expires, or the link's end, does it
                await self._link.delete_queue(subscription.queue)

    def _spawn(self, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except BrokerError as error:  # the next link binds again
                level = logging.DEBUG if error.code == "lost" else logging.WARNING  # a loss is told by the link itself
                log.log(level, "subscription_interrupted", code=error.code, detail=str(error))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
