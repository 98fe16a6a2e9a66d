"""What is encoded and read by hand is what pika encodes and reads."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import frame, spec

from mirosd.backends.amqp_frames import Deliveries, Publishing
from mirosd.core.broker import Incoming
from tests.properties import EXAMPLES, TOTAL

CHANNEL, OTHER = 3, 4
SOME = settings(TOTAL, max_examples=min(EXAMPLES, 500))  # each is a few messages in many slices
MAX_FRAME = 4096
WORDS = st.text(max_size=20)
HEADERS = st.none() | st.dictionaries(WORDS, st.integers(0, 2**31 - 1) | WORDS, max_size=3)


def pieces(method: spec.Basic.Deliver | spec.Basic.Publish, properties: spec.BasicProperties, body: bytes) -> bytes:
    """Give the frames of a message as pika makes them."""
    room = MAX_FRAME - 8
    chunks = [body[n * room : (n + 1) * room] for n in range(math.ceil(len(body) / room))]
    frames = [
        frame.Method(CHANNEL, method),
        frame.Header(CHANNEL, len(body), properties),
        *(frame.Body(CHANNEL, chunk) for chunk in chunks),
    ]
    return b"".join(each.marshal() for each in frames)


@SOME
@given(
    key=WORDS,
    body=st.binary(max_size=40) | st.integers(0, 3 * MAX_FRAME).map(bytes),
    persistent=st.booleans(),
    mandatory=st.booleans(),
    properties=st.fixed_dictionaries(
        {},
        optional={
            "expiration": st.integers(0, 60_000).map(str),
            "headers": HEADERS,
            "reply_to": WORDS,
            "correlation_id": WORDS,
            "message_id": WORDS,
        },
    ),
)
def test_a_publish_is_pikas(key, body, persistent, mandatory, properties):
    """To the byte, whatever its properties and however many frames it needs."""
    method = spec.Basic.Publish(exchange="mesh", routing_key=key, mandatory=mandatory)
    encoded = Publishing(CHANNEL, MAX_FRAME).encode(
        "mesh", key, body, persistent=persistent, mandatory=mandatory, **properties
    )

    pikas = spec.BasicProperties(delivery_mode=2 if persistent else None, **properties)
    assert pieces(method, pikas, body) == encoded


def test_a_text_that_amqp_has_no_room_for():
    """It is an error here, not nonsense there."""
    with pytest.raises(ValueError, match="255 bytes"):
        Publishing(CHANNEL, MAX_FRAME).encode("mesh", "k" * 256, b"")


PROPERTIES = st.builds(
    spec.BasicProperties,
    content_type=st.none() | WORDS,
    content_encoding=st.none() | WORDS,
    headers=HEADERS,
    delivery_mode=st.none() | st.just(2),
    priority=st.none() | st.integers(0, 9),
    correlation_id=st.none() | WORDS,
    reply_to=st.none() | WORDS,
    expiration=st.none() | WORDS,
    message_id=st.none() | WORDS,
    timestamp=st.none() | st.integers(0, 2**31),
    app_id=st.none() | WORDS,
)
MESSAGES = st.tuples(
    st.integers(1, 2**63 - 1),
    st.booleans(),
    WORDS,
    PROPERTIES,
    st.binary(max_size=40) | st.integers(0, 3 * MAX_FRAME).map(bytes),
)


@SOME
@given(messages=st.lists(MESSAGES, max_size=4), dice=st.randoms(use_true_random=False))
def test_deliveries_are_read_from_any_slices(messages, dice):
    """Between frames of other kinds and channels, which are pika's, whole and in their order."""
    stream, expected, others = b"", [], b""
    for tag, redelivered, key, properties, body in messages:
        ack = frame.Method(OTHER, spec.Basic.Ack(tag)).marshal()
        beat = frame.Heartbeat().marshal()
        stream += ack + pieces(spec.Basic.Deliver("t", tag, redelivered, "e", key), properties, body) + beat
        others += ack + beat
        expected.append(
            Incoming(tag, key, body, redelivered, properties.headers, properties.reply_to, properties.correlation_id)
        )
    taken, left = [], []
    deliveries = Deliveries(left.append)
    deliveries.takers[CHANNEL] = taken.append
    while stream:
        size = dice.randint(1, len(stream))
        deliveries.feed(stream[:size])
        stream = stream[size:]

    assert (expected, others) == (taken, b"".join(left))


def delivery(body):
    return pieces(spec.Basic.Deliver("t", 1, False, "e", "k"), spec.BasicProperties(), body)


TIMELESS = b"T" + b"\xff" * 8 + b"\2iit\1"  # the year 584 billion; and another header, so that it is as long as a text
ENDLESS = b"d" + b"\x7f\xf0" + bytes(6) + b"\2iit\1"
UNKNOWN = b"?" + bytes(13)


@pytest.mark.parametrize("header", [TIMELESS, ENDLESS, UNKNOWN])
def test_what_a_sender_may_choose_ends_no_connection(header):
    """Texts that are none and headers that nobody can read: a broker hands them on, and again after each reconnect."""
    properties = spec.BasicProperties(headers={"h": "PLACEHOLD"}, reply_to="RPLY", correlation_id="CORR")
    stream = pieces(spec.Basic.Deliver("t", 1, False, "e", "ROUT"), properties, b"body")
    for place in (b"RPLY", b"CORR", b"ROUT"):
        stream = stream.replace(place, b"\xffk\xc3\x28")
    taken = []
    deliveries = Deliveries(lambda _: None)
    deliveries.takers[CHANNEL] = taken.append
    deliveries.feed(stream.replace(b"S\0\0\0\x09PLACEHOLD", header) + delivery(b"next"))

    assert [Incoming(1, "", b"body", False, None, "", ""), Incoming(1, "k", b"next", False, None, None, None)] == taken


def test_a_channel_that_is_closed_is_pikas_again():
    """With what had begun to arrive on it: its number may be another channel's by then."""
    taken, left = [], []
    deliveries = Deliveries(left.append)
    deliveries.takers[CHANNEL] = taken.append
    deliveries.feed(delivery(b"body")[:-12])
    deliveries.forget(CHANNEL)
    deliveries.feed(delivery(b"body")[-12:] + delivery(b"again"))

    assert ([], delivery(b"body")[-12:] + delivery(b"again")) == (taken, b"".join(left))


def test_what_does_not_end_like_a_frame_is_an_error():
    """The connection is not to be trusted any more."""
    deliveries = Deliveries(lambda _: None)
    deliveries.takers[CHANNEL] = lambda _: None
    with pytest.raises(ValueError, match="end like one"):
        deliveries.feed(delivery(b"body")[:-1] + b"\0")
