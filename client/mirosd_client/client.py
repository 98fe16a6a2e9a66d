"""The socket API for any Python program: transmit events, subscribe to them, ask the daemon.

A client has one connection, and uses the one thread that all clients and networked
charts of the process share. It may be made before the daemon runs, or while it is
stopped: `transmit` never blocks, its events wait in the window.
"""

import functools
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self, overload

from mirosd_client import codec
from mirosd_client.asker import Asker
from mirosd_client.cause import HANDLING
from mirosd_client.errors import ClientClosedError, LocalProtocolError, PayloadTooLarge
from mirosd_client.event_id import Addressee, encode_extension
from mirosd_client.limits import MAX_PAYLOAD_BYTES
from mirosd_client.on_full import OnFull, checked_policy
from mirosd_client.open_clients import CLOSE_S, OPEN_CLIENTS
from mirosd_client.receipt import Receipt
from mirosd_client.received import Received, taker
from mirosd_client.record import Record
from mirosd_client.recorder import MAX_LINES
from mirosd_client.session import Session
from mirosd_client.shell.reactor import Reactor, default_reactor
from mirosd_client.signal_name import Signal
from mirosd_client.snoop_feed import SnoopFeed
from mirosd_client.socket_path import StrPath, path_text
from mirosd_client.subscription import Subscription
from mirosd_client.window import WINDOW_BYTES
from mirosd_client.wire import DEFAULT_ROUTING_KEY as DEFAULT_ROUTING_KEY  # noqa: PLC0414 -- for charts too
from mirosd_client.wire import Network, network_called

HANG_UP_S = 0.5
"""How long closing waits for the reactor's thread, which a callback may be holding."""

_MESH = Network.MESH  # a member of an enum is looked up slowly, and send() is called for each event

log = logging.getLogger("mirosd_client.client")


class Client(Asker):
    """One program's connection to its daemon. Any thread may call it.

    Args:
        socket: the daemon's socket; None searches as socket_path.py says.
        on_full: what `transmit` does when `window_bytes` of events wait: "refuse" gives
            False, "drop_oldest" lets go of the oldest, "raise" raises WindowFullError.
        reactor: the thread to use; None is the one that the whole process shares.
        recorder_lines: how much of what charts did last is kept for people to ask for (recorder.py); 0 keeps nothing.
    """

    def __init__(
        self,
        socket: StrPath | None = None,
        *,
        on_full: OnFull = "refuse",
        window_bytes: int = WINDOW_BYTES,
        reactor: Reactor | None = None,
        recorder_lines: int = MAX_LINES,
    ) -> None:
        self._path = socket = path_text(socket)  # here and not on the thread that connects: what is none is told
        self._on_full = checked_policy(on_full)
        self._reactor = reactor or default_reactor()
        self._make_session = functools.partial(Session, self._reactor, socket, window_bytes, recorder_lines)
        self.is_closed = False
        self._session = self._make_session()
        self._is_started = True
        self._session.connection.start()
        OPEN_CLIENTS.add(self)

    @property
    def id(self) -> bytes:
        """The public id of this process, which its events carry."""
        return self._session.client

    @property
    def feed(self) -> SnoopFeed:
        """What people may see of this process's charts."""
        return self._session.feed

    @overload
    def transmit(
        self,
        signal: Signal,
        payload: Any = ...,
        *,
        routing_key: str = ...,
        network: str = ...,
        to: Addressee | None = ...,
        receipt: Literal[False] = False,
    ) -> bool: ...

    @overload
    def transmit(
        self,
        signal: Signal,
        payload: Any = ...,
        *,
        routing_key: str = ...,
        network: str = ...,
        to: Addressee | None = ...,
        receipt: Literal[True],
    ) -> Receipt | None: ...

    def transmit(
        self,
        signal: Signal,
        payload: Any = None,
        *,
        routing_key: str = DEFAULT_ROUTING_KEY,
        network: str = "mesh",
        to: Addressee | None = None,
        receipt: bool = False,
    ) -> bool | Receipt | None:
        """Send an event to everybody whose binding key matches, but not back to this client.

        While a handler of a chart, or a callback of a subscription, handles an event, that is named as the cause.

        Args:
            signal: its name, or a miros Event (whose payload is taken).
            to: the one chart that is meant of all that hear the routing key.
            receipt: give what tells what becomes of the event, on the mesh alone.

        Returns:
            True when the event is accepted: it stays in the window until it is settled. With a receipt that, or None.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            LocalProtocolError: the signal's name or the routing key cannot cross, there is no such network, or lines
                for people want a receipt.
            TypeError: the signal is neither a name nor an Event.
            WindowFullError: only with on_full="raise".
            TooManyReceiptsError: 10,000 receipts wait already.
        """
        if isinstance(signal, str):
            name = signal
        else:
            try:
                name, payload = signal.signal_name, signal.payload
            except AttributeError as exc:
                raise TypeError(f"{signal!r} is neither the name of a signal nor an Event") from exc
        return self.send(
            name,
            codec.encode(payload),
            codec.CONTENT_TYPE,
            routing_key=routing_key,
            network=network_called(network),
            addressee=to,
            receipt=receipt,
        )

    def send(
        self,
        signal: str,
        data: bytes,
        content_type: str,
        *,
        routing_key: str,
        network: Network = Network.MESH,
        chart_number: int = 0,
        on_full: OnFull | None = None,
        addressee: Addressee | None = None,
        receipt: bool = False,
    ) -> bool | Receipt | None:
        """Send an event whose payload is encoded already, as `transmit` does; LocalProtocolError if it is no bytes."""
        if self.is_closed:
            raise ClientClosedError("this client is closed; it accepts no more events")
        if not isinstance(data, bytes):  # nothing looks at it again before it is in the way of all other events
            raise LocalProtocolError(f"a payload crosses as bytes; the serializer made {type(data).__name__} of it")
        if len(data) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(f"the payload has {len(data)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
        session = self._session if self._is_started else self._started()
        cause = HANDLING.event
        if cause is None and addressee is None:
            line = session.line(network, routing_key, chart_number, content_type, signal)
        else:
            cause = cause if network is _MESH else None  # lines for people follow from nothing
            extension = encode_extension(cause, addressee)
            line = session.line(network, routing_key, chart_number, content_type, signal, len(extension))
            data = extension + data
        window = session.window
        accepted: bool | Receipt | None
        if receipt:
            hlc = session.clock.now()  # others may have events accepted before that of this one could be read
            accepted = session.receipts.accept(line, data, on_full or self._on_full)
            sequence = accepted.sequence if accepted else 0
        else:
            with window.lock:
                accepted = window.accept(line, data, self._reactor.now(), on_full or self._on_full)
                sequence, hlc = window.last_sequence, window.last_hlc
        if accepted:
            session.connection.outlet.kick()
            if network is _MESH:
                session.recorder.sent(chart_number, signal, sequence, cause, hlc)
        elif network is _MESH:
            session.warn_refused()
        return accepted

    def subscribe(
        self,
        binding_key: str,
        callback: Callable[[Received], object],
        *,
        network: str = "mesh",
        chart: str = "",
    ) -> Subscription:
        """Call `callback` for each event whose routing key matches `binding_key` (`*` a word, `#` any number).

        A binding key has two `#` at most. The callback runs on the client's thread, in order, and must be brief; one
        that raises is logged and counted. What is sent from `wait_bound()` on arrives.

        Args:
            chart: a name for people, in `mirosctl clients`.

        Raises:
            LocalProtocolError: there is no such binding key or network.
            TypeError: the callback cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"{callback!r} is no callback: it cannot be called")
        take = taker(callback, self.count, me=Addressee(self.id, 0))
        return self.open_subscription(binding_key, take, network=network, chart=(chart, 0))

    def open_subscription(
        self,
        binding_key: str,
        take: Callable[[Record], None],
        has_room: Callable[[], bool] = lambda: True,
        *,
        network: str = "mesh",
        chart: tuple[str, int] = ("", 0),
    ) -> Subscription:
        """Subscribe to records as they are; `take` must not raise, `has_room` holds back what follows."""
        if self.is_closed:
            raise ClientClosedError("this client is closed; it subscribes no more")
        return self._started().subscribe(network, binding_key, take, has_room, chart)

    def wait_safe(self, timeout_s: float = CLOSE_S) -> bool:
        """Wait until no accepted event would be lost with this process; False when time ran out."""
        return self._session.wait_safe(0.0 if self._reactor.in_thread() else timeout_s)

    def count(self, reason: str) -> None:
        """Add to a counter."""
        self._session.counts[reason] += 1

    def counters(self) -> dict[str, int]:
        """Give what was accepted, and each event that was not delivered or not taken, by reason: see COUNTERS."""
        return self._session.counters()

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Accept no more events, wait until the accepted ones are safe (at most `timeout_s`), disconnect."""
        if not self.is_closed:
            self.is_closed = True
            self.finish(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is safe, then disconnect."""
        OPEN_CLIENTS.discard(self)
        if not self._is_started:
            return
        if not self.wait_safe(timeout_s):
            with self._session.window.lock:
                unsafe = self._session.window.unsafe
            log.warning("%d accepted events were not safe when the client was closed", unsafe)
        if self._reactor.in_thread():
            self._session.close()
            return
        is_closed = threading.Event()
        self._reactor.call(self._session.close)
        self._reactor.call(is_closed.set)
        is_closed.wait(HANG_UP_S)

    def _started(self) -> Session:
        if not self._is_started:
            self._is_started = True
            self._session.connection.start()
        return self._session

    def become_another(self) -> None:
        """In a forked child: have a session of its own, which connects when first used (most children only exec)."""
        self._session.abandon()
        self._session = self._make_session()
        self._is_started = False
