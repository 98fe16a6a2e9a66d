"""A daemon that says what a test laid down: on a real Unix socket, in a thread of its own."""

import socketserver
import threading
from pathlib import Path
from typing import Any, Self

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
    Welcome,
    decode_client_message,
    encode_message,
)
from mirosd_client.record import Record, decode_records
from mirosd_client.wire import Events, FrameReader, FrameType, Settled, decode_events, encode_settled

Answer = tuple[list[dict[str, Any]], dict[str, Any] | None] | tuple[str, str]
"""Rows and result (None: the answer goes on), or the code and message of a failure."""


class FakeDaemon(socketserver.UnixStreamServer):
    """Answers each verb from `answers`, and notes in `asked` what it was asked.

    Attributes:
        settled: what is said to events, each time in order; a Closing ends the connection instead.
        followed: the numbers of events that are followed.
        events: what came, as (what the frame says, its records).
    """

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        super().__init__(str(path), _Session)
        self.path, self.answers = str(path), answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.settled: list[Settled | Fate | Closing] = [Fate([1], confirmed=1), Settled(1, 1, 0)]
        self.followed: list[int] = []
        self.events: list[tuple[Events, list[Record]]] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer_to(self, ask: Ask) -> list[DaemonMessage]:
        """Give the messages that answer one question."""
        self.asked.append((ask.verb, ask.args))
        first, second = self.answers[ask.verb]
        if isinstance(first, str):
            return [Failed(ask.id, first, str(second))]
        assert not isinstance(second, str)
        rows: list[DaemonMessage] = [Row(ask.id, row) for row in first]
        return rows if second is None else [*rows, Done(ask.id, second)]

    def reply_to_events(self, events: Events) -> bytes:
        """Give the frames that answer events."""
        self.events.append((events, list(decode_records(events.records))))
        return b"".join(
            encode_settled(*one) if isinstance(one, Settled) else encode_message(one) for one in self.settled
        )


class _Session(socketserver.BaseRequestHandler):
    server: FakeDaemon

    def handle(self) -> None:
        """Serve one client until it closes."""
        reader = FrameReader()
        while data := self.request.recv(65536):
            for frame in reader.feed(data):
                if frame.type is FrameType.EVENTS:
                    self.request.sendall(self.server.reply_to_events(decode_events(frame.body)))
                    continue
                message = decode_client_message(frame.body)
                replies: list[DaemonMessage] = []
                if isinstance(message, Hello):
                    replies = [Welcome(1, "0" * 32, "h1", "default", "0" * 32, "0.1.0", [])]
                elif isinstance(message, Follow):
                    self.server.followed += message.sequences
                elif isinstance(message, Ask):
                    replies = self.server.answer_to(message)
                self.request.sendall(b"".join(encode_message(reply) for reply in replies))
