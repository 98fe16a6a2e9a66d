import socket
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd_client.messages import Ask, Closing, Failed, decode_daemon_message, encode_message
from mirosd_client.wire import Frame, FrameType, encode_frame
from tests.lab.waiting import until
from tests.localapi.live import Live, Raw, running
from tests.properties import EXAMPLES, TOTAL

RECORDS = bytes(60_000)


def test_an_idle_server_has_no_timer(live: Live, witness: Raw) -> None:
    """With clients connected and greeted, the loop sleeps until a byte comes."""
    with live.client():
        scheduled = live.call(lambda: [timer for timer in live.loop._scheduled if not timer.cancelled()])  # type: ignore[attr-defined]

        assert scheduled == []


def test_a_client_that_does_not_read_is_dropped(live: Live, witness: Raw) -> None:
    """Above the uid's bound of unsent bytes the slowest session goes; another of the same uid stays."""
    with live.client() as slow:
        session = live.sink.sessions[slow.id]

        def push() -> bool:
            session.deliver(1, 1, 0, False, RECORDS)
            return ("detached",) in live.sink.of(slow.id)

        until(lambda: live.call(push))
        assert live.board.counters == {"session_slow_reader": 1}
        while slow.frame() is not None:
            pass  # what the kernel held; then the stream ends


def test_a_long_answer_waits_for_its_reader(live: Live) -> None:
    """An answer of many times the bound reaches a reader who begins late: rows wait for room."""
    live.view.rows = [{"row": n, "text": "x" * 1000} for n in range(5000)]
    with live.client() as raw:
        raw.send(encode_message(Ask(7, "peers")))
        until(lambda: live.sessions()[0]["unsent_bytes"] > 0)

        assert live.view.rows == raw.answer(7)[0]


def test_a_client_may_come_back_before_its_end_was_seen(live: Live) -> None:
    """An old connection whose other end is gone makes room, even while the bridge has paused it."""
    first = live.client()
    live.call(live.sink.sessions[first.id].pause)
    first.close()
    with live.connect() as again:
        again.secret = first.secret
        again.hello()

        assert live.sink.of(first.id) == [("attached",), ("detached",), ("attached",)]
        assert again.is_well()


def test_a_client_may_come_back_after_its_end(live: Live) -> None:
    """An ended session gives its client id back."""
    first = live.client()
    first.close()
    until(lambda: ("detached",) in live.sink.of(first.id))
    with live.connect() as again:
        again.secret = first.secret
        again.hello()

        assert live.sink.of(first.id)[2:] == [("attached",)]


def test_a_second_live_connection_of_one_client_is_refused(live: Live) -> None:
    """A secret shown twice at a time closes the second connection, not the first."""
    with live.client() as first, live.connect() as second:
        second.secret = first.secret
        second.send(second.hello_frame())

        assert second.closing().code == "already_connected"
        assert first.is_well()
        assert live.sink.of(first.id) == [("attached",)]


def test_connections_are_bounded_per_uid(tmp_path: Path) -> None:
    """One connection too many is told so; when another ends there is room again."""
    with running(tmp_path / "s", limits={"connections_per_uid": 2}) as live, live.client() as first:
        second = live.client()
        with live.connect() as third:
            assert third.closing().code == "too_many_connections"
        second.close()

        def third_time() -> bool:
            with live.connect() as raw:
                raw.send(raw.hello_frame())
                return not isinstance(raw.message(), Closing)

        until(third_time)
        assert first.is_well()


def test_a_reset_is_no_event(live: Live, witness: Raw) -> None:
    """A client that goes with unread bytes in its buffer (a reset) is detached like any other."""
    raw = live.client()
    live.call(lambda: live.sink.sessions[raw.id].settled(1, 1, 0))
    raw.close()

    until(lambda: ("detached",) in live.sink.of(raw.id))
    assert live.logs == []


FRAMES = st.builds(encode_frame, st.sampled_from(FrameType), st.binary(max_size=60))
MESSAGES = st.builds(
    lambda name, fields: encode_frame(
        FrameType.MESSAGE, b'{"type":"%s"%s}' % (name, b"".join(b',"%s":%s' % field for field in fields))
    ),
    st.sampled_from([b"hello", b"ask", b"subscribe", b"unsubscribe", b"done"]),
    st.lists(
        st.tuples(
            st.sampled_from([b"id", b"verb", b"args", b"subscription", b"network", b"binding_key", b"versions"]),
            st.sampled_from([b"1", b"-1", b"1e999", b'"mesh"', b'"peers"', b"{}", b"[1]", b"null", b'"\\u0000"']),
        ),
        max_size=5,
    ),
)
STORM = st.lists(st.one_of(st.binary(max_size=40), FRAMES, MESSAGES), max_size=6)


def last_words(raw: Raw) -> list[Frame]:
    """All that the server says until it ends the stream."""
    frames = []
    while (frame := raw.frame()) is not None:
        frames.append(frame)
    return frames


def test_a_storm_of_junk_harms_nobody(tmp_path: Path) -> None:
    """Whatever bytes arrive, greeted or not, the server answers in its own words and serves the others."""
    with running(tmp_path / "s") as live, live.client("witness") as witness:
        # Each example is a real connection, ten times a codec's cost; the codecs beneath have their full share.
        @settings(TOTAL, max_examples=EXAMPLES // 10 + 1)
        @given(is_greeted=st.booleans(), storm=STORM)
        def check(is_greeted: bool, storm: list[bytes]) -> None:
            with live.connect() as raw:
                try:
                    raw.send(raw.hello_frame() if is_greeted else b"", *storm)
                    raw.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the server has closed already
                for frame in last_words(raw):
                    said = decode_daemon_message(frame.body)
                    assert not (isinstance(said, Failed) and said.code == "internal"), said

        check()
        assert witness.is_well()
        assert [witness.id] == [row["client"] for row in live.sessions()]
        assert all(line["event"] == "session_closed" for line in live.logs)
