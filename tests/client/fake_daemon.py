"""A daemon for the client's tests: a real Unix socket, the real protocol, no broker.

It does by itself only what every daemon does at once (welcome, confirm subscriptions),
and hands everything else to the test: what came in, and what to send back.
"""

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mirosd_client.messages import (
    Ask,
    ClientMessage,
    DaemonMessage,
    Done,
    Fate,
    Follow,
    Hello,
    Row,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Watched,
    Welcome,
    decode_client_message,
    encode_message,
)
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.wire import (
    PROTOCOL_VERSION,
    Ack,
    Events,
    FrameReader,
    FrameType,
    decode_ack,
    decode_events,
    encode_delivery,
    encode_settled,
)

DEADLINE_S = 30.0
OTHER = b"\x07" * 16


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Give what the condition gives once that is true; fail after 30 s."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"{what} did not come true"
        time.sleep(0.002)
    return value


def record(sequence: int, signal: str = "PING", payload: bytes = b"null", **fields: Any) -> bytes:
    """Give an encoded record of another client."""
    parts = {"client": OTHER, "chart": 1, "hlc": 0, "age_ms": 0, "content_type": "json", "extension": b""} | fields
    return encode_record(Record(sequence=sequence, signal=signal, payload=payload, **parts))


class Link:
    """One accepted connection: what the client said on it, in order."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.hello: Hello | None = None
        self.client = b""
        self.subscribes: list[Subscribe] = []
        self.unsubscribes: list[int] = []
        self.asks: list[Ask] = []
        self.events: list[Events] = []
        self.acks: list[Ack] = []
        self.followed: list[int] = []
        self.is_ended = False

    @property
    def records(self) -> list[Record]:
        """Every event that came in on this connection."""
        return [record for events in list(self.events) for record in decode_records(events.records)]

    def say(self, message: DaemonMessage) -> None:
        """Send a control message."""
        self.socket.sendall(encode_message(message))

    def settle(self, safe: int, settled: int | None = None, unroutable: int = 0) -> None:
        """Report how far events have come."""
        self.socket.sendall(encode_settled(safe, safe if settled is None else settled, unroutable))

    def deliver(self, subscription: int, tag: int, *records: bytes) -> None:
        """Deliver events."""
        self.socket.sendall(encode_delivery(subscription, tag, 0, False, b"".join(records)))

    def cut(self) -> None:
        """End the connection, as a killed daemon does."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


WATCHED = Watched({"snoop_trace": [], "snoop_spy": []})


class FakeDaemon:
    """A listening daemon. `answers` maps a verb to its (rows, result); others stay unanswered.

    `watched` is what it says behind each welcome to who has charts: somebody watches both snoop networks, without a
    dial. None: nothing.
    """

    def __init__(
        self,
        path: Path,
        *,
        welcomes: bool = True,
        binds: bool = True,
        settles: bool = False,
        watched: Watched | None = WATCHED,
    ) -> None:
        self.path = path
        self.welcomes, self.binds, self.settles = welcomes, binds, settles
        self.first_words: DaemonMessage | None = None
        self.watched = watched
        self.answers: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {}
        self.links: list[Link] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._run(self._accept)

    @property
    def link(self) -> Link:
        """The newest connection whose hello has come."""
        return until(lambda: next((link for link in reversed(self.links) if link.hello), None), "a hello")

    def nth(self, number: int) -> Link:
        """Wait for the first, second... connection's hello."""
        return until(
            lambda: len(self.links) >= number and self.links[number - 1].hello and self.links[number - 1],
            f"connection {number}",
        )

    def close(self) -> None:
        """End everything and remove the socket."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self.links):
            link.cut()
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for link in self.links:
            link.socket.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="fake daemon", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            link = Link(connection)
            self.links.append(link)
            self._run(self._serve, link)

    def _serve(self, link: Link) -> None:
        reader = FrameReader()
        while True:
            try:
                data = link.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                link.is_ended = True
                return
            for frame in reader.feed(data):
                with contextlib.suppress(OSError):  # the client may be gone while it is answered
                    self._handle(link, frame.type, frame.body)

    def _handle(self, link: Link, kind: FrameType, body: bytes) -> None:
        if kind is FrameType.EVENTS:
            link.events.append(decode_events(body))
            if self.settles:
                link.say(Fate(link.followed, confirmed=1))
                link.settle(link.records[-1].sequence)
        elif kind is FrameType.ACK:
            link.acks.append(decode_ack(body))
        else:
            self._message(link, decode_client_message(body))

    def _message(self, link: Link, message: ClientMessage) -> None:
        match message:
            case Hello(secret=secret):
                link.client = hashlib.sha256(bytes.fromhex(secret)).digest()[:16]
                if self.first_words is not None:
                    link.say(self.first_words)
                elif self.welcomes:
                    link.say(self.welcome(link))
                    if self.watched is not None and message.has_charts:
                        link.say(self.watched)
                link.hello = message
            case Subscribe(subscription=number):
                link.subscribes.append(message)
                if self.binds:
                    link.say(Subscribed(number))
            case Unsubscribe(subscription=number):
                link.unsubscribes.append(number)
            case Follow(sequences=sequences):
                assert not set(sequences).intersection(record.sequence for record in link.records)
                link.followed += sequences
            case Ask(id=number, verb=verb):
                link.asks.append(message)
                if verb in self.answers:
                    rows, result = self.answers[verb]
                    for row in rows:
                        link.say(Row(number, row))
                    link.say(Done(number, result))

    def welcome(self, link: Link, version: int = PROTOCOL_VERSION) -> Welcome:
        """Give the welcome for a connection."""
        return Welcome(version, "ab" * 16, "h1", "default", link.client.hex(), "0.1.0", ["transmit"])
