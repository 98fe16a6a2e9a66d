"""The byte stream beneath one AMQP connection: name, TCP, TLS, and pika's protocol over it.

pika can open sockets by itself, but tells neither which stage it is in, nor lets go of everything when the other side
is silent or talks another protocol (a descriptor and a task stay behind, measured with pika 1.4). So the stream is
asyncio's, and pika sees it as it would see its own transport: `write` and `abort` downwards, and upwards the four
`_proto_*` methods through which pika's own adapters feed a connection.

Writing gathers what one turn of the loop publishes into one send, at its end or when `flush` is called. Deliveries
are read from the stream before pika sees it (amqp_frames.py), from the first whole frame after the handshake on.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, cast

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.connection import ConnectionParameters
from pika.credentials import PlainCredentials

from mirosd.backends.amqp_errors import SpeaksTlsError, handshake_error, resolve_error, tcp_error, tls_error
from mirosd.backends.amqp_frames import Deliveries
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError

USER_TIMEOUT_MS = 3000
"""TCP_USER_TIMEOUT: a dead link is known after 3-4 s; AMQP heartbeats alone take twice their interval and more."""

HEARTBEAT_S = 60
"""AMQP's own heartbeat, for middleboxes; peers are watched by the sealed heartbeats."""

FEED_BYTES = 16 * 1024
"""pika copies all that is left of its buffer at each frame: small slices keep that cheap."""

TLS_ALERT = b"\x15\x03"
"""How a TLS record begins that says what is wrong, in every version in use (RFC 8446, section 5.1)."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 s

Passed = Callable[[str, str], None]
"""Called with each stage that an opening has passed, and what was seen there."""


class Progress:
    """Which stage of an opening is being tried, for whoever must name it when the time is up."""

    def __init__(self, on_passed: Passed | None) -> None:
        self.stage = "resolve"
        self._on_passed = on_passed

    def passed(self, detail: str, *, now: str) -> None:
        """The stage tried until here is passed; `now` is tried."""
        passed, self.stage = self.stage, now
        if self._on_passed is not None:
            self._on_passed(passed, detail)


async def connect_tcp(address: BrokerAddress, progress: Progress, deadline_s: float) -> socket.socket:
    """Give a connected socket to the first of the host's addresses that answers.

    Raises:
        BrokerError: resolve, tcp(refused) or tcp(silent): no address answered within `deadline_s`, in turn.
    """
    loop = asyncio.get_running_loop()
    candidates = await _resolve(loop, address)
    progress.passed(", ".join(str(sockaddr[0]) for _, sockaddr in candidates), now="tcp")
    error = BrokerError("resolve", f"{address.host!r} has no address")
    for family, sockaddr in candidates:
        try:
            client = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:  # no descriptor left, or a kind of address that this kernel lacks
            error = tcp_error(address, exc)
            continue
        try:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            async with asyncio.timeout(deadline_s / len(candidates)):
                await loop.sock_connect(client, _with_scope(sockaddr))
        except OSError as exc:  # TimeoutError is one
            client.close()
            error = tcp_error(address, exc)
        except BaseException:
            client.close()
            raise
        else:
            progress.passed(f"{sockaddr[0]}:{sockaddr[1]}", now="tls" if address.tls else "amqp")
            return client
    raise error


def _with_scope(sockaddr: tuple[Any, ...]) -> tuple[str, int]:
    """Give an address whose interface, if it has one, is in its text: uvloop looks at host and port alone."""
    host, port, *others = sockaddr
    scope = others[1] if len(others) > 1 else 0
    return (f"{host}%{scope}" if scope else host), port


async def _resolve(loop: asyncio.AbstractEventLoop, address: BrokerAddress) -> list[tuple[int, tuple[str, int]]]:
    try:
        try:  # an address needs no resolver, and so no thread
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise resolve_error(address, exc) from exc
    except UnicodeError as exc:  # a name that IDNA cannot write
        raise BrokerError("resolve", f"{address.host!r} is not a host name: {exc}") from exc
    return [(family, sockaddr) for family, _, _, _, sockaddr in found]  # type: ignore[misc]


class Wire(asyncio.Protocol):
    """One stream with pika's connection on it. Thread: loop.

    Attributes:
        connection: pika's, fed by this stream alone.
        deliveries: what reads deliveries instead of pika.
        ended: done when the stream is closed and its descriptor given back.
    """

    def __init__(self, address: BrokerAddress, name: str, progress: Progress) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._progress = progress
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._reason: Exception | None = None
        self._peer = ""
        self._is_cut = False
        self.deliveries = Deliveries(self._to_pika)
        self.connection = AsyncioConnection(
            ConnectionParameters(
                host=address.host,
                port=address.port,
                virtual_host=address.vhost,
                credentials=PlainCredentials(address.user, address.password, erase_on_connect=True),
                heartbeat=HEARTBEAT_S,
                client_properties={"product": "mirosd", "connection_name": name},
            ),
            on_open_callback=lambda _: self._settle(None),
            on_open_error_callback=lambda _, exc: self._settle(
                handshake_error(address, self._peer, self._reason or exc)
            ),
            custom_ioloop=self._loop,
            internal_connection_workflow=False,
        )

    async def open(self, client: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Take over a connected socket, which is closed whatever happens; return when the AMQP connection is open.

        Raises:
            BrokerError: tls and its kinds, amqp, amqp(tls), auth, guest_remote or vhost.
        """
        name = self._address.host.partition("%")[0]  # no certificate names an interface of ours
        try:
            await self._loop.create_connection(
                lambda: self, sock=client, ssl=tls, server_hostname=name if tls else None
            )
        except OSError as exc:
            raise tls_error(self._address, exc) from exc
        await self._opened

    def reset(self) -> None:
        """Drop the stream at once: what was not sent is not sent any more."""
        if self._transport is not None:
            self._reason = self._reason or ConnectionAbortedError("dropped by this side")
            self.abort()

    def flush(self) -> None:
        """Send what pika has written."""
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            data = b"".join(self._unsent)
            self._unsent.clear()
            self._transport.write(data)

    async def dispose(self) -> None:
        """Drop the stream and return when its descriptor is given back."""
        if self._transport is not None:
            self.reset()
            await self.ended

    def _settle(self, error: BrokerError | None) -> None:
        if self._opened.done():
            return  # whoever opened has given up
        if error is None:
            self._progress.passed(f"virtual host {self._address.vhost}", now="channel")
            self._opened.set_result(None)
        else:
            self._opened.set_exception(error)
            self._opened.exception()  # it counts as seen, also when TLS failed and nobody awaits it

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start pika's handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer, *_ = transport.get_extra_info("peername") or ("",)  # None: it was reset before we got here
        if self._address.tls:
            self._progress.passed(transport.get_extra_info("cipher")[1], now="amqp")
        self.connection._proto_connection_made(self)
        self.flush()  # a broker that refuses our certificate resets soon: a later write would meet that, not its reason

    def data_received(self, data: bytes) -> None:
        """Feed pika. What it, or a callback above it, cannot bear ends this connection and no other."""
        try:
            if self._is_cut:
                self.connection.bytes_received += len(data)  # a sign of life, for pika's heartbeat
                self.deliveries.feed(data)
            else:
                self._to_pika(data)
                if not self._opened.done():
                    self._watch_handshake(data)
                self._is_cut = self._opened.done() and not self.connection._frame_buffer
        except Exception as exc:  # noqa: BLE001 -- the boundary: junk from outside raises anything inside pika
            if self._opened.done():  # from a broker that was one; most likely a callback's own fault
                self._loop.call_exception_handler({"message": "a callback of an AMQP link failed", "exception": exc})
            self._reason = exc
            self.abort()

    def _to_pika(self, data: bytes) -> None:
        for offset in range(0, len(data), FEED_BYTES):
            self.connection._proto_data_received(data[offset : offset + FEED_BYTES])

    def _watch_handshake(self, data: bytes) -> None:
        if self._progress.stage != "amqp":
            return
        if data[:1] not in (b"\x01", b"A"):  # neither a method frame nor a protocol header
            if data[:2] == TLS_ALERT and not self._address.tls:
                raise SpeaksTlsError
            raise ConnectionError(f"another protocol: {data[:16]!r}")
        if self.connection.server_properties:
            server = self.connection.server_properties
            self._progress.passed(f"{server.get('product', '?')} {server.get('version', '?')}", now="auth")

    def eof_received(self) -> bool:
        """The other side will send no more."""
        return bool(self.connection._proto_eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell pika, which tells channels, consumers and the link."""
        self._transport = None
        self._unsent.clear()
        if isinstance(exc, ssl.SSLError):
            self._reason = self._reason or exc  # else pika would keep no more of it than that the stream ended
        try:
            self.connection._proto_connection_lost(self._reason or exc)
        finally:
            self.ended.set_result(None)

    # what pika calls

    def write(self, data: bytes) -> None:
        """Send in the next turn of the loop, unless `flush` is called before, together with what else is written."""
        self._unsent.append(data)
        if len(self._unsent) == 1:
            self._loop.call_soon(self.flush)

    def abort(self) -> None:
        """Reset the stream."""
        self._unsent.clear()
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
