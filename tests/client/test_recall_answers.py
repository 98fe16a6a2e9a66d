"""Answers to recalls: what is in them, how slowly they go, how they end."""

from typing import Any

import pytest

from mirosd_client.chart_row import decode_charts
from mirosd_client.dial import Dial
from mirosd_client.messages import Recall
from mirosd_client.recall_answers import BURST_BYTES, PAUSE_S
from mirosd_client.recorder import MAX_LINES
from mirosd_client.snoop_line import CHARTS_SIGNAL, END_SIGNAL, LINES_SIGNAL, End, decode_end, decode_lines
from tests.client.snoop_source import CLIENT, TRACE, Source

ID = "12" * 16


@pytest.fixture
def source() -> Source:
    """A source with two charts, whom nobody watches."""
    return Source()


def recall(network: str = "snoop_trace", dial: Dial = Dial(events=True), **fields: Any) -> Recall:  # noqa: B008
    """Give a recall of the last minute."""
    return Recall(**{"id": ID, "what": "history", "network": network, "dial": dial, "since_s": 60.0} | fields)


def answered(source: Source, asked: Recall) -> tuple[list[str], End]:
    """Ask; gives what the lines are about, and the end."""
    source.records.clear()
    source.feed.recall(asked)
    source.reactor.advance(2.0)
    assert {f"recall.{asked.id}"} == {routing_key for _, routing_key, _, _ in source.records}
    assert END_SIGNAL == source.records[-1][2]
    lines = [line for _, _, signal, data in source.records if signal == LINES_SIGNAL for line in decode_lines(data)]
    assert {("h1", 0)} >= {(line.host, line.line) for line in lines}
    return [line.subject or line.text for line in lines], decode_end(source.records[-1][3])


def test_history_is_what_the_dial_takes_of_the_network(source: Source) -> None:
    """On the trace also what was sent and handled, if asked for; on the spy what miros saw, and untraced remarks."""
    source.feed.enable(2, TRACE, True)
    for number in (1, 2):
        source.move(number, f"MOVE{number}")
        source.move(number, f"STAY{number}", moved=False)
        source.say(f"remark{number}", number=number)
        source.say(f"SPY{number}:x", "spy", number)
    source.recorder.sent(0, "SENT", 1, None, source.recorder.now())

    assert ["MOVE1", "STAY1", "remark1", "MOVE2", "STAY2", "remark2", "SENT"] == answered(source, recall())[0]
    assert (["MOVE2", "remark2"], End(CLIENT, "h1", 2)) == answered(source, recall(dial=Dial(charts=["two"])))
    assert ["MOVE1"] == answered(source, recall(dial=Dial(signals=["*1"])))[0]
    assert ["remark1", "SPY1", "SPY2"] == answered(source, recall("snoop_spy"))[0]


def test_an_answer_ends_though_there_is_nothing(source: Source) -> None:
    """So nobody waits; and it says when older lines of that time are gone."""
    assert ([], End(CLIENT, "h1", 0)) == answered(source, recall())
    for _ in range(MAX_LINES + 1):
        source.move()

    subjects, end = answered(source, recall())
    assert (MAX_LINES, End(CLIENT, "h1", MAX_LINES, older=True)) == (len(subjects), end)


def test_charts_are_rows(source: Source) -> None:
    """Those that the dial takes by name, whatever the network."""
    source.feed.recall(recall(what="charts", dial=Dial(charts=["t*"])))
    source.reactor.advance(1.0)

    (network, _, signal, data), (_, _, end_signal, end) = source.records
    assert (TRACE, CHARTS_SIGNAL, END_SIGNAL) == (network, signal, end_signal)
    assert [("h1", CLIENT, 2, "two")] == [(r.host, r.client, r.number, r.chart) for r in decode_charts(data)]
    assert End(CLIENT, "h1", 1) == decode_end(end)


def test_an_answer_leaves_others_the_thread(source: Source) -> None:
    """64 KiB in each 20 ms at most, of all recalls together; one after the other."""
    for n in range(2000):
        source.move(signal=f"S{n}")
    for n in (3, 4):
        source.feed.recall(recall(id=f"{n}" * 32))
    sizes = []
    while len([1 for record in source.records if record[2] == END_SIGNAL]) < 2:
        before = len(source.records)
        source.reactor.advance(PAUSE_S)
        sizes.append(sum(len(record[3]) for record in source.records[before:]))

    assert 0.5 * BURST_BYTES < max(sizes) <= BURST_BYTES
    assert sorted(key for _, key, _, _ in source.records) == [key for _, key, _, _ in source.records]
    assert 4000 == sum(len(decode_lines(data)) for _, _, signal, data in source.records if signal == LINES_SIGNAL)


def test_what_of_an_answer_finds_no_room_is_counted(source: Source) -> None:
    """Lines and the end; the end tells how many there were, so that they are missed."""
    source.move()
    source.move()
    source.has_room = lambda: False
    source.feed.recall(recall())
    source.reactor.advance(1.0)

    assert 3 == source.feed.refused
