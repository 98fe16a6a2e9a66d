"""Control messages of the local API: what a frame of type MESSAGE holds.

Each is a JSON object whose `type` names it. A connection begins with Hello and
Welcome (or Closing); after that a client may subscribe, transmit (EVENTS frames)
and ask. An Ask is answered by any number of Row messages and one Done or Failed
with the same id; answers to different asks may interleave. A Follow is answered by
Fates, each when its events are settled.
"""

from typing import Any, Literal, TypeVar

import msgspec

from mirosd_client.dial import Dial, SnoopNetwork
from mirosd_client.errors import DaemonRefusedError, LocalProtocolError, NotPermittedError, RemoteProtocolError
from mirosd_client.limits import MAX_FRAME_BYTES
from mirosd_client.wire import FrameType, encode_frame

FateWord = Literal["delivered", "partial", "unheard", "lost", "unknown"]
RecallWhat = Literal["history", "charts"]


class Hello(msgspec.Struct, tag="hello", tag_field="type", frozen=True):
    """Client -> daemon, first: protocol versions spoken, the process's secret (64 hex digits), who it is for people.

    `has_charts`: it wants to know what is watched (Watched), and answers each Recall.
    """

    versions: list[int]
    secret: str
    program: str = ""
    pid: int = 0
    has_charts: bool = False


class Subscribe(msgspec.Struct, tag="subscribe", tag_field="type", frozen=True):
    """Client -> daemon: deliver what matches `binding_key` on `network` under number `subscription` (1 to 65535)."""

    subscription: int
    network: str
    binding_key: str
    chart: str = ""


class Unsubscribe(msgspec.Struct, tag="unsubscribe", tag_field="type", frozen=True):
    """Client -> daemon: end a subscription and delete its queue."""

    subscription: int


class Ask(msgspec.Struct, tag="ask", tag_field="type", frozen=True):
    """Client -> daemon: run `verb` with `args`; answered under `id`."""

    id: int
    verb: str
    args: dict[str, Any] = {}


class Follow(msgspec.Struct, tag="follow", tag_field="type", frozen=True):
    """Client -> daemon: say what becomes of the mesh events with these sequence numbers, which rise.

    Said before they are handed over, and again on the next connection for those that no Fate has come for.
    """

    sequences: list[int]


class Welcome(msgspec.Struct, tag="welcome", tag_field="type", frozen=True):
    """Daemon -> client: the version chosen, this host's node id and name, the client id (hex), the caller's rights.

    `networks`: those whose keys the host has. On another one nothing may be sent or subscribed to.
    """

    version: int
    node: str
    name: str
    system: str
    client: str
    daemon_version: str
    rights: list[str]
    networks: tuple[str, ...] = ("mesh", "snoop_trace", "snoop_spy")


class Subscribed(msgspec.Struct, tag="subscribed", tag_field="type", frozen=True):
    """Daemon -> client: the local broker has confirmed the binding. Sent again after the broker was lost and found."""

    subscription: int


class Unroutable(msgspec.Struct, tag="unroutable", tag_field="type", frozen=True):
    """Daemon -> client: events with this routing key were settled, and no queue on any host matched it.

    Said once per key, and again only after it was heard meanwhile; SETTLED counts each event.
    """

    routing_key: str


class Fate(msgspec.Struct, tag="fate", tag_field="type", frozen=True):
    """Daemon -> client: these events, which were followed, are settled; before the SETTLED that covers them.

    The numbers are of brokers, by their answer for each of the events; `is_known` is False for what was followed too
    late: nothing is known of it.
    """

    sequences: list[int]
    confirmed: int = 0
    unroutable: int = 0
    expired: int = 0
    overflow: int = 0
    nacked: int = 0
    forgotten: int = 0
    is_known: bool = True

    @property
    def outcome(self) -> FateWord:
        """In a word: delivered, partial, unheard, lost or unknown; see Receipt.outcome."""
        if not self.is_known:
            return "unknown"
        losses = self.expired + self.overflow + self.nacked + self.forgotten
        if self.confirmed:
            return "partial" if losses else "delivered"
        return "lost" if losses else "unheard"


class Watched(msgspec.Struct, tag="watched", tag_field="type", frozen=True):
    """Daemon -> client with charts, behind the welcome and at each change: what is watched on the snoop networks.

    A network that is not in it is watched by nobody, on no host: nothing is to be sent on it. Else what programs have
    enabled themselves is, and what one of the dials takes (their hosts have been looked at already).
    """

    networks: dict[SnoopNetwork, list[Dial]]


class Recall(msgspec.Struct, tag="recall", tag_field="type", frozen=True):
    """Daemon -> client with charts: send what you have, on `network` with the routing key that recall_key(id) gives.

    `what`: "history" is the lines of the last `since_s` seconds that the dial takes, "charts" a row for each chart that
    it takes. The answer ends with an End, also when there is nothing.
    """

    id: str
    what: RecallWhat
    network: SnoopNetwork
    dial: Dial = Dial()
    since_s: float = 0.0


RECALL_PREFIX = "recall."
"""Of routing keys that one host alone has asked for; all others on the snoop networks are of lines as they happen."""


def recall_key(recall_id: str) -> str:
    """Give the routing key of the answers to a recall; its id is 32 hex digits, drawn by the viewer."""
    return RECALL_PREFIX + recall_id


class Row(msgspec.Struct, tag="row", tag_field="type", frozen=True):
    """Daemon -> client: one element of the answer to ask `id`."""

    id: int
    row: dict[str, Any]


class Done(msgspec.Struct, tag="done", tag_field="type", frozen=True):
    """Daemon -> client: ask `id` is answered completely."""

    id: int
    result: dict[str, Any] = {}


class Failed(msgspec.Struct, tag="failed", tag_field="type", frozen=True):
    """Daemon -> client: ask (or subscription) `id` failed; `code` is stable, `message` says what to do."""

    id: int
    code: str
    message: str


class Closing(msgspec.Struct, tag="closing", tag_field="type", frozen=True):
    """Daemon -> client, last: why the connection ends."""

    code: str
    message: str


ClientMessage = Hello | Subscribe | Unsubscribe | Ask | Follow
Own = TypeVar("Own", Subscribe, Ask)
"""A message in the words of the program that sends it."""
DaemonMessage = Welcome | Subscribed | Unroutable | Fate | Watched | Recall | Row | Done | Failed | Closing

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_daemon_decoder: msgspec.json.Decoder[DaemonMessage] = msgspec.json.Decoder(DaemonMessage)


def encode_message(message: ClientMessage | DaemonMessage) -> bytes:
    """Give the message as a frame; LocalProtocolError when it holds what is no JSON, or more than a frame may."""
    return encode_frame(FrameType.MESSAGE, _body(message))


def checked(message: Own) -> Own:
    """Give a message of a program's own words, if the daemon can read it: any other ends the connection of all charts.

    Raises:
        LocalProtocolError: it cannot; says which word is none.
    """
    try:
        decode_client_message(_body(message))
    except RemoteProtocolError as exc:
        raise LocalProtocolError(str(exc)) from exc
    return message


def decode_client_message(body: bytes) -> ClientMessage:
    """Read what a client sent; RemoteProtocolError for anything else."""
    try:
        return _client_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not a client's message: {exc}") from exc


def decode_daemon_message(body: bytes) -> DaemonMessage:
    """Read what a daemon sent; RemoteProtocolError for anything else."""
    try:
        return _daemon_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not a daemon's message: {exc}") from exc


def _body(message: ClientMessage | DaemonMessage) -> bytes:
    try:
        body = _encoder.encode(message)
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"{exc.object!a} is no text: it has bytes that are not UTF-8") from exc
    except (TypeError, ValueError, RecursionError) as exc:
        raise LocalProtocolError(f"a message holds what JSON cannot: {exc}") from exc
    if len(body) > MAX_FRAME_BYTES:
        raise LocalProtocolError(f"a message of {len(body)} bytes; the limit is {MAX_FRAME_BYTES}")
    return body


def refusal(code: str, message: str) -> DaemonRefusedError:
    """Give the error that a Failed or Closing stands for on the client's side."""
    return NotPermittedError(message) if code == NotPermittedError.code else DaemonRefusedError(code, message)
