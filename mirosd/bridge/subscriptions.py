"""What this host's charts are subscribed to, and so what may be heard here at all."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any
from weakref import WeakValueDictionary

from mirosd.core.broker import Consumer, Incoming
from mirosd.core.interfaces import ClientSession
from mirosd.core.topic import topic_matches
from mirosd.names import NETWORK_NAMES, NETWORKS
from mirosd_client.messages import Subscribe
from mirosd_client.wire import Network

MAX_KNOWN_KEYS = 4096
"""Routing keys whose answer is kept; a program that makes up keys pays for them itself."""


class Subscription:
    """One binding of one chart: its queue, its consumer while there is one, its client while connected.

    Args:
        lock: of its client, all of whose subscriptions are bound and deleted one after another: however fast it asks
            for others, it keeps the broker busy with one.
    """

    def __init__(self, session: ClientSession, request: Subscribe, lock: asyncio.Lock) -> None:
        self.session: ClientSession | None = session
        self.number = request.subscription
        self.network = NETWORKS[request.network]
        self.binding_key, self.chart = request.binding_key, request.chart
        self.queue = ""  # its name, once declared
        self.bound_s = inf  # when it was about to be bound; -inf: in an earlier start, inf: not yet
        self.consumer: Consumer | None = None
        self.is_begun = False  # a queue of its was asked for
        self.is_bound = False
        self.epoch = 0
        self.delivered = 0  # last delivery tag of this epoch that its client was given
        self.acknowledged = 0
        self.progress_s = 0.0  # when the client last acknowledged something, or began to have something to
        self.awaited: int | None = None  # the client's last tag, which it has to acknowledge before it is given more
        self.held: deque[Incoming] = deque()  # in their order, behind one whose node is not known yet
        self.bound_keys: set[str] = set()
        self.lock = lock
        self.linger: asyncio.TimerHandle | None = None

    def part(self) -> Consumer | None:
        """End the epoch: what was not acknowledged is the queue's again. Gives the consumer, if there is one."""
        consumer, self.consumer = self.consumer, None
        self.is_bound = False
        self.held.clear()
        self.epoch += 1
        self.delivered = self.acknowledged = 0
        return consumer

    def display(self) -> dict[str, Any]:
        """Give what people may see."""
        return {
            "chart": self.chart,
            "network": NETWORK_NAMES[self.network],
            "binding_key": self.binding_key,
            "state": "bound" if self.is_bound else "pending" if self.awaited is None else "stuck",
            "unacknowledged": self.delivered - self.acknowledged,
        }


class Subscriptions:
    """All subscriptions of this host, those of clients that left just now included. Thread: loop.

    Args:
        clock: monotonic seconds.
        heirs_s: for how long the broker keeps queues of an earlier start whose clients
            have not asked for them again yet; 0: this is the first start.
    """

    def __init__(self, clock: Callable[[], float], heirs_s: float) -> None:
        self._clock, self._heirs_s = clock, heirs_s
        self._heirs_until_s = inf if heirs_s else -inf
        self._subscriptions: dict[tuple[str, int], Subscription] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by client
        self._may_hear: dict[str, bool] = {}

    @property
    def may_have_heirs(self) -> bool:
        """Queues of an earlier start may be on the broker, bound to nobody knows what."""
        return self._clock() < self._heirs_until_s

    def opened(self) -> None:
        """The own broker is there. If it was away, it counts the age of what nobody uses from its own start."""
        if self.may_have_heirs:
            self._heirs_until_s = self._clock() + self._heirs_s

    @property
    def connected(self) -> int:
        """How many have a connected client."""
        return sum(subscription.session is not None for subscription in self._subscriptions.values())

    def all(self) -> list[Subscription]:
        """Give all of them."""
        return list(self._subscriptions.values())

    def find(self, client: str, number: int) -> Subscription | None:
        """Give a client's subscription."""
        return self._subscriptions.get((client, number))

    def take(self, session: ClientSession, request: Subscribe) -> Subscription:
        """Give the subscription that is asked for: a new one, or the one that this client had."""
        self.changed()
        subscription = self.find(session.client, request.subscription)
        if subscription is None:
            lock = self._locks.setdefault(session.client, asyncio.Lock())
            subscription = Subscription(session, request, lock)
            self._subscriptions[session.client, request.subscription] = subscription
            return subscription
        subscription.session = session
        subscription.binding_key, subscription.chart = request.binding_key, request.chart
        if subscription.linger is not None:
            subscription.linger.cancel()
        return subscription

    def drop(self, client: str, number: int) -> Subscription | None:
        """Take a subscription out and give it."""
        self.changed()
        return self._subscriptions.pop((client, number), None)

    def changed(self) -> None:
        """A binding came or went."""
        self._may_hear.clear()

    def display(self, client: str) -> list[dict[str, Any]]:
        """Give what people may see of a connected client's subscriptions, in the order of their numbers."""
        return [
            subscription.display()
            for (owner, _), subscription in sorted(self._subscriptions.items())
            if owner == client and subscription.session is not None
        ]

    def count_matches(self, routing_key: str) -> int:
        """Give how many mesh queues a routing key matches.

        After a restart, queues whose clients are not back yet are not known.
        """
        return sum(
            any(topic_matches(key, routing_key) for key in subscription.bound_keys)
            for subscription in self._subscriptions.values()
            if subscription.network is Network.MESH
        )

    def may_hear(self, routing_key: str) -> bool:
        """Tell whether a queue of this host may be bound to a key: what is certain not to be heard need not be sent."""
        if self.may_have_heirs:
            return True
        known = self._may_hear.get(routing_key)
        if known is None:
            if len(self._may_hear) >= MAX_KNOWN_KEYS:
                self._may_hear.clear()
            known = self._may_hear[routing_key] = any(
                topic_matches(key, routing_key)
                for subscription in self._subscriptions.values()
                if subscription.network is Network.MESH
                for key in {subscription.binding_key, *subscription.bound_keys}
            )
        return known
