"""The bytes of one client's connection: frames in, frames out, and how it ends.

    greeting -- `greeted` --> serving
    greeting, serving -- the client breaks the protocol or a bound --> ended, with Closing as its last message
    greeting, serving -- end of file, reset, overrun               --> ended

What the frames mean is session.py's. Of the frames that stand before a faulty one in the
same read some may not be taken: a client replays what was not settled. The only timers
are the one that waits for the hello and the one that drops an ended connection whose
client does not read: an idle connection costs nothing.
"""

import asyncio
import select
import socket
from abc import abstractmethod
from typing import cast

import structlog
from msgspec.structs import replace

from mirosd.errors import MirosdError
from mirosd.localapi.desk import Desk
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.messages import Closing, DaemonMessage, Failed, encode_message
from mirosd_client.wire import Frame, FrameReader

MAX_REASON_CHARS = 1000
"""Of why something is refused, as a client and the log are told: what it quotes can be as long as a frame."""
CLOSING_GRACE_S = 1.0  # for a client to read why it was closed; the daemon's stop waits no longer either

_log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """A connected client without a meaning, as `census.Member` sees it. Thread: loop."""

    def __init__(self, desk: Desk) -> None:
        self.client = ""  # 32 hex digits, after the hello
        self.program = ""  # what it calls itself
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._reader = FrameReader()
        self._room = asyncio.Event()  # clear while the transport holds more than its high-water mark
        self._room.set()
        self._has_ended = False

    @abstractmethod
    def take(self, frame: Frame) -> None:
        """Act on a frame; a MirosdError ends the connection with its code."""

    @abstractmethod
    def ended(self) -> None:
        """Let go of what the session holds; called once, before the last message."""

    @property
    @abstractmethod
    def subscription_count(self) -> int:
        """Subscriptions asked for and not refused or ended."""

    # --- asyncio calls these ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 -- asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._socket = cast(socket.socket, transport.get_extra_info("socket"))
        self._credentials = self._desk.credentials_of(self._socket)
        self.uid, self.pid = self._credentials.uid, self._credentials.pid
        self.grant = self._desk.policy.grant_of(self._credentials)
        self._timer = self._loop.call_later(self._desk.hello_timeout_s, self._hello_is_late)
        try:
            self._desk.census.enter(self)
        except DaemonRefusedError as exc:
            self.close(exc.code, str(exc))

    def data_received(self, data: bytes) -> None:  # noqa: D102 -- asyncio's
        try:
            for frame in self._reader.feed(data):
                if self._has_ended:
                    break
                self.take(frame)
        except MirosdError as exc:
            self.close(exc.code, str(exc))
        finally:
            self._desk.sink.flush()

    def eof_received(self) -> None:  # noqa: D102 -- asyncio's
        if self._reader.is_midframe:
            self.close("cut_off", "the stream ended inside a frame")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 -- asyncio's
        self._end()
        self._timer.cancel()
        self._desk.census.leave(self)
        self.gone.set_result(None)

    def pause_writing(self) -> None:  # noqa: D102 -- asyncio's
        self._room.clear()

    def resume_writing(self) -> None:  # noqa: D102 -- asyncio's
        self._room.set()

    # --- the session calls these ---

    def greeted(self) -> None:
        """The hello came in time."""
        self._timer.cancel()

    def write(self, frame: bytes) -> None:
        """Send a frame; nothing happens once the connection has ended."""
        if self._has_ended:
            return
        self._transport.write(frame)
        if self.unsent_bytes:
            self._desk.census.check_unsent(self)

    def send(self, message: DaemonMessage) -> None:
        """Send a control message; a Failed is counted."""
        if isinstance(message, Failed):
            self._desk.board.count(f"refused_{message.code}")
            message = replace(message, message=message.message[:MAX_REASON_CHARS])
        self.write(encode_message(message))

    async def send_when_room(self, message: DaemonMessage) -> None:
        """Send a control message when the client has read most of what was sent before."""
        await self._room.wait()
        self.send(message)

    # --- and others these ---

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait for the client to read."""
        return self._transport.get_write_buffer_size()

    def is_peer_gone(self) -> bool:
        """Ask the kernel whether the other end has closed: the loop may not have read that far."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def pause(self) -> None:
        """Read no more until `resume`."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def close(self, code: str, message: str) -> None:
        """End because of what the client did: counted, logged, and told to the client if it reads."""
        if not self._has_ended:
            message = message[:MAX_REASON_CHARS]
            self._report(code, message)
            self.farewell(code, message)

    def farewell(self, code: str, message: str) -> None:
        """End with a last message; the connection is gone within CLOSING_GRACE_S."""
        if not self._has_ended:
            self._end()
            self._transport.write(encode_message(Closing(code, message)))
            self._transport.close()
            self._timer = self._loop.call_later(CLOSING_GRACE_S, self._transport.abort)

    def review(self) -> None:
        """Take the policy that is in force by now; what is lost by it is not held on to by an open connection."""
        held, self.grant = self.grant, self._desk.policy.grant_of(self._credentials)
        if not self.grant.covers(held):
            self.close("rights_changed", "the daemon's `rights` have changed; connect again for what is left of yours")

    def overrun(self, message: str) -> None:
        """End because the client does not read; no last word could reach it."""
        if not self._has_ended:
            self._report("slow_reader", message)
        self.drop()

    def drop(self) -> None:
        """End at once, unsent bytes and all."""
        self._end()
        self._transport.abort()

    def _report(self, code: str, message: str) -> None:
        self._desk.board.count(f"session_{code}")
        unsaid = self._desk.census.say(self.uid, self._loop.time())
        if unsaid is not None:
            whom = {"client": self.client, "program": self.program, "pid": self.pid, "uid": self.uid}
            more = {"unsaid": unsaid} if unsaid else {}  # of such lines about this user, before this one
            _log.warning("session_closed", code=code, reason=message, **whom, **more)

    def _hello_is_late(self) -> None:
        self.close("hello_timeout", f"no hello within {self._desk.hello_timeout_s:g} s")

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._timer.cancel()
            self.ended()
