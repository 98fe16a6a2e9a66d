"""Names of events, and what a record says beside its event."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd_client.errors import LocalProtocolError
from mirosd_client.event_id import (
    ADDRESSEE,
    CAUSE,
    Addressee,
    EventId,
    Extension,
    decode_extension,
    encode_extension,
    is_named_by,
    parse_event_id,
)
from tests.properties import EXAMPLES, TOTAL

SOME = settings(TOTAL, max_examples=min(EXAMPLES, 3000))  # two short fields: more finds nothing
CLIENT = st.binary(min_size=16, max_size=16)
U16, U64 = st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
CAUSES = st.none() | st.builds(EventId, CLIENT, U16, U64)
ADDRESSEES = st.none() | st.builds(Addressee, CLIENT, U16)
UNKNOWN = st.builds(
    lambda kind, value: bytes([kind, len(value)]) + value,
    st.integers(0, 255).filter(lambda kind: kind not in {CAUSE, ADDRESSEE}),
    st.binary(max_size=255),
)
EVENT = EventId(bytes.fromhex("3f9a1c02") + bytes(12), 1, 4711)


@SOME
@given(CAUSES, ADDRESSEES, UNKNOWN, UNKNOWN, UNKNOWN)
def test_what_is_unknown_is_skipped(
    cause: EventId | None, addressee: Addressee | None, first: bytes, second: bytes, third: bytes
) -> None:
    """Both parts come back, whatever a later version writes before, between and behind them."""
    written = first + encode_extension(cause) + second + encode_extension(None, addressee) + third

    assert Extension(cause, addressee) == decode_extension(written)
    assert Extension(cause, addressee) == decode_extension(encode_extension(cause, addressee))


@SOME
@given(st.binary(max_size=80), CAUSES, ADDRESSEES, U16)
def test_anything_is_read(junk: bytes, cause: EventId | None, addressee: Addressee | None, cut: int) -> None:
    """No bytes raise anything; what is cut off was not said."""
    whole = encode_extension(cause, addressee)
    part = decode_extension(whole[: cut % (len(whole) + 1)])

    assert part.cause in {cause, None}
    assert part.addressee in {addressee, None}
    decode_extension(junk)
    decode_extension(whole + junk)


def test_a_part_of_the_wrong_length_is_skipped() -> None:
    """A cause that is a byte short is none, and what stands behind it is read."""
    addressee = Addressee(bytes(16), 3)
    short = bytes([CAUSE, 25]) + bytes(25)

    assert Extension(None, addressee) == decode_extension(short + encode_extension(None, addressee))


def test_the_length_depends_on_the_parts_alone() -> None:
    """A line of events has one length of extension, whatever its causes are."""
    lengths = {len(encode_extension(EventId(bytes(16), 1, n))) for n in (0, 1, 2**64 - 1)}

    assert {28} == lengths
    assert 20 == len(encode_extension(None, Addressee(bytes(16), 1)))
    assert b"" == encode_extension(None)


@pytest.mark.parametrize("text", [str(EVENT), EVENT.short, " 3F9A1C02-1-4711\n"])
def test_people_name_an_event_by_the_beginning_of_its_client(text: str) -> None:
    """As it is shown, in full or short, with upper case and blanks around it."""
    wanted = parse_event_id(text)

    assert is_named_by(str(EVENT), wanted)
    assert not is_named_by(str(msgspec.structs.replace(EVENT, sequence=471)), wanted)
    assert not is_named_by(str(msgspec.structs.replace(EVENT, chart=2)), wanted)
    assert not is_named_by(str(msgspec.structs.replace(EVENT, client=b"\x40" * 16)), wanted)


@pytest.mark.parametrize("text", ["", "4711", "3f9a1-1-4711", "3f9a1c02-1", "3f9a1c02-1-x", "zz9a1c02-1-1", "-1-1"])
def test_what_names_no_event_is_told(text: str) -> None:
    """The error says what a name looks like."""
    with pytest.raises(LocalProtocolError, match="one looks like 3f9a1c02-1-4711"):
        parse_event_id(text)
