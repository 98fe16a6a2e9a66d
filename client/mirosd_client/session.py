"""What one process is to its daemon: its identity, its window, its connection, who waits for what.

A forked child gets a session of its own (client.py): other secret, empty window, no
subscriptions. Methods named in the past tense are told by the connection, on the
reactor's thread; the others may be called by any thread.
"""

import functools
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from mirosd_client.client_feed import client_feed
from mirosd_client.connection import Connection
from mirosd_client.counters import read_counters
from mirosd_client.errors import ClientClosedError, LocalProtocolError, MirosdError, no_key
from mirosd_client.hlc import HybridClock
from mirosd_client.intake import Intake
from mirosd_client.messages import (
    Ask,
    ClientMessage,
    DaemonMessage,
    Done,
    Failed,
    Fate,
    Recall,
    Row,
    Subscribe,
    Subscribed,
    Unroutable,
    Unsubscribe,
    Watched,
    Welcome,
    checked,
    refusal,
)
from mirosd_client.printable import printable
from mirosd_client.question import Question
from mirosd_client.receipts import Receipts
from mirosd_client.record import Heading, Record
from mirosd_client.recorder import MAX_LINES as MAX_RECORDER_LINES
from mirosd_client.routing_key import checked_key
from mirosd_client.secret import client_id, draw_secret
from mirosd_client.shell.reactor import Reactor
from mirosd_client.signal_name import is_sane
from mirosd_client.subscription import Subscription
from mirosd_client.window import Line, Window
from mirosd_client.wire import Delivery, Network, Settled, network_called

MAX_SUBSCRIPTION = 65535
"""Subscriptions are numbered in 16 bits; asks are numbered above them, as a Failed may answer either."""

MAX_LINES = 1024
"""Kinds of events whose beginnings are kept ready; a program that makes up routing keys makes these anew."""

log = logging.getLogger("mirosd_client.session")


class Session:
    """One process's life with its daemon."""

    def __init__(
        self, reactor: Reactor, path: str | None, window_bytes: int, recorder_lines: int = MAX_RECORDER_LINES
    ) -> None:
        self.is_closed = False
        secret = draw_secret()
        self.client = client_id(secret)
        self.clock = HybridClock(time.time)
        self.window = Window(self.clock.now, window_bytes)
        self.line = functools.lru_cache(MAX_LINES)(self._make_line)
        self.counts: Counter[str] = Counter()
        self.receipts = Receipts(self.window, reactor, self.counts)
        self.is_open = threading.Event()
        self.connection = Connection(reactor, self.window, self, secret, path)
        self.feed = client_feed(self, reactor, recorder_lines)
        self.recorder = self.feed.recorder
        self._reactor = reactor
        self._all_safe = threading.Event()
        self._is_told_keyless = False  # guarded by the window's lock
        self._unroutable_here = 0  # counted by the daemon since this connection began
        self._subscriptions: dict[int, Subscription] = {}
        self._questions: dict[int, Question] = {}
        self._subscription_numbers = itertools.cycle(range(1, MAX_SUBSCRIPTION + 1))
        self._question_numbers = itertools.count(MAX_SUBSCRIPTION + 1)

    def _make_line(  # noqa: PLR0917 -- the cache is quicker so
        self, network: Network, routing_key: str, chart: int, content_type: str, signal: str, extension_bytes: int = 0
    ) -> Line:
        """Give the line of events of one kind; as `line` it remembers the latest ones.

        Raises:
            LocalProtocolError: such events cannot cross; says why.
        """
        if not is_sane(signal):
            raise LocalProtocolError(f"no receiver makes an event of a signal named {signal!r}")
        checked_key(routing_key)
        return Line(network, routing_key, Heading(self.client, chart, content_type, signal, extension_bytes))

    def warn_refused(self) -> None:
        """An event was refused: say so, and why, once until half of the window is empty again. Thread: any."""
        if Network.MESH in self.window.keyless:
            self._warn_keyless()
            return
        with self.window.lock:
            is_told, self.window.is_told_full = self.window.is_told_full, True
        if not is_told:
            why = (
                "mirosd is connected, and takes events more slowly than this program transmits them"
                if self.connection.is_open
                else f"mirosd is away ({self.connection.error or 'it has not answered yet'})"
            )
            log.warning("the window is full of events: transmit() refuses more (and counts); %s", why)

    def _warn_keyless(self) -> None:
        """Events cannot leave this host: say so once on each connection."""
        with self.window.lock:
            is_told, self._is_told_keyless = self._is_told_keyless, True
        if not is_told:
            log.warning("%s: transmit() refuses every event (and counts)", no_key("mesh"))

    def subscribe(
        self,
        network: str,
        binding_key: str,
        take: Callable[[Record], None],
        has_room: Callable[[], bool],
        chart: tuple[str, int],
    ) -> Subscription:
        """Begin a subscription for `chart` (name, number); LocalProtocolError if the daemon could not read it."""
        network_called(network)
        number = next(n for n in self._subscription_numbers if n not in self._subscriptions)
        request = checked(Subscribe(number, network, checked_key(binding_key, "the binding key"), printable(chart[0])))
        intake = Intake(request, (self.client, chart[1]), take, has_room)
        subscription = Subscription(intake, self._resume, self._unsubscribe, self._reactor.in_thread)

        def begin() -> None:
            self._subscriptions[number] = subscription
            self.connection.send(request)

        self._reactor.call(begin)
        return subscription

    def ask(self, verb: str, args: dict[str, Any]) -> Question:
        """Put a question; `answered` is set when the answer is there or cannot come. LocalProtocolError: no JSON."""
        question = Question(checked(Ask(next(self._question_numbers), verb, args)))

        def put() -> None:
            if self.connection.error is not None:
                question.fail(self.connection.error)
            else:
                self._questions[question.request.id] = question
                self.connection.send(question.request)  # or, if the daemon has not answered the hello yet, later

        self._reactor.call(put)
        return question

    def wait_safe(self, timeout_s: float) -> bool:
        """Wait until no accepted event would be lost with this process, nor what its charts did last."""
        if self.recorder.is_waiting and timeout_s > 0:
            is_flushed = threading.Event()
            self._reactor.call(self.feed.flush)
            self._reactor.call(is_flushed.set)
            is_flushed.wait(timeout_s)
        with self.window.lock:
            if not self.window.unsafe:
                return True
            self._all_safe.clear()
        self._all_safe.wait(timeout_s)
        with self.window.lock:
            return not self.window.unsafe

    def welcomed(self, welcome: Welcome) -> list[ClientMessage]:
        """Asks for all subscriptions (again), and what was asked meanwhile; lets go of what there is no key for."""
        self._bar(frozenset(network for network in Network if network.name.lower() not in welcome.networks))
        self.is_open.set()
        self.feed.host = welcome.name
        requests: list[ClientMessage] = [s.intake.request for s in self._subscriptions.values()]
        return requests + [question.request for question in self._questions.values()]

    def _bar(self, keyless: frozenset[Network]) -> None:
        self._is_told_keyless = False
        with self.window.lock:
            events = self.window.bar(keyless)
            if not self.window.unsafe:
                self._all_safe.set()
        if events:
            self._warn_keyless()

    def received(self, message: DaemonMessage) -> None:
        """Tells whoever asked."""
        if isinstance(message, Subscribed):
            if subscription := self._subscriptions.get(message.subscription):
                subscription.bound()
        elif isinstance(message, Row):
            if question := self._questions.get(message.id):
                question.rows.append(message.row)
        elif isinstance(message, Done):
            if question := self._questions.pop(message.id, None):
                question.result = message.result
                question.answered.set()
        elif isinstance(message, Fate):
            self.receipts.told(message)
        elif isinstance(message, Watched):
            self.feed.watched(message)
        elif isinstance(message, Recall):
            self.feed.recall(message)
        elif isinstance(message, Unroutable):
            log.warning("nobody is bound to %a on any host", message.routing_key)
        elif isinstance(message, Failed):
            error = refusal(message.code, message.message)
            if question := self._questions.pop(message.id, None):
                question.fail(error)
            elif subscription := self._subscriptions.get(message.id):
                subscription.refused(error)

    def delivered(self, delivery: Delivery) -> None:
        """Keeps what is new, and passes on what there is room for."""
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription is None:
            return  # ended meanwhile; the daemon deletes its queue
        highest = subscription.intake.deliver(delivery, self._reactor.now())
        if not self.clock.merge(highest):
            self.counts["clock_skew"] += 1
        self._drain(subscription)

    def settled(self, settled: Settled) -> None:
        """Wakes who waits for everything to be safe."""
        self.counts["unroutable"] += settled.unroutable - self._unroutable_here
        self._unroutable_here = settled.unroutable
        with self.window.lock:
            if not self.window.unsafe:
                self._all_safe.set()

    def lost(self, error: MirosdError) -> None:
        """Fails the questions; subscriptions and the window's receipts wait for the next connection."""
        self.is_open.clear()
        self._unroutable_here = 0
        with self.window.lock:
            self.window.rewind()
        self.receipts.lost()
        self.feed.lost()
        for subscription in self._subscriptions.values():
            subscription.unbound()
            subscription.intake.detach()
        questions, self._questions = self._questions, {}
        for question in questions.values():
            question.fail(error)

    def close(self) -> None:
        """Disconnect for good, and let go of all who wait."""
        self.is_closed = True
        self.feed.close()
        self.connection.close()
        for subscription in self._subscriptions.values():
            subscription.end()
        questions, self._questions = self._questions, {}
        for question in questions.values():
            question.fail(ClientClosedError("the client was closed"))
        self.receipts.closed()

    def abandon(self) -> None:
        """In a forked child: all of this is the parent's."""
        self.connection.abandon()
        self.receipts.abandon()
        for subscription in self._subscriptions.values():
            subscription.abandon()

    def _drain(self, subscription: Subscription) -> None:
        tag = subscription.intake.drain()
        if tag is not None and subscription.number in self._subscriptions:
            self.connection.outlet.acknowledge(subscription.number, tag)

    def _resume(self, subscription: Subscription) -> None:
        def resume() -> None:
            self._drain(subscription)
            self.connection.flush()

        self._reactor.call(resume)

    def _unsubscribe(self, subscription: Subscription) -> None:
        def unsubscribe() -> None:
            if self._subscriptions.pop(subscription.number, None) is not None:
                self.counts["duplicates"] += subscription.intake.duplicates
                self.counts["undecodable"] += subscription.intake.undecodable
                subscription.intake.close()
                self.connection.send(Unsubscribe(subscription.number))

        self._reactor.call(unsubscribe)

    def counters(self) -> dict[str, int]:
        """Give the numbers of COUNTERS."""
        intakes = [subscription.intake for subscription in list(self._subscriptions.values())]
        return read_counters(self.counts, self.window, intakes, self.feed.refused, self._reactor.now())
