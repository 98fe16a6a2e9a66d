"""Lines of instrumentation: as bytes, as text, and as they stand on a terminal."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from mirosd_client.errors import RemoteProtocolError
from mirosd_client.shell.step import TraceRecord, format_trace
from mirosd_client.snoop_line import (
    BLUE,
    MAX_TEXT_CHARS,
    PURPLE,
    SnoopLine,
    decode_lines,
    encode_lines,
    line_text,
    move_line,
    read_trace,
    terminal_text,
)
from mirosd_client.wire import Network

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
WHEN = "2018-05-04 09:23:34.178157"
TIME = datetime.fromisoformat(WHEN).timestamp()

MOVE = SnoopLine("trace", "04ccc_ao", TIME, "to_inner", "outer", "inner")
START = SnoopLine("trace", "04ccc_ao", TIME, None, "top", "outer")
SEEN = SnoopLine("spy", "04ccc_ao", TIME, text="ENTRY_SIGNAL:outer")
NOTE = SnoopLine("scribble", "04ccc_ao", TIME, text="scribbled text")
PALE = SnoopLine("scribble", "04ccc_ao", TIME, text="scribbled text", grey=False)

LOOKS = [
    (MOVE, TRACE, BLUE, f" [+t] [{WHEN}] [\x1b[34m04ccc_ao\x1b[0m] e->to_inner() outer->inner"),
    (MOVE, TRACE, PURPLE, f" [+t] [{WHEN}] [\x1b[35m04ccc_ao\x1b[0m] e->to_inner() outer->inner"),
    (MOVE, TRACE, "", f" [+t] [{WHEN}] [04ccc_ao] e->to_inner() outer->inner"),
    (START, TRACE, BLUE, f" [+t] [{WHEN}] [\x1b[34m04ccc_ao\x1b[0m] e->start_at() top->outer"),
    (SEEN, SPY, BLUE, " [+s] \x1b[34m04ccc_ao\x1b[0m ENTRY_SIGNAL:outer"),
    (SEEN, SPY, PURPLE, " [+s] \x1b[35m04ccc_ao \x1b[0mENTRY_SIGNAL:outer"),
    (SEEN, SPY, "", " [+s] 04ccc_ao ENTRY_SIGNAL:outer"),
    (NOTE, TRACE, BLUE, f" [+t] [{WHEN}] [\x1b[34m04ccc_ao\x1b[0m] \x1b[30;1m# scribbled text\x1b[0m"),
    (NOTE, TRACE, "", f" [+t] [{WHEN}] [04ccc_ao] # scribbled text"),
    (PALE, TRACE, PURPLE, f" [+t] [{WHEN}] [\x1b[35m04ccc_ao\x1b[0m] # scribbled text"),
    (NOTE, SPY, BLUE, f" [+s] \x1b[34m04ccc_ao\x1b[0m [{WHEN}] [04ccc_ao] \x1b[30;1m# scribbled text\x1b[0m"),
]


@pytest.mark.parametrize(("line", "network", "hue", "expected"), LOOKS)
def test_a_line_looks_as_the_ancestors_to_the_byte(line: SnoopLine, network: Network, hue: str, expected: str) -> None:
    """Marks, blanks, colours and their places."""
    assert expected == terminal_text(line, network, hue)


@pytest.mark.parametrize("line", [MOVE, START, SEEN, NOTE, PALE])
def test_a_line_comes_back(line: SnoopLine) -> None:
    """What is sent is what is seen."""
    assert [line] == decode_lines(encode_lines([line]))


def test_a_move_travels_as_data() -> None:
    """Each part under its name, for viewers that are no terminals."""
    assert msgspec.json.decode(encode_lines([MOVE]))[0] == {
        "kind": "trace",
        "chart": "04ccc_ao",
        "time": TIME,
        "signal": "to_inner",
        "from": "outer",
        "to": "inner",
    }


def test_the_name_is_coloured_wherever_else_it_stands() -> None:
    """A name that is part of a date, of a signal or of brackets colours only the name (D72)."""
    line = SnoopLine("trace", "2", TIME, "a2", "s2", "t]2")

    assert f"[{WHEN}] [\x1b[34m2\x1b[0m] e->a2() s2->t]2" == line_text(line, TRACE, BLUE)
    assert "\x1b[35m2 \x1b[0m[2] [x]" == line_text(SnoopLine("spy", "2", TIME, text="[2] [x]"), SPY, PURPLE)


GOOD: dict[str, Any] = {"kind": "spy", "chart": "c", "time": 1.5, "text": "t"}
NASTY = "a\x1b[2J\x07\r\u202e\x9b31m\ud800b"


@pytest.mark.parametrize("network", [TRACE, SPY])
def test_no_control_character_reaches_a_terminal(network: Network) -> None:
    """Whatever field it stands in, and wherever the line was made; a line break is left out."""
    lines = [
        SnoopLine("trace", NASTY, TIME, NASTY, NASTY, NASTY),
        SnoopLine("spy", NASTY, TIME, text=NASTY),
        *decode_lines(msgspec.json.encode([GOOD | {"chart": "x\x1b", "text": "\x1b]0;t\x07", "host": "\x1b[2J"}])),
    ]

    for line in lines:
        assert line_text(line, network).isprintable()
        assert [line] == decode_lines(encode_lines([line]))
    assert lines[-1].host.isprintable()
    assert SnoopLine("scribble", "c", TIME, text="one\ntwo\n").text == "onetwo"


def test_a_long_text_is_cut() -> None:
    """A line is a line, not a file; texts that are long together are cut one by one."""
    assert MAX_TEXT_CHARS == len(SnoopLine("scribble", "c", TIME, text="x" * 10**6).text)
    half = "x" * (MAX_TEXT_CHARS - 1)
    line = SnoopLine("trace", "c", TIME, "s", half, half)
    assert (half, half) == (line.from_state, line.to_state)


BAD = [
    b"",
    b"\xff",
    b"{}",
    b"[" * 100_000,
    b'[{"kind":"spy","chart":"c"}]',
    msgspec.json.encode(GOOD),
    *(
        msgspec.json.encode([GOOD, GOOD | {key: value}])
        for key, value in [
            ("kind", "alien"),
            ("chart", 5),
            ("time", -1),
            ("time", 1e300),
            ("time", None),
            ("text", ["x"]),
            ("signal", {}),
            ("from", None),
            ("grey", "yes"),
            ("hlc", -1),
            ("number", 1.5),
        ]
    ),
]


@pytest.mark.parametrize("payload", BAD, ids=lambda payload: payload[:40])
def test_anything_else_is_one_kind_of_error(payload: bytes) -> None:
    """A viewer counts it; nothing else can happen."""
    with pytest.raises(RemoteProtocolError):
        decode_lines(payload)


@pytest.mark.parametrize("time_s", [0, 32_503_679_999])
def test_each_time_that_is_allowed_can_be_written(time_s: float) -> None:
    """No date from elsewhere raises at the viewer."""
    [line] = decode_lines(msgspec.json.encode([GOOD | {"kind": "trace", "time": time_s}]))

    assert line_text(line, TRACE)


def test_unknown_fields_of_later_versions_are_left_out() -> None:
    """Versions may be mixed."""
    assert [SnoopLine("spy", "c", 1.5, text="t")] == decode_lines(msgspec.json.encode([GOOD | {"later": 1}]))


@pytest.fixture
def moves() -> Iterator[TraceRecord]:
    """Moves as a chart makes them."""
    now_s = time.time()
    return iter(
        [TraceRecord("a chart", "GO.there", "one", "two", now_s), TraceRecord("a chart", None, "top", "one", now_s)]
    )


def test_miros_text_is_read_as_the_move_it_tells_of(moves: Iterator[TraceRecord]) -> None:
    """For charts that are traced by miros itself: the same line, with or without the line breaks around it."""
    for move in moves:
        text = format_trace(move)
        read = read_trace(f"\n{text}\n", "a chart", 0.0)

        assert (read.kind, read.signal, read.from_state, read.to_state) == ("trace", *move[1:4])
        assert text == line_text(read, TRACE) == line_text(move_line(move), TRACE)


@pytest.mark.parametrize("text", ["hello", "[x] [c] e->A() b->c", f"[{WHEN}] [other] e->A() b->c", ""])
def test_any_other_text_is_a_remark(text: str) -> None:
    """It is shown as it is, at the present time."""
    assert SnoopLine("scribble", "c", 5.0, text=text, grey=False) == read_trace(text, "c", 5.0)
