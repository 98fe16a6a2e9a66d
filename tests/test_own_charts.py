"""The daemon's own charts as a source: listed, recorded, and sent live, beside those of any program."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from mirosd.charts import HANDLED, Status, state
from mirosd.own_charts import PROGRAM, OwnCharts
from mirosd_client.chart_row import ChartRow, decode_charts
from mirosd_client.dial import Dial
from mirosd_client.messages import Recall, Watched, recall_key
from mirosd_client.record import Record, decode_records
from mirosd_client.shell import Chart, Event, Region, signals
from mirosd_client.snoop_line import CHARTS_SIGNAL, END_SIGNAL, LINES_SIGNAL, End, SnoopLine, decode_end, decode_lines
from mirosd_client.wire import Events, Network

DEADLINE_S = 30.0
RECALL = Recall("f" * 32, "history", "snoop_trace", Dial(), 3600.0)
GO = "OWN_CHARTS_GO"


class Searching(Chart):
    """A chart with a region, that goes on when it is told."""

    def __init__(self) -> None:
        super().__init__("search_chart")
        self.scout = Region(self, "10.0.0.7")


@state
def resting(chart: Any, e: Event) -> Status:
    """Until it is told to go."""
    if e.signal_name == GO:
        return chart.trans(searching)
    return _super(chart)


@state
def searching(chart: Any, e: Event) -> Status:
    """For good; the scout of a chart starts with it."""
    if e.signal == signals.ENTRY_SIGNAL:
        if isinstance(chart, Searching):
            chart.scout.start_at(searching)
        return HANDLED
    return _super(chart)


def _super(chart: Any) -> Status:
    return chart.parent(chart.top)


class Out:
    """snooping.Snooping, as far as a source sees it: what was sent, and from which thread."""

    def __init__(self) -> None:
        self.outbound = self
        self.source: Any = None
        self.sent: list[tuple[Network, str, Record]] = []
        self.threads: set[int] = set()
        self.flushed = 0

    def attached(self, source: Any) -> None:
        """Keep the source."""
        self.source = source

    def take(self, events: Events, records: int) -> None:
        """Keep what was sent."""
        self.threads.add(threading.get_ident())
        (record,) = decode_records(events.records)
        assert records == 1
        self.sent.append((events.network, events.routing_key, record))

    def flush(self) -> None:
        """Count."""
        self.flushed = len(self.sent)

    def lines(self, routing_key: str) -> list[SnoopLine]:
        """The lines with a routing key."""
        return [line for payload in self.payloads(routing_key, LINES_SIGNAL) for line in decode_lines(payload)]

    def payloads(self, routing_key: str, signal: str) -> list[bytes]:
        """What was sent with a routing key under a signal's name."""
        return [record.payload for _, key, record in self.sent if (key, record.signal) == (routing_key, signal)]


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


def play(test: Callable[[Searching, Out], Coroutine[Any, Any, None]]) -> None:
    """Run a test with a chart that has started."""

    async def scene() -> None:
        chart, out = Searching(), Out()
        OwnCharts([chart], out, "h1", time.time)  # type: ignore[arg-type]
        chart.start_at(resting)
        try:
            await test(chart, out)
        finally:
            chart.stop()

    asyncio.run(scene())


def go(chart: Searching) -> None:
    """Have it move."""
    chart.post_fifo(Event(signal=GO))


def test_what_they_did_is_on_record() -> None:
    """Nobody need have watched: moves and starts of charts and regions, each under its own name, and an end."""

    async def test(chart: Searching, out: Out) -> None:
        go(chart)
        await until(lambda: chart.state.fun is searching)
        out.source.recall(RECALL)
        key = recall_key(RECALL.id)
        await until(lambda: out.payloads(key, END_SIGNAL))

        (end,) = [decode_end(payload) for payload in out.payloads(key, END_SIGNAL)]
        lines = out.lines(key)
        assert [
            ("search_chart", None, "resting"),
            ("10.0.0.7", None, "searching"),
            ("search_chart", "OWN_CHARTS_GO", "searching"),
        ] == [(line.chart, line.signal, line.to_state) for line in lines]
        assert {("h1", end.client, 1)} == {(line.host, line.client, line.number) for line in lines}
        assert End(end.client, "h1", 3) == end
        assert {Network.SNOOP_TRACE} == {network for network, _, _ in out.sent}
        assert len(out.sent) == out.flushed

    play(test)


def test_they_are_listed_as_a_programs() -> None:
    """With the state that they are in."""

    async def test(chart: Searching, out: Out) -> None:
        out.source.recall(Recall("e" * 32, "charts", "snoop_trace"))
        key = recall_key("e" * 32)
        await until(lambda: out.payloads(key, END_SIGNAL))
        (row,) = [row for payload in out.payloads(key, CHARTS_SIGNAL) for row in decode_charts(payload)]

        assert isinstance(row, ChartRow)
        assert ("h1", "search_chart", "resting") == (row.host, row.chart, row.state)
        assert (PROGRAM, os.getpid(), 1) == (row.program, row.pid, row.number)
        assert "" == row.receives == row.transmits

    play(test)


def test_they_are_sent_live_to_whoever_dials_them() -> None:
    """By the loop's thread, one sequence of records; and nothing while nobody does."""

    async def test(chart: Searching, out: Out) -> None:
        out.source.watched(Watched({"snoop_trace": []}))
        go(chart)
        await until(lambda: chart.state.fun is searching)
        out.source.watched(Watched({"snoop_trace": [Dial(charts=["10.*"])]}))
        chart.post_call(lambda: chart.scout.start_at(resting))
        await until(lambda: out.lines("snoop.trace"))

        assert [("10.0.0.7", "resting", 1)] == [
            (line.chart, line.to_state, line.line) for line in out.lines("snoop.trace")
        ]
        assert {threading.get_ident()} == out.threads
        assert [1] == [record.sequence for _, _, record in out.sent]

    play(test)


def test_what_a_chart_asks_for_is_done_on_the_loop() -> None:
    """Charts have threads of their own; the way out has one."""

    async def scene() -> None:
        own, ran = OwnCharts([], Out(), "h1", time.time), list[int]()  # type: ignore[arg-type]
        thread = threading.Thread(target=own.call, args=(lambda: ran.append(threading.get_ident()),))
        thread.start()
        thread.join()
        await until(lambda: ran)

        assert [threading.get_ident()] == ran

    asyncio.run(scene())


def test_a_chart_that_outlives_the_loop_harms_nobody() -> None:
    """What it does then reaches nobody, and raises nothing in its thread."""
    chart, out = Searching(), Out()

    async def scene() -> None:
        OwnCharts([chart], out, "h1", time.time)  # type: ignore[arg-type]
        out.source.watched(Watched({"snoop_trace": [Dial()]}))

    asyncio.run(scene())
    chart.start_at(resting)
    go(chart)
    done = threading.Event()
    chart.post_call(done.set)

    assert done.wait(DEADLINE_S)
    assert searching is chart.state.fun
    assert 0 == chart.faults
    chart.stop()
