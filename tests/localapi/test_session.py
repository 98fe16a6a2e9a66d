import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirosd.localapi.connection import MAX_REASON_CHARS
from mirosd.localapi.session import MAX_ASKS
from mirosd_client.limits import MAX_BODY_BYTES, MAX_FRAME_BYTES, MAX_RECEIPTS, MAX_RECORDS
from mirosd_client.messages import (
    Ask,
    Closing,
    Done,
    Failed,
    Fate,
    Follow,
    Hello,
    Subscribe,
    Subscribed,
    Unsubscribe,
    encode_message,
)
from mirosd_client.wire import (
    FrameType,
    Network,
    Settled,
    decode_delivery,
    decode_settled,
    encode_ack,
    encode_delivery,
    encode_events,
    encode_frame,
    encode_settled,
)
from tests.lab.waiting import until
from tests.localapi.live import IDENTITY, Live, Raw, running


def message(text: str) -> bytes:
    return encode_frame(FrameType.MESSAGE, text.encode())


def large_run(raw: Raw) -> bytes:
    return encode_events(Network.MESH, "a", b"".join(raw.record(n, bytes(MAX_BODY_BYTES)) for n in (1, 2)))


BAD_GREETINGS: dict[str, tuple[str, Callable[[Raw], bytes]]] = {
    "an ask before the hello": ("hello_expected", lambda _: encode_message(Ask(1, "status"))),
    "events before the hello": ("hello_expected", lambda _: encode_events(Network.MESH, "a", b"")),
    "a frame that is no JSON": ("malformed", lambda _: message("hello")),
    "JSON that is no message": ("malformed", lambda _: message("[]")),
    "a message of the daemon's": ("malformed", lambda _: message('{"type":"closing","code":"x","message":"y"}')),
    "an unknown type of frame": ("frame_type", lambda _: b"\0\0\0\1\x09x"),
    "another protocol": ("frame_too_large", lambda _: b"GET / HTTP/1.1\r\n\r\n"),
    "a version of the future": ("version", lambda raw: raw.hello_frame(versions=(2, 99))),
    "no version": ("version", lambda raw: raw.hello_frame(versions=())),
    "a secret that is too short": ("secret", lambda _: encode_message(Hello([1], "ab"))),
    "a secret with blanks": ("secret", lambda _: encode_message(Hello([1], "ab " * 21 + "a"))),
}

BAD_SERVICE: dict[str, tuple[str, Callable[[Raw], bytes]]] = {
    "a second hello": ("unexpected_message", lambda raw: raw.hello_frame()),
    "junk": ("frame_too_large", lambda _: b"\xff" * 64),
    "an oversized frame": ("frame_too_large", lambda _: struct.pack(">IB", MAX_FRAME_BYTES + 1, 2)),
    "an unknown type of frame": ("frame_type", lambda _: b"\0\0\0\0\0"),
    "a delivery": ("unexpected_frame", lambda _: encode_delivery(1, 1, 0, False, b"")),
    "a settlement": ("unexpected_frame", lambda _: encode_settled(1, 1, 0)),
    "a cut acknowledgement": ("malformed", lambda _: encode_frame(FrameType.ACK, b"\0")),
    "an empty frame of events": ("malformed", lambda _: encode_frame(FrameType.EVENTS, b"")),
    "an unknown network": ("malformed", lambda _: encode_frame(FrameType.EVENTS, b"\x09\0")),
    "a routing key that is no text": ("malformed", lambda _: encode_frame(FrameType.EVENTS, b"\1\1\xff")),
    "no records": ("record_count", lambda _: encode_events(Network.MESH, "a", b"")),
    "too many records": ("record_count", lambda raw: raw.events(*range(MAX_RECORDS + 1))),
    "records larger than a body": ("too_large", large_run),
    "half a record": ("malformed", lambda raw: encode_events(Network.MESH, "a", raw.record(1)[:-1])),
    "a record of another client": (
        "foreign_source",
        lambda raw: encode_events(Network.MESH, "a", raw.record(1, client=bytes(16))),
    ),
    "falling sequence numbers": ("sequence", lambda raw: raw.events(2, 1)),
    "a sequence number of an earlier frame": ("sequence", lambda raw: raw.events(1, 2) + raw.events(2)),
    "subscription 0": ("subscription", lambda _: encode_message(Subscribe(0, "mesh", "#"))),
    "subscription 65536": ("subscription", lambda _: encode_message(Subscribe(65536, "mesh", "#"))),
    "a number in use": ("subscription", lambda _: encode_message(Subscribe(1, "mesh", "#")) * 2),
    "following what was sent": (
        "follow",
        lambda raw: raw.events(1, 2) + encode_message(Follow([2])),
    ),
    "following twice": ("follow", lambda _: encode_message(Follow([1])) * 2),
    "following backwards": ("follow", lambda _: encode_message(Follow([2, 1]))),
    "following too many": ("too_many_receipts", lambda _: encode_message(Follow(list(range(MAX_RECEIPTS + 1))))),
    "an ask whose id is text": ("malformed", lambda _: message('{"type":"ask","id":"1","verb":"status"}')),
    "nesting without end": (
        "malformed",
        lambda _: message('{"type":"ask","id":1,"verb":"x","args":' + '{"a":' * 50_000),
    ),
}


def test_a_hello_is_answered_by_what_the_daemon_is(live: Live) -> None:
    """A welcome holds node, name, system, version, the caller's rights, and the client id that its secret makes."""
    with live.connect() as raw:
        welcome = raw.hello()

        expected = hashlib.sha256(bytes.fromhex(raw.secret)).digest()[:16].hex()
        assert expected == welcome.client
        assert (1, IDENTITY.node, IDENTITY.name) == (welcome.version, welcome.node, welcome.name)
        assert (IDENTITY.system, IDENTITY.version) == (welcome.system, welcome.daemon_version)
        assert welcome.rights == ["read", "transmit", "operate"]
        assert live.sink.of(raw.id) == [("attached",)]


def test_the_highest_common_version_is_chosen(live: Live) -> None:
    """A client of the future that still speaks this version is welcome."""
    with live.connect() as raw:
        raw.send(raw.hello_frame(versions=(3, 2, 1)))

        assert raw.message().version == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("name", BAD_GREETINGS)
def test_a_bad_greeting_ends_that_connection_alone(live: Live, witness: Raw, name: str) -> None:
    """Whatever comes instead of a hello: a reason, a count, one line of log, and nobody else is harmed."""
    code, data = BAD_GREETINGS[name]
    with live.connect() as raw:
        raw.send(data(raw))

        assert code == raw.closing().code
        assert {f"session_{code}": 1} == live.board.counters
        assert [code] == [line["code"] for line in live.logs]
        assert len(live.sink.sessions) == 1  # the witness


@pytest.mark.parametrize("name", BAD_SERVICE)
def test_a_broken_rule_ends_that_session_alone(live: Live, witness: Raw, name: str) -> None:
    """Whatever a client breaks: a reason, a count, one line of log, and nobody else is harmed."""
    code, data = BAD_SERVICE[name]
    with live.client() as raw:
        raw.send(data(raw))

        assert code == raw.closing().code
        assert {f"session_{code}": 1} == live.board.counters
        assert [code] == [line["code"] for line in live.logs]
        assert live.sink.of(raw.id)[-1] == ("detached",)


def test_half_a_frame_at_the_end_is_told(live: Live, witness: Raw) -> None:
    """A client that ends its stream inside a frame hears so, if it still listens."""
    with live.client() as raw:
        raw.send(raw.events(1)[:-1])
        raw.socket.shutdown(1)

        assert raw.closing().code == "cut_off"


def test_an_orderly_end_is_no_event(live: Live, witness: Raw) -> None:
    """A client that leaves between two frames is detached, and nothing is counted or logged."""
    raw = live.client()
    raw.close()

    until(lambda: ("detached",) in live.sink.of(raw.id))
    assert live.board.counters == {}
    assert live.logs == []


def test_a_connection_without_a_hello_is_no_client(live: Live) -> None:
    """One that connects and leaves, as the check for a live daemon does, is nowhere seen."""
    live.connect().close()

    with live.client() as raw:
        assert [raw.id] == [row["client"] for row in live.sessions()]
        assert [("attached", raw.id)] == live.sink.calls
    assert live.logs == []


def test_a_client_that_says_nothing_is_closed(tmp_path: Path) -> None:
    """The hello has a deadline; one that has said it may be silent for ever."""
    with running(tmp_path / "s", hello_timeout_s=2.0) as live, live.client() as greeted, live.connect() as silent:
        assert silent.closing().code == "hello_timeout"
        assert greeted.is_well()


def test_frames_may_come_byte_by_byte(live: Live) -> None:
    """However the stream is cut, the conversation is the same."""
    with live.connect() as raw:
        for byte in raw.hello_frame() + encode_message(Ask(7, "peers")):
            raw.send(bytes([byte]))
        raw.message()

        assert ([{"node": "b" * 32, "name": "host-b"}], Done(7)) == raw.answer(7)


def test_events_reach_the_sink_in_order_and_are_flushed(live: Live) -> None:
    """Each run of records is handed over with its key and span; a flush follows the read."""
    with live.client() as raw:
        before = live.sink.flushes
        raw.send(raw.events(1, 2), raw.events(5, key="c"), raw.events(6))

        until(lambda: len(live.sink.of(raw.id)) == 4)
        expected = [("attached",), ("events", "a.b", 1, 2), ("events", "c", 5, 5), ("events", "a.b", 6, 6)]
        assert expected == live.sink.of(raw.id)
        assert raw.is_well()
        assert before < live.sink.flushes


def test_events_before_a_fault_are_flushed(live: Live) -> None:
    """What a client sent rightly is published though it erred afterwards."""
    with live.client() as raw:
        before = live.sink.flushes
        raw.send(raw.events(1), encode_settled(0, 0, 0))

        assert raw.closing().code == "unexpected_frame"
        assert ("events", "a.b", 1, 1) in live.sink.of(raw.id)
        until(lambda: before < live.sink.flushes)


def test_a_subscription_lives_from_request_to_end(live: Live) -> None:
    """Subscribe, the bridge's confirmation, a delivery, its acknowledgement, and Unsubscribe, each once."""
    with live.client() as raw:
        raw.send(encode_message(Subscribe(3, "mesh", "a.#")))
        until(lambda: ("subscribe", 3, "a.#") in live.sink.of(raw.id))
        session = live.sink.sessions[raw.id]
        live.call(lambda: session.subscribed(3))
        live.call(lambda: session.deliver(3, 9, 12, True, b"records"))
        live.call(lambda: session.settled(4, 3, 1))

        assert Subscribed(3) == raw.message()
        delivery, settled = raw.frame(), raw.frame()
        assert delivery is not None
        assert settled is not None
        assert decode_delivery(delivery.body) == (3, 9, 12, True, b"records")
        assert Settled(4, 3, 1) == decode_settled(settled.body)
        raw.send(encode_ack(3, 9), encode_message(Unsubscribe(3)), encode_ack(3, 10))
        assert raw.is_well()
        assert live.sink.of(raw.id)[2:] == [("acknowledged", 3, 9), ("unsubscribe", 3)]


def test_events_are_followed_until_their_fate_is_known(live: Live) -> None:
    """What is asked before the events reaches the bridge, and its answer the client; answered ones make room."""
    with live.client() as raw:
        half = MAX_RECEIPTS // 2
        raw.send(encode_message(Follow([1, 2])), raw.events(1, 2))
        raw.send(
            encode_message(Follow(list(range(3, half)))), encode_message(Follow(list(range(half, MAX_RECEIPTS + 1))))
        )
        until(lambda: ("follow", 1, 2) in live.sink.of(raw.id))
        session = live.sink.sessions[raw.id]
        live.call(lambda: session.fate(Fate([1, 2], confirmed=1, expired=2)))

        assert Fate([1, 2], confirmed=1, expired=2) == raw.message()
        raw.send(encode_message(Follow([MAX_RECEIPTS + 1, MAX_RECEIPTS + 2])))
        assert raw.is_well()
        assert [call[:2] for call in live.sink.of(raw.id)][1:3] == [("follow", 1), ("events", "a.b")]
        assert live.sink.of(raw.id)[-1] == ("follow", MAX_RECEIPTS + 1, MAX_RECEIPTS + 2)


def test_what_names_no_subscription_is_ignored(live: Live) -> None:
    """An acknowledgement or an Unsubscribe may cross a refusal on its way."""
    with live.client() as raw:
        raw.send(encode_ack(1, 1), encode_message(Unsubscribe(1)))

        assert raw.is_well()
        assert live.sink.of(raw.id) == [("attached",)]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Subscribe(2, "nonsense", "#"), "network"),
        (Subscribe(2, "mesh", "ä" * 128), "binding_key"),
        (Subscribe(2, "mesh", "#.a.#.b.#"), "binding_key"),
    ],
)
def test_a_subscription_that_cannot_be_fails_alone(live: Live, request_: Subscribe, code: str) -> None:
    """A refused subscription is answered under its number, and the session goes on."""
    with live.client() as raw:
        raw.send(encode_message(request_))

        failed = raw.message()
        assert isinstance(failed, Failed)
        assert (2, code) == (failed.id, failed.code)
        assert raw.is_well()
        assert live.sink.of(raw.id) == [("attached",)]


def test_a_network_without_a_key_does_not_exist_here(tmp_path: Path) -> None:
    """The welcome says which exist; a subscription to another one fails alone, with the code and why."""
    identity = replace(IDENTITY, networks=("snoop_trace",))
    with running(tmp_path / "s", identity=identity) as live, live.connect() as raw:
        assert ("snoop_trace",) == raw.hello().networks
        raw.send(encode_message(Subscribe(2, "mesh", "#")), encode_message(Subscribe(3, "snoop_trace", "#")))

        failed = raw.message()
        assert isinstance(failed, Failed)
        assert (2, "no_key", True) == (failed.id, failed.code, "networks.mesh.key_file" in failed.message)
        until(lambda: live.sink.of(raw.id) == [("attached",), ("subscribe", 3, "#")])


def test_events_of_a_network_without_a_key_end_the_connection(tmp_path: Path) -> None:
    """They must not be settled: the program keeps them, and hears why nobody takes them. Lines are taken as ever."""
    identity = replace(IDENTITY, networks=("snoop_trace",))
    with running(tmp_path / "s", identity=identity) as live, live.client() as raw:
        raw.send(raw.events(1, network=Network.SNOOP_TRACE), raw.events(2))

        closing = raw.closing()
        assert ("no_key", True) == (closing.code, "networks.mesh.key_file" in closing.message)
        assert 1 == live.board.counters["session_no_key"]
        assert [("events", "a.b", 1, 1)] == [call for call in live.sink.of(raw.id) if call[0] == "events"]


def test_a_number_that_the_bridge_refused_is_free_again(live: Live) -> None:
    """The bridge's refusal reaches the client, which may try again under the same number."""
    with live.client() as raw:
        for _ in range(2):
            raw.send(encode_message(Subscribe(1, "mesh", "#")))
            until(lambda: live.sink.of(raw.id)[-1][0] == "subscribe")
            live.call(lambda: live.sink.sessions[raw.id].refused(1, "broker", "no"))
            live.sink.calls.append(("refused", raw.id))

            assert Failed(1, "broker", "no") == raw.message()


def test_subscriptions_are_bounded_per_uid(tmp_path: Path) -> None:
    """One more queue than a uid may have is refused, in whichever of its sessions; an ended one makes room."""
    with running(tmp_path / "s", limits={"queues_per_uid": 2}) as live, live.client() as one, live.client() as two:
        one.send(encode_message(Subscribe(1, "mesh", "#")), encode_message(Subscribe(2, "mesh", "#")))
        assert one.is_well()
        two.send(encode_message(Subscribe(1, "mesh", "#")))
        failed = two.message()
        assert isinstance(failed, Failed)
        assert failed.code == "too_many_subscriptions"
        assert {"refused_too_many_subscriptions": 1} == live.board.counters
        one.send(encode_message(Unsubscribe(2)))
        assert one.is_well()
        two.send(encode_message(Subscribe(1, "mesh", "#")))
        assert two.is_well()
        assert ("subscribe", 1, "#") in live.sink.of(two.id)


def test_asks_in_flight_are_bounded_and_die_with_their_session(live: Live) -> None:
    """The 17th unanswered ask fails at once; when the client goes, nothing of the others is left running."""
    with live.client() as raw:
        for number in range(MAX_ASKS + 1):
            raw.send(encode_message(Ask(number, "wait", {"peers": 1, "timeout_s": 3600})))

        rows, failed = raw.answer(MAX_ASKS)
        assert isinstance(failed, Failed)
        assert (rows, failed.code) == ([], "too_many_asks")
        assert {"refused_too_many_asks": 1} == live.board.counters
        until(lambda: live.view.waiting == MAX_ASKS)
    until(lambda: live.view.waiting == 0)


def test_a_paused_client_is_not_read(live: Live) -> None:
    """What comes while the bridge has paused a session waits in the socket, and arrives after resume."""
    with live.client() as raw:
        session = live.sink.sessions[raw.id]
        live.call(session.pause)
        raw.send(raw.events(1))
        with live.client() as other:
            assert other.is_well()  # the loop has been round since
        assert live.sink.of(raw.id) == [("attached",)]
        live.call(session.resume)

        until(lambda: ("events", "a.b", 1, 1) in live.sink.of(raw.id))


def test_the_bridge_may_go_on_talking_to_a_session_that_ended(live: Live, witness: Raw) -> None:
    """Every call to a session after `detached` does nothing."""
    raw = live.client()
    session = live.sink.sessions[raw.id]
    raw.close()
    until(lambda: ("detached",) in live.sink.of(raw.id))

    live.call(lambda: session.deliver(1, 1, 0, False, b""))
    live.call(lambda: session.settled(1, 1, 0))
    live.call(lambda: session.refused(1, "x", "y"))
    live.call(lambda: session.subscribed(1))
    live.call(session.pause)
    live.call(session.resume)


def test_nothing_follows_the_last_message(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that still talks while it hears of the end puts nothing before or behind the reason."""
    with live.client() as raw:
        session = live.sink.sessions[raw.id]
        monkeypatch.setattr(live.sink, "detached", lambda _: session.settled(1, 1, 0))
        raw.send(encode_settled(0, 0, 0))

        assert raw.closing().code == "unexpected_frame"


def test_a_name_for_people_is_cut(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's name for itself is kept at 64 characters, that of a chart at 128."""
    charts: list[str] = []
    monkeypatch.setattr(live.sink, "subscribe", lambda _session, request: charts.append(request.chart))
    with live.client("x" * 1000) as raw:
        raw.send(encode_message(Subscribe(1, "mesh", "#", "y" * 1000)))

        assert raw.is_well()
        assert [row["program"] for row in live.sessions()] == ["x" * 64]
        assert ["y" * 128] == charts


def test_a_reason_quotes_no_whole_frame(live: Live) -> None:
    """Neither to the client nor in the log, which an attacker would fill with what he sends."""
    word = "x" * (MAX_FRAME_BYTES - 1000)
    with live.client() as raw:
        raw.send(encode_message(Ask(1, "wait", {word: 1})))
        failed = raw.message()
        assert isinstance(failed, Failed)
        raw.send(encode_frame(FrameType.MESSAGE, b'{"type":"' + word.encode() + b'"}'))
        reasons = [failed.message, raw.closing().message, *(line["reason"] for line in live.logs)]

        assert [MAX_REASON_CHARS] * 3 == [len(reason) for reason in reasons]


def test_a_closing_message_is_readable_behind_what_was_not_read(live: Live) -> None:
    """A client that had sent more than was read still finds the reason before the end of its stream."""
    with live.client() as raw:
        raw.send(encode_settled(0, 0, 0), *(raw.events(n) for n in range(500)))

        closing = raw.message()
        assert isinstance(closing, Closing)
        assert closing.code == "unexpected_frame"
