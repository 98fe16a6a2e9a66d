"""Control messages: bounded, and understood by older and later daemons."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.control_messages import Answer, Heartbeat, decode_control, encode_control
from mirosd.core.control_messages import Challenge as ChallengeMessage
from mirosd.core.gossip import Rumour
from mirosd.errors import RemoteProtocolError
from tests.properties import TOTAL

OLD_BEAT = {
    "type": "heartbeat",
    "version": 1,
    "node": "n",
    "name": "x",
    "start": 1,
    "sequence": 2,
    "daemon_version": "0.1.0",
    "wall_ms": 3,
    "sent_ms": 4,
}


class TestDecoding:
    def test_a_later_version_is_named(self) -> None:
        """A message of another version is told apart from junk."""
        text = encode_control(ChallengeMessage(version=9, node="n", nonce="0"))

        with pytest.raises(RemoteProtocolError) as caught:
            decode_control(text)
        assert "version" == caught.value.code

    @TOTAL
    @given(
        st.one_of(
            st.binary(max_size=100),
            st.sampled_from([encode_control(ChallengeMessage(node="n", nonce="0"))]).flatmap(
                lambda t: st.integers(0, len(t) - 1).map(lambda at: t[:at])
            ),
        )
    )
    def test_any_bytes_give_the_one_error(self, text: bytes) -> None:
        """Junk and every cut message raise RemoteProtocolError (D5)."""
        with pytest.raises(RemoteProtocolError):
            decode_control(text)

    @pytest.mark.parametrize(
        "text",
        [
            b'{"type": "matching", "node": "n", "nonce": "0", "routing_key": "' + b"k" * 256 + b'"}',
            b'{"type": "matching", "node": "n", "nonce": "0"}',
            b'{"type": "matched", "node": "n", "nonce": "0", "queues": -1}',
        ],
    )
    def test_questions_about_keys_are_bounded(self, text: bytes) -> None:
        """No key is longer than AMQP carries, and nobody has fewer queues than none."""
        with pytest.raises(RemoteProtocolError):
            decode_control(text)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("start", -1),
            ("sequence", 2**63),
            ("wall_ms", 10**400),
            ("sent_ms", -(10**400)),
            ("echo_ms", 10**400),
            ("uptime_ms", 2**63),
            ("taken", 2**64),
            ("heard", 2**104),
            ("aged", -1),
            ("node", "n" * 257),
            ("name", "n" * 257),
            ("keys", {"mesh": ["k" * 257]}),
        ],
    )
    def test_what_is_reckoned_with_and_kept_is_bounded(self, field: str, value: object) -> None:
        """Numbers that have no float, counters that no body has, names that nobody has."""
        with pytest.raises(RemoteProtocolError):
            decode_control(json.dumps(OLD_BEAT | {field: value}).encode())
        assert decode_control(json.dumps(OLD_BEAT | {"heard": 2**64 - 1, "wall_ms": -(2**62)}).encode())


class TestOtherVersions:
    def test_a_daemon_that_says_less_is_understood(self) -> None:
        """A heartbeat or challenge without the later fields has their defaults."""
        beat = decode_control(json.dumps(OLD_BEAT).encode())
        challenge = decode_control(b'{"type": "challenge", "version": 1, "node": "n", "nonce": "0"}')

        assert isinstance(beat, Heartbeat)
        assert ([], "", 0, []) == (beat.brokers, beat.instance, beat.uptime_ms, beat.gossip)
        assert ChallengeMessage(node="n", nonce="0", instance="") == challenge

    def test_a_daemon_that_says_more_is_understood(self) -> None:
        """Fields that we do not know are skipped, inside gossip too."""
        text = OLD_BEAT | {"mood": "fine", "gossip": [{"node": "m", "brokers": ["h"], "since": 1}]}
        beat = decode_control(json.dumps(text).encode())

        assert isinstance(beat, Heartbeat)
        assert [Rumour("m", ("h",))] == beat.gossip

    def test_what_is_said_comes_back(self) -> None:
        """Every later field travels."""
        answer = Answer(
            nonce="0",
            node="n",
            name="x",
            start=1,
            daemon_version="1",
            proofs={"mesh": "p"},
            wall_ms=1,
            brokers=["h:5672"],
            instance="ab",
            uptime_ms=7,
        )

        assert answer == decode_control(encode_control(answer))
