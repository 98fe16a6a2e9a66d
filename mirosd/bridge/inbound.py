"""From the own broker to clients: one queue per subscription, each consumed on a channel of its own.

So a slow or stopped chart delays only itself, and a restarted daemon finds its
clients' mesh queues where it left them; snoop queues are exclusive, unnamed, and die
with the connection, as nobody wants old instrumentation. What the queues bring goes
through screening.py and handover.py.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import structlog

from mirosd.bridge.dead_letters import count_dead_letters
from mirosd.bridge.handover import Handover
from mirosd.bridge.screening import Screening
from mirosd.bridge.subscriptions import Subscription, Subscriptions
from mirosd.core.aliens import Aliens
from mirosd.core.broker import Link
from mirosd.core.challenger import Identity
from mirosd.core.envelope import Envelope
from mirosd.core.interfaces import ClientSession
from mirosd.core.replay import ReplayGuard
from mirosd.core.settings import DeliverySettings
from mirosd.core.shown import Board
from mirosd.errors import BrokerError
from mirosd.names import SystemNames
from mirosd_client.messages import Subscribe
from mirosd_client.wire import Network

log = structlog.get_logger()

LINGER_S = 2.0
"""How long a client's queues outlive its socket: enough to reconnect, too short for a crash loop to fill a broker."""

MAX_BUSY = 64
"""Subscriptions that are bound or deleted at a time, each on a channel of its own: a connection has 2047 (RabbitMQ),
and who finds none free is bound to nothing."""

SNOOP_ARGUMENTS: dict[str, Any] = {"x-max-length-bytes": 8 * 1024 * 1024, "x-overflow": "drop-head"}
"""A viewer that falls behind by more sees the newest: some 40,000 lines."""


class Inbound:
    """The way in of all three networks. Thread: loop.

    Args:
        envelopes: of the networks whose keys this host has.
        aliens: whose bodies are delivered.
        replay: which bodies may be recordings.

    Attributes:
        before_bind: called when a queue is about to be bound for the first time.
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
        replay: ReplayGuard,
    ) -> None:
        node = identity.node
        self._names, self._node = names, node
        self._settings, self._board, self._replay = settings, board, replay
        self._arguments: dict[str, Any] = {
            "x-message-ttl": int(settings.ttl_s * 1000),
            "x-max-length-bytes": settings.queue_bytes,
            "x-overflow": "drop-head",
            "x-queue-mode": "lazy",  # what waits is on disk alone: else a few slow charts put the broker into alarm
            "x-expires": int(settings.queue_expires_s * 1000),
            "x-dead-letter-exchange": names.dead,
            "x-dead-letter-routing-key": node,
        }
        self._link: Link | None = None
        self._clock = asyncio.get_running_loop().time
        self.before_bind: Callable[[], None] = lambda: None
        self.subscriptions = Subscriptions(self._clock, heirs_s=settings.queue_expires_s if identity.start > 1 else 0.0)
        self._handover = Handover(
            self.subscriptions,
            Screening(envelopes, aliens, replay, board),
            board.measures,
            give_back=lambda subscription: self._spawn(self._suspend(subscription)),
            take_up=self._resume,
        )
        self.reconsider = self._handover.reconsider
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_BUSY)

    async def opened(self, link: Link) -> None:
        """The own broker is there: consume its dead letters, and bind every subscription (again)."""
        for exchange in self._names.exchanges.values():
            await link.declare_exchange(exchange)
        await count_dead_letters(link, self._names, self._node, self._settings, self._board)
        self._link = link
        self._board.measures.opened["consume"] += 1
        self.subscriptions.opened()
        self._replay.opened(self._clock())
        for subscription in self.subscriptions.all():
            if subscription.session is not None:
                await self._bind(subscription, link)

    def lost(self) -> None:
        """The own broker is gone; its queues keep what they have."""
        self._link = None
        for subscription in self.subscriptions.all():
            subscription.part()

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
        """Everything of a subscription up to `tag` is in the chart, by its client's word."""
        subscription = self.subscriptions.find(session.client, number)
        if subscription is not None:
            self._handover.acknowledged(subscription, tag)

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
        self._handover.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self.subscriptions.all():
            if subscription.linger is not None:
                subscription.linger.cancel()

    async def _bind(self, subscription: Subscription, link: Link) -> None:
        if subscription.session is None:
            return
        async with subscription.lock, self._room:
            session = subscription.session
            if session is None or link is not self._link:
                return
            subscription.is_begun = True
            subscription.awaited = None
            await self._release_consumer(subscription)
            queue = await self._declare(subscription, session, link)
            exchange, wanted = self._names.exchanges[subscription.network], subscription.binding_key
            await link.bind_queue(queue, exchange, wanted)
            for stale in subscription.bound_keys - {wanted}:
                await link.unbind_queue(queue, exchange, stale)
            subscription.bound_keys = {wanted}
            self.subscriptions.changed()
            epoch = subscription.epoch
            subscription.consumer = await link.consume(
                queue,
                lambda incoming: self._handover.deliver(subscription, epoch, incoming),
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
            may_be_heir = subscription.bound_s == inf and self.subscriptions.may_have_heirs
            if may_be_heir and await link.has_queue(name):
                subscription.bound_s = -inf
            await link.declare_queue(name, durable=True, exclusive=False, arguments=self._arguments)
        else:
            name = await link.declare_queue("", durable=False, exclusive=True, arguments=SNOOP_ARGUMENTS)
            subscription.bound_keys.clear()
        subscription.queue = name
        if subscription.bound_s == inf:
            self.before_bind()
            subscription.bound_s = self._clock()
            self._replay.hold(subscription.bound_s)
        return name

    def _cancelled(self, subscription: Subscription, epoch: int, code: str) -> None:
        """The broker ended a consumer: its queue was deleted, or its channel closed. Begin again."""
        if subscription.epoch == epoch and self._link is not None:
            log.warning("consumer_cancelled", queue=subscription.queue, code=code)
            subscription.part()
            self._spawn(self._bind(subscription, self._link))

    async def _suspend(self, subscription: Subscription) -> None:
        """Consume no more until the client has taken what it was given."""
        async with subscription.lock:
            if subscription.awaited is not None:
                await self._release_consumer(subscription)

    def _resume(self, subscription: Subscription) -> None:
        if self._link is not None:
            self._spawn(self._bind(subscription, self._link))

    async def _release(self, subscription: Subscription) -> None:
        async with subscription.lock:
            if subscription.session is None:
                await self._release_consumer(subscription)

    async def _release_consumer(self, subscription: Subscription) -> None:
        consumer = subscription.part()
        if consumer is not None:
            await consumer.cancel()

    def _expire(self, client: str, number: int) -> None:
        subscription = self.subscriptions.find(client, number)
        if subscription is not None and subscription.session is None:
            self.subscriptions.drop(client, number)
            self._spawn(self._delete(subscription))

    async def _delete(self, subscription: Subscription) -> None:
        if not subscription.is_begun:
            return
        async with subscription.lock, self._room:
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
        task.add_done_callback(lambda _task: work.close())  # one that is cancelled before it begins never came to it
