"""What a client says and is told: the hello, events, subscriptions and questions.

The first frame is a Hello; then EVENTS, ACK, Subscribe and Unsubscribe go to the sink,
and each Ask runs as a task of its own. A client that asks for what it may not have gets
a Failed; one that breaks the protocol, or transmits without the right or the key to, is closed.
"""

import asyncio
import hashlib
import re

from msgspec.structs import replace

from mirosd.errors import RemoteProtocolError
from mirosd.localapi.connection import Connection
from mirosd.localapi.desk import Desk
from mirosd.localapi.rights import MESH, Rights
from mirosd.localapi.verb import Display
from mirosd.localapi.verbs import answer
from mirosd.names import NETWORK_NAMES, NETWORKS
from mirosd_client.errors import DaemonRefusedError, no_key
from mirosd_client.limits import MAX_BODY_BYTES, MAX_HASHES, MAX_RECEIPTS, MAX_ROUTING_KEY_BYTES
from mirosd_client.messages import (
    Ask,
    Failed,
    Fate,
    Follow,
    Hello,
    Recall,
    Subscribe,
    Subscribed,
    Unroutable,
    Unsubscribe,
    Watched,
    Welcome,
    decode_client_message,
)
from mirosd_client.record import CLIENT_ID_BYTES, scan_records
from mirosd_client.wire import (
    PROTOCOL_VERSION,
    Frame,
    FrameType,
    decode_ack,
    decode_events,
    encode_delivery,
    encode_settled,
)

VERSIONS = (PROTOCOL_VERSION,)  # spoken by this daemon
MAX_ASKS = 16  # in flight per session: a person asks one thing at a time, a dashboard a few
MAX_SUBSCRIPTION = 0xFFFF  # a DELIVERY frame carries the number as u16
MAX_PROGRAM_CHARS = 64  # of what a program calls itself, for people
MAX_CHART_CHARS = 128  # of what it calls a chart, likewise; those of all its charts are shown in one message
SHOWN_VERSIONS = 8  # of what a client claims to speak

_SECRET = re.compile(r"[0-9a-fA-F]{64}")


class Session(Connection):
    """A connected client, as `core.interfaces.ClientSession` has it. Thread: loop."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.client_id = b""
        self.has_charts = self._has_mute_charts = False
        self._is_greeted = False
        self._subscriptions: set[int] = set()
        self._last_sequence = -1
        self._last_followed = -1
        self._unanswered = 0  # events that are followed
        self._asks: set[asyncio.Task[None]] = set()

    @property
    def subscription_count(self) -> int:
        """Subscriptions asked for and not refused or ended."""
        return len(self._subscriptions)

    def display(self) -> Display:
        """Give what people may see of this session."""
        return {
            "client": self.client,
            "program": self.program,
            "pid": self.pid,
            "uid": self.uid,
            "rights": self.grant.rights.words,
            "subscriptions": self.subscription_count,
            "unsent_bytes": self.unsent_bytes,
        }

    # --- the bridge calls these ---

    def deliver(self, subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> None:
        """Send records for a subscription."""
        self.write(encode_delivery(subscription, tag, held_ms, redelivered, records))

    def subscribed(self, subscription: int) -> None:
        """Say that a binding is confirmed."""
        self.send(Subscribed(subscription))

    def refused(self, subscription: int, code: str, message: str) -> None:
        """Say that a subscription cannot be; its number is free again."""
        self._subscriptions.discard(subscription)
        self.send(Failed(subscription, code, message))

    def settled(self, safe: int, settled: int, unroutable: int) -> None:
        """Say how far the client's events have come."""
        self.write(encode_settled(safe, settled, unroutable))

    def unroutable(self, routing_key: str) -> None:
        """Say that nobody is bound to a key."""
        self.send(Unroutable(routing_key))

    def fate(self, fate: Fate) -> None:
        """Say what became of events that are followed."""
        self._unanswered = max(0, self._unanswered - len(fate.sequences))
        self.send(fate)

    def watched(self, watched: Watched) -> None:
        """Say what is watched on the snoop networks from now on."""
        self.send(watched)

    def recall(self, recall: Recall) -> None:
        """Have the client send what its charts have done."""
        self.send(recall)

    # --- the connection calls these ---

    def take(self, frame: Frame) -> None:
        """Act on a frame."""
        if not self._is_greeted:
            self._greet(frame)
        elif frame.type is FrameType.EVENTS:
            self._take_events(frame.body)
        elif frame.type is FrameType.ACK:
            ack = decode_ack(frame.body)
            if ack.subscription in self._subscriptions:  # one that crossed an Unsubscribe is nobody's any more
                self._desk.sink.acknowledged(self, ack.subscription, ack.tag)
        elif frame.type is FrameType.MESSAGE:
            self._take_message(frame.body)
        else:
            raise RemoteProtocolError(f"a client sends no {frame.type.name} frames", code="unexpected_frame")

    def review(self) -> None:
        """Take the policy that is in force by now; charts that may speak only now are made known by a new hello."""
        super().review()
        if self._has_mute_charts and Rights.TRANSMIT in self.grant.rights:
            self.farewell("rights_changed", "the daemon's `rights` have changed; connect again: you may transmit now")

    def ended(self) -> None:
        """Cancel what runs, free the client id, tell the bridge."""
        for task in self._asks:
            task.cancel()
        if self._is_greeted:
            self._desk.census.release(self, self.client_id)
            self._desk.sink.detached(self)

    def _greet(self, frame: Frame) -> None:
        hello = decode_client_message(frame.body) if frame.type is FrameType.MESSAGE else None
        if not isinstance(hello, Hello):
            raise RemoteProtocolError("a connection begins with hello", code="hello_expected")
        common = set(hello.versions).intersection(VERSIONS)
        if not common:
            raise RemoteProtocolError(
                f"this daemon speaks version {', '.join(map(str, VERSIONS))} of the local protocol, the client "
                f"{hello.versions[:SHOWN_VERSIONS]}: install mirosd and mirosd-client of one release",
                code="version",
            )
        if not _SECRET.fullmatch(hello.secret):
            raise RemoteProtocolError("a secret is 64 hex digits", code="secret")
        client_id = hashlib.sha256(bytes.fromhex(hello.secret)).digest()[:CLIENT_ID_BYTES]
        self._desk.census.claim(self, client_id)
        self.greeted()
        self._is_greeted = True
        self.client, self.client_id = client_id.hex(), client_id
        self.program = hello.program[:MAX_PROGRAM_CHARS]
        self.has_charts = hello.has_charts and Rights.TRANSMIT in self.grant.rights  # else it could answer no recall
        self._has_mute_charts = hello.has_charts and not self.has_charts
        me = self._desk.identity
        words = self.grant.rights.words
        self.send(Welcome(max(common), me.node, me.name, me.system, self.client, me.version, words, me.networks))
        self._desk.sink.attached(self)

    def _take_events(self, body: bytes) -> None:
        events = decode_events(body)
        network = NETWORK_NAMES[events.network]
        self._desk.policy.require_sending(network, self.grant, f"sending on {network}")
        self._require_key(network, "sent")
        span = scan_records(events.records, self.client_id)
        if span.records > 1 and len(events.records) > MAX_BODY_BYTES:
            raise RemoteProtocolError(
                f"{span.records} records of {len(events.records)} bytes; the limit is {MAX_BODY_BYTES}",
                code="too_large",
            )
        if span.first_sequence <= self._last_sequence:
            raise RemoteProtocolError("sequence numbers of a client must rise", code="sequence")
        self._last_sequence = span.last_sequence
        self._desk.sink.events(self, events, span)

    def _take_message(self, body: bytes) -> None:
        match decode_client_message(body):
            case Subscribe() as request:
                self._subscribe(request)
            case Unsubscribe(subscription):
                if subscription in self._subscriptions:
                    self._subscriptions.discard(subscription)
                    self._desk.sink.unsubscribe(self, subscription)
            case Follow(sequences):
                self._follow(sequences)
            case Ask() as ask:
                self._ask(ask)
            case Hello():
                raise RemoteProtocolError("a connection has one hello", code="unexpected_message")

    def _follow(self, sequences: list[int]) -> None:
        self._desk.policy.require_sending(MESH, self.grant, "following events")
        for sequence in sequences:
            if sequence <= max(self._last_followed, self._last_sequence):
                raise RemoteProtocolError("events are followed in their order, before they are sent", code="follow")
            self._last_followed = sequence
        self._unanswered += len(sequences)
        if self._unanswered > MAX_RECEIPTS:
            raise RemoteProtocolError(f"more than {MAX_RECEIPTS} events are followed", code="too_many_receipts")
        self._desk.sink.follow(self, sequences)

    def _subscribe(self, request: Subscribe) -> None:
        number = request.subscription
        if not 1 <= number <= MAX_SUBSCRIPTION or number in self._subscriptions:
            raise RemoteProtocolError(
                f"subscription numbers are 1 to {MAX_SUBSCRIPTION} and each is used once at a time", code="subscription"
            )
        try:
            self._check_subscription(request)
        except DaemonRefusedError as exc:
            self.send(Failed(number, exc.code, str(exc)))
            return
        self._subscriptions.add(number)
        self._desk.sink.subscribe(self, replace(request, chart=request.chart[:MAX_CHART_CHARS]))

    def _check_subscription(self, request: Subscribe) -> None:
        if request.network not in NETWORKS:
            raise DaemonRefusedError("network", f"networks are {', '.join(NETWORKS)}")
        self._require_key(request.network, "subscribed to")
        self._desk.policy.require_hearing(request.network, self.grant, f"subscribing to {request.network}")
        if len(request.binding_key.encode()) > MAX_ROUTING_KEY_BYTES:
            raise DaemonRefusedError("binding_key", f"a binding key has at most {MAX_ROUTING_KEY_BYTES} bytes")
        if request.binding_key.split(".").count("#") > MAX_HASHES:
            raise DaemonRefusedError(
                "binding_key",
                f"a binding key has at most {MAX_HASHES} words that are #; subscribe to parts of it apart",
            )
        self._desk.census.check_queues(self)

    def _require_key(self, network: str, what: str) -> None:
        if network not in self._desk.identity.networks:
            raise DaemonRefusedError("no_key", f"nothing can be {what} on {network}: {no_key(network)}")

    def _ask(self, ask: Ask) -> None:
        if len(self._asks) >= MAX_ASKS:
            self.send(Failed(ask.id, "too_many_asks", f"{MAX_ASKS} asks of this connection are unanswered already"))
            return
        desk = self._desk
        task = self._loop.create_task(answer(ask, desk.view, desk.policy, self.grant, self.send_when_room))
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)
