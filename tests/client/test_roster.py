"""The list of charts: who is on it, what it says of each, how long."""

import gc
from typing import Any

import pytest

from mirosd_client.chart_row import ChartRow, decode_charts, encode_charts
from mirosd_client.dial import Dial
from mirosd_client.errors import RemoteProtocolError
from mirosd_client.roster import STOPPED_S, Roster
from mirosd_client.shell import Chart, Event, signals, spy_on
from mirosd_client.shell.testing import ManualReactor, RecordingBus, Threadless, threadless
from mirosd_client.wire import Network

ALL = Dial()


@spy_on
def waiting(chart: Any, e: Any) -> Any:
    """Works when told to."""
    if e.signal == signals.WORK:
        return chart.trans(working)
    if e.signal == signals.FAIL:
        raise ZeroDivisionError
    return chart.parent(chart.top)


def working(chart: Any, e: Any) -> Any:
    """A state that is not decorated."""
    return chart.parent(chart.top)


@pytest.fixture
def reactor() -> ManualReactor:
    """The clock of charts and roster."""
    return ManualReactor(500.0)


@pytest.fixture
def roster(reactor: ManualReactor) -> Roster:
    """An empty list."""
    return Roster("ab" * 16, "prog", 42, reactor.now)


def made(reactor: ManualReactor, name: str = "c") -> Threadless[Chart]:
    """Give a chart without a thread."""
    return threadless(Chart(name), reactor, RecordingBus(), raise_faults=False)


def test_a_row_says_what_a_chart_is_doing(reactor: ManualReactor, roster: Roster) -> None:
    """State and how long, what it handled last, what waits, faults, keys; before the start there is no state."""
    worker = made(reactor)
    member = roster.add(worker.chart, 7, receives="in.#", transmits="out")
    identity: dict[str, Any] = {
        "host": "h1",
        "client": "ab" * 16,
        "number": 7,
        "chart": "c",
        "program": "prog",
        "pid": 42,
        "receives": "in.#",
        "transmits": "out",
    }
    assert [ChartRow(**identity, is_running=False)] == roster.rows("h1", ALL)

    worker.start_at(waiting)
    worker.elapse(3.0)
    worker.tell("WORK")
    worker.elapse(2.0)
    worker.tell("IGNORED")
    worker.chart.post_fifo(Event(signal="LATER"))
    member.enabled[Network.SNOOP_SPY] = True

    assert [
        ChartRow(
            **identity,
            state="working",
            since_s=2.0,
            queue=1,
            signal="IGNORED",
            handled=2,
            spy=True,
            spy_unavailable="working",
        )
    ] == roster.rows("h1", ALL)


def test_faults_are_shown(reactor: ManualReactor, roster: Roster) -> None:
    """A chart whose handler raised lives on, and people see that it did."""
    worker = made(reactor)
    roster.add(worker.chart, 1)
    worker.start_at(waiting)
    worker.tell("FAIL")

    [row] = roster.rows("h1", ALL)
    assert (1, 1, "FAIL", "waiting") == (row.faults, row.handled, row.signal, row.state)


def test_charts_are_listed_by_name_as_a_dial_takes_them(reactor: ManualReactor, roster: Roster) -> None:
    """Two of one name are apart by their numbers."""
    charts = [made(reactor, name).chart for name in ("b", "a", "b", "x")]
    for number, chart in enumerate(charts, 1):
        roster.add(chart, number)

    assert [("a", 2), ("b", 1), ("b", 3), ("x", 4)] == [(r.chart, r.number) for r in roster.rows("h1", ALL)]
    assert [1, 3] == [r.number for r in roster.rows("h1", Dial(charts=["b"], signals=["NONE"]))]


def test_being_listed_keeps_no_chart_alive(reactor: ManualReactor, roster: Roster) -> None:
    """One that is dropped leaves the list at once, and whoever follows is told."""
    left: list[int] = []
    roster.on_leave = left.append
    chart: Any = Chart("gone", reactor=reactor)
    roster.add(chart, 3)
    assert 1 == len(roster.rows("h1", ALL))

    del chart
    gc.collect()

    assert ([], [3]) == (roster.rows("h1", ALL), left)
    assert roster.member(3) is None


def test_a_stopped_chart_stays_for_a_minute(reactor: ManualReactor, roster: Roster) -> None:
    """So that people who wonder where it is see that it was stopped."""
    worker = made(reactor)
    roster.add(worker.chart, 1)
    worker.start_at(waiting)
    worker.chart.stop()
    for age_s in (0.0, STOPPED_S):
        reactor.now_s = 500.0 + age_s
        assert [False] == [row.is_running for row in roster.rows("h1", ALL)]

    reactor.now_s += 1.0
    assert [] == roster.rows("h1", ALL)


class Plain:
    """A chart of plain miros, as far as the list looks at it."""

    name = "plain"
    thread = None


def test_a_chart_of_plain_miros_is_listed_with_what_it_has(roster: Roster) -> None:
    """It has no vital signs."""
    plain = Plain()
    roster.add(plain, 1)

    assert [("plain", "", 0, False)] == [
        (row.chart, row.state, row.handled, row.is_running) for row in roster.rows("h1", ALL)
    ]


def test_rows_cross_as_they_are_and_fit_to_print() -> None:
    """Anything else is one kind of error."""
    row = ChartRow(client="ab", number=1, chart="c\x1b[2J", state="x" * 9999, since_s=1.5, trace=True)

    assert [row] == decode_charts(encode_charts([row]))
    assert (row.chart.isprintable(), 4096) == (True, len(row.state))
    for junk in (b"", b"{}", b'[{"client":"a"}]', b'[{"client":"a","number":-1,"chart":"c"}]', b"[" * 100_000):
        with pytest.raises(RemoteProtocolError):
            decode_charts(junk)
