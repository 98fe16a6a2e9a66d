"""The feed: what goes to those who watch, when, and what they are told of what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd_client.dial import Dial
from mirosd_client.messages import Watched
from mirosd_client.recorder import MAX_LIVE_LINES
from mirosd_client.runs import MAX_RUN_BYTES, MAX_RUN_ITEMS
from mirosd_client.snoop_feed import GATHER_S, LOST_S, TURN_LINES
from mirosd_client.snoop_line import LINES_SIGNAL, decode_lines
from tests.client.snoop_source import CLIENT, SPY, TRACE, Source

NOBODY = Watched({})
BOTH = Watched({"snoop_trace": [], "snoop_spy": []})


@pytest.fixture
def source() -> Source:
    """A source with two charts, `one` and `two`, of which nobody has said what is watched."""
    return Source()


def test_nothing_goes_out_while_nobody_watches(source: Source) -> None:
    """Not even what a program has enabled itself; it costs a chart no look, and wakes nobody."""
    source.feed.enable(1, TRACE, True)
    source.watch(NOBODY)
    source.move()

    assert source.recorder.sieve is None
    assert not source.recorder.is_waiting
    assert [] == source.subjects()
    assert 1 == len(source.recorder.since(60)[0])


def test_lines_wait_until_it_is_known_who_watches_and_where_this_is(source: Source) -> None:
    """A program's first moves are seen, with the host's name; nothing waits of charts that nobody enabled."""
    source.feed.host = ""
    source.feed.enable(1, TRACE, True)
    source.move(signal="FIRST")
    source.move(2, signal="OTHER")
    source.feed.enable(2, SPY, True)
    source.say("seen", "spy", 2)
    assert [] == source.subjects()

    source.watch(Watched({"snoop_trace": []}))
    assert [] == source.subjects()
    source.feed.host = "h7"
    source.watch(Watched({"snoop_trace": []}))

    assert (["FIRST"], []) == (source.subjects(), source.subjects(SPY))
    assert ["h7"] == [line.host for line in source.lines()]
    assert not source.recorder.is_waiting


def test_lines_wait_for_word_of_who_watches(source: Source) -> None:
    """That comes a moment after the welcome, which tells the host's name."""
    source.feed.enable(1, TRACE, True)
    source.move(signal="FIRST")
    assert [] == source.subjects()

    source.watch(BOTH)
    assert ["FIRST"] == source.subjects()


def test_what_a_program_enabled_goes_to_whoever_watches(source: Source) -> None:
    """Moves and remarks on the trace; what miros' spy sees, and remarks of charts without trace, on the spy."""
    source.watch(BOTH)
    source.feed.enable(1, TRACE, True)
    source.feed.enable(1, SPY, True)
    source.feed.enable(2, SPY, True)
    for number in (1, 2):
        source.move(number, f"MOVE{number}")
        source.move(number, f"STAY{number}", moved=False)
        source.say(f"remark{number}", number=number)
        source.say(f"SPY{number}:state", "spy", number)

    assert ["MOVE1", "remark1"] == source.subjects()
    assert ["SPY1", "remark2", "SPY2"] == source.subjects(SPY)
    assert {("snoop.trace", LINES_SIGNAL), ("snoop.spy", LINES_SIGNAL)} == {r[1:3] for r in source.records}

    source.feed.enable(1, TRACE, False)
    source.move(1, "LATER")
    assert ["MOVE1", "remark1"] == source.subjects()


def test_a_dial_takes_what_it_asks_for_and_no_more(source: Source) -> None:
    """By chart and by signal; events without moves only if it says so; when it ends, nothing."""
    source.watch(Watched({"snoop_trace": [Dial(charts=["t*"], signals=["A*"])]}))
    for number in (1, 2):
        source.move(number, "ABOUT")
        source.move(number, "BEYOND")
        source.move(number, "AWAY", moved=False)
    assert ["ABOUT"] == source.subjects()
    assert ["two"] == [line.chart for line in source.lines()]

    source.watch(Watched({"snoop_trace": [Dial(charts=["t*"], signals=["A*"]), Dial(charts=["one"], events=True)]}))
    source.move(1, "BEYOND", moved=False)
    source.move(2, "AWAY", moved=False)
    assert ["ABOUT", "BEYOND"] == source.subjects()

    source.watch(Watched({"snoop_trace": []}))
    source.move(2, "ABOUT")
    assert ["ABOUT", "BEYOND"] == source.subjects()


def test_a_plain_clients_events_are_sent_by_its_program(source: Source) -> None:
    """Chart number 0 has the program's name."""
    source.watch(Watched({"snoop_trace": [Dial(charts=["prog"], events=True)]}))
    source.recorder.sent(0, "WAR", 1, None, 5)

    assert ["WAR"] == source.subjects()
    assert [("send", "prog", 0)] == [(line.kind, line.chart, line.number) for line in source.lines()]


def test_the_ancestors_broadcasts_go_out_though_nothing_is_enabled(source: Source) -> None:
    """To who watches that network, and to nobody else."""
    source.watch(Watched({"snoop_spy": []}))
    source.recorder.said(1, "one", "spy", "START", network=SPY)
    source.recorder.said(1, "one", "scribble", "remark", network=TRACE)

    assert (["START"], []) == (source.subjects(SPY), source.subjects())


def test_the_first_line_of_a_pause_goes_at_once_and_the_next_together(source: Source) -> None:
    """Under load a record every GATHER_S."""
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    source.reactor.advance(1.0)
    source.move()
    source.reactor.run_ready()
    assert 1 == len(source.records)

    for _ in range(5):
        source.move()
        source.reactor.advance(GATHER_S / 7)
    assert 1 == len(source.records)
    source.reactor.advance(GATHER_S / 2)
    assert (2, 6) == (len(source.records), len(source.lines()))
    source.move()
    source.watch(BOTH)
    assert 2 == len(source.records), "what is watched may be said at any time"


def test_a_flood_leaves_the_chart_its_time(source: Source) -> None:
    """So many lines in each pause and no more; the rest follows in order, and nothing is lost."""
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    moves = [f"S{n}" for n in range(2 * TURN_LINES + 1)]
    for signal in moves:
        source.move(signal=signal)
    source.reactor.run_ready()
    sent = [len(source.lines())]
    for _ in range(2):
        source.reactor.advance(GATHER_S)
        sent.append(len(source.lines()))

    assert [TURN_LINES, 2 * TURN_LINES, 2 * TURN_LINES + 1] == sent
    assert moves == source.subjects()


@pytest.mark.parametrize(("text", "count"), [("x", 250), ("y" * 4000, 20), ("\N{PILE OF POO}" * 4000, 3)])
def test_a_record_is_bounded(source: Source, text: str, count: int) -> None:
    """By lines and by bytes; a line that is longer goes alone."""
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    for _ in range(count):
        source.say(text)
    source.reactor.advance(1.0)

    assert count == len(source.lines())
    for _, _, _, payload in source.records:
        lines = decode_lines(payload)
        assert len(lines) <= MAX_RUN_ITEMS
        assert len(payload) <= MAX_RUN_BYTES + 2 or len(lines) == 1


def test_live_lines_are_counted_by_network(source: Source) -> None:
    """From 1, over all charts, so that a viewer knows what did not arrive; each names its source."""
    for number in (1, 2):
        source.feed.enable(number, TRACE, True)
        source.feed.enable(number, SPY, True)
    source.watch(BOTH)
    for number in (1, 2, 1):
        source.move(number)
        source.say("x", "spy", number)
    source.reactor.advance(1.0)

    for network in (TRACE, SPY):
        assert [1, 2, 3] == [line.line for line in source.lines(network)]
        assert [(CLIENT, 1), (CLIENT, 2), (CLIENT, 1)] == [line.source for line in source.lines(network)]


def test_what_finds_no_room_is_counted_and_missing_in_the_numbers(source: Source) -> None:
    """Refused by the window, or made faster than they are sent."""
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    source.has_room = lambda: False
    source.move()
    source.reactor.advance(1.0)
    source.has_room = lambda: True
    for _ in range(MAX_LIVE_LINES + 10):
        source.move()
    assert 11 == source.feed.refused
    source.reactor.advance(1.0)

    assert (11, MAX_LIVE_LINES) == (source.feed.refused, len(source.lines()))
    assert (12, MAX_LIVE_LINES + 11) == (source.lines()[0].line, source.lines()[-1].line)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.integers(1, 250)),
            st.tuples(st.just("say"), st.integers(1, 20_000)),
            st.tuples(st.just("time"), st.integers(0, 40)),
            st.tuples(st.just("room"), st.integers(0, 1)),
            st.tuples(st.just("flush"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_each_line_that_is_wanted_is_published_once_or_counted(deeds: list[tuple[str, int]]) -> None:
    """In order, whatever the bursts and however often there is no room."""
    source = Source()
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    made = 0
    for what, n in deeds:
        if what == "move":
            for _ in range(n):
                source.move(signal=f"S{made}")
                made += 1
        elif what == "say":
            source.say("x" * n)
            made += 1
        elif what == "time":
            source.reactor.advance(n / 1000)
        elif what == "room":
            source.has_room = lambda n=n: bool(n)  # type: ignore[misc]
        else:
            source.feed.flush()
    source.reactor.advance(1.0)

    numbers = [line.line for line in source.lines()]
    assert made == len(numbers) + source.feed.refused
    assert sorted(set(numbers)) == numbers
    assert not numbers or numbers[-1] <= made


def test_a_daemon_that_is_lost_is_waited_for(source: Source) -> None:
    """Its dials go on for a while, lines wait for the next daemon, which says anew what is watched."""
    asked = Watched({"snoop_trace": [Dial(charts=["one"])]})
    source.watch(asked)
    source.feed.lost()
    source.move(signal="MEANWHILE")
    assert [] == source.subjects()
    source.feed.host = "h1"
    source.watch(asked)
    assert ["MEANWHILE"] == source.subjects()

    source.feed.lost()
    source.feed.host = "h1"
    source.watch(asked)
    source.reactor.advance(LOST_S + 1)
    source.move(signal="STILL_ASKED_FOR")
    assert ["MEANWHILE", "STILL_ASKED_FOR"] == source.subjects()


def test_dials_end_with_a_daemon_that_does_not_come_back(source: Source) -> None:
    """What it cannot say any more holds for a minute; what programs enabled themselves waits on."""
    source.feed.enable(2, TRACE, True)
    source.watch(Watched({"snoop_trace": [Dial()]}))
    source.feed.lost()
    source.reactor.advance(LOST_S + 1)
    source.move(1, "DIALLED")
    source.move(2, "ENABLED")
    source.feed.host = "h1"
    source.watch(BOTH)

    assert ["ENABLED"] == source.subjects()


def test_what_is_left_at_the_end_is_sent_or_counted(source: Source) -> None:
    """A program's last moves are flushed; those of a client that is closed are refused."""
    source.feed.enable(1, TRACE, True)
    source.watch(BOTH)
    source.move(signal="A")
    source.reactor.run_ready()
    source.move(signal="B")
    source.feed.flush()
    assert ["A", "B"] == [line.subject for line in source.lines()]

    source.has_room = lambda: False
    source.feed.close()
    source.move(signal="C")
    assert (["A", "B"], 1) == (source.subjects(), source.feed.refused)


def test_a_client_that_never_had_a_daemon_counts_what_waited(source: Source) -> None:
    """When it is closed."""
    unheard = Source()
    unheard.feed.host = ""
    unheard.feed.enable(1, TRACE, True)
    unheard.move()
    unheard.has_room = lambda: False
    unheard.feed.close()

    assert 1 == unheard.feed.refused
