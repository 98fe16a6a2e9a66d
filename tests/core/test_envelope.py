"""Sealed bodies: the documented vectors, and that any bytes give a value or the one error."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.envelope import HEADER_BYTES, Envelope, counter_of, key_id_of, node_tag_of
from mirosd.core.seal import (
    MAX_SESSION_S,
    NODE_TAG_BYTES,
    Keys,
    Opener,
    Sealer,
    _wrapping,
    derive,
    first_counter,
    key_id,
    length_prefixed,
    node_tag,
    start_of,
    system_key,
    unwrap_key,
    wrap_key,
)
from mirosd.errors import RemoteProtocolError
from mirosd_client.record import Record, decode_records, encode_record
from tests.properties import TOTAL

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
KEY = bytes(range(32))
NODE = "a" * 32


def vector(name: str = "### Test vector") -> dict[str, str]:
    """Read a test vector out of the protocol's document."""
    block = PROTOCOL.read_text().split(name)[1].split("```")[1]
    return dict(re.findall(r"^(\S.*?)\s{2,}(\S.*)$", block, re.MULTILINE))


def envelope(
    key: bytes = KEY, *, system: str = "default", network: str = "mesh", node: str = NODE, random: bytes = b"S" * 10
) -> Envelope:
    """Give an envelope whose sessions are all the same."""
    sealer = Sealer(Keys(key), system, network, node=node, random=lambda n: random[:n], clock=lambda: 0.0)
    return Envelope(system, network, sealer, Opener(Keys(key), system, network))


class TestVector:
    def test_keys_are_derived_as_documented(self) -> None:
        """Key id, system key and session key are those of the document."""
        v = vector()
        key = bytes.fromhex(v["network key"])
        info = b"mirosd 2 session" + length_prefixed(v["system"].encode(), v["network"].encode())

        assert v["key id"] == key_id(key).hex()
        assert v["system key"] == system_key(key).hex()
        assert v["node tag"] == node_tag(v["node"]).hex()
        assert v["session id"] == v["node tag"] + v["random"]
        assert v["session key"] == derive(key, salt=bytes.fromhex(v["session id"]), info=info).hex()

    def test_record_is_as_documented(self) -> None:
        """The record's fields give the document's bytes, and back."""
        record = Record(
            bytes(range(0x10, 0x20)), 1, 7, 0x0187D4F0C0000003, 12, "json", "Advance_War_Cry", b"", b'{"by":"archer"}'
        )

        assert vector()["record"] == encode_record(record).hex()
        assert [record] == list(decode_records(bytes.fromhex(vector()["record"])))

    def test_body_is_as_documented(self) -> None:
        """Sealing the document's record gives the document's body, and opening it gives the record."""
        v = vector()
        env = envelope(bytes.fromhex(v["network key"]), node=v["node"], random=bytes.fromhex(v["random"]))
        body = env.seal_records(bytes.fromhex(v["record"]), int(v["held ms"]), v["routing key"])

        assert v["body"] == body.hex()
        assert (5, bytes.fromhex(v["record"])) == env.open_records(body, v["routing key"])
        assert v["node tag"] == node_tag_of(body).hex()


class TestOpening:
    @pytest.mark.parametrize(
        ("other", "code"),
        [
            (envelope(b"k" * 32), "unknown_key"),
            (envelope(system="other"), "forged"),
            (envelope(network="snoop_trace"), "forged"),
        ],
        ids=["key", "system", "network"],
    )
    def test_foreign_bodies_stay_closed(self, other: Envelope, code: str) -> None:
        """A body opens only with the key, system and network it was sealed for."""
        body = envelope().seal_records(b"records", 0, "a.b")

        with pytest.raises(RemoteProtocolError) as caught:
            other.open_records(body, "a.b")
        assert code == caught.value.code

    def test_routing_key_is_bound(self) -> None:
        """A body moved to another routing key does not open."""
        body = envelope().seal_records(b"records", 0, "a.b")

        with pytest.raises(RemoteProtocolError) as caught:
            envelope().open_records(body, "a.c")
        assert "forged" == caught.value.code

    def test_other_version_is_named(self) -> None:
        """A body of a later version is told apart from junk."""
        body = envelope().seal_records(b"records", 0, "a.b")

        with pytest.raises(RemoteProtocolError) as caught:
            envelope().open(body[:2] + b"\x03" + body[3:], "a.b")
        assert "version" == caught.value.code

    def test_every_cut_and_every_flip_is_refused(self) -> None:
        """A body cut at any byte, or with any one byte changed, raises the one error."""
        env = envelope()
        body = env.seal_records(b"some records", 3, "a.b")
        for at in range(len(body)):
            with pytest.raises(RemoteProtocolError):
                env.open_records(body[:at], "a.b")
            with pytest.raises(RemoteProtocolError):
                env.open_records(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], "a.b")

    @TOTAL
    @given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"\xd5\x4d\x02" + key_id(KEY) + b)))
    def test_any_bytes_give_the_one_error(self, body: bytes) -> None:
        """Bytes that nobody sealed raise RemoteProtocolError and nothing else."""
        with pytest.raises(RemoteProtocolError):
            envelope().open_records(body, "a.b")

    @TOTAL
    @given(st.binary(min_size=1, max_size=300), st.integers(0, 2**40), st.text(max_size=40))
    def test_what_was_sealed_opens(self, records: bytes, held_ms: int, routing_key: str) -> None:
        """Every body opens to what was sealed."""
        env = envelope()

        assert (min(held_ms, 0xFFFFFFFF), records) == env.open_records(
            env.seal_records(records, held_ms, routing_key), routing_key
        )


class TestSessions:
    def test_no_nonce_is_used_twice(self) -> None:
        """Each body of a node has a counter of its own, and a session ends after an hour."""
        now, drawn = [0.0], iter(range(256))
        sealer = Sealer(
            Keys(KEY), "default", "mesh", node=NODE, random=lambda n: bytes([next(drawn)]) * n, clock=lambda: now[0]
        )
        env = Envelope("default", "mesh", sealer, Opener(Keys(KEY), "default", "mesh"))
        headers = [env.seal(b"x", "k")[:HEADER_BYTES] for _ in range(3)]
        now[0] = MAX_SESSION_S + 1
        headers += [env.seal(b"x", "k")[:HEADER_BYTES] for _ in range(2)]
        nonces = [(header[7:23], header[23:31]) for header in headers]

        assert 5 == len(set(nonces))
        assert [0, 1, 2, 3, 4] == [int.from_bytes(counter, "big") for _, counter in nonces]

    def test_counters_rise_through_sessions_and_starts(self) -> None:
        """All that a node seals on a network is in one order; a later start is beyond all of an earlier one."""

        def counters(start: int) -> list[int]:
            sealer = Sealer(Keys(KEY), "default", "mesh", node=NODE, start=start, random=os.urandom, clock=lambda: 0.0)
            env = Envelope("default", "mesh", sealer, Opener(Keys(KEY), "default", "mesh"))
            drawn = [counter_of(env.seal(b"x", "k"))]
            sealer.new_session()
            drawn.append(counter_of(env.seal(b"x", "k")))
            sealer.skip_to(start + 2)
            sealer.skip_to(start)
            return [*drawn, counter_of(env.seal(b"x", "k"))]

        first, again, skipped = counters(1)
        assert (first_counter(1), first + 1, first_counter(3)) == (first, again, skipped)
        assert [1, 1, 3] == [start_of(counter) for counter in (first, again, skipped)]
        assert counters(2)[0] > again + 2**39
        assert counters(2**60)[0] < 2**64

    def test_every_session_of_a_node_begins_with_its_tag_and_no_other_nodes_does(self) -> None:
        """The tag is the node's in each session it draws; the rest is drawn anew."""
        drawn = iter(range(256))
        options = {"node": NODE, "random": lambda n: bytes([next(drawn)]) * n, "clock": lambda: 0.0}
        sealer = Sealer(Keys(KEY), "default", "mesh", **options)
        sessions = [sealer.session]
        for _ in range(3):
            sealer.new_session()
            sessions.append(sealer.session)

        assert {node_tag(NODE)} == {session[:NODE_TAG_BYTES] for session in sessions}
        assert [bytes([number]) * 10 for number in range(4)] == [session[NODE_TAG_BYTES:] for session in sessions]
        assert node_tag("b" * 32) != node_tag(NODE)

    def test_of_each_node_two_sessions_are_kept(self) -> None:
        """The last two that opened something; of another node nothing goes, and older bodies open all the same."""
        opener = Opener(Keys(KEY), "default", "mesh")

        def envelope(node: str) -> Envelope:
            sealer = Sealer(Keys(KEY), "default", "mesh", node=node, start=1, random=os.urandom, clock=lambda: 0.0)
            return Envelope("default", "mesh", sealer, opener)

        one, other = envelope(NODE), envelope("b" * 32)
        bodies = [other.seal(b"x", "k")]
        for _ in range(5):
            bodies.append(one.seal(b"x", "k"))
            one.sealer.new_session()
        for body in (*bodies, *bodies):
            assert b"x" == one.open(body, "k")

        kept = list(opener._ciphers)
        assert 3 == len(kept)
        assert {body[7:23] + body[3:7] for body in (bodies[0], *bodies[-2:])} == set(kept)

    def test_forged_sessions_push_no_true_one_out(self) -> None:
        """Bodies that do not open leave nothing in the opener, however many session ids they name."""
        opener = Opener(Keys(KEY), "default", "mesh")
        env = Envelope(
            "default",
            "mesh",
            Sealer(Keys(KEY), "default", "mesh", node=NODE, random=lambda n: b"t" * n, clock=lambda: 0.0),
            opener,
        )
        body = env.seal(b"x", "k")
        for number in range(50):
            with pytest.raises(RemoteProtocolError):
                env.open(body[:7] + number.to_bytes(16, "big") + body[23:], "k")

        assert b"x" == env.open(body, "k")
        assert 1 == len(opener._ciphers)


OTHER_KEY = b"o" * 32


class TestSeveralKeys:
    def test_what_any_of_them_sealed_is_opened(self) -> None:
        """And what a key sealed that is retired, or was never one of them, is not."""
        keys = Keys(KEY, [OTHER_KEY])
        opener = envelope()
        opener._opener = Opener(keys, "default", "mesh")
        bodies = [envelope(key).seal(b"x", "k") for key in (KEY, OTHER_KEY)]

        assert [b"x", b"x"] == [opener.open(body, "k") for body in bodies]
        keys.change(OTHER_KEY)
        assert b"x" == opener.open(bodies[1], "k")
        with pytest.raises(RemoteProtocolError) as caught:
            opener.open(bodies[0], "k")
        assert "unknown_key" == caught.value.code

    def test_another_key_begins_a_session_and_the_counter_goes_on(self) -> None:
        """A body under the new key, in a session of its own, is the next of its node."""
        keys = Keys(KEY)
        drawn = iter(range(256))
        options: dict[str, Any] = {"node": NODE, "random": lambda n: bytes([next(drawn)]) * n, "clock": lambda: 0.0}
        sender = Envelope(
            "default", "mesh", Sealer(keys, "default", "mesh", **options), Opener(keys, "default", "mesh")
        )
        before = sender.seal(b"x", "k")
        keys.change(OTHER_KEY, [KEY])
        after = sender.seal(b"x", "k")

        assert [key_id(KEY).hex(), key_id(OTHER_KEY).hex()] == [key_id_of(body) for body in (before, after)]
        assert before[7:23] != after[7:23]
        assert counter_of(before) + 1 == counter_of(after)
        assert [b"x", b"x"] == [sender.open(body, "k") for body in (before, after)]

    def test_a_session_id_under_two_keys_is_two_sessions(self) -> None:
        """A member that gives a session the id of another's cannot have the other's bodies refused."""
        keys = Keys(KEY, [OTHER_KEY])
        opener = envelope()
        opener._opener = Opener(keys, "default", "mesh")
        bodies = [envelope(key).seal(b"x", "k") for key in (KEY, OTHER_KEY, KEY)]

        assert [b"x"] * 3 == [opener.open(body, "k") for body in bodies]


class TestWrappedKeys:
    def test_a_key_is_wrapped_as_documented(self) -> None:
        """Who implements the protocol anew wraps the same bytes."""
        v = vector("### Test vector of a wrapped key")
        old, new = bytes.fromhex(v["old key"]), bytes.fromhex(v["new key"])
        wrapped = wrap_key(new, old, v["system"], v["network"], random=lambda n: bytes.fromhex(v["nonce"])[:n])

        assert (v["new key id"], v["wrapped"]) == (key_id(new).hex(), wrapped.hex())
        assert new == unwrap_key(wrapped, old, v["system"], v["network"], key_id(new))

    @pytest.mark.parametrize("change", ["bytes", "old", "system", "network", "id", "short"])
    def test_what_was_changed_or_is_for_others_is_no_key(self, change: str) -> None:
        """Of another old key, system, network or id; cut off; or with one bit turned."""
        wrapped = wrap_key(OTHER_KEY, KEY, "default", "mesh", random=lambda n: b"r" * n)
        said = {"wrapped": wrapped, "old": KEY, "system": "default", "network": "mesh", "new_id": key_id(OTHER_KEY)}
        other = {
            "bytes": {"wrapped": wrapped[:-1] + bytes([wrapped[-1] ^ 1])},
            "old": {"old": OTHER_KEY},
            "system": {"system": "other"},
            "network": {"network": "snoop_trace"},
            "id": {"new_id": key_id(KEY)},
            "short": {"wrapped": wrapped[:5]},
        }[change]
        with pytest.raises(RemoteProtocolError) as caught:
            unwrap_key(**said | other)  # type: ignore[arg-type]
        assert "forged" == caught.value.code

    def test_a_key_under_the_id_of_another_is_none(self) -> None:
        """A member could else have each host use another key, all of one id."""
        cipher, bound = _wrapping(KEY, "default", "mesh", key_id(KEY))
        wrapped = b"n" * 12 + cipher.encrypt(b"n" * 12, OTHER_KEY, bound)
        with pytest.raises(RemoteProtocolError, match="another than its id says"):
            unwrap_key(wrapped, KEY, "default", "mesh", key_id(KEY))
