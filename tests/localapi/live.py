"""A local API server on a real socket, with the bridge and the daemon's view replaced by records of what was asked.

The server's loop runs in a thread of its own; tests speak raw bytes to it from theirs.
"""

import asyncio
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from structlog.testing import capture_logs

from mirosd.backends import local_socket
from mirosd.core.interfaces import ClientSession
from mirosd.errors import MirosdError
from mirosd.localapi.census import Census
from mirosd.localapi.desk import Desk, Identity
from mirosd.localapi.rights import Policy
from mirosd.localapi.server import LocalServer
from mirosd_client.dial import Dial
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.messages import (
    Ask,
    Closing,
    DaemonMessage,
    Done,
    Failed,
    Hello,
    Recall,
    Row,
    Subscribe,
    Welcome,
    decode_daemon_message,
    encode_message,
)
from mirosd_client.record import Record, Span, encode_record
from mirosd_client.wire import Events, Frame, FrameReader, FrameType, Network, encode_events

T = TypeVar("T")
TIMEOUT_S = 30.0
IDENTITY = Identity("a" * 32, "host-a", "default", "0.1.0")


class RecordingSink:
    """A bridge that writes down what it is told, and keeps the sessions by client id."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.sessions: dict[str, ClientSession] = {}
        self.flushes = 0

    def attached(self, session: ClientSession) -> None:
        self.sessions[session.client] = session
        self.calls.append(("attached", session.client))

    def events(self, session: ClientSession, events: Events, span: Span) -> None:
        self.calls.append(("events", session.client, events.routing_key, span.first_sequence, span.last_sequence))

    def follow(self, session: ClientSession, sequences: Sequence[int]) -> None:
        self.calls.append(("follow", session.client, *sequences))

    def flush(self) -> None:
        self.flushes += 1

    def subscribe(self, session: ClientSession, request: Subscribe) -> None:
        self.calls.append(("subscribe", session.client, request.subscription, request.binding_key))

    def unsubscribe(self, session: ClientSession, subscription: int) -> None:
        self.calls.append(("unsubscribe", session.client, subscription))

    def acknowledged(self, session: ClientSession, subscription: int, tag: int) -> None:
        self.calls.append(("acknowledged", session.client, subscription, tag))

    def detached(self, session: ClientSession) -> None:
        self.calls.append(("detached", session.client))

    def of(self, client: str) -> list[tuple[Any, ...]]:
        """What was asked for one client, its id left out."""
        return [(name, *rest) for name, whose, *rest in self.calls if whose == client]


class StillLan:
    """A LAN with one host on it."""

    def __init__(self) -> None:
        self.sighted: list[str] = []

    async def recce(self, addresses: list[str], timeout_s: float, row: Any) -> dict[str, Any]:
        self.sighted.extend(addresses)
        await row({"state": "fill_arp_table"})
        await row({"address": "10.0.0.7", "verdict": "proved"})
        return {"number": 1, "is_complete": True, "found": 1}

    def cache(self) -> dict[str, Any]:
        return {"addresses": ["10.0.0.7"]}

    async def flush_cache(self) -> dict[str, Any]:
        return {"number": 2}


class StillSnoop:
    """Hosts that a dial is held on for as long as somebody watches."""

    def __init__(self) -> None:
        self.held: list[tuple[str, Dial]] = []
        self.holds: list[tuple[str, Dial]] = []  # those that have ended too
        self.recalls: list[Recall] = []
        self.rows: list[dict[str, Any]] = [{"host": "host-a", "node": "a" * 32, "remote": "off", "accepts": True}]
        self.change = asyncio.Event()

    @contextmanager
    def hold(self, network: str, dial: Dial) -> Iterator[None]:
        if len(self.held) == 1:
            raise DaemonRefusedError("too_many_watches", "end one")
        self.held.append((network, dial))
        self.holds.append((network, dial))
        try:
            yield
        finally:
            self.held.remove((network, dial))

    def hosts(self, network: str, dial: Dial) -> list[dict[str, Any]]:
        return self.rows

    def next_change(self) -> asyncio.Event:
        return self.change

    def happen(self, rows: list[dict[str, Any]]) -> None:
        """Other hosts, or other words of theirs. Thread: the server's loop."""
        self.rows = rows
        self.change.set()
        self.change = asyncio.Event()

    async def recall(self, recall: Recall) -> list[dict[str, Any]]:
        self.recalls.append(recall)
        return [
            {"host": "host-a", "node": "a" * 32, "sources": 2, "refused": ""},
            {"host": "host-b", "node": "b" * 32, "sources": 0, "refused": "policy"},
        ]


class StillKeys:
    """Keys of one network, which become what is asked."""

    def rows(self) -> list[dict[str, Any]]:
        return [{"network": "mesh"}, {"node": "a" * 32}]

    async def rotate(self, network: str, *, is_forced: bool) -> dict[str, Any]:
        return {"network": network, "forced": is_forced}

    async def replace(self, network: str, text: str) -> dict[str, Any]:
        return {"network": network, "letters": len(text)}


class StillView:
    """A daemon in which nothing happens unless the test says so."""

    def __init__(self) -> None:
        self.lan = StillLan()
        self.snoop = StillSnoop()
        self.keys = StillKeys()
        self.rows: list[dict[str, Any]] = [{"node": "b" * 32, "name": "host-b"}]
        self.listed: list[str] = []
        self.waiting = 0
        self.fault: Exception | None = None
        self.change = asyncio.Event()

    def status(self) -> dict[str, Any]:
        if self.fault:
            raise self.fault
        return {"state": "ready", "name": IDENTITY.name}

    def metrics(self) -> dict[str, Any]:
        return {**self.status(), "events": {}}

    def peers(self) -> list[dict[str, Any]]:
        return self.rows

    def next_change(self) -> asyncio.Event:
        return self.change

    def happen(self, rows: list[dict[str, Any]]) -> None:
        """Another peers table, as the board has it. Thread: the server's loop."""
        self.rows = rows
        self.change.set()
        self.change = asyncio.Event()

    async def forget_peer(self, node: str) -> dict[str, Any]:
        return {"node": "b" * 32, "name": node}

    async def allow_peer(self, node: str) -> dict[str, Any]:
        return {"node": "c" * 32, "name": node}

    async def scout(self, address: str, row: Any) -> dict[str, Any]:
        await row({"stage": "resolve", "code": "ok"})
        return {"address": address, "code": "", "peer": None}

    def clients(self) -> list[dict[str, Any]]:
        return [{"client": "c" * 32}]

    async def matching(self, routing_key: str) -> dict[str, Any]:
        return {"hosts": 1, "queues": len(routing_key), "unanswered": []}

    def hosts(self) -> list[dict[str, Any]]:
        return [{"host": host, "source": "local"} for host in sorted(self.listed)]

    async def add_host(self, host: str) -> None:
        self.listed.append(host)

    async def remove_host(self, host: str) -> None:
        if host not in self.listed:
            raise HostUnknownError(host)
        self.listed.remove(host)

    async def reload_hosts(self) -> None:
        self.listed = []

    async def wait_ready(self, peers: int | None, timeout_s: float) -> tuple[bool, str]:
        if not peers:
            return True, ""
        self.waiting += 1
        try:
            await asyncio.sleep(timeout_s)
        finally:
            self.waiting -= 1
        return False, f"{peers} peers"


class HostUnknownError(MirosdError):
    """The host is not listed."""

    code = "host_unknown"


class Tally:
    """A board that only counts."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def count(self, counter: str, amount: int = 1) -> None:
        self.counters[counter] += amount

    def show_peers(self, rows: Any) -> None: ...

    def show_hosts(self, listed: Any, local: Any) -> None: ...

    def raise_reason(self, code: str, detail: str) -> None: ...

    def clear_reason(self, code: str) -> None: ...


class Live:
    """The running server and everything a test looks at."""

    def __init__(self, path: Path, logs: list[MutableMapping[str, Any]], **settings: Any) -> None:
        self.path, self.logs = path, logs
        self.sink, self.view, self.board = RecordingSink(), StillView(), Tally()
        self.loop_faults: list[Any] = []
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.loop_faults.append(context))
        self._settings = settings
        self._thread = threading.Thread(target=self.loop.run_forever, name="local-api")
        self._is_stopped = False

    def start(self) -> None:
        settings = self._settings
        limits = {"connections_per_uid": 32, "queues_per_uid": 64, "unsent_bytes_per_uid": 1 << 20}
        self.bound = local_socket.bind(self.path, mode=settings.get("mode", 0o660), group=None)
        desk = Desk(
            sink=self.sink,
            view=self.view,
            board=self.board,
            identity=settings.get("identity", IDENTITY),
            policy=settings.get("policy", Policy(0, None, None)),
            census=Census(**limits | settings.get("limits", {})),
            credentials_of=local_socket.peer_credentials,
            hello_timeout_s=settings.get("hello_timeout_s", TIMEOUT_S),
        )
        self._thread.start()
        self.server = self.call(lambda: LocalServer(desk))
        self.run(self.server.start(self.bound.listening))

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT_S)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the server's loop."""

        async def on_loop() -> T:
            return function()

        result: T = self.run(on_loop())
        return result

    def stop(self) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self.bound.remove()
            self.run(self.server.stop())

    def close(self) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(TIMEOUT_S)
        self.loop.close()

    def sessions(self) -> list[dict[str, Any]]:
        return self.call(self.server.sessions)

    def connect(self) -> "Raw":
        return Raw(self.path)

    def client(self, program: str = "test") -> "Raw":
        """A client that has been welcomed."""
        raw = self.connect()
        try:
            raw.hello(program)
        except BaseException:
            raw.close()
            raise
        return raw


@contextmanager
def running(path: Path, **settings: Any) -> Iterator[Live]:
    """A server for the time of a `with`."""
    with capture_logs() as logs:
        live = Live(path, logs, **settings)
        live.start()
        try:
            yield live
        finally:
            live.close()
    assert live.loop_faults == []


class Raw:
    """A client made of bytes."""

    def __init__(self, path: Path) -> None:
        self.secret = secrets.token_hex(32)
        self.id = ""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_S)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._reader = FrameReader()
        self._frames: list[Frame] = []

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        self.socket.sendall(b"".join(data))

    def frame(self) -> Frame | None:
        """The next frame, None at the end of the stream."""
        while not self._frames:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def message(self) -> DaemonMessage:
        frame = self.frame()
        assert frame is not None, "the stream has ended"
        assert frame.type is FrameType.MESSAGE, frame
        return decode_daemon_message(frame.body)

    def hello_frame(self, program: str = "test", versions: tuple[int, ...] = (1,)) -> bytes:
        return encode_message(Hello(list(versions), self.secret, program, 1))

    def hello(self, program: str = "test") -> Welcome:
        self.send(self.hello_frame(program))
        welcome = self.message()
        assert isinstance(welcome, Welcome), welcome
        self.id = welcome.client
        assert self.is_well()  # and the sink has heard of it, which happens after the Welcome
        return welcome

    def ask(self, verb: str, **args: Any) -> tuple[list[dict[str, Any]], Done | Failed]:
        self.send(encode_message(Ask(7, verb, args)))
        return self.answer(7)

    def answer(self, number: int) -> tuple[list[dict[str, Any]], Done | Failed]:
        rows = []
        while isinstance(message := self.message(), Row):
            assert message.id == number
            rows.append(message.row)
        assert isinstance(message, Done | Failed), message
        assert message.id == number
        return rows, message

    def is_well(self) -> bool:
        """True when this session still answers."""
        return isinstance(self.ask("status")[1], Done)

    def closing(self) -> Closing:
        """The last message; the stream must end behind it."""
        closing = self.message()
        assert isinstance(closing, Closing), closing
        assert self.frame() is None
        return closing

    def record(self, sequence: int, payload: bytes = b"{}", client: bytes | None = None) -> bytes:
        source = bytes.fromhex(self.id) if client is None else client
        return encode_record(Record(source, 1, sequence, 0, 0, "json", "Sig", b"", payload))

    def events(self, *sequences: int, key: str = "a.b", network: Network = Network.MESH) -> bytes:
        return encode_events(network, key, b"".join(self.record(sequence) for sequence in sequences))
