"""Statecharts that hear each other across hosts as if they lived in one program.

`transmit` hands an event to the daemon's socket and returns; what other charts transmit
arrives in the chart's own queue, posted by the client's thread. A chart that is slow
delays only itself: events are posted while its queue has room, and the rest waits, in
the client, then in the local broker.

The daemon holds the broker's account and the keys, so the constructor's words for them
are accepted and not used.
"""

import itertools
import logging
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from miros.event import Event, signals

from mirosd_client import codec
from mirosd_client.client import CLOSE_S, DEFAULT_ROUTING_KEY, Client
from mirosd_client.default_client import default_client
from mirosd_client.errors import DaemonUnavailableError, LocalProtocolError, RemoteProtocolError
from mirosd_client.received import source_text
from mirosd_client.record import Record
from mirosd_client.shell.chart import STOP_TIMEOUT_S, Chart
from mirosd_client.shell.factory import ChartFactory
from mirosd_client.shell.signal_table import INTERNAL_SIGNALS
from mirosd_client.shell.step import checked
from mirosd_client.signal_name import is_sane
from mirosd_client.subscription import Subscription
from mirosd_client.window import OnFull

FULL_AT = 400
"""Events waiting in a chart before its client posts no more: miros keeps 500, and the chart's own need room."""
RESUME_AT = 200
"""Events left when it posts again: not one by one, which would cost a wake-up each."""
MAX_NEW_NAMES = 256
"""Signals that arriving events may add to a process: each stays for its life and slows the making of every Event."""
URL_S = 2.0
"""How long a chart waits for the daemon when it asks for its URL."""
MAX_CHART_NUMBER = 65535

log = logging.getLogger("mirosd_client.networked")

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


class Networked:
    """What NetworkedActiveObject and NetworkedFactory add to a chart.

    Args:
        name: of the chart.
        rabbit_user, rabbit_password, mesh_encryption_key, snoop_spy_encryption_key,
            snoop_trace_encryption_key: accepted from older programs; the daemon has its own.
        tx_routing_key: of everything that is transmitted; default "empty".
        rx_routing_key: binding key of what is received (`*` a word, `#` any number); default tx_routing_key.
        serializer, deserializer: replace JSON: payload to bytes, and back. What is sent is marked with
            the serializer's name; a receiver takes what is marked with the name of either of its own.
        socket: the daemon's; None searches as socket_path.py says.
        on_full: what `transmit` does when too much waits for the daemon (see Client).
        client: use this one, not the one that all charts of the process share.
        instrumented: miros' spy and trace.
    """

    INSTRUMENTED_BY_DEFAULT = True
    """As in miros; states written as functions are then decorated with `@spy_on`."""

    name: str
    queue: Any
    after_step: list[Callable[[], object]]

    def __init__(  # noqa: PLR0917 -- the ancestor's signature
        self,
        name: str,
        rabbit_user: str | None = None,
        rabbit_password: str | None = None,
        mesh_encryption_key: str | bytes | None = None,
        tx_routing_key: str | None = None,
        rx_routing_key: str | None = None,
        snoop_spy_encryption_key: str | bytes | None = None,
        snoop_trace_encryption_key: str | bytes | None = None,
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
        socket: str | None = None,
        on_full: OnFull = "refuse",
        client: Client | None = None,
        instrumented: bool | None = None,
    ) -> None:
        super().__init__(name, instrumented=instrumented)  # type: ignore[call-arg]
        _warn_of_unused(
            rabbit_user=rabbit_user,
            rabbit_password=rabbit_password,
            mesh_encryption_key=mesh_encryption_key,
            snoop_spy_encryption_key=snoop_spy_encryption_key,
            snoop_trace_encryption_key=snoop_trace_encryption_key,
        )
        self.tx_routing_key = tx_routing_key or DEFAULT_ROUTING_KEY
        self.rx_routing_key = rx_routing_key or self.tx_routing_key
        self.client = client or default_client(socket)
        self._on_full: OnFull = on_full
        self._serializer = serializer or codec.encode
        self._content_type = codec.CONTENT_TYPE if serializer is None else _function_name(serializer)
        self._deserializers: dict[str, Deserializer] = {codec.CONTENT_TYPE: codec.decode}
        if deserializer is not None:
            self._deserializers[_function_name(deserializer)] = deserializer
            if serializer is not None:  # who uses the same pair writes that name
                self._deserializers[self._content_type] = deserializer
        self._number = next(_numbers)
        self._subscription: Subscription | None = None

    def start_at(self, initial_state: Any) -> None:
        """Start the chart and begin to receive; returns at once, whether the daemon is there or not."""
        super().start_at(initial_state)  # type: ignore[misc]
        self.after_step.append(self._resume_when_there_is_room)
        self._subscription = self.client.open_subscription(
            self.rx_routing_key, self._take, self._has_room, chart=(self.name, self._number)
        )

    def transmit(self, event: Any) -> bool:
        """Send an event to every chart whose rx_routing_key matches, but this one. Any thread; never blocks.

        Returns:
            True when it is accepted: it reaches, once and in order, every chart that is
            subscribed by then. False when too much waits for the daemon, by `on_full`.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            WindowFullError: only with on_full="raise".
        """
        checked(event)
        return self.client.send(
            event.signal_name,
            self._serializer(event.payload),
            self._content_type,
            routing_key=self.tx_routing_key,
            chart_number=self._number,
            on_full=self._on_full,
        )

    def on_network_message(self, ch: Any, method: Any, properties: Any, message: tuple[str, Any]) -> None:
        """Take what arrived: post it. A subclass may do otherwise; it must be brief. Thread: the client's.

        Args:
            ch, method: None; they stand here for programs that override this with pika's words.
            properties: the Record: its clock reading, age, sequence number.
            message: where it comes from ("client id:chart number"), and the Event.
        """
        _source, event = message
        self.post_fifo(event)  # type: ignore[attr-defined]

    def wait_subscribed(self, timeout_s: float | None = None) -> bool:
        """Wait until the local broker has confirmed the subscription: what is sent from then on arrives.

        Raises:
            DaemonRefusedError: the daemon will not have it; says why.
        """
        if self._subscription is None:
            raise LocalProtocolError("start_at() subscribes: call it first")
        return self._subscription.wait_bound(timeout_s)

    def peers(self) -> list[dict[str, Any]]:
        """Give the peers table: one dict per peer, with the fields of `mirosctl peers --json`."""
        return self.client.peers()

    def this_url(self) -> str:
        """Give the URL of this host's broker, without an account; "" while the daemon is not there."""
        try:
            return f"amqp://{self.client.status(URL_S)['broker']['address']}/"
        except DaemonUnavailableError:
            return ""

    def other_urls(self) -> list[str]:
        """Give the URLs of the live peers' brokers, without accounts; none while the daemon is not there."""
        try:
            return sorted(f"amqp://{p['address']}/" for p in self.client.peers(URL_S) if p["state"] == "alive")
        except DaemonUnavailableError:
            return []

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the chart and its subscription; gives whether its thread has ended."""
        if self._subscription is not None:
            self._subscription.close()
        return bool(super().stop(timeout_s))  # type: ignore[misc]

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Stop, and wait (at most `timeout_s`) until what was transmitted is safe. The shared client stays."""
        self.stop()
        self.client.wait_safe(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, record: Record) -> None:
        refusal = _why_refused(record.signal)
        deserializer = self._deserializers.get(record.content_type)
        if refusal or deserializer is None:
            self.client.count(refusal or "no_deserializer")
            return
        try:
            payload = deserializer(record.payload)
        except RemoteProtocolError:
            self.client.count("undecodable")
            return
        except Exception:  # the program's own deserializer may raise anything
            self.client.count("undecodable")
            log.exception("%s: the deserializer failed on a payload of %a", self.name, record.signal)
            return
        try:
            event = Event(signal=record.signal, payload=payload)
            self.on_network_message(None, None, record, (source_text(record), event))
        except Exception:  # the program's own override may raise anything, and the thread serves others too
            self.client.count("callback_failed")
            log.exception("%s: on_network_message failed on %a", self.name, record.signal)

    def _has_room(self) -> bool:
        return len(self.queue) < FULL_AT

    def _resume_when_there_is_room(self) -> None:
        if self._subscription is not None and self._subscription.intake.is_waiting and len(self.queue) <= RESUME_AT:
            self._subscription.resume()


class NetworkedActiveObject(Networked, Chart):
    """miros' ActiveObject, on the network: its states are functions or methods."""


class NetworkedFactory(Networked, ChartFactory):
    """miros' Factory, on the network: its states are created and nested."""


def _why_refused(name: str) -> str:
    """Give why no Event may be made of a signal's name that arrived; "" when it may."""
    if name in INTERNAL_SIGNALS:
        return "internal_signal"
    if name in signals:
        return ""
    if not is_sane(name):
        return "bad_signal_name"
    if len(_new_names) >= MAX_NEW_NAMES:
        return "too_many_signal_names"
    _new_names.add(name)
    return ""


def _function_name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _warn_of_unused(**given: object) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        warnings.warn(
            f"{', '.join(names)}: not used any more, mirosd holds them now: the broker's account in "
            "/etc/mirosd/config.yaml (broker.user, broker.password_file), the keys in /etc/mirosd/keys",
            DeprecationWarning,
            stacklevel=4,
        )


_numbers = itertools.cycle(range(1, MAX_CHART_NUMBER + 1))
_new_names: set[str] = set()
