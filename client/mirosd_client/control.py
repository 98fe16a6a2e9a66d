"""A plain, blocking connection for tools: hello, ask or transmit, read the answer, done.

It needs no thread and imports no miros, so that a command line is quick.
"""

import math
import os
import socket as socketlib
import time
from collections import deque
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from mirosd_client import codec
from mirosd_client.errors import DaemonUnavailableError, RemoteProtocolError, SilentDaemonError
from mirosd_client.hlc import HybridClock
from mirosd_client.messages import (
    Ask,
    Closing,
    DaemonMessage,
    Done,
    Failed,
    Fate,
    Follow,
    Hello,
    Row,
    Subscribe,
    Unsubscribe,
    Welcome,
    decode_daemon_message,
    encode_message,
    refusal,
)
from mirosd_client.record import Record, encode_record
from mirosd_client.secret import client_id, draw_secret
from mirosd_client.socket_path import StrPath, open_socket
from mirosd_client.wire import (
    PROTOCOL_VERSION,
    Delivery,
    FrameReader,
    FrameType,
    Network,
    Settled,
    decode_delivery,
    decode_settled,
    encode_ack,
    encode_events,
)

ANSWER_S = 10.0
SETTLE_S = 2.0
"""How long a tool waits for a broker that is away: one that restarts is back by then, and people still wait."""
RECEIVE_BYTES = 64 * 1024
MAX_SUBSCRIPTION = 0xFFFF
"""Subscriptions are numbered in 16 bits; asks are numbered above them, as a Failed may answer either."""

SILENT = "mirosd is there but does not answer (is it stopped?)"

Received = DaemonMessage | Settled | Delivery


class ControlConnection:
    """A connected tool. For one thread.

    Args:
        socket: the daemon's socket; None searches as socket_path.py says.
        timeout_s: for each step: connecting, the welcome, the next piece of an answer.

    Raises:
        DaemonUnavailableError: nobody answers; lists the sockets tried and how to start a daemon.
        NotPermittedError: the socket may not be used; says what would permit it.
        DaemonRefusedError: the daemon ended the connection, and said why.
        RemoteProtocolError: what answers is no mirosd, or one that speaks another version.
    """

    def __init__(
        self, socket: StrPath | None = None, *, timeout_s: float = ANSWER_S, program: str = "mirosctl"
    ) -> None:
        self._timeout_s = timeout_s
        self._reader = FrameReader()
        self._messages: deque[Received] = deque()  # never more than one read's
        self._next_id = MAX_SUBSCRIPTION + 1
        self._sequence = 0
        self._clock = HybridClock(time.time)
        secret = draw_secret()
        self._client = client_id(secret)
        self._socket = open_socket(socket, timeout_s)
        try:
            self.say(Hello([PROTOCOL_VERSION], secret.hex(), program=program, pid=os.getpid()))
            self.welcome = self._receive_welcome()
        except BaseException:
            self.close()
            raise

    def ask(
        self, verb: str, args: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Give the rows and the result of an answer."""
        rows: list[dict[str, Any]] = []
        answer = self.stream(verb, args, timeout_s)
        while True:
            try:
                rows.append(next(answer))
            except StopIteration as end:
                return rows, end.value

    def stream(
        self, verb: str, args: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> Generator[dict[str, Any], None, dict[str, Any]]:
        """Ask, and give each row as it comes; the generator's own value is the result.

        Args:
            timeout_s: the longest silence of the daemon before DaemonUnavailableError.
        """
        return self._answer(self.begin(verb, args), self._timeout_s if timeout_s is None else timeout_s)

    def begin(self, verb: str, args: dict[str, Any] | None = None) -> int:
        """Ask, and give the number that the answer's messages will have, for who receives them himself."""
        number, self._next_id = self._next_id, self._next_id + 1
        self.say(Ask(number, verb, args or {}))
        return number

    def _answer(self, number: int, timeout_s: float) -> Generator[dict[str, Any], None, dict[str, Any]]:
        while True:
            message = self._receive(timeout_s)
            match message:
                case Row(id=id_, row=row) if id_ == number:
                    yield row
                case Done(id=id_, result=result) if id_ == number:
                    return result
                case Failed(id=id_, code=code, message=text) if id_ == number:
                    raise refusal(code, text)

    def transmit(self, signal: str, payload: Any, routing_key: str, settle_s: float = SETTLE_S) -> Fate | None:
        """Send one event, wait until it is safe, and give what became of it.

        None: `settle_s` seconds later a broker that is away still has to get it.

        Raises:
            UnregisteredTypeError, PayloadTooLarge: the payload cannot cross.
            NotPermittedError: the daemon takes no events from this caller.
        """
        return self.transmit_bytes(signal, codec.encode(payload), routing_key, settle_s=settle_s)

    def transmit_bytes(
        self,
        signal: str,
        data: bytes,
        routing_key: str,
        *,
        content_type: str = codec.CONTENT_TYPE,
        extension: bytes = b"",
        settle_s: float = SETTLE_S,
    ) -> Fate | None:
        """Do as `transmit` does with a payload that is encoded already, and an extension (event_id.py).

        Raises:
            LocalProtocolError: a field does not fit its place in the record.
            NotPermittedError: as `transmit`.
        """
        sequence = self._sequence = self._sequence + 1
        event = Record(self._client, 0, sequence, self._clock.now(), 0, content_type, signal, extension, data)
        frame = encode_events(Network.MESH, routing_key, encode_record(event))
        self.say(Follow([sequence]))
        self._send(frame)
        is_safe, until_s = False, math.inf
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                message = self._receive(min(self._timeout_s, left_s))
            except SilentDaemonError:
                if is_safe:
                    break
                raise
            if isinstance(message, Fate) and sequence in message.sequences:
                return message
            if isinstance(message, Settled) and message.safe >= sequence and not is_safe:
                is_safe, until_s = True, time.monotonic() + settle_s
        return None

    def say(self, message: Hello | Ask | Follow | Subscribe | Unsubscribe) -> None:
        """Send a message."""
        self._send(encode_message(message))

    def acknowledge(self, subscription: int, tag: int) -> None:
        """Have done with all deliveries of a subscription up to this one."""
        self._send(encode_ack(subscription, tag))

    def receive(self, timeout_s: float) -> Received | None:
        """Give what comes next, whatever it answers; None when nothing came in time."""
        try:
            return self._receive(timeout_s)
        except SilentDaemonError:
            return None

    def interrupt(self) -> None:
        """Let go of who waits for an answer, by DaemonUnavailableError; any thread may call it."""
        try:
            self._socket.shutdown(socketlib.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive_welcome(self) -> Welcome:
        welcome = self._receive(self._timeout_s)
        if not isinstance(welcome, Welcome) or welcome.version != PROTOCOL_VERSION:
            raise RemoteProtocolError("what answers at this socket does not speak this program's protocol")
        return welcome

    def _send(self, frame: bytes) -> None:
        try:
            self._socket.settimeout(self._timeout_s)  # and not with what was left of the last waiting
            self._socket.sendall(frame)
        except TimeoutError as exc:
            raise SilentDaemonError(SILENT) from exc
        except ConnectionError:
            while True:  # it has hung up: what it said before says why, and ends this as an error; so does the end
                self._receive(self._timeout_s)
        except OSError as exc:
            raise DaemonUnavailableError(f"the connection to mirosd broke: {exc}") from exc

    def _receive(self, timeout_s: float) -> Received:
        deadline_s = time.monotonic() + timeout_s
        while not self._messages:
            try:
                self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
                data = self._socket.recv(RECEIVE_BYTES)
            except TimeoutError as exc:
                raise SilentDaemonError(SILENT) from exc
            except OSError as exc:
                raise DaemonUnavailableError(f"the connection to mirosd broke: {exc}") from exc
            if not data:
                raise DaemonUnavailableError("mirosd ended the connection")
            for frame in self._reader.feed(data):
                if frame.type is FrameType.MESSAGE:
                    self._messages.append(decode_daemon_message(frame.body))
                elif frame.type is FrameType.SETTLED:
                    self._messages.append(decode_settled(frame.body))
                elif frame.type is FrameType.DELIVERY:
                    self._messages.append(decode_delivery(frame.body))
        message = self._messages.popleft()
        if isinstance(message, Closing):
            if message.code == "stopping":
                raise DaemonUnavailableError(message.message)
            raise refusal(message.code, message.message)
        return message
