"""What daemons say to each other on the control exchange, sealed with the system key.

A Challenge asks whoever holds the system key to answer with its nonce; the Answer
introduces the daemon and proves, network by network, which keys it holds. A
Heartbeat says "still here" to one peer, and who else is; Left says that this was the last.
Matching asks one peer whom a routing key would reach there; Matched says so. Recalling asks one for what its
programs have on record; Recalled says how many of them will send it. Offering hands a network's new key on.

Later fields have defaults and unknown ones are skipped, so daemons that differ in them understand each other.
"""

from typing import Annotated

import msgspec

from mirosd.core.gossip import Rumour
from mirosd.core.replay import MAX_COUNTER
from mirosd.errors import RemoteProtocolError
from mirosd_client.dial import Dial, SnoopNetwork
from mirosd_client.limits import MAX_ROUTING_KEY_BYTES
from mirosd_client.messages import RecallWhat

CONTROL_VERSION = 1
"""Version of these messages. A daemon answers what it understands and names its own version."""

ANSWER_KEY = "answer"
"""Routing key that answers by reply queue are sealed for, which has no key of its own."""


MAX_INT = (1 << 63) - 1

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)]
Time = Annotated[int, msgspec.Meta(ge=-MAX_INT, le=MAX_INT)]
"""In ms, on a clock that may be wrong. Others' numbers are reckoned with, and one of a thousand digits has no float."""

Short = Annotated[str, msgspec.Meta(max_length=256)]
"""A name or an id, kept while its node is known: a host's name has 128 characters at most."""

Counter = Annotated[int, msgspec.Meta(ge=0)]
"""Of a body, or 0: nothing is said. JSON readers that make floats of numbers beyond 2^53 do not read these."""

KeyId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$")]

NOTHING = msgspec.Raw(b"{}")
"""An empty JSON object, which is read later."""


class Challenge(msgspec.Struct, tag="challenge", tag_field="type", frozen=True, kw_only=True):
    """Who are you? `node` asks, `nonce` (32 hex digits) must come back; `instance` as in Answer."""

    version: int = CONTROL_VERSION
    node: Short
    nonce: Short
    instance: Short = ""


class Answer(msgspec.Struct, tag="answer", tag_field="type", frozen=True, kw_only=True):
    """The answer to a challenge: who this is, and proof per network that its key is held.

    `brokers`: where its broker takes others' connections, as a hosts file writes it. `instance` (16 hex digits, drawn
    at each start) and `uptime_ms` tell two daemons with one node id apart, and which of them is the younger.
    """

    version: int = CONTROL_VERSION
    nonce: Short
    node: Short
    name: Short
    start: Count
    daemon_version: Short
    proofs: dict[str, str]
    wall_ms: Time
    brokers: list[Short] = []
    instance: Short = ""
    uptime_ms: Time = 0


class Heartbeat(msgspec.Struct, tag="heartbeat", tag_field="type", frozen=True, kw_only=True):
    """Still here. (`start`, `sequence`) orders heartbeats; `echo_*` lets the receiver measure a round trip.

    `brokers`, `instance` and `uptime_ms` as in Answer; `gossip` as core.gossip, `taken`, `aged` and `heard` as
    core.replay.Position says, and `position_proof` proves (seal.position_proof): the system key is for more hosts than
    the mesh's. `watching`: the snoop networks that somebody watches there, by name, each with its dials
    (core.interest reads it: junk in it is no reason to miss a heartbeat); `snoop_remote`: what it lets others turn on
    there, the setting snoop.remote. `keys`: the key ids of each network that has keys of its own there, the one in use
    first; `takes_keys`: whether it takes those of a rotation, the setting keys.accept_remote.
    """

    version: int = CONTROL_VERSION
    node: Short
    name: Short
    start: Count
    sequence: Count
    daemon_version: Short
    wall_ms: Time
    sent_ms: Time
    echo_ms: Time | None = None
    echo_age_ms: Time = 0
    brokers: list[Short] = []
    instance: Short = ""
    uptime_ms: Time = 0
    gossip: list[Rumour] = []
    taken: Counter = 0
    aged: Counter = 0
    heard: Counter = 0
    position_proof: Short = ""
    watching: msgspec.Raw = NOTHING
    snoop_remote: str = "trace"
    keys: dict[str, list[Short]] = {}
    takes_keys: bool = False

    def __post_init__(self) -> None:
        """Refuse counters that no body has: those of 64 bits are too large for msgspec's own bounds."""
        if max(self.taken, self.aged, self.heard) > MAX_COUNTER:
            raise ValueError("a counter has at most 64 bits")


class Left(msgspec.Struct, tag="left", tag_field="type", frozen=True, kw_only=True):
    """This daemon stops in an orderly way."""

    version: int = CONTROL_VERSION
    node: Short
    start: Count
    sequence: Count


class Matching(msgspec.Struct, tag="matching", tag_field="type", frozen=True, kw_only=True):
    """How many mesh queues of your programs does `routing_key` match? `node` asks, `nonce` must come back."""

    version: int = CONTROL_VERSION
    node: Short
    nonce: Short
    routing_key: Annotated[str, msgspec.Meta(max_length=MAX_ROUTING_KEY_BYTES)]


class Matched(msgspec.Struct, tag="matched", tag_field="type", frozen=True, kw_only=True):
    """The answer of `node` to Matching."""

    version: int = CONTROL_VERSION
    node: Short
    nonce: Short
    queues: Count


class Recalling(msgspec.Struct, tag="recalling", tag_field="type", frozen=True, kw_only=True):
    """Have your programs send what they have to the host of `node`, who asks; `nonce` must come back.

    The rest as in mirosd_client.messages.Recall.
    """

    version: int = CONTROL_VERSION
    node: Short
    nonce: Short
    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    what: RecallWhat
    network: SnoopNetwork
    dial: Dial = Dial()
    since_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Recalled(msgspec.Struct, tag="recalled", tag_field="type", frozen=True, kw_only=True):
    """The answer of `node`, whose name is `name`, to Recalling: how many ends will come, or the code of why none will.

    None for no reason: the question's dial does not take this host.
    """

    version: int = CONTROL_VERSION
    node: Short
    nonce: Short
    sources: Count = 0
    refused: str = ""
    name: str = ""


class Offering(msgspec.Struct, tag="offering", tag_field="type", frozen=True, kw_only=True):
    """A new key of `network`, `wrapped` under its `old` one (seal.wrap_key, in hex); both by their key ids.

    `is_forced`: it is not to wait for who does not answer. Nobody answers this: heartbeats tell who took it.
    """

    version: int = CONTROL_VERSION
    node: Short
    network: str
    old: KeyId
    key: KeyId
    wrapped: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2}){44,64}$")]
    is_forced: bool = False


ControlMessage = Challenge | Answer | Heartbeat | Left | Matching | Matched | Recalling | Recalled | Offering

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ControlMessage)


def encode_control(message: ControlMessage) -> bytes:
    """Give the text of a message."""
    return _encoder.encode(message)


def decode_control(text: bytes) -> ControlMessage:
    """Read a message; RemoteProtocolError for anything else (`version` when it is of a later version)."""
    try:
        message: ControlMessage = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not a control message: {exc}") from exc
    if message.version != CONTROL_VERSION:
        raise RemoteProtocolError(
            f"a control message of version {message.version}; this daemon speaks {CONTROL_VERSION}", code="version"
        )
    return message
