"""Control messages: challenges that prove, answers that cannot be borrowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.control_messages import Challenge as ChallengeMessage
from mirosd.core.control_messages import Identity, SealedChallenger, decode_control, encode_control
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Opener, Sealer, system_key
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE
from tests.properties import TOTAL

MESH = b"m" * 32
TRACE = b"t" * 32


def challenger(
    node: str = "a" * 32,
    *,
    mesh: bytes = MESH,
    keys: dict[str, bytes] | None = None,
    system: bytes | None = None,
    wall: int = 0,
) -> SealedChallenger:
    """Give a challenger with the keys of one host."""
    key = system or system_key(mesh)
    drawn = iter(range(1000))
    sealer = Sealer(key, "default", "system", random=lambda n: node.encode()[:n], clock=lambda: 0.0)
    return SealedChallenger(
        Identity(node, f"host-{node[0]}", 1, "0.1.0"),
        Envelope("default", "system", sealer, Opener(key, "default", "system")),
        keys or {"mesh": mesh},
        nonce=lambda: f"{next(drawn):032x}",
        wall_ms=lambda: wall,
    )


def answer(asker: SealedChallenger, answerer: SealedChallenger) -> tuple[bytes, str]:
    """Let `answerer` answer a challenge of `asker`: (answer body, nonce)."""
    body, nonce = asker.challenge(None)
    message = decode_control(answerer._envelope.open(body, ANY_NODE))
    assert isinstance(message, ChallengeMessage)
    return answerer.answer(message), nonce


class TestProof:
    def test_a_member_is_proved(self) -> None:
        """An answer with the same keys introduces the other daemon and the networks it proved."""
        body, nonce = answer(challenger("a" * 32), challenger("b" * 32, wall=2500))
        introduction = challenger("a" * 32).judge(body, nonce)

        assert ("b" * 32, "host-b", ("mesh",), 2.5) == (
            introduction.node,
            introduction.name,
            introduction.networks,
            introduction.wall_ahead_s,
        )

    def test_another_key_does_not_open(self) -> None:
        """With another mesh key (so another system key) the answer is refused with code key."""
        body, nonce = answer(challenger("b" * 32, mesh=TRACE), challenger("b" * 32, mesh=TRACE))

        with pytest.raises(RemoteProtocolError) as caught:
            challenger("a" * 32).judge(body, nonce)
        assert "key" == caught.value.code

    def test_networks_are_proved_apart(self) -> None:
        """With a common system key only the networks whose keys are shared are proved; none is code key."""
        ours = challenger("a" * 32, system=b"s" * 32, keys={"mesh": MESH, "snoop_trace": TRACE})
        trace_only = challenger("b" * 32, system=b"s" * 32, keys={"mesh": b"x" * 32, "snoop_trace": TRACE})
        stranger = challenger("c" * 32, system=b"s" * 32, keys={"mesh": b"x" * 32})

        body, nonce = answer(ours, trace_only)
        assert ("snoop_trace",) == ours.judge(body, nonce).networks
        body, nonce = answer(ours, stranger)
        with pytest.raises(RemoteProtocolError) as caught:
            ours.judge(body, nonce)
        assert "key" == caught.value.code

    def test_a_recorded_answer_proves_nothing(self) -> None:
        """An answer to an earlier nonce is stale."""
        asker = challenger("a" * 32)
        recorded, _ = answer(asker, challenger("b" * 32))
        _, fresh = asker.challenge(None)

        with pytest.raises(RemoteProtocolError) as caught:
            asker.judge(recorded, fresh)
        assert "stale" == caught.value.code

    def test_our_own_answer_is_self(self) -> None:
        """A challenge that reached our own daemon says so."""
        body, nonce = answer(challenger("a" * 32), challenger("a" * 32))

        with pytest.raises(RemoteProtocolError) as caught:
            challenger("a" * 32).judge(body, nonce)
        assert "self" == caught.value.code


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
        """Junk and every cut message raise RemoteProtocolError."""
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
