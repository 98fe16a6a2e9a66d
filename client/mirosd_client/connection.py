"""The one socket from a program to its daemon: kept open, written in runs, read on the reactor's thread.

    absent --open_socket--> greeting --Welcome--> open
      ^                        |                   |
      '--- back-off -----------'---- lost ---------'

Everything here runs on the reactor's thread; what is written, and by whom, is outlet.py's.
"""

import contextlib
import logging
import os
import random
import socket
import sys
from pathlib import Path
from typing import Protocol

from mirosd_client.errors import DaemonRefusedError, DaemonUnavailableError, MirosdError, RemoteProtocolError
from mirosd_client.messages import (
    ClientMessage,
    Closing,
    DaemonMessage,
    Hello,
    Welcome,
    decode_daemon_message,
    encode_message,
)
from mirosd_client.outlet import Outlet, Written
from mirosd_client.printable import printable
from mirosd_client.secret import client_id
from mirosd_client.shell.reactor import Reactor
from mirosd_client.shell.timers import Timer
from mirosd_client.socket_path import open_socket
from mirosd_client.window import Window
from mirosd_client.wire import (
    PROTOCOL_VERSION,
    Delivery,
    Frame,
    FrameReader,
    FrameType,
    Settled,
    decode_delivery,
    decode_settled,
)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 2.0
VERSION_RETRY_S = 60.0
"""A daemon that speaks another version will do so until somebody upgrades it, or this program."""
RECEIVE_BYTES = 256 * 1024

log = logging.getLogger("mirosd_client.connection")


class Listener(Protocol):
    """Who is told what comes over a connection. Thread: reactor."""

    def welcomed(self, welcome: Welcome) -> list[ClientMessage]:
        """The connection is open; gives what to send first."""

    def received(self, message: DaemonMessage) -> None:
        """A message that answers something."""

    def delivered(self, delivery: Delivery) -> None:
        """Events."""

    def settled(self, settled: Settled) -> None:
        """The window has moved."""

    def lost(self, error: MirosdError) -> None:
        """The connection is gone, or there was none to get."""


class Connection:
    """The connection of one process to its daemon. `error` may be read by any thread."""

    def __init__(self, reactor: Reactor, window: Window, listener: Listener, secret: bytes, path: str | None) -> None:
        self.error: MirosdError | None = None
        self.outlet = Outlet(window, lambda: reactor.call(self.flush), reactor.now)
        self._reactor = reactor
        self._window = window
        self._listener = listener
        self._secret = secret
        self._path = path
        self._is_closed = False
        self._attempts = 0
        self._opened_s = 0.0
        self._said = ""
        self._retry: Timer | None = None
        self._reader = FrameReader()
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Begin to connect; tries for ever. Thread: any."""
        self._reactor.call(self._connect)

    def close(self) -> None:
        """End the connection for good."""
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._disconnect()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket without a word on it."""
        self._is_closed = True
        self.outlet.is_open = False
        if self._socket is not None:
            self._socket.close()

    @property
    def is_open(self) -> bool:
        """True once the daemon has answered the hello. Thread: any."""
        return self.outlet.is_open

    def send(self, message: ClientMessage) -> None:
        """Send a message, if the connection is open."""
        if self.is_open:
            self.outlet.put(encode_message(message))
            self.flush()

    def flush(self) -> None:
        """Write what there is to write."""
        written = self.outlet.write()
        if self._socket is None:
            return
        is_broken = self.outlet.error is not None
        if is_broken:  # the daemon hung up; reading goes on to the end, as its last words may say why
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._reactor.set_writable(self._socket, written is Written.BLOCKED and not is_broken)

    def _connect(self) -> None:
        self._retry = None
        if self._is_closed or self._socket is not None:
            return
        try:
            connection = open_socket(self._path, timeout_s=0.0)
        except MirosdError as exc:
            self._retry_later(exc)
            return
        program = printable(Path(*sys.argv[:1]).name)
        hello = Hello([PROTOCOL_VERSION], self._secret.hex(), program, os.getpid(), has_charts=True)
        self._reader = FrameReader()
        self._socket = connection
        self.outlet.attach(connection)
        self.outlet.put(encode_message(hello))
        self._reactor.watch(connection, on_readable=self._read, on_writable=self.flush)
        self.flush()

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(DaemonUnavailableError(f"the connection to the daemon broke: {exc}"))
            return
        if not data:
            self._lose(DaemonUnavailableError("the daemon ended the connection"))
            return
        try:
            for frame in self._reader.feed(data):
                self._handle(frame)
                if self._socket is None:  # a Closing, or a listener that closed us
                    return
        except RemoteProtocolError as exc:
            self._lose(exc)
        else:
            self.flush()

    def _handle(self, frame: Frame) -> None:
        if frame.type is FrameType.MESSAGE:
            message = decode_daemon_message(frame.body)
            if isinstance(message, Closing):
                self._lose(DaemonRefusedError(message.code, message.message))
            elif isinstance(message, Welcome):
                self._welcome(message)
            else:
                self._listener.received(message)
        elif not self.is_open:
            raise RemoteProtocolError(f"a frame of type {frame.type.name} before the welcome")
        elif frame.type is FrameType.DELIVERY:
            self._listener.delivered(decode_delivery(frame.body))
        elif frame.type is FrameType.SETTLED:
            settled = decode_settled(frame.body)
            with self._window.lock:
                self._window.settle(settled.safe, settled.settled)
            self._listener.settled(settled)
        else:
            raise RemoteProtocolError(f"a frame of type {frame.type.name}, which only clients send")

    def _welcome(self, welcome: Welcome) -> None:
        if self.is_open:
            raise RemoteProtocolError("a second welcome")
        if welcome.version != PROTOCOL_VERSION:
            self._lose(
                DaemonRefusedError(
                    "version", f"the daemon speaks version {welcome.version}, this program {PROTOCOL_VERSION}"
                )
            )
            return
        if welcome.client != client_id(self._secret).hex():
            raise RemoteProtocolError("the daemon welcomed another client")
        self._opened_s = self._reactor.now()
        self.error = None
        self._said = ""
        for request in self._listener.welcomed(welcome):
            self.outlet.put(encode_message(request))
        self.outlet.open_events()
        log.info("connected to mirosd %s on %s", welcome.daemon_version, welcome.name)

    def _lose(self, error: MirosdError) -> None:
        if self.is_open and self._reactor.now() - self._opened_s > LAST_RETRY_S:
            self._attempts = 0  # but not after a connection that ends as soon as it is open, again and again
        self._disconnect()
        self._listener.lost(error)
        self._retry_later(error)

    def _disconnect(self) -> None:
        connection, self._socket = self._socket, None
        self.outlet.detach()
        if connection is not None:
            self._reactor.unwatch(connection)
            connection.close()

    def _retry_later(self, error: MirosdError) -> None:
        if self._is_closed:
            return
        self.error = error
        if self._said != str(error):  # each further attempt that ends the same way says nothing new
            self._said = str(error)
            log.warning("%s", error)
        if error.code == "version":
            delay_s = VERSION_RETRY_S
        else:
            ceiling_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2**self._attempts)
            delay_s = ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads reconnects, guards nothing
            self._attempts = min(self._attempts + 1, 16)
        self._retry = self._reactor.after(delay_s, self._connect)
