"""The LAN probe: the documented vectors, what stays closed, and the filter that lets it through."""

import os
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.probe import MAGIC, PROBE_BYTES, Datagram, Instruction, Kind, ProbeSeal, filter_program, nonce_of
from mirosd.core.seal import Keys, derive, key_id
from mirosd.errors import RemoteProtocolError
from tests.properties import TOTAL

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
KEY = bytes(range(32))
PROBE = Datagram(
    Kind.PROBE, b"12345678", "ab" * 16, "cd" * 8, IPv4Address("10.0.0.7"), IPv6Address("fd00::1"), 5672, wall_ms=7
)


def seal(key: bytes = KEY, system: str = "default", nonce: bytes = b"") -> ProbeSeal:
    """Give a seal; its nonces are all `nonce`, or random."""
    return ProbeSeal(Keys(key), system, random=lambda n: nonce or os.urandom(n))


def code_of(data: bytes, opener: ProbeSeal) -> str:
    """Give the code of the error that opening ends with."""
    with pytest.raises(RemoteProtocolError) as caught:
        opener.open(data)
    return caught.value.code


class TestVector:
    @pytest.mark.parametrize("name", ["probe", "answer"])
    def test_datagrams_are_as_documented(self, name: str) -> None:
        """Sealing what the document says gives its bytes, and opening them gives it back."""
        block = PROTOCOL.read_text().split("## 5. LAN probe")[1].split("```")[1]
        v = dict(re.findall(r"^(\S.*?)\s{2,}(\S.*)$", block, re.MULTILINE))
        made = seal(bytes.fromhex(v["system key"]), v["system"], bytes.fromhex(v[f"{name} nonce"]))
        broker, port = v[f"{name} broker"].split()
        datagram = Datagram(
            Kind[name.upper()],
            bytes.fromhex(v["challenge"]),
            v[f"{name} node"],
            v[f"{name} instance"],
            None if v[f"{name} target"] == "all" else ip_address(v[f"{name} target"]),
            ip_address(broker),
            int(port),
            wall_ms=int(v[f"{name} time"]),
        )
        key = derive(bytes.fromhex(v["system key"]), salt=b"", info=b"mirosd 2 probe")

        assert (v["key"], v["key id"]) == (key.hex(), key_id(key).hex())
        assert v[name] == made.seal(datagram).hex()
        assert datagram == made.open(bytes.fromhex(v[name]))


class TestOpening:
    @pytest.mark.parametrize(
        ("other", "code"), [(seal(b"k" * 32), "unknown_key"), (seal(system="other"), "forged")], ids=["key", "system"]
    )
    def test_foreign_datagrams_stay_closed(self, other: ProbeSeal, code: str) -> None:
        """A datagram opens only with the key and the system it was sealed for."""
        assert code == code_of(other.seal(PROBE), seal())

    def test_another_version_stays_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a later version means by the same bytes is unknown."""
        monkeypatch.setattr("mirosd.core.probe.VERSION", 3)

        later = seal().seal(PROBE)

        monkeypatch.undo()
        assert "forged" == code_of(later, seal())

    def test_every_cut_and_every_flip_is_refused(self) -> None:
        """A datagram cut or lengthened, or with any one byte changed, raises the one error."""
        opener = seal()
        data = opener.seal(PROBE)
        for at in range(len(data)):
            code_of(data[:at], opener)
            code_of(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], opener)
        assert "malformed" == code_of(data + b"\0", opener)

    def test_an_unknown_kind_is_refused(self) -> None:
        """A member may send what this version does not know."""
        opener = seal()

        assert "malformed" == code_of(opener.seal(PROBE._replace(kind=9)), opener)  # type: ignore[arg-type]

    @TOTAL
    @given(
        st.one_of(
            st.binary(max_size=200),
            st.binary(min_size=112, max_size=112).map(lambda b: MAGIC + b"\1" + bytes(7) + seal().key_ids[0] + b),
        )
    )
    def test_any_bytes_give_the_one_error(self, data: bytes) -> None:
        """Bytes that nobody sealed raise RemoteProtocolError and nothing else."""
        code_of(data, seal())

    @TOTAL
    @given(
        st.builds(
            Datagram,
            st.sampled_from(Kind),
            st.binary(min_size=8, max_size=8),
            st.binary(min_size=16, max_size=16).map(bytes.hex),
            st.binary(min_size=8, max_size=8).map(bytes.hex),
            st.one_of(st.none(), st.ip_addresses().filter(lambda a: a != IPv6Address("::") and not _is_mapped(a))),
            st.one_of(st.none(), st.ip_addresses().filter(lambda a: a != IPv6Address("::") and not _is_mapped(a))),
            st.integers(0, 65535),
            st.booleans(),
            st.integers(0, 2**64 - 1),
        )
    )
    def test_what_was_sealed_opens(self, datagram: Datagram) -> None:
        """Every datagram has one size, and opens to what was sealed."""
        data = SEAL.seal(datagram)

        assert PROBE_BYTES == len(data)
        assert datagram == SEAL.open(data)

    def test_no_two_datagrams_have_one_nonce(self) -> None:
        """The nonce is drawn for each, so the same thing said again is other bytes."""
        made = seal()
        nonces = {nonce_of(made.seal(PROBE)) for _ in range(100)}

        assert 100 == len(nonces)
        assert {12} == {len(nonce) for nonce in nonces}


SEAL = seal()


def _is_mapped(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def run(program: tuple[Instruction, ...], datagram: bytes) -> int:
    """Run a filter as the kernel does on a UDP datagram; give how many bytes it lets through."""
    packet = bytes(8) + datagram  # the UDP header is before it
    accumulator = at = 0
    while True:
        code, jump_true, jump_false, k = program[at]
        at += 1
        if code == 0x80:
            accumulator = len(packet)
        elif code == 0x20:
            if k + 4 > len(packet):
                return 0
            accumulator = int.from_bytes(packet[k : k + 4])
        elif code == 0x15:
            at += jump_true if accumulator == k else jump_false
        else:
            assert code == 0x06
            return k


KEYS = (b"one!", b"two!", b"3key")


def datagram_for(key: bytes, *, size: int = PROBE_BYTES, magic: bytes = MAGIC) -> bytes:
    """Give a datagram as far as a filter looks."""
    return (magic + bytes(8) + key + bytes(size))[:size]


class TestFilter:
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_ours_pass(self, count: int) -> None:
        """A datagram sealed with any key of the ring is let through whole."""
        program = filter_program(KEYS[:count])

        assert all(run(program, datagram_for(key)) >= PROBE_BYTES for key in KEYS[:count])

    @pytest.mark.parametrize("count", [1, 2, 3])
    @pytest.mark.parametrize(
        "junk",
        [
            datagram_for(b"none"),
            datagram_for(b"one!", magic=b"junk"),
            datagram_for(b"one!", size=PROBE_BYTES - 1),
            datagram_for(b"one!", size=PROBE_BYTES + 1),
            b"",
        ],
        ids=["key", "magic", "short", "long", "empty"],
    )
    def test_junk_does_not(self, count: int, junk: bytes) -> None:
        """A wrong key, magic or size is dropped, whatever else is right."""
        assert 0 == run(filter_program(KEYS[:count]), junk)

    def test_real_datagrams_pass(self) -> None:
        """What a seal makes is what its filter knows."""
        made = seal()

        assert run(filter_program(made.key_ids), made.seal(PROBE)) >= PROBE_BYTES
        assert 0 == run(filter_program([seal(b"k" * 32).key_ids[0]]), made.seal(PROBE))


class TestSeveralKeys:
    def test_each_is_heard_and_the_one_in_use_seals(self) -> None:
        """While hosts change to a new key one by one, all find all; through the filter too."""
        old, new = b"o" * 32, b"n" * 32
        both = ProbeSeal(Keys(new, [old]), "default", random=os.urandom)
        program = filter_program(both.key_ids)

        for data in (seal(old).seal(PROBE), seal(new).seal(PROBE)):
            assert PROBE == both.open(data)
            assert run(program, data) >= PROBE_BYTES
        assert PROBE == seal(new).open(both.seal(PROBE))
        with pytest.raises(RemoteProtocolError) as caught:
            both.open(seal(b"x" * 32).seal(PROBE))
        assert "unknown_key" == caught.value.code
