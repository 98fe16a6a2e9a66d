"""What daemons say to each other on the control exchange, sealed with the system key.

A Challenge asks whoever holds the system key to answer with its nonce; the Answer
introduces the daemon and proves, network by network, which keys it holds. A
Heartbeat says "still here" to one peer; Left says that this was the last. Matching
asks one peer whom a routing key would reach there; Matched says so.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec

from mirosd.core.envelope import Envelope
from mirosd.core.seal import membership_proof
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, node_routing_key
from mirosd.payloads import Introduction
from mirosd_client.limits import MAX_ROUTING_KEY_BYTES

CONTROL_VERSION = 1
"""Version of these messages. A daemon answers what it understands and names its own version."""

ANSWER_KEY = "answer"
"""Routing key that answers are sealed for: they travel by reply queue, which has no key of its own."""


class Challenge(msgspec.Struct, tag="challenge", tag_field="type", frozen=True, kw_only=True):
    """Who are you? `node` asks, `nonce` (32 hex digits) must come back."""

    version: int = CONTROL_VERSION
    node: str
    nonce: str


class Answer(msgspec.Struct, tag="answer", tag_field="type", frozen=True, kw_only=True):
    """The answer to a challenge: who this is, and proof per network that its key is held."""

    version: int = CONTROL_VERSION
    nonce: str
    node: str
    name: str
    start: int
    daemon_version: str
    proofs: dict[str, str]
    wall_ms: int
    brokers: list[str] = []


class Heartbeat(msgspec.Struct, tag="heartbeat", tag_field="type", frozen=True, kw_only=True):
    """Still here. (`start`, `sequence`) orders heartbeats; `echo_*` lets the receiver measure a round trip."""

    version: int = CONTROL_VERSION
    node: str
    name: str
    start: int
    sequence: int
    daemon_version: str
    wall_ms: int
    sent_ms: int
    echo_ms: int | None = None
    echo_age_ms: int = 0


class Left(msgspec.Struct, tag="left", tag_field="type", frozen=True, kw_only=True):
    """This daemon stops in an orderly way."""

    version: int = CONTROL_VERSION
    node: str
    start: int
    sequence: int


class Matching(msgspec.Struct, tag="matching", tag_field="type", frozen=True, kw_only=True):
    """How many mesh queues of your programs does `routing_key` match? `node` asks, `nonce` must come back."""

    version: int = CONTROL_VERSION
    node: str
    nonce: str
    routing_key: Annotated[str, msgspec.Meta(max_length=MAX_ROUTING_KEY_BYTES)]


class Matched(msgspec.Struct, tag="matched", tag_field="type", frozen=True, kw_only=True):
    """The answer of `node` to Matching."""

    version: int = CONTROL_VERSION
    node: str
    nonce: str
    queues: Annotated[int, msgspec.Meta(ge=0)]


ControlMessage = Challenge | Answer | Heartbeat | Left | Matching | Matched

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


class Identity(msgspec.Struct, frozen=True):
    """What a daemon says of itself in answers and heartbeats."""

    node: str
    name: str
    start: int
    daemon_version: str
    brokers: tuple[str, ...] = ()


class SealedChallenger:
    """Makes and judges sealed challenges, and answers those of others (interfaces.Challenger).

    Args:
        keys: network name -> key, of the networks this host is a member of.
        nonce: draws 32 hex digits.
        wall_ms: the wall clock in ms; only for noticing clocks that differ.
    """

    def __init__(
        self,
        identity: Identity,
        envelope: Envelope,
        keys: Mapping[str, bytes],
        *,
        nonce: Callable[[], str],
        wall_ms: Callable[[], int],
    ) -> None:
        self.identity, self.nonce = identity, nonce
        self._envelope, self._keys = envelope, keys
        self._wall_ms = wall_ms

    def challenge(self, node: str | None) -> tuple[bytes, str]:
        """Give (sealed challenge, its nonce); `node` None asks whoever is behind the broker."""
        nonce = self.nonce()
        routing_key = node_routing_key(node) if node else ANY_NODE
        text = encode_control(Challenge(node=self.identity.node, nonce=nonce))
        return self._envelope.seal(text, routing_key), nonce

    def answer(self, challenge: Challenge) -> bytes:
        """Give our sealed answer."""
        me = self.identity
        proofs = {
            network: membership_proof(key, network, challenge.nonce, me.node) for network, key in self._keys.items()
        }
        answer = Answer(
            nonce=challenge.nonce,
            node=me.node,
            name=me.name,
            start=me.start,
            daemon_version=me.daemon_version,
            proofs=proofs,
            wall_ms=self._wall_ms(),
            brokers=list(me.brokers),
        )
        return self._envelope.seal(encode_control(answer), ANSWER_KEY)

    def judge(self, body: bytes, nonce: str, routing_key: str = ANSWER_KEY) -> Introduction:
        """Give who answered; RemoteProtocolError `key`, `version`, `self` or `stale` (interfaces.Challenger)."""
        try:
            message = decode_control(self._envelope.open(body, ANSWER_KEY))
        except RemoteProtocolError as exc:
            code = "version" if exc.code == "version" else "key"
            raise RemoteProtocolError(str(exc), code=code) from exc
        if not isinstance(message, Answer) or message.nonce != nonce:
            raise RemoteProtocolError("an answer to another challenge", code="stale")
        if message.node == self.identity.node:
            raise RemoteProtocolError("this address is our own daemon", code="self")
        proved = tuple(
            sorted(
                network
                for network, key in self._keys.items()
                if hmac.compare_digest(
                    message.proofs.get(network, "").encode(),
                    membership_proof(key, network, nonce, message.node).encode(),
                )
            )
        )
        if not proved:
            raise RemoteProtocolError(f"{message.name} holds none of our network keys", code="key")
        return Introduction(
            node=message.node,
            name=message.name,
            start=message.start,
            version=message.daemon_version,
            networks=proved,
            wall_ahead_s=(message.wall_ms - self._wall_ms()) / 1000,
        )
