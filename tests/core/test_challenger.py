"""Challenges: that prove, answers that cannot be borrowed, and clones told from ourselves."""

from typing import Any

import pytest
from msgspec.structs import replace

from mirosd.core.challenger import SAME_AGE_MS, Identity, SealedChallenger, is_younger
from mirosd.core.control_messages import ANSWER_KEY, decode_control, encode_control
from mirosd.core.control_messages import Challenge as ChallengeMessage
from mirosd.core.envelope import Envelope
from mirosd.core.seal import Keys, Opener, Sealer, system_key
from mirosd.errors import RemoteProtocolError
from mirosd.names import ANY_NODE, node_routing_key

MESH = b"m" * 32
TRACE = b"t" * 32


def challenger(
    node: str = "a" * 32,
    *,
    mesh: bytes = MESH,
    keys: dict[str, bytes] | None = None,
    system: bytes | None = None,
    wall: int = 0,
    instance: str = "",
    **more: Any,
) -> SealedChallenger:
    """Give a challenger with the keys of one host."""
    key = system or system_key(mesh)
    drawn = iter(range(1000))
    sealer = Sealer(Keys(key), "default", "system", node=node, random=lambda n: node.encode()[:n], clock=lambda: 0.0)
    return SealedChallenger(
        Identity(node, f"host-{node[0]}", 1, "0.1.0", instance),
        Envelope("default", "system", sealer, Opener(Keys(key), "default", "system")),
        {network: Keys(key) for network, key in (keys or {"mesh": mesh}).items()},
        nonce=lambda: f"{next(drawn):032x}",
        wall_ms=lambda: wall,
        **more,
    )


def answer(asker: SealedChallenger, answerer: SealedChallenger) -> tuple[bytes, str]:
    """Let `answerer` answer a challenge of `asker`: (answer body, nonce)."""
    body, nonce = asker.challenge(None)
    message = decode_control(answerer._envelope.open(body, ANY_NODE))
    assert isinstance(message, ChallengeMessage)
    return answerer.answer(message), nonce


def altered(body: bytes, system: bytes, **fields: Any) -> bytes:
    """Give an answer as somebody hands it on who has the system key alone."""
    envelope = challenger("f" * 32, system=system)._envelope
    said = decode_control(envelope.open(body, ANSWER_KEY))
    return envelope.seal(encode_control(replace(said, **fields)), ANSWER_KEY)


class TestProof:
    def test_a_proof_is_of_what_the_answer_says(self) -> None:
        """Who hands on what a member has answered, with another broker or instance in it, has proved nothing."""
        system = b"s" * 32
        ours, theirs = challenger(system=system), challenger("b" * 32, system=system, brokers=lambda: ("h2:5672",))
        body, nonce = answer(ours, theirs)
        assert ("h2:5672",) == ours.judge(altered(body, system, name="?"), nonce).brokers
        for fields in ({"brokers": ["evil:5672"]}, {"brokers": []}, {"instance": "2" * 16}):
            with pytest.raises(RemoteProtocolError, match="holds none of our network keys"):
                ours.judge(altered(body, system, **fields), nonce)

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
        """An answer to an earlier nonce is stale (D5)."""
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

    def test_the_brokers_of_a_proved_answer_are_told(self) -> None:
        """A sealed answer to our nonce names brokers, in one spelling; one that proves nothing names none."""
        told: list[Any] = []
        ours = challenger("a" * 32, on_proved=lambda nonce, brokers: told.append((nonce, tuple(brokers))))
        body, nonce = answer(ours, challenger("b" * 32, brokers=lambda: ["H", "10.0.0.7:5673", "no host"]))
        introduction = ours.judge(body, nonce)
        stranger, other = answer(ours, challenger("c" * 32, keys={"mesh": TRACE}, system=system_key(MESH)))
        for not_proved, asked in ((stranger, other), (body, other)):
            with pytest.raises(RemoteProtocolError):
                ours.judge(not_proved, asked)

        assert ("h:5672", "10.0.0.7:5673") == introduction.brokers
        assert [(nonce, ("h:5672", "10.0.0.7:5673"))] == told


class TestRetort:
    def test_a_challenge_by_reply_queue_is_answered_to_the_askers_node(self) -> None:
        """The answer is sealed for the asker's control queue, and opens nowhere else."""
        asker, asked = challenger("a" * 32), challenger("b" * 32)
        body, nonce = asker.challenge("b" * 32)
        retort = asked.retort(body)

        assert retort is not None
        assert (node_routing_key("a" * 32), nonce) == (retort.routing_key, retort.nonce)
        assert "b" * 32 == asker.judge_at(node_routing_key("a" * 32), retort.body, nonce).node
        with pytest.raises(RemoteProtocolError):
            asker.judge(retort.body, nonce)

    def test_everything_else_is_left_alone(self) -> None:
        """Answers, challenges to others, and junk are no challenge to us."""
        asker, asked = challenger("a" * 32), challenger("b" * 32)
        theirs, _ = asker.challenge("c" * 32)
        an_answer, _ = answer(asker, asked)
        stranger, _ = challenger("a" * 32, mesh=TRACE).challenge("b" * 32)

        for body in (b"", b"junk", theirs, an_answer, stranger):
            assert asked.retort(body) is None


class TestClones:
    @pytest.mark.parametrize(
        ("ours", "theirs", "is_ours_younger"),
        [
            ((10_000, "b"), (20_000, "a"), True),
            ((20_000, "a"), (10_000, "b"), False),
            ((10_000, "a"), (10_000 + SAME_AGE_MS, "b"), False),
            ((10_000 + SAME_AGE_MS, "b"), (10_000, "a"), True),
            ((10_000, "b"), (10_000 + SAME_AGE_MS + 1, "c"), True),
        ],
    )
    def test_one_of_two_gives_its_id_up(
        self, ours: tuple[int, str], theirs: tuple[int, str], is_ours_younger: bool
    ) -> None:
        """The one that has run for less; of the same age, the one with the greater instance. Both say the same."""
        assert is_ours_younger is is_younger(*ours, *theirs)
        assert is_ours_younger is not is_younger(*theirs, *ours)

    @pytest.mark.parametrize(("uptime_ms", "renewals"), [(1000, 1), (100_000, 0)])
    def test_a_clone_is_told_from_ourselves(self, uptime_ms: int, renewals: int) -> None:
        """Our own id from another instance is code clone; the younger side is told to draw a new id, and why."""
        whys: list[str] = []
        ours = challenger(instance="1" * 16, uptime_ms=lambda: uptime_ms, on_clone=whys.append)
        body, nonce = answer(ours, challenger(instance="2" * 16, uptime_ms=lambda: 50_000))
        with pytest.raises(RemoteProtocolError) as caught:
            ours.judge(body, nonce)

        assert "clone" == caught.value.code
        assert renewals == len(whys)
        assert all("50.0 s" in why and "1.0 s" in why for why in whys)

    @pytest.mark.parametrize("instance", ["1" * 16, ""])
    def test_ourselves_are_no_clone(self, instance: str) -> None:
        """Our own instance is self, and so is a daemon that does not say which it is."""
        whys: list[str] = []
        ours = challenger(instance="1" * 16, on_clone=whys.append)
        body, nonce = answer(ours, challenger(instance=instance))
        with pytest.raises(RemoteProtocolError) as caught:
            ours.judge(body, nonce)

        assert ("self", []) == (caught.value.code, whys)
        assert [True, False, False] == [
            ours.is_clone("a" * 32, "2" * 16),
            ours.is_clone("a" * 32, instance),
            ours.is_clone("b" * 32, "2" * 16),
        ]

    @pytest.mark.parametrize("key", [TRACE, MESH])
    def test_who_has_not_the_mesh_key_takes_no_node_id_away(self, key: bytes) -> None:
        """Hosts that see traces alone have the system key: they answer in our name, or hand on what we answered."""
        whys: list[str] = []
        keys, system = {"mesh": MESH, "snoop_trace": TRACE}, b"s" * 32
        ours = challenger(keys=keys, system=system, instance="1" * 16, on_clone=whys.append)
        body, nonce = answer(ours, challenger(keys={"snoop_trace": TRACE, "mesh": key}, system=system))
        with pytest.raises(RemoteProtocolError) as caught:
            ours.judge(altered(body, system, instance="2" * 16, uptime_ms=50_000), nonce)

        assert ("key", []) == (caught.value.code, whys)

    def test_a_recording_of_a_clone_decides_nothing(self) -> None:
        """What was answered to another nonce, by ourselves before our last start perhaps, is stale."""
        whys: list[str] = []
        ours = challenger(instance="1" * 16, on_clone=whys.append)
        recorded, _ = answer(ours, challenger(instance="2" * 16, uptime_ms=lambda: 50_000))
        _, fresh = ours.challenge(None)
        with pytest.raises(RemoteProtocolError) as caught:
            ours.judge(recorded, fresh)

        assert ("stale", []) == (caught.value.code, whys)


class TestSeveralKeys:
    def test_a_proof_by_any_of_ours_counts(self) -> None:
        """Who has not changed to the new key yet is a member; who has no key of ours is not."""
        old, new = b"o" * 32, b"n" * 32

        def with_keys(node: str, *keys: bytes) -> SealedChallenger:
            made = challenger(node, mesh=MESH)
            made._keys = {"mesh": Keys(keys[0], keys[1:])}
            return made

        ahead = with_keys("a" * 32, new, old)
        for behind, networks in ((with_keys("b" * 32, old, new), ("mesh",)), (with_keys("b" * 32, old), ("mesh",))):
            body, nonce = answer(ahead, behind)
            assert networks == ahead.judge(body, nonce).networks
        body, nonce = answer(ahead, with_keys("b" * 32, MESH))
        with pytest.raises(RemoteProtocolError, match="holds none of our network keys"):
            ahead.judge(body, nonce)
