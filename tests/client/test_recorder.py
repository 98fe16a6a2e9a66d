"""The flight recorder: what is kept, what lines it becomes, what is wanted live."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from mirosd_client.cause import handling
from mirosd_client.event_id import EventId
from mirosd_client.hlc import HybridClock
from mirosd_client.recorder import (
    MAX_CHARS,
    MAX_LIVE_LINES,
    Deed,
    Recorder,
    Said,
    kind_of,
    line_of,
    subject_of,
)
from mirosd_client.shell.witness import Step
from mirosd_client.snoop_line import MAX_TEXT_CHARS, SentLine, decode_lines, encode_lines
from mirosd_client.wire import Network

EVENT, CAUSE = EventId(b"\x01" * 16, 2, 3), EventId(b"\x04" * 16, 5, 6)
CLIENT = "ab" * 16
TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY


class Clocks:
    """A wall clock that is moved, and the hybrid clock on it."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.hlc = HybridClock(lambda: self.now_s)


@pytest.fixture
def clocks() -> Clocks:
    """Clocks of one test."""
    return Clocks()


def recorder_of(clocks: Clocks, *limits: int) -> Recorder:
    """Give a recorder on moved clocks."""
    return Recorder(clocks.hlc.now, *limits, wall_clock=lambda: clocks.now_s)


def step(clocks: Clocks, signal: str | None = "GO", *, number: int = 1, moved: bool = True, **fields: Any) -> Step:
    """Give a step of a chart."""
    ids = {"event": None, "cause": None} | fields
    return Step(number, "c", signal, "a", "b", moved, clocks.now_s, clocks.hlc.now(), **ids)


def signals_of(deeds: Iterable[Deed]) -> list[str]:
    """Give the signals of what was noted."""
    return [subject_of(deed) for deed in deeds]


def test_each_deed_becomes_its_line(clocks: Clocks) -> None:
    """Starts and moves with their states, events and sends without, texts as they are; ids as text."""
    recorder = recorder_of(clocks)
    recorder.names[7] = "sender"
    recorder.note(start := step(clocks, None))
    recorder.note(move := step(clocks, event=EVENT, cause=CAUSE))
    recorder.note(stayed := step(clocks, moved=False, event=EVENT))
    recorder.sent(7, "WAR", 99, CAUSE, before := clocks.hlc.now())
    with handling(EVENT):
        recorder.said(2, "x", "scribble", "hello", is_grey=False)
    recorder.said(2, "x", "spy", "GO:outer")

    now_s = clocks.now_s
    common: dict[str, Any] = {"host": "h1", "client": CLIENT}
    deeds, is_older = recorder.since(60)
    said, spied = (deed.hlc for deed in deeds[4:])
    assert not is_older
    assert [
        SentLine("trace", "c", now_s, None, "a", "b", number=1, hlc=start.hlc, **common),
        SentLine(
            "trace", "c", now_s, "GO", "a", "b", number=1, hlc=move.hlc, event=str(EVENT), cause=str(CAUSE), **common
        ),
        SentLine("event", "c", now_s, "GO", number=1, hlc=stayed.hlc, event=str(EVENT), **common),
        SentLine(
            "send", "sender", now_s, "WAR", number=7, hlc=before, event=f"{CLIENT}-7-99", cause=str(CAUSE), **common
        ),
        SentLine("scribble", "x", now_s, text="hello", grey=False, number=2, hlc=said, cause=str(EVENT), **common),
        SentLine("spy", "x", now_s, text="GO:outer", number=2, hlc=spied, **common),
    ] == [line_of(deed, CLIENT, "h1") for deed in deeds]
    assert said < spied
    for deed in deeds:
        [line] = decode_lines(encode_lines([line_of(deed, CLIENT, "h1", line=9)]))
        assert (line.kind, line.subject, 9) == (kind_of(deed), subject_of(deed), line.line)


def test_the_latest_are_kept_and_it_is_said_when_older_ones_are_gone(clocks: Clocks) -> None:
    """A ring by number of lines: the oldest make room."""
    recorder = recorder_of(clocks, 3)
    for n in range(2):
        recorder.note(step(clocks, f"S{n}"))
    assert (["S0", "S1"], False) == (signals_of(recorder.since(60)[0]), recorder.since(60)[1])

    for n in range(2, 4):
        recorder.note(step(clocks, f"S{n}"))

    assert (["S1", "S2", "S3"], True) == (signals_of(recorder.since(60)[0]), recorder.since(60)[1])


def test_what_is_asked_for_is_a_span_of_time(clocks: Clocks) -> None:
    """Older entries are left out; what was let go of before that time is not missed."""
    recorder = recorder_of(clocks, 2)
    for n in range(3):
        recorder.note(step(clocks, f"S{n}"))
        clocks.now_s += 10

    assert (["S2"], False) == (signals_of(recorder.since(15)[0]), recorder.since(15)[1])
    assert (["S1", "S2"], True) == (signals_of(recorder.since(25)[0]), recorder.since(25)[1])


def test_a_clock_that_is_set_back_hides_nothing(clocks: Clocks) -> None:
    """The hybrid clock goes on; so what happened just now is found."""
    recorder = recorder_of(clocks)
    recorder.note(step(clocks, "BEFORE"))
    clocks.now_s -= 86_400
    recorder.note(step(clocks, "AFTER"))

    assert ["BEFORE", "AFTER"] == signals_of(recorder.since(5)[0])


def test_texts_are_bounded_together(clocks: Clocks) -> None:
    """A long one is cut, and the oldest entries make room for many of them; it is said that they are gone."""
    recorder = recorder_of(clocks)
    recorder.note(step(clocks))
    for _ in range(1000):
        recorder.said(1, "c", "scribble", "x" * 10**6)
        assert sum(len(deed.text) for deed in recorder.since(60)[0] if isinstance(deed, Said)) <= MAX_CHARS

    deeds, is_older = recorder.since(60)
    assert MAX_CHARS * 3 // 4 // MAX_TEXT_CHARS <= len(deeds) <= MAX_CHARS // MAX_TEXT_CHARS
    assert is_older


def test_none_are_kept_if_none_shall_be(clocks: Clocks) -> None:
    """What is wanted live passes all the same."""
    recorder = recorder_of(clocks, 0)
    recorder.sieve = lambda deed: (TRACE,)
    recorder.note(made := step(clocks))

    assert ([], True) == recorder.since(60)
    assert [(made, (TRACE,))] == recorder.take_live(10)


def test_who_follows_is_woken_once_until_it_rests(clocks: Clocks) -> None:
    """Not for each line; and never for one that nobody wants."""
    recorder = recorder_of(clocks)
    woken: list[int] = []
    recorder.follow(lambda: woken.append(1))
    recorder.note(step(clocks))
    assert not woken

    recorder.sieve = lambda deed: (SPY,) if subject_of(deed) == "WANTED" else ()
    for _ in range(3):
        recorder.note(step(clocks, "WANTED"))
        recorder.note(step(clocks))
    assert [1] == woken
    assert not recorder.rest()
    assert 3 == len(recorder.take_live(10))
    assert recorder.rest()

    recorder.note(step(clocks, "WANTED"))
    assert [1, 1] == woken


def test_lines_that_find_too_many_waiting_are_counted(clocks: Clocks) -> None:
    """By network; live they are gone, on record they are there."""
    recorder = recorder_of(clocks)
    recorder.sieve = lambda deed: (TRACE, SPY) if subject_of(deed) == "LAST" else (TRACE,)
    for n in range(MAX_LIVE_LINES + 1):
        recorder.note(step(clocks, f"S{n}"))
    recorder.note(step(clocks, "LAST"))

    assert {TRACE: 2, SPY: 1} == dict(recorder.overrun)
    assert [f"S{n}" for n in range(MAX_LIVE_LINES)] == signals_of(deed for deed, _ in recorder.take_live(10**6))
    assert "LAST" == signals_of(recorder.since(60)[0])[-1]


def test_a_notice_goes_live_to_one_network_and_is_not_kept(clocks: Clocks) -> None:
    """It concerns who watches now."""
    recorder = recorder_of(clocks)
    recorder.notice(3, "c", "spy_unavailable: x is not decorated", SPY)

    [(notice, networks)] = recorder.take_live(10)
    assert ((SPY,), 3, "notice") == (networks, notice.number, kind_of(notice))
    assert [] == recorder.since(60)[0]


def test_threads_do_not_lose_each_others_lines(clocks: Clocks) -> None:
    """Each is kept and goes live once, in its thread's order."""
    recorder = recorder_of(clocks)
    recorder.sieve = lambda deed: (TRACE,)

    def run(number: int) -> None:
        for n in range(500):
            recorder.note(step(clocks, f"S{n}", number=number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    def by_thread(deeds: list[Deed]) -> list[list[str]]:
        return [signals_of(deed for deed in deeds if deed.number == number) for number in range(4)]

    expected = [[f"S{n}" for n in range(500)]] * 4
    assert expected == by_thread(recorder.since(10**6)[0])
    assert expected == by_thread([deed for deed, _ in recorder.take_live(10**6)])
