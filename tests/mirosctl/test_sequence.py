"""Sequence diagrams in a terminal."""

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mirosctl.causal_order import in_order
from mirosctl.cells import text_cells
from mirosctl.sequence import Sequence
from mirosd_client.snoop_line import SnoopLine
from tests.mirosctl.conversations import Conversation
from tests.mirosctl.test_causal_order import SCRIPTS
from tests.properties import EXAMPLES, TOTAL

SOME = settings(TOTAL, max_examples=min(EXAMPLES, 300))  # each is a conversation of dozens of lines

SMALL = Conversation().play([(0, {1, 2}, True, 10), (1, {3}, True, 20), (3, set(), True, 5), (2, {0}, False, 3)])
H1, H2 = "0a" * 16, "0b" * 16


def line(kind: str, client: str, chart: str, ms: int, **fields: object) -> SnoopLine:
    """Give a line of a chart number 1, some milliseconds after the epoch."""
    host = "h1" if client == H1 else "h2"
    return SnoopLine(
        kind,  # type: ignore[arg-type]
        chart,
        ms / 1000,
        host=host,
        client=client,
        number=1,
        hlc=(ms << 16) + 1,
        **fields,  # type: ignore[arg-type]
    )


def handled(client: str, chart: str, ms: int, event: str, signal: str = "PING") -> SnoopLine:
    """Give the line of an event that moved nothing."""
    return line("event", client, chart, ms, signal=signal, event=event)


def drawn(lines: list[SnoopLine], width: int | None = None, height: int = 1000) -> list[str]:
    """Give the rows of a whole drawing."""
    return Sequence(width, height).draw(in_order(lines))


def test_a_conversation_is_drawn() -> None:
    """Lifelines by host and name, a start, arrows both ways and over others, moves, time from the first line on."""
    rows = drawn(SMALL.lines, width=72)

    assert [
        "             h1/archer    h1/lead    h3/scout    h3/archer   h2/archer",
        "    +0.000     *[s1]         |           |           |           |",
        "    +0.000       |         *[s1]         |           |           |",
        "    +0.000       |           |         *[s1]         |           |",
        "    +0.000       |           |           |         *[s1]         |",
        "    +0.010     [s2]          |           |           |           |",
        "    +0.030       |---E1_1--->|           |           |           |",
        "    +0.030       |         [s2]          |           |           |",
        "    +0.035       |           |---E2_1--->|           |           |",
        "    +0.035       |           |         [s2]          |           |",
        "    +5.000       |           |           |           |         *[s1]",
        "    +5.038       |---------------------E1_2--------------------->|",
        "    +5.038       |<--------------------E3_1----------------------|",
        "    +5.038     [s3]          |           |           |           |",
    ] == rows


@given(SCRIPTS, st.randoms(use_true_random=False))
@SOME
def test_each_arrow_is_drawn_once(script: list[tuple[int, set[int], bool, int]], dice: random.Random) -> None:
    """Whatever was said, and however often and in whatever order its lines came; and two drawings are the same."""
    said = Conversation().play(script)
    rows = drawn(said.lines)
    coming = [*said.lines, *dice.sample(said.lines, len(said.lines) // 2)]
    dice.shuffle(coming)
    arrows = [word for row in rows for word in re.findall(r"-(E\d+_\d+)-", row)]

    assert said.arrows == {signal: arrows.count(signal) for signal in arrows}
    assert rows == drawn(coming)


@given(SCRIPTS)
@SOME
def test_an_arrow_goes_from_its_sender_to_its_receiver(script: list[tuple[int, set[int], bool, int]]) -> None:
    """Its ends stand beneath their names, and its head is the receiver's."""
    said = Conversation().play(script)
    labels = {each.source: f"{each.host}/{each.chart}" for each in said.lines}
    expected = {
        after.signal: (labels[before.source], labels[after.source]) for before, after in said.order if after.event
    }
    rows = drawn(said.lines)
    middles = {match.start() + len(match[0]) // 2: match[0] for match in re.finditer(r"\S+", rows[0])}
    for row in rows:
        if arrow := re.search(r"\|(<?)-+(E\d+_\d+)-+(>?)\|", row):
            left, right = middles[arrow.start()], middles[arrow.end() - 1]
            ends = (right, left) if arrow[1] else (left, right)

            assert expected[arrow[2]] == ends
            assert (arrow[1], arrow[3]) in {("<", ""), ("", ">")}


def test_it_grows_as_lines_come() -> None:
    """Each line adds rows and changes none; the names stand again where a chart appears, with its column."""
    sequence = Sequence(None, 1000)
    first = sequence.draw([line("trace", H1, "a", 0, to_state="on")])
    second = sequence.draw([handled(H2, "b", 5, f"{H1}-1-1")])
    third = sequence.draw([handled(H2, "b", 9, f"{H1}-1-2")])

    assert [["h1/a"], ["+0.000", "*[on]"]] == [row.split() for row in first]
    assert [[], ["h1/a", "h2/b"], ["+0.005", "|----------PING---------->|"]] == [row.split() for row in second]
    assert [["+0.009", "|----------PING---------->|"]] == [row.split() for row in third]


def test_the_names_are_repeated_with_each_screenful() -> None:
    """So that they are always to be seen."""
    rows = drawn([line("scribble", H1, "a", ms, text="x") for ms in range(7)], height=3)

    assert [0, 4, 8] == [at for at, row in enumerate(rows) if "h1/a" in row]
    assert 10 == len(rows)


def test_who_sent_is_known_by_any_line() -> None:
    """By a line that comes later too; who left no line at all is a lifeline of its own."""
    rows = drawn([handled(H2, "b", 1, f"{H1}-1-7"), line("trace", H1, "a", 2, to_state="on", signal="X")])
    unknown = drawn([handled(H2, "b", 1, f"{H1}-1-7"), handled(H2, "b", 2, "junk"), handled(H2, "b", 3, "0c-x-1")])

    assert ["h1/a", "h2/b"] == rows[0].split()
    assert ["?", "h2/b"] == unknown[0].split()
    assert 3 == sum("PING" in row for row in unknown)


def test_a_chart_that_sends_is_not_taken_for_its_region() -> None:
    """A chart's regions have its number; what it sent is drawn from the chart."""
    rows = drawn(
        [
            line("event", H1, "region", 1, signal="X", event=f"{H2}-1-1"),
            line("send", H1, "owner", 2, signal="PING", event=f"{H1}-1-1"),
            handled(H2, "b", 3, f"{H1}-1-1"),
        ]
    )

    assert ["h2/b", "h1/region", "h1/owner"] == rows[0].split()
    assert re.search(r"\|<-+PING-+\|$", rows[2]), "over the region, up to the owner"


def test_an_event_that_was_deferred_came_once() -> None:
    """A chart that puts an event off handles it in two steps."""
    rows = drawn([handled(H2, "b", ms, f"{H1}-1-7") for ms in (1, 2)])

    assert 1 == sum("PING" in row for row in rows)


def test_several_receivers_are_several_arrows() -> None:
    """Each where that one handled it."""
    rows = drawn([handled(H2, name, ms, f"{H1}-1-7") for ms, name in enumerate("bcd")])

    assert 3 == sum("PING" in row for row in rows)


def test_charts_of_one_name_are_apart() -> None:
    """On two hosts by the host, on one by a number in the order of their appearance."""
    other = line("trace", "0c" * 16, "archer", 3, to_state="on")
    rows = drawn([line("trace", client, "archer", 1, to_state="on") for client in (H1, H2)] + [other])

    assert ["h1/archer", "h2/archer", "h2/archer~2"] == rows[0].split()


def test_narrow_lifelines_are_cut() -> None:
    """Names in their middle, so that their numbers stay; signals and states at their end; no row is wider."""
    names = [f"archer-{number}" for number in range(4)]
    sender = [line("trace", H1, name, ms, to_state="a_state_with_a_long_name") for ms, name in enumerate(names)]
    crossed = [
        line("trace", H2, "b", 10, to_state="deadly_advance", signal="Advance_War_Cry", event=f"{H1}-1-1"),
        line("scribble", H2, "b", 11, text="what people scribble can be long"),
    ]
    rows = drawn(sender + crossed, width=61)

    assert ["h1/a…er-0", "h1/a…er-1", "h1/a…er-2", "h1/a…er-3", "h2/b"] == rows[0].split()
    assert "*[a_state_wi…]" in rows[1]
    assert "[deadly_adva…]" in rows[6]
    assert "# what people…" in rows[7]
    assert all(text_cells(row) <= 61 for row in rows)


def test_wide_characters_keep_the_columns() -> None:
    """A character of two cells moves nothing behind it; one of none neither."""
    rows = drawn(
        [line("trace", H1, "弓", 1, to_state="前進e\u0301"), line("trace", H2, "b", 2, to_state="on")], width=40
    )

    assert text_cells(rows[1][: rows[1].index("|")]) == rows[2].index("*[on]") + 2


def test_what_does_not_fit_is_left_out_and_told() -> None:
    """The first charts are drawn; who is not is named, and who hears from one of them still shows it."""
    sequence = Sequence(35, 1000)
    charts = [line("trace", H1, name, ms, to_state="on") for ms, name in enumerate("abc")]
    rows = sequence.draw(
        [
            *charts,
            line("event", "0d" * 16, "a", 9, signal="PING", event="junk"),
            handled(H2, "a", 10, f"{'0c' * 16}-1-1"),
        ]
    )

    assert ["h1/a", "h1/b"] == rows[0].split()
    assert {"h1/c", "h2/a", "?", "h2/a~2"} == set(sequence.left_out)
    assert 3 == len(rows)
    assert ["+0.020", "->PING", "|"] == sequence.draw([handled(H1, "a", 20, "junk")])[0].split()


def test_times_never_run_backwards_on_the_page() -> None:
    """Clocks of hosts differ, hybrid times do not; one that is absurd does not widen a row."""
    early = SnoopLine("trace", "b", 0.5, host="h2", client=H2, number=1, hlc=9000 << 16)
    absurd = SnoopLine("trace", "b", 0.5, host="h2", client=H2, number=1, hlc=10**40)
    rows = drawn([line("trace", H1, "a", 8000, to_state="on"), early, absurd])

    assert ["+0.000", "+1.000"] == [row.split()[0] for row in rows[1:3]]
    assert rows[3].startswith("+281474976 ")
