"""Payloads as bytes."""

import dataclasses
import enum
import json
import logging
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from pprint import pformat  # sorts sets
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from mirosd_client.codec import MAX_DEPTH, Codec, register, wire
from mirosd_client.errors import MirosdError, PayloadTooLarge, RemoteProtocolError, UnregisteredTypeError


class Host(NamedTuple):
    """A payload as users write them."""

    address: str
    port: int = 5672


@dataclasses.dataclass(frozen=True)
class Arrow:
    """A dataclass payload."""

    speed: float
    tags: frozenset[str] = frozenset()
    archer: Host | None = None


class Mood(enum.Enum):
    """An enum payload."""

    CALM = 1
    ANGRY = "very"


class Level(enum.IntEnum):
    """An int that msgspec would quietly write as a number."""

    LOW = 1


@pytest.fixture
def codec() -> Codec:
    """A codec that knows this module's types."""
    made = Codec()
    for cls in (Host, Arrow, Mood, Level):
        made.registry.register(cls)
    return made


PLAIN = [None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 0.1, -0.0, 1e300, "", "ä\U0001f3f9\x00", [], {}]
TYPED = [
    2**64,
    -(2**63) - 1,
    10**4200,
    float("inf"),
    float("-inf"),
    b"",
    b"\x00\xff",
    (),
    (1, (2, [3])),
    {1, 8},
    frozenset({(1, 2)}),
    datetime(2024, 5, 1, 12, 0, 0, 7, tzinfo=UTC),
    datetime(1, 1, 1),
    date(2024, 2, 29),
    time(23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-3))),
    timedelta(days=-1, microseconds=3),
    UUID(int=7),
    complex(-0.0, 1.5),
    {1: "a", (1, 2): None, None: b"x"},
    {"$": "tuple", "v": [1]},
    "\ud800",
    {"\udc80name": 1},
    Host("10.0.0.7"),
    Arrow(1.5, frozenset("a"), Host("h2", 1)),
    Mood.ANGRY,
    Level.LOW,
    {"deep": [{"x": (Host("a"), {Mood.CALM})}]},
]


@pytest.mark.parametrize("payload", PLAIN + TYPED, ids=lambda value: ascii(value)[:40])
def test_payloads_come_back_equal_and_of_the_same_type(codec: Codec, payload: Any) -> None:
    """What is sent is what arrives, to the type of each part: more than JSON has (D43)."""
    back = codec.decode(codec.encode(payload))

    assert (back, pformat(back), type(back)) == (payload, pformat(payload), type(payload))


@pytest.mark.parametrize("payload", [p for p in PLAIN if p == p], ids=lambda value: ascii(value)[:40])
def test_plain_payloads_are_plain_json(codec: Codec, payload: Any) -> None:
    """What JSON can hold is written so that anybody can read it."""
    assert json.loads(codec.encode(payload)) == payload


def test_nan_arrives_as_nan(codec: Codec) -> None:
    """NaN, which equals nothing, is carried too."""
    assert str(codec.decode(codec.encode([float("nan")]))) == "[nan]"


class _Text(str):
    """A str that could carry anything beside its text."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("payload", "place", "name"),
    [
        (object(), "payload is", "builtins.object"),
        ({"a": [1, {"b": Level.LOW}]}, "payload['a'][1]['b'] is", "Level"),
        ((1, _Text("x")), "payload[1] is", "_Text"),
        (OrderedDict(a=1), "payload is", "collections.OrderedDict"),
        (bytearray(b"x"), "payload is", "bytearray"),
        ({1: lambda: None}, "payload[0][1] is", "function"),
        (namedtuple("Bare", "x")(1), "payload is", "Bare"),
        (ValueError("x"), "payload is", "ValueError"),
        (Arrow(1.0), "payload is", "Arrow"),
    ],
)
def test_other_types_are_refused_at_the_sender_by_name(payload: Any, place: str, name: str) -> None:
    """The error says which type, and where in the payload it stands (D43)."""
    with pytest.raises(UnregisteredTypeError) as caught:
        Codec().encode(payload)

    assert place in str(caught.value)
    assert name in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_payload_is_at_most_256_kib(codec: Codec) -> None:
    """One byte more than the bound is too large, the bound itself is not."""
    assert len(codec.encode("x" * (256 * 1024 - 2))) == 256 * 1024
    with pytest.raises(PayloadTooLarge, match="262145 bytes"):
        codec.encode("x" * (256 * 1024 - 1))


@pytest.mark.parametrize(
    "wrap", [lambda p: [p], lambda p: {"k": p}, lambda p: (p,), lambda p: {1: p}, lambda p: {"$": p}]
)
def test_depth_is_bounded_alike_on_both_sides(codec: Codec, wrap: Any) -> None:
    """The deepest payload that can be sent can be received, and one inside itself is refused."""
    payload: Any = 1
    deepest = None
    for _ in range(MAX_DEPTH + 2):
        try:
            assert codec.decode(codec.encode(payload)) == payload
            deepest = payload
        except PayloadTooLarge:
            break
        payload = wrap(payload)
    else:
        pytest.fail("nothing was too deep")
    assert deepest is not None

    circle: list[Any] = []
    circle.append(wrap(circle))
    with pytest.raises(PayloadTooLarge, match="levels deep"):
        codec.encode(circle)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nul",
        b"[1]]",
        b"\xff",
        b'"\xff"',
        b'"\\ud800"',
        b"NaN",
        b"1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 66 + b"]" * 66,
        b'{"$":5,"v":1}',
        b'{"$":"tuple"}',
        b'{"$":"tuple","v":[],"x":1}',
        b'{"$":"tuple","v":5}',
        b'{"$":"set","v":[[1]]}',
        b'{"$":"map","v":[[[1],2]]}',
        b'{"$":"map","v":[1]}',
        b'{"$":"bytes","v":"?"}',
        b'{"$":"bytes","v":[]}',
        b'{"$":"uuid","v":5}',
        b'{"$":"datetime","v":"yesterday"}',
        b'{"$":"timedelta","v":[1e300]}',
        b'{"$":"int","v":"0xzz"}',
        b'{"$":"Host","v":{}}',
        b'{"$":"Host","v":[]}',
        b'{"$":"Mood","v":"SAD"}',
        b'{"$":"Mood","v":{}}',
    ],
    ids=lambda data: ascii(data)[:40],
)
def test_other_bytes_are_a_protocol_error(codec: Codec, data: bytes) -> None:
    """Nothing that can arrive does more than raise RemoteProtocolError."""
    with pytest.raises(RemoteProtocolError):
        codec.decode(data)


def test_a_registered_class_may_fail_as_it_likes() -> None:
    """An exception of the program's own class is a protocol error too."""

    @dataclasses.dataclass
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise KeyError("odd")

    codec = Codec()
    codec.registry.register(Even)

    with pytest.raises(RemoteProtocolError, match="odd"):
        codec.decode(b'{"$":"Even","v":{"number":3}}')


def test_versions_may_be_mixed(codec: Codec) -> None:
    """Fields the receiver does not know are ignored, and those it misses take their defaults."""
    assert codec.decode(b'{"$":"Host","v":{"address":"a","colour":"red"}}') == Host("a", 5672)
    assert codec.decode(b'{"$":"Arrow","v":{"speed":2.0}}') == Arrow(2.0)


def test_an_unknown_type_arrives_as_plain_data_with_one_warning(codec: Codec, caplog: pytest.LogCaptureFixture) -> None:
    """A receiver without the type gets its fields, and one warning for the tag."""
    data = codec.encode([Arrow(1.0, frozenset("a")), Mood.CALM, Host("x")])

    with caplog.at_level(logging.WARNING):
        first, second = Codec(), []
        second += first.decode(data)
        second += first.decode(data)

    assert second[:3] == [
        {"speed": 1.0, "tags": frozenset("a"), "archer": None},
        "CALM",
        {"address": "x", "port": 5672},
    ]
    assert len(caplog.records) == 3
    assert "'Arrow'" in caplog.text


def test_hostile_tags_are_not_remembered_without_bound(codec: Codec, caplog: pytest.LogCaptureFixture) -> None:
    """However many tags a sender makes up, the receiver warns of 256 at most."""
    for number in range(300):
        codec.decode(b'{"$":"t%d","v":1}' % number)

    assert len(caplog.records) == 256


def test_a_tag_belongs_to_one_type(codec: Codec) -> None:
    """The second type under a tag is refused by an error that names both; the same type again is not."""
    codec.registry.register(Host)
    with pytest.raises(ValueError, match=r"test_codec\.Mood.*test_codec\.Host") as caught:
        codec.registry.register(Host, "Mood")
    assert "Host2" not in str(caught.value)
    assert str(caught.value).endswith("needs another: register(Host, 'Mood2')")
    with pytest.raises(ValueError, match=r"builtins\.tuple"):
        codec.registry.register(Host, "tuple")


def test_only_types_with_named_parts_can_be_registered(codec: Codec) -> None:
    """Other classes, and Flags, are refused when they are registered."""

    class Permission(enum.Flag):
        READ = 1
        WRITE = 2

    for cls in (object, str, Permission):
        with pytest.raises(TypeError):
            codec.registry.register(cls)
    for thing in (5, Host("h", 1)):
        with pytest.raises(TypeError, match="is no class: register the class"):
            codec.registry.register(thing)  # type: ignore[type-var]


def test_wire_and_register_decorate() -> None:
    """The module's own codec learns a type by decoration, under the tag given or its name."""

    @wire("test_codec.Renamed")
    @dataclasses.dataclass
    class First:
        x: int

    @register
    @dataclasses.dataclass
    class TestCodecSecond:
        y: int

    from mirosd_client import codec as module  # the functions of the module-wide codec

    assert b'"test_codec.Renamed"' in module.encode(First(1))
    assert module.decode(module.encode([First(1), TestCodecSecond(2)])) == [First(1), TestCodecSecond(2)]


def test_errors_have_codes() -> None:
    """What a sender can meet has a stable code."""
    assert issubclass(UnregisteredTypeError, MirosdError)
    assert (UnregisteredTypeError.code, PayloadTooLarge.code) == ("unregistered_type", "payload_too_large")
