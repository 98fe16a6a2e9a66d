"""Sealed challenges: made, answered and judged. Who proves to be whom, with which keys; and who is our clone.

A daemon that answers with our own node id is this one (`self`), or one that runs on a copy of our state directory
(`clone`): two processes draw two instances. One of the two draws a new node id: the younger, so that the
one that the network has known for longer keeps its name. Only a sealed answer to a nonce of our own decides
that, since anything else may be a recording of ourselves before our last start.

A proof is of what the answer says of instance and brokers, too. Whoever has the system key alone may ask a member with
our nonce; what he is answered he can hand on as it is, and no more.
"""

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from mirosd.core.control_messages import ANSWER_KEY, Answer, Challenge, decode_control, encode_control
from mirosd.core.envelope import Envelope
from mirosd.core.gossip import one_spelling
from mirosd.core.seal import Keys, membership_proof
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, NETWORK_NAMES, node_routing_key
from mirosd.payloads import Introduction
from mirosd_client.wire import Network

MESH = NETWORK_NAMES[Network.MESH]

SAME_AGE_MS = 5000
"""Uptimes this close count as equal: a control message may be 3 s old when it is read."""


class Identity(msgspec.Struct, frozen=True):
    """What a daemon says of itself in answers and heartbeats. `instance`: 16 hex digits, drawn at each start."""

    node: str
    name: str
    start: int
    daemon_version: str
    instance: str = ""


class Retort(NamedTuple):
    """An answer to a challenge that came by reply queue: what to publish to the control exchange, and with what key."""

    routing_key: str
    body: bytes
    nonce: str


def is_younger(uptime_ms: int, instance: str, other_uptime_ms: int, other_instance: str) -> bool:
    """Say whether the first of two daemons with one node id is the one to draw a new one."""
    if abs(uptime_ms - other_uptime_ms) > SAME_AGE_MS:
        return uptime_ms < other_uptime_ms
    return instance > other_instance


class SealedChallenger:
    """Makes and judges sealed challenges, and answers those of others (interfaces.Challenger). Thread: loop.

    Args:
        keys: network name -> its keys, of the networks this host is a member of.
        nonce: draws 32 hex digits.
        wall_ms: the wall clock in ms; only for noticing clocks that differ.
        brokers: gives where our own broker takes others' connections, as a hosts file writes it.
        uptime_ms: gives for how long this daemon has run.
        on_proved: called with a nonce of ours and the brokers that its sealed answer names.
        on_clone: called with what to tell people when a clone has answered and we are the younger.
    """

    def __init__(
        self,
        identity: Identity,
        envelope: Envelope,
        keys: Mapping[str, Keys],
        *,
        nonce: Callable[[], str],
        wall_ms: Callable[[], int],
        brokers: Callable[[], Sequence[str]] = tuple,
        uptime_ms: Callable[[], int] = lambda: 0,
        on_proved: Callable[[str, Sequence[str]], None] = lambda _nonce, _brokers: None,
        on_clone: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self.identity, self.nonce = identity, nonce
        self.brokers, self.uptime_ms = brokers, uptime_ms
        self._envelope, self._keys = envelope, keys
        self._wall_ms = wall_ms
        self._on_proved, self._on_clone = on_proved, on_clone

    def challenge(self, node: str | None) -> tuple[bytes, str]:
        """Give (sealed challenge, its nonce); `node` None asks whoever is behind the broker."""
        nonce = self.nonce()
        routing_key = node_routing_key(node) if node else ANY_NODE
        message = Challenge(node=self.identity.node, nonce=nonce, instance=self.identity.instance)
        return self._envelope.seal(encode_control(message), routing_key), nonce

    def answer(self, challenge: Challenge, routing_key: str = ANSWER_KEY) -> bytes:
        """Give our answer, sealed for `routing_key`."""
        me, brokers = self.identity, list(self.brokers())
        proofs = {
            network: membership_proof(keys.in_use, network, challenge.nonce, me.node, me.instance, *brokers)
            for network, keys in self._keys.items()
        }
        answer = Answer(
            nonce=challenge.nonce,
            node=me.node,
            name=me.name,
            start=me.start,
            daemon_version=me.daemon_version,
            proofs=proofs,
            wall_ms=self._wall_ms(),
            brokers=brokers,
            instance=me.instance,
            uptime_ms=self.uptime_ms(),
        )
        return self._envelope.seal(encode_control(answer), routing_key)

    def retort(self, body: bytes) -> Retort | None:
        """Give our answer to a challenge that came by reply queue; None when the body is none to us."""
        try:
            message = decode_control(self._envelope.open(body, node_routing_key(self.identity.node)))
        except RemoteProtocolError:
            return None
        if not isinstance(message, Challenge):
            return None
        routing_key = node_routing_key(message.node)
        return Retort(routing_key, self.answer(message, routing_key), message.nonce)

    def is_clone(self, node: str, instance: str) -> bool:
        """Say whether a message of `node` seems to be a clone's: reason to challenge it, and no more."""
        return node == self.identity.node and instance not in ("", self.identity.instance)

    def judge(self, body: bytes, nonce: str, _reply_key: str = "") -> Introduction:
        """Give who answered by reply queue (interfaces.Challenger)."""
        return self.judge_at(ANSWER_KEY, body, nonce)

    def judge_at(self, routing_key: str, body: bytes, nonce: str) -> Introduction:
        """Give who sealed an answer to `nonce` for `routing_key`.

        Raises:
            RemoteProtocolError: `key`, `version`, `self`, `clone` or `stale` (interfaces.Challenger).
        """
        try:
            message = decode_control(self._envelope.open(body, routing_key))
        except RemoteProtocolError as exc:
            code = "version" if exc.code == "version" else "key"
            raise RemoteProtocolError(str(exc), code=code) from exc
        if not isinstance(message, Answer) or message.nonce != nonce:
            raise RemoteProtocolError("an answer to another challenge", code="stale")
        proved = tuple(
            sorted(
                network
                for network, keys in self._keys.items()
                if any(
                    hmac.compare_digest(
                        message.proofs.get(network, "").encode(),
                        membership_proof(
                            key, network, nonce, message.node, message.instance, *message.brokers
                        ).encode(),
                    )
                    for key in keys
                )
            )
        )
        if message.node == self.identity.node:
            raise self._own_id(message, proved)
        if not proved:
            raise RemoteProtocolError(f"{message.name} holds none of our network keys", code="key")
        brokers = one_spelling(message.brokers)
        self._on_proved(nonce, brokers)
        return Introduction(
            node=message.node,
            name=message.name,
            start=message.start,
            version=message.daemon_version,
            networks=proved,
            wall_ahead_s=(message.wall_ms - self._wall_ms()) / 1000,
            brokers=brokers,
        )

    def _own_id(self, answer: Answer, proved: Collection[str]) -> RemoteProtocolError:
        """Give the error of an answer with our own node id, and settle which of two clones gives it up."""
        me = self.identity
        if not self.is_clone(answer.node, answer.instance):
            return RemoteProtocolError("this address is our own daemon", code="self")
        if MESH in self._keys and MESH not in proved:  # a copy of our state directory lies beside copies of our keys
            return RemoteProtocolError(f"{answer.name!r} has our node id, and not our mesh key", code="key")
        mine_ms, other_ms = self.uptime_ms(), answer.uptime_ms
        text = f"{answer.name!r} runs on a copy of this host's state directory, up for {other_ms / 1000:.1f} s"
        if is_younger(mine_ms, me.instance, other_ms, answer.instance):
            self._on_clone(f"{text}, and this one for {mine_ms / 1000:.1f} s")
            return RemoteProtocolError(f"{text}; this host draws a new node id", code="clone")
        return RemoteProtocolError(f"{text}; it is about to draw a new node id", code="clone")
