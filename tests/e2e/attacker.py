"""An unprivileged user who does his worst at the local socket, told what one line at a time.

    python -m tests.e2e.attacker SOCKET

Commands on stdin, each answered by one line on stdout, a JSON object of counts:

    crowd COUNT        so many connections at once, which say hello: what each was told
    silence COUNT      connections that say nothing, or one byte of their hello after the other: what each was told
    halves COUNT       welcomed connections that begin a frame as large as one may be, and stop in its middle
    junk COUNT         connections that send bytes of no protocol, or of this one at the wrong time
    steal ID           records in the name of the client ID; and its own secret, twice at a time
    hoard COUNT        a program with so many subscriptions that reads nothing, while it is sent all that it may be
    ask SECONDS        sixteen programs that ask, as fast as they can, things that they may ask and that they may not
    connect            whether the socket may be used at all

Codes of Closing and Failed messages are counted by their names, others by their type.
"""

import json
import random
import resource
import secrets
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mirosd_client.errors import RemoteProtocolError
from mirosd_client.limits import MAX_BODY_BYTES, MAX_FRAME_BYTES
from mirosd_client.messages import (
    Ask,
    Closing,
    Failed,
    Hello,
    Subscribe,
    Welcome,
    decode_daemon_message,
    encode_message,
)
from mirosd_client.record import HEADER_BYTES, Record, encode_record
from mirosd_client.wire import FrameReader, FrameType, Network, encode_events, encode_frame

DEADLINE_S = 30.0
ASKERS = 16
ASKS_AT_ONCE = 64  # more than a session may have in flight
PATIENCE_S = 0.05  # of one look at many sockets

Told = Counter[str]


class Visitor:
    """One connection to the daemon."""

    def __init__(self, path: str) -> None:
        self.secret = secrets.token_hex(32)
        self.client = b""
        self.is_over = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(path)  # waits for room among those that are to be accepted
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(DEADLINE_S)
        self._reader = FrameReader()

    def hello(self) -> bytes:
        """The frame."""
        return encode_message(Hello([1], self.secret, "attacker"))

    def send(self, data: bytes) -> None:
        """Send all of it; the other end may have had enough."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has said why, or will be asked

    def hear(self) -> Iterator[str]:
        """What one read brings, in words; nothing at the end."""
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, TimeoutError):
            data = b""
        self.is_over = not data
        for frame in self._reader.feed(data):
            if frame.type is not FrameType.MESSAGE:
                yield frame.type.name
                continue
            match decode_daemon_message(frame.body):
                case Welcome(client=client):
                    self.client = bytes.fromhex(client)
                    yield "welcome"
                case Closing(code=code) | Failed(code=code):
                    yield code
                case message:
                    yield type(message).__name__.lower()

    def greet(self) -> list[str]:
        """Say hello, and give the answer."""
        self.send(self.hello())
        return self.first_words()

    def first_words(self) -> list[str]:
        """What it is told first."""
        told: list[str] = []
        while not told and not self.is_over:
            told += self.hear()
        return told

    def last_words(self) -> list[str]:
        """All that it is told until the end."""
        told: list[str] = []
        while not self.is_over:
            told += self.hear()
        return told

    def leave(self) -> None:
        """End it, and return when the daemon has ended it too: the next one finds room."""
        try:
            self.socket.settimeout(DEADLINE_S)
            self.socket.shutdown(socket.SHUT_WR)
            self.last_words()
        except OSError:
            pass  # the daemon has been faster
        self.socket.close()


class Attacker:
    """Runs the commands."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._dice = random.Random(1)
        self._kept = ExitStack()  # what stays open until the next command

    def do(self, words: str) -> Told:
        """Give what came of one command."""
        self._kept.close()
        name, *arguments = words.split()
        command: Callable[..., Told] = getattr(self, name)
        return command(*arguments)

    @contextmanager
    def visitor(self) -> Iterator[Visitor]:
        """Give a connection for a while."""
        visitor = Visitor(self._path)
        try:
            yield visitor
        finally:
            visitor.leave()

    def connect(self) -> Told:
        """Try to."""
        try:
            with self.visitor():
                return Told(connected=1)
        except PermissionError:
            return Told(forbidden=1)

    def crowd(self, count: str) -> Told:
        """All at once; they stay."""
        visitors = []
        for _ in range(int(count)):
            visitors.append(self._kept.enter_context(self.visitor()))
            visitors[-1].send(visitors[-1].hello())
        return Told(word for visitor in visitors for word in visitor.first_words())

    def silence(self, count: str) -> Told:
        """Every other one drips."""
        with ExitStack() as stack:
            visitors = [stack.enter_context(self.visitor()) for _ in range(int(count))]
            drips = {visitor: iter(visitor.hello()[:-1]) for visitor in visitors[::2]}
            open_ones, told = {visitor.socket: visitor for visitor in visitors}, Told()
            while open_ones:
                for visitor, drip in drips.items():
                    visitor.send(bytes([next(drip)]))
                for ready in select.select(open_ones, [], [], PATIENCE_S)[0]:
                    told.update(open_ones[ready].hear())
                    if open_ones[ready].is_over:
                        drips.pop(open_ones.pop(ready), None)
            return told

    def halves(self, count: str) -> Told:
        """They stay, and so does what they have sent."""
        half = (MAX_FRAME_BYTES).to_bytes(4, "big") + bytes([FrameType.EVENTS]) + bytes(MAX_FRAME_BYTES - 1)
        told = Told()
        for _ in range(int(count)):
            visitor = self._kept.enter_context(self.visitor())
            told.update(visitor.greet())
            visitor.send(half)
        return told

    def junk(self, count: str) -> Told:
        """Each from the same dice."""
        told = Told()
        for number in range(int(count)):
            with self.visitor() as visitor:
                if number % 2:
                    told.update(visitor.greet())
                visitor.send(self._junk())
                visitor.socket.shutdown(socket.SHUT_WR)
                told.update(visitor.last_words())
        return told

    def steal(self, victim: str) -> Told:
        """In vain."""
        with self.visitor() as thief, self.visitor() as twin:
            told = Told(thief.greet())
            twin.secret = thief.secret
            told.update(twin.greet())
            stolen = encode_record(Record(bytes.fromhex(victim), 1, 1 << 62, 0, 0, "json", "Item", b"", b"{}"))
            thief.send(encode_events(Network.MESH, "item.any", stolen))
            told.update(thief.last_words())
            return told

    def hoard(self, count: str) -> Told:
        """Another connection of the same user sends."""
        with self.visitor() as hoarder, self.visitor() as source:
            told = Told([*hoarder.greet(), *source.greet()])
            numbers = range(1, int(count) + 1)
            hoarder.send(b"".join(encode_message(Subscribe(n, "mesh", f"hoard.#.{n}.#")) for n in numbers))
            while told["subscribed"] + told["too_many_subscriptions"] < len(numbers):
                told.update(hoarder.hear())
            key = "hoard." + ".".join(map(str, numbers))  # one body is for all of its queues
            payload = bytes(MAX_BODY_BYTES - HEADER_BYTES - len("jsonItem"))
            sequence, deadline_s = 0, time.monotonic() + DEADLINE_S
            while not _is_closed(hoarder) and time.monotonic() < deadline_s:
                sequence += 1
                record = encode_record(Record(source.client, 1, sequence, 0, 0, "json", "Item", b"", payload))
                source.send(encode_events(Network.MESH, key, record))
                while source.socket in select.select([source.socket], [], [], PATIENCE_S)[0] and not source.is_over:
                    told.update(source.hear())
            return told

    def ask(self, seconds: str) -> Told:
        """No answer is waited for."""
        with ExitStack() as stack:
            visitors = [stack.enter_context(self.visitor()) for _ in range(ASKERS)]
            told = Told(word for visitor in visitors for word in visitor.greet())
            by_socket = {visitor.socket: visitor for visitor in visitors}
            asks = [
                Ask(1, "status"),
                Ask(2, "clients"),
                Ask(3, "matching", {"routing_key": "item.any"}),
                Ask(4, "wait", {"peers": 99, "timeout_s": 86_400}),
                Ask(5, "hosts_add", {"host": "10.77.0.66"}),
                Ask(6, "x" * 1000),
                Ask(7, "recce"),
                Ask(8, "watch", {"network": "snoop_trace", "for_s": 86_400}),
            ]
            flood = b"".join(map(encode_message, asks)) * (ASKS_AT_ONCE // len(asks))
            for visitor in visitors:
                visitor.socket.setblocking(False)
            unsent = dict.fromkeys(by_socket, flood)
            until_s = time.monotonic() + float(seconds)
            while time.monotonic() < until_s and by_socket:
                readable, writable, _ = select.select(by_socket, by_socket, [], PATIENCE_S)
                for ready in readable:
                    told.update(by_socket[ready].hear())
                    if by_socket[ready].is_over:
                        del by_socket[ready]
                for ready in writable:
                    try:
                        unsent[ready] = unsent[ready][ready.send(unsent[ready]) :] or flood
                    except OSError:
                        continue  # full, or over: the next read tells
            return told

    def _junk(self) -> bytes:
        noise = self._dice.randbytes(self._dice.randrange(1, 2000))
        deep = b'{"type":"ask","id":1,"verb":"x","args":' + b'{"a":' * 50_000
        return self._dice.choice(
            [
                noise,
                b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                (MAX_FRAME_BYTES + 1).to_bytes(4, "big") + b"\x02" + noise,
                b"\xff" * 5 + noise,
                encode_frame(FrameType.MESSAGE, deep),
                encode_frame(FrameType.MESSAGE, noise),
                encode_frame(FrameType.EVENTS, noise),
                encode_frame(FrameType.EVENTS, b"\x01\x01a" + noise),
                encode_frame(FrameType.ACK, noise),
                encode_frame(FrameType.DELIVERY, noise),
                encode_message(Hello([1], "z" * 64)),
                encode_message(Subscribe(0, "mesh", "#")),
            ]
        )


def _is_closed(visitor: Visitor) -> bool:
    """Tell whether the other end has closed, and read nothing."""
    poll = select.poll()
    poll.register(visitor.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


def main() -> None:
    """Obey."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    attacker = Attacker(sys.argv[1])
    for line in sys.stdin:
        try:
            told = attacker.do(line)
        except RemoteProtocolError as error:
            told = Told({f"the daemon said what is no protocol: {error}": 1})
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
