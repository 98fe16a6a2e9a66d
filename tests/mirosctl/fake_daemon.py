"""A daemon that says what a test laid down: on a real Unix socket, in a thread of its own."""

import socketserver
import threading
from pathlib import Path
from typing import Any, Self

from mirosd_client.messages import (
    Ask,
    DaemonMessage,
    Done,
    Failed,
    Hello,
    Row,
    Welcome,
    decode_client_message,
    encode_message,
)
from mirosd_client.wire import FrameReader

Answer = tuple[list[dict[str, Any]], dict[str, Any]] | tuple[str, str]
"""Rows and result, or the code and message of a failure."""


class FakeDaemon(socketserver.UnixStreamServer):
    """Answers each verb from `answers`, and notes in `asked` what it was asked."""

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        super().__init__(str(path), _Session)
        self.path, self.answers = str(path), answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
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
        assert isinstance(second, dict)
        return [*(Row(ask.id, row) for row in first), Done(ask.id, second)]


class _Session(socketserver.BaseRequestHandler):
    server: FakeDaemon

    def handle(self) -> None:
        """Serve one client until it closes."""
        reader = FrameReader()
        while data := self.request.recv(65536):
            for frame in reader.feed(data):
                message = decode_client_message(frame.body)
                replies: list[DaemonMessage] = []
                if isinstance(message, Hello):
                    replies = [Welcome(1, "0" * 32, "h1", "default", "0" * 32, "0.1.0", [])]
                elif isinstance(message, Ask):
                    replies = self.server.answer_to(message)
                self.request.sendall(b"".join(encode_message(reply) for reply in replies))
