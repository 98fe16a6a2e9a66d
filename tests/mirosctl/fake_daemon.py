"""A daemon that says what a test laid down: on a real Unix socket, in a thread of its own."""

import contextlib
import itertools
import socketserver
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from mirosd_client.chart_row import ChartRow, encode_charts
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
    Subscribed,
    Unsubscribe,
    Welcome,
    decode_client_message,
    encode_message,
    recall_key,
)
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.snoop_line import (
    CHARTS_SIGNAL,
    END_SIGNAL,
    LINES_SIGNAL,
    End,
    SnoopLine,
    encode_end,
    encode_lines,
)
from mirosd_client.wire import (
    Ack,
    Events,
    FrameReader,
    FrameType,
    Settled,
    decode_ack,
    decode_events,
    encode_delivery,
    encode_settled,
)

Answer = tuple[list[dict[str, Any]], dict[str, Any] | None] | tuple[str, str]
"""Rows and result (None: the answer goes on), or the code and message of a failure."""


def snoop_record(signal: str, payload: bytes, client: bytes = b"\x07" * 16) -> bytes:
    """Give a record as programs put them on a snoop network."""
    return encode_record(Record(client, 1, 1, 0, 0, "json", signal, b"", payload))


def lines_record(*lines: SnoopLine) -> bytes:
    """Give a record of lines."""
    return snoop_record(LINES_SIGNAL, encode_lines(lines))


def charts_record(*rows: ChartRow) -> bytes:
    """Give a record of rows of charts."""
    return snoop_record(CHARTS_SIGNAL, encode_charts(rows))


def end_record(client: str = "07" * 16, host: str = "h2", count: int = 0, *, older: bool = False) -> bytes:
    """Give the record that ends what one program had for a recall."""
    return snoop_record(END_SIGNAL, encode_end(End(client, host, count, older)))


class FakeDaemon(socketserver.UnixStreamServer):
    """Answers each verb from `answers`, and notes in `asked` what it was asked.

    Attributes:
        settled: what is said to events, each time in order; a Closing ends the connection instead.
        followed: the numbers of events that are followed.
        events: what came, as (what the frame says, its records).
        heard: records that are delivered, each by itself, by what brings them: "watch" and "recall" to those that ask
            so, "mesh" to who subscribes to that.
        refused: the networks on which no subscription is made, with code and message.
        subscribed: all subscriptions.
        unsubscribed: the numbers of those that were ended.
        acks: all acknowledgements.
    """

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        super().__init__(str(path), _Session)
        self.path, self.answers = str(path), answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.settled: list[Settled | Fate | Closing] = [Fate([1], confirmed=1), Settled(1, 1, 0)]
        self.followed: list[int] = []
        self.events: list[tuple[Events, list[Record]]] = []
        self.heard: dict[str, Sequence[bytes]] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        self.subscribed: list[Subscribe] = []
        self.unsubscribed: list[int] = []
        self.acks: list[Ack] = []
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
        """Serve one client until it closes, with or without having read everything."""
        with contextlib.suppress(ConnectionError):
            self._serve()

    def _serve(self) -> None:
        reader = FrameReader()
        self._numbers: dict[tuple[str, str], int] = {}
        self._tags = itertools.count(1)
        while data := self.request.recv(65536):
            for frame in reader.feed(data):
                if frame.type is FrameType.EVENTS:
                    self.request.sendall(self.server.reply_to_events(decode_events(frame.body)))
                    continue
                if frame.type is FrameType.ACK:
                    self.server.acks.append(decode_ack(frame.body))
                    continue
                message = decode_client_message(frame.body)
                delivered = b""
                replies: list[DaemonMessage] = []
                if isinstance(message, Hello):
                    replies = [Welcome(1, "0" * 32, "h1", "default", "0" * 32, "0.1.0", [])]
                elif isinstance(message, Follow):
                    self.server.followed += message.sequences
                elif isinstance(message, Ask):
                    replies = self.server.answer_to(message)
                    delivered = self._delivered_to(message)
                elif isinstance(message, Subscribe) and message.network in self.server.refused:
                    replies = [Failed(message.subscription, *self.server.refused[message.network])]
                elif isinstance(message, Subscribe):
                    self.server.subscribed.append(message)
                    self._numbers[message.network, message.binding_key] = message.subscription
                    replies = [Subscribed(message.subscription)]
                    delivered = self._deliveries(message.subscription, self.server.heard.get(message.network, ()))
                elif isinstance(message, Unsubscribe):
                    self.server.unsubscribed.append(message.subscription)
                done = [reply for reply in replies if isinstance(reply, Done)]
                said = b"".join(encode_message(reply) for reply in replies if reply not in done)
                if answer := said + delivered + b"".join(map(encode_message, done)):
                    self.request.sendall(answer)

    def _delivered_to(self, ask: Ask) -> bytes:
        """Give what a question has delivered, before its answer ends."""
        network = ask.args.get("network", "")
        key = recall_key(ask.args["id"]) if ask.verb == "recall" else network.replace("_", ".")
        number = self._numbers.get((network, key))
        return b"" if number is None else self._deliveries(number, self.server.heard.get(ask.verb, ()))

    def _deliveries(self, number: int, records: Sequence[bytes]) -> bytes:
        return b"".join(encode_delivery(number, next(self._tags), 0, False, record) for record in records)
