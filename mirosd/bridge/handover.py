"""What is on its way from queues to clients: handed on in order, acknowledged when it is in the chart, or given back.

Delivery tags given to clients carry the epoch of their consumer: an acknowledgement of a channel that is gone
touches nothing. What has to wait for a verdict keeps what is behind it in its queue waiting too, so that no source
is reordered. A program that acknowledges nothing for a minute hangs: what it was given goes back to its queue,
where its life runs on, and is delivered again once the program has taken what it has.
"""

import asyncio
from collections.abc import Callable

import structlog

from mirosd.bridge.screening import Ruling, Screening
from mirosd.bridge.subscriptions import Subscription, Subscriptions
from mirosd.core.broker import Incoming
from mirosd.core.interfaces import ClientSession
from mirosd.core.measures import Measures

log = structlog.get_logger()

HELD_POLL_S = 0.5
"""How often it is looked whether the patience with a node is over, while a body of one waits."""

STUCK_S = 60.0
"""How long a program may take nothing of what it was given. Events live 50 s; RabbitMQ would close the channel after
30 min. A chart that is slow acknowledges now and then, and is not meant."""

STUCK_POLL_S = 5.0
"""How often it is looked whether a program hangs, while one has something to take."""

_EPOCH_SHIFT = 40
"""AMQP counts deliveries per channel from 1; 2^40 of them outlive any channel."""


class Handover:
    """Thread: loop.

    Args:
        give_back: ends a subscription's consumer, whose program hangs.
        take_up: begins it again: the program has taken what it had.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        screening: Screening,
        measures: Measures,
        *,
        give_back: Callable[[Subscription], None],
        take_up: Callable[[Subscription], None],
    ) -> None:
        self._subscriptions, self._screening, self._measures = subscriptions, screening, measures
        self._give_back, self._take_up = give_back, take_up
        self._loop = asyncio.get_running_loop()
        self._patience: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None

    def deliver(self, subscription: Subscription, epoch: int, incoming: Incoming) -> None:
        """A consumer has brought a body."""
        session = subscription.session
        if session is None or subscription.epoch != epoch:
            return  # goes back to its queue with the channel
        if subscription.held or not self._hand_on(subscription, session, incoming):
            subscription.held.append(incoming)
            if self._patience is None:
                self._patience = self._loop.call_later(HELD_POLL_S, self.reconsider)

    def acknowledged(self, subscription: Subscription, tag: int) -> None:
        """Everything up to `tag` is in the chart.

        A tag that was not delivered, or is acknowledged already, would make the
        broker close the channel: it is left alone.
        """
        if subscription.awaited is not None and tag >= subscription.awaited:
            subscription.awaited = None
            self._take_up(subscription)
        epoch, amqp_tag = tag >> _EPOCH_SHIFT, tag & ((1 << _EPOCH_SHIFT) - 1)
        if subscription.consumer is None or subscription.epoch != epoch:
            return
        if subscription.acknowledged < amqp_tag <= subscription.delivered:
            subscription.acknowledged, subscription.progress_s = amqp_tag, self._loop.time()
            subscription.consumer.ack(amqp_tag, multiple=True)

    def reconsider(self) -> None:
        """More may be known of some node: hand on what waited for it."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        is_any_held = False
        for subscription in self._subscriptions.all():
            held, session = subscription.held, subscription.session
            while held and session is not None and self._hand_on(subscription, session, held[0]):
                held.popleft()
            is_any_held |= bool(held)
        if is_any_held:
            self._patience = self._loop.call_later(HELD_POLL_S, self.reconsider)

    def close(self) -> None:
        """Look at nothing any more."""
        for timer in (self._patience, self._watch):
            if timer is not None:
                timer.cancel()

    def _hand_on(self, subscription: Subscription, session: ClientSession, incoming: Incoming) -> bool:
        """Deliver a body, or drop it for good; False when it has to wait."""
        ruling, held_ms, records = self._screening.screen(subscription, incoming)
        if ruling is Ruling.DELIVER:
            if subscription.delivered == subscription.acknowledged:
                subscription.progress_s = self._loop.time()
            subscription.delivered = incoming.tag
            tag = subscription.epoch << _EPOCH_SHIFT | incoming.tag
            session.deliver(subscription.number, tag, held_ms, incoming.redelivered, records)
            self._measures.deliver(subscription.network, incoming, records)
            if self._watch is None:
                self._watch = self._loop.call_later(STUCK_POLL_S, self._look)
        elif ruling is Ruling.DROP and subscription.consumer is not None:
            subscription.consumer.ack(incoming.tag)  # never requeued: it would come back for ever
        return ruling is not Ruling.WAIT

    def _look(self) -> None:
        """Give back what programs that hang were given."""
        self._watch = None
        waiting = [each for each in self._subscriptions.all() if each.delivered > each.acknowledged]
        for subscription in waiting:
            if self._loop.time() - subscription.progress_s >= STUCK_S:
                log.warning(
                    "delivery_given_back",
                    subscription=subscription.chart,
                    unacknowledged=subscription.delivered - subscription.acknowledged,
                )
                subscription.awaited = subscription.epoch << _EPOCH_SHIFT | subscription.delivered
                self._give_back(subscription)
        if waiting:
            self._watch = self._loop.call_later(STUCK_POLL_S, self._look)
