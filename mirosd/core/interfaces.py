"""What the wings ask of each other: the only words they share beside payloads and signals.

A chart asks and hears the answer as an event; it never waits. Everything that
touches the loop says so: *Thread: loop* means the asyncio loop's thread, *any*
that the implementation hands over by `call_soon_threadsafe`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mirosd.payloads import ConnectionDiscoveryPayload, Producer
from mirosd_client.messages import Fate, Recall, Subscribe, Watched
from mirosd_client.record import Span
from mirosd_client.wire import Events, Network


class Probe(Protocol):
    """One scouting of one address, asked by a scout. Thread: any.

    Answers are posted through the `post` that the prober was given, as
    (signal number, payload): see Prober.
    """

    def connect(self) -> None:
        """Resolve, connect, log in, check the exchange."""

    def challenge(self) -> None:
        """Send the sealed challenge over the connection."""

    def abandon(self) -> None:
        """Let go of everything; no answer follows."""


class Prober(Protocol):
    """Makes probes. Thread: any."""

    def probe(self, host: str, post: Callable[[int, Any], None]) -> Probe:
        """Give a probe of `host` ("10.0.0.7", "name", "10.0.0.7:5673", "[fe80::1%eth0]").

        Answers: after connect() exactly one of `try_to_connect_to_consumer`
        (tuple[StageReport, ...]) or `consumer_test_complete` (ProbeResult); after
        challenge() exactly one `consumer_test_complete`. Within 1.5 s for most
        hosts, later where frames are lost, 8 s for one whose broker is slow to greet.
        """


class LanSearch(Protocol):
    """The LAN, as far as sealed datagrams reach. Thread: any.

    A broadcast, a sweep and re-sends find who has our system key; nothing but datagrams is sent, and no credential.
    """

    def listen(self, post: Callable[[int, Any], None]) -> None:
        """Begin to hear and to answer others.

        Posts `lan_answered` (LanAnswer) for the first answer of an address to each search, to each minute's broadcast
        that a search goes on with, and to each question of ours; `lan_heard` (LanAnswer) for another node's probe (at
        most once a second per address: it is a candidate that wants a probe of its own); `lan_changed` (str: what)
        when the networks that are searched became others, for which a search that is on has begun anew.
        """

    def search(self, known: Sequence[str]) -> None:
        """Search all chosen networks from the beginning, `known` addresses first; ends a search that is on."""

    def ask(self, hosts: Sequence[str]) -> None:
        """Send probes to these hosts alone, again until they answer, at most four times within 1.5 s.

        Hosts here and in `search` as a hosts file writes them; a port is of no account.
        """

    def survey(self) -> None:
        """Post `ip_addresses_found` (LanSurvey): what is known of the networks' addresses by now."""


class FileStore(Protocol):
    """Reads and writes small JSON files that many processes share. Thread: any.

    Writing takes a lock shared by all of them. A store that cannot replace a file under its readers takes it to read.
    """

    def read(self, path: str, post: Callable[[int, Any], None]) -> None:
        """Answers `read_successful` (FileContent) or `file_access_failed` (FileFailure)."""

    def write(self, path: str, text: str, post: Callable[[int, Any], None]) -> None:
        """Replace the file atomically. Answers `write_successful` (path) or `file_access_failed` (FileFailure)."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as read: its text ("" when missing or empty) and times in seconds since the epoch (0.0 when missing)."""

    path: str
    text: str
    modified_s: float
    changed_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class FileFailure:
    """Why a file could not be read or written: `busy` (locked, try again), else what the system said."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A finished probe: code "" means proved."""

    code: str
    stages: tuple[Any, ...]
    introduction: Any = None


class ProducerMaker(Protocol):
    """Makes the producers per discovery that the seeds ask for, one for each network. Thread: any; pure."""

    def make(self, network: Network, discovery: ConnectionDiscoveryPayload, host: str) -> Producer:
        """Give the producer of one network towards one proved host."""


class Challenger(Protocol):
    """Makes and judges sealed challenges. Thread: loop."""

    def challenge(self, node: str | None) -> tuple[bytes, str]:
        """Give a challenge to `node` (None: whoever is there): the sealed body for the control exchange, its nonce."""

    def judge(self, body: bytes, nonce: str, routing_key: str) -> Any:
        """Give the Introduction inside an answer to `nonce`.

        Raises:
            RemoteProtocolError: code `key` (does not open, or proves no network), `version`,
                `self` (our own daemon answered), `clone` (another daemon with our node id did), `stale` (another
                nonce: ignore it).
        """

    def retort(self, body: bytes) -> tuple[str, bytes, str] | None:
        """Give our answer to a challenge that came where answers do, None when `body` is none to us.

        It goes to the control exchange of the same broker: routing key, sealed body, and correlation id.
        """


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is at the other end of a local socket, as the kernel says; `groups` are the supplementary ones."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]


class ClientSession(Protocol):
    """A connected client as the bridge sees it. After `ClientSink.detached` every call does nothing. Thread: loop."""

    client: str  # 32 hex digits
    client_id: bytes  # the same, 16 bytes
    has_charts: bool  # it is told what is watched, and recalled

    def deliver(self, subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> None:
        """Send records; the client answers with `acknowledged` when they are in the chart.

        `held_ms` is how long this daemon and its broker have held them.
        """

    def subscribed(self, subscription: int) -> None:
        """Say that the local broker has confirmed the binding; again after the broker was lost and found."""

    def refused(self, subscription: int, code: str, message: str) -> None:
        """Say that the subscription cannot be; its number is free again."""

    def settled(self, safe: int, settled: int, unroutable: int) -> None:
        """Say how far the client's events have come: two cumulative sequence numbers and a count (wire.py)."""

    def unroutable(self, routing_key: str) -> None:
        """Say that no queue on any host matched a key; once per key, until it is heard and not heard again."""

    def fate(self, fate: Fate) -> None:
        """Say what became of events that the client follows; before the `settled` that covers them."""

    def watched(self, watched: Watched) -> None:
        """Say what is watched on the snoop networks from now on."""

    def recall(self, recall: Recall) -> None:
        """Have it send what its charts have done; it ends with a record of its own that says so."""

    def pause(self) -> None:
        """Read no more from this client until `resume`; what one read has brought already still arrives."""

    def resume(self) -> None:
        """Read again."""


class ClientSink(Protocol):
    """What sessions ask of the bridge. Nothing here may wait or raise. Thread: loop."""

    def attached(self, session: ClientSession) -> None:
        """A client said hello; it may subscribe and transmit from now on."""

    def events(self, session: ClientSession, events: Events, span: Span) -> None:
        """Take a run of mesh records that scan_records has checked; sequence numbers rise through the whole session."""

    def follow(self, session: ClientSession, sequences: Sequence[int]) -> None:
        """Answer by `fate` when these events are settled; they are handed over after this, or were followed before."""

    def flush(self) -> None:
        """Publish what was gathered; called once after the frames of each socket read."""

    def subscribe(self, session: ClientSession, request: Subscribe) -> None:
        """Make the subscription; answered by `subscribed` or `refused`. Its number is free in this session."""

    def unsubscribe(self, session: ClientSession, subscription: int) -> None:
        """End a subscription that was asked for and not refused, and delete its queue."""

    def acknowledged(self, session: ClientSession, subscription: int, tag: int) -> None:
        """All deliveries of `subscription` up to `tag` are in the chart. The tag is the client's word: check it."""

    def detached(self, session: ClientSession) -> None:
        """The client is gone, its subscriptions with it; called once for each `attached`."""
