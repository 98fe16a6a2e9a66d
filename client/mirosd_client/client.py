"""The socket API for any Python program: transmit events, subscribe to them, ask the daemon.

A client has one connection, and uses the one thread that all clients and networked
charts of the process share. It may be made before the daemon runs, or while it is
stopped: `transmit` never blocks, its events wait in the window.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, overload

from mirosd_client import codec
from mirosd_client.errors import (
    ClientClosedError,
    DaemonUnavailableError,
    LocalProtocolError,
    PayloadTooLarge,
)
from mirosd_client.limits import MAX_PAYLOAD_BYTES
from mirosd_client.open_clients import CLOSE_S, OPEN_CLIENTS
from mirosd_client.peer_watch import PeerWatch
from mirosd_client.receipt import Receipt
from mirosd_client.received import Received, taker
from mirosd_client.record import Record
from mirosd_client.session import Session
from mirosd_client.shell.reactor import Reactor, default_reactor
from mirosd_client.subscription import Subscription
from mirosd_client.window import WINDOW_BYTES, OnFull
from mirosd_client.wire import DEFAULT_ROUTING_KEY as DEFAULT_ROUTING_KEY  # noqa: PLC0414 -- for charts too
from mirosd_client.wire import Network

HANG_UP_S = 0.5
"""How long closing waits for the reactor's thread, which a callback may be holding."""
ASK_S = 10.0
"""How long a question waits for its answer; the daemon answers within milliseconds."""
NETWORKS = {"mesh": Network.MESH, "snoop_trace": Network.SNOOP_TRACE, "snoop_spy": Network.SNOOP_SPY}

log = logging.getLogger("mirosd_client.client")


class EventLike(Protocol):
    """What a miros Event has."""

    signal_name: str
    payload: Any


Signal: TypeAlias = str | EventLike
Yes: TypeAlias = Literal[True]
No: TypeAlias = Literal[False]


class Client:
    """One program's connection to its daemon. Any thread may call it.

    Args:
        socket: the daemon's socket; None searches as socket_path.py says.
        on_full: what `transmit` does when `window_bytes` of events wait: "refuse" gives
            False, "drop_oldest" lets go of the oldest, "raise" raises WindowFullError.
        reactor: the thread to use; None is the one that the whole process shares.
    """

    def __init__(
        self,
        socket: str | None = None,
        *,
        on_full: OnFull = "refuse",
        window_bytes: int = WINDOW_BYTES,
        reactor: Reactor | None = None,
    ) -> None:
        self._path = socket
        self._on_full: OnFull = on_full
        self._window_bytes = window_bytes
        self._reactor = reactor or default_reactor()
        self.is_closed = False
        self._session = Session(self._reactor, socket, window_bytes)
        self._is_started = True
        self._session.connection.start()
        OPEN_CLIENTS.add(self)

    @property
    def id(self) -> bytes:
        """The public id of this process, which its events carry."""
        return self._session.client

    @overload
    def transmit(
        self,
        signal: Signal,
        payload: Any = ...,
        *,
        routing_key: str = ...,
        network: str = ...,
        receipt: Literal[False] = False,
    ) -> bool: ...

    @overload
    def transmit(
        self, signal: Signal, payload: Any = ..., *, routing_key: str = ..., network: str = ..., receipt: Yes
    ) -> Receipt | None: ...

    def transmit(
        self,
        signal: Signal,
        payload: Any = None,
        *,
        routing_key: str = DEFAULT_ROUTING_KEY,
        network: str = "mesh",
        receipt: bool = False,
    ) -> bool | Receipt | None:
        """Send an event to everybody whose binding key matches, but not back to this client.

        Args:
            signal: its name, or a miros Event (whose payload is taken).
            receipt: give what tells what becomes of the event, on the mesh alone.

        Returns:
            True when the event is accepted: it stays in the window until it is settled. With a receipt that, or None.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            LocalProtocolError: the signal's name or the routing key cannot cross, or lines for people want a receipt.
            WindowFullError: only with on_full="raise".
            TooManyReceiptsError: 10,000 receipts wait already.
        """
        if isinstance(signal, str):
            name = signal
        else:
            name, payload = signal.signal_name, signal.payload
        return self.send(
            name,
            codec.encode(payload),
            codec.CONTENT_TYPE,
            routing_key=routing_key,
            network=NETWORKS[network],
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
        receipt: bool = False,
    ) -> bool | Receipt | None:
        """Send an event whose payload is encoded already, as `transmit` does."""
        if self.is_closed:
            raise ClientClosedError("this client is closed; it accepts no more events")
        if len(data) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(f"the payload has {len(data)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
        session = self._session if self._is_started else self._started()
        line = session.line(network, routing_key, chart_number, content_type, signal)
        window = session.window
        accepted: bool | Receipt | None
        if receipt:
            accepted = session.receipts.accept(line, data, on_full or self._on_full)
        else:
            with window.lock:
                accepted = window.accept(line, data, self._reactor.now(), on_full or self._on_full)
        if accepted:
            session.connection.outlet.kick()
        elif network is Network.MESH:
            session.warn_full()
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

        The callback runs on the client's thread, in order, and must be brief; one that
        raises is logged and counted. What is sent from `wait_bound()` on arrives.

        Args:
            chart: a name for people, in `mirosctl clients`.
        """

        take = taker(callback, self.count)
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

    def ask(
        self, verb: str, args: dict[str, Any] | None = None, timeout_s: float = ASK_S
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Ask the daemon; gives the rows and the result of its answer.

        Raises:
            DaemonUnavailableError: it is not there, or did not answer in time.
            DaemonRefusedError: it answered with an error (NotPermittedError: what would permit it).
            LocalProtocolError: asked from a callback, which runs on the thread that would hear the answer.
        """
        if self.is_closed:
            raise ClientClosedError("this client is closed; it asks no more")
        if self._reactor.in_thread():
            raise LocalProtocolError("a callback runs on the client's thread, which cannot wait for an answer")
        question = self._started().ask(verb, args or {})
        if not question.answered.wait(timeout_s):
            raise DaemonUnavailableError(f"mirosd did not answer {verb!r} within {timeout_s} s")
        if question.error is not None:
            raise question.error
        return question.rows, question.result

    def peers(self, timeout_s: float = ASK_S) -> list[dict[str, Any]]:
        """Give the peers table: one dict per peer, with the fields of `mirosctl peers --json`."""
        return self.ask("peers", timeout_s=timeout_s)[0]

    def watch_peers(self) -> PeerWatch:
        """Follow the peers table on a connection of its own: an iterator that waits for each change; see PeerWatch."""
        if self.is_closed:
            raise ClientClosedError("this client is closed; it watches nobody")
        return PeerWatch(self._path)

    def status(self, timeout_s: float = ASK_S) -> dict[str, Any]:
        """Give the daemon's status, with the fields of `mirosctl status --json`."""
        return self.ask("status", timeout_s=timeout_s)[1]

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until the daemon has answered the hello."""
        return self._started().is_open.wait(timeout_s)

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
        self._session = Session(self._reactor, self._path, self._window_bytes)
        self._is_started = False
