"""The keep-alive goes out only while every chart takes its steps and comes to rest; a chart that does not is named."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from mirosd.backends.systemd import Notifier
from mirosd.localapi.board import Board
from mirosd.watchdog import DEFAULT_WATCHDOG_S, ROUNDS, Watchdog
from mirosd_client.shell import Chart, Event, Reactor, return_status
from tests.backends.virtual_time import run_virtually
from tests.lab.waiting import until

WATCHDOG_S = 8.0
ROUND_S = WATCHDOG_S / ROUNDS
WHY = {
    "HOLD": "HOLD is handled for 4.0 s, in working",
    "FLOOD": "it does not come to rest: ",
    "SPIN": "it does not come to rest: ",
    "DIE": "its thread has ended",
}


class Manager(Notifier):
    """A service manager that counts what keeps it waiting."""

    def __init__(self, watchdog_s: float | None) -> None:
        super().__init__()
        self.watchdog_s, self.kept = watchdog_s, 0

    def keep_alive(self) -> None:
        self.kept += 1


class Worker(Chart):
    """A chart that does wrong for as long as the test likes."""

    def __init__(self, name: str, reactor: Reactor) -> None:
        super().__init__(name, reactor=reactor)
        self.began, self.release = threading.Event(), threading.Event()


def working(chart: Worker, e: Event) -> int:
    """HOLD does not return, FLOOD and SPIN post themselves, before and after all else, DIE ends the thread."""
    if e.signal_name not in WHY:
        return chart.parent(chart.top)
    chart.began.set()
    if e.signal_name == "HOLD":
        chart.release.wait(30)
    elif e.signal_name in {"FLOOD", "SPIN"} and not chart.release.is_set():
        (chart.post_lifo if e.signal_name == "FLOOD" else chart.post_fifo)(e)
    elif e.signal_name == "DIE":
        raise GeneratorExit  # no fault of a handler, nor a wish to exit: nobody takes it
    return int(return_status.HANDLED)


class Watch:
    """A watchdog in virtual time over two charts with threads: they get the real time that an answer needs."""

    def __init__(self, watchdog_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self.now_s = loop.time  # of the charts; while virtual time jumps, every step that runs seems long
        reactor = Reactor(clock=lambda: self.now_s())
        self.steady, self.odd = Worker("steady", reactor), Worker("odd", reactor)
        self.manager, self.board = Manager(watchdog_s), Board(loop)
        self.dog = Watchdog([self.steady, self.odd], self.manager, self.board)

    async def next_round(self, *, silent: str = "") -> None:
        """Let the last round be answered by all but one, and the next begin."""
        until(lambda: self.dog.awaited <= {silent}, what="all other charts answered")
        await asyncio.sleep(ROUND_S)

    def misbehave(self, signal: str) -> None:
        """Have the odd chart begin to do wrong, once it has answered."""
        until(lambda: not self.dog.awaited, what="all charts answered")
        if signal in {"FLOOD", "SPIN"}:
            self.now_s = lambda: 0.0  # and in no time for those that are short
        self.odd.post_fifo(Event(signal=signal))
        assert self.odd.began.wait(30)
        if signal == "DIE":
            until(lambda: self.odd.thread and not self.odd.thread.is_alive(), what="its thread ended")


@contextmanager
def watched(watchdog_s: float | None = WATCHDOG_S) -> Iterator[Watch]:
    """Give a watch on charts that run."""
    watch = Watch(watchdog_s)
    for chart in (watch.steady, watch.odd):
        chart.start_at(working)
    try:
        with watch.dog:
            yield watch
    finally:
        for chart in (watch.steady, watch.odd):
            chart.release.set()
            chart.stop()


def of_charts(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the lines of a watchdog, as what other threads log is heard here too."""
    return [line for line in lines if line["event"].startswith("chart_")]


def test_a_loop_that_was_busy_is_late() -> None:
    """By so much as what kept it took; there is one look with each round, whoever waits for it or not."""

    async def test() -> None:
        with watched() as watch:
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + ROUND_S - 0.1, loop.spend, 0.5)  # type: ignore[attr-defined]
            await watch.next_round()
            await watch.next_round()
            lag_s = watch.board.measures.lag_s

            assert 2 == sum(lag_s.counts)
            assert pytest.approx(0.4) == lag_s.sum_s

    run_virtually(test())


def test_a_daemon_whose_charts_rest_is_kept_alive() -> None:
    """Each round brings a keep-alive, four in the time that the manager waits, and no line of the log."""

    async def work() -> None:
        with capture_logs() as lines, watched() as watch:
            for kept in range(1, 6):
                assert kept == watch.manager.kept
                await watch.next_round()

        assert [] == of_charts(lines)

    run_virtually(work())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # what DIE is
@pytest.mark.parametrize("signal", WHY)
def test_a_chart_that_does_not_rest_is_named(signal: str) -> None:
    """No keep-alive goes out; one line and one reason say which chart it is and why, however long it lasts."""

    async def work() -> None:
        with watched() as watch, capture_logs() as lines:
            watch.misbehave(signal)
            await watch.next_round()  # what was answered before
            kept = watch.manager.kept
            for _ in range(3):
                await watch.next_round(silent="odd")
            told = [
                (line["event"], line["chart"], line["why"][: len(WHY[signal])], line["watchdog_s"])
                for line in of_charts(lines)
            ]

            assert [("chart_stuck", "odd", WHY[signal], WATCHDOG_S)] == told
            assert {"chart_stuck": f"odd: {of_charts(lines)[0]['why']}"} == watch.board.reasons
            assert kept == watch.manager.kept

    run_virtually(work())


@pytest.mark.parametrize("signal", ["HOLD", "FLOOD", "SPIN"])
def test_a_chart_that_goes_on_is_told(signal: str) -> None:
    """Once it rests again the keep-alive goes out again, the reason is gone, and one line says so."""

    async def work() -> None:
        with watched() as watch, capture_logs() as lines:
            watch.misbehave(signal)
            await watch.next_round()
            await watch.next_round(silent="odd")
            kept = watch.manager.kept
            watch.odd.release.set()
            await watch.next_round()

            assert kept + 1 == watch.manager.kept
            assert {} == watch.board.reasons
            assert ["chart_stuck", "chart_unstuck"] == [line["event"] for line in of_charts(lines)]

    run_virtually(work())


def test_a_full_queue_is_no_rest() -> None:
    """A chart that could not even be asked, its queue being full, is asked again when there is room."""

    async def work() -> None:
        with watched() as watch:
            watch.misbehave("HOLD")
            while watch.odd.post_call(bool):
                pass
            await watch.next_round()  # it cannot be asked
            await watch.next_round(silent="odd")
            kept = watch.manager.kept

            assert ["chart_stuck"] == list(watch.board.reasons)

            watch.odd.release.set()
            until(lambda: not watch.odd.queue, what="room in its queue")
            await watch.next_round(silent="odd")  # now it can
            await watch.next_round()

            assert kept + 1 == watch.manager.kept

    run_virtually(work())


def test_without_a_manager_the_status_still_tells() -> None:
    """No manager waits, and a chart that is stuck stands in the status all the same, within two minutes."""

    async def work() -> None:
        with watched(None) as watch:
            watch.misbehave("HOLD")
            for _ in range(3):
                until(lambda: watch.dog.awaited <= {"odd"}, what="the other chart answered")
                await asyncio.sleep(DEFAULT_WATCHDOG_S / ROUNDS)

            assert ["chart_stuck"] == list(watch.board.reasons)

    run_virtually(work())
