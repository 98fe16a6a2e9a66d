"""Whether the daemon still does its work: the loop turns, and each of its charts takes its steps and comes to rest.

In each round every chart is asked by a call in its own queue, and has answered when that call finds the queue empty
behind it. So a thread that has ended, a handler that never returns and a chart that floods itself all show as the same
silence, and the watchdog says which it is. The round itself runs on the loop: one that hangs has none. How late it
comes is measured, on a host without heartbeats too.

    round: all have answered the last one -> keep-alive to the service manager; somebody has not -> `chart_stuck`

The manager ends the daemon (SIGABRT) and starts it anew when no keep-alive came for as long as it waits. Without one,
`chart_stuck` still stands in the status.
"""

import asyncio
from collections.abc import Iterable

import structlog

from mirosd.backends.systemd import Notifier
from mirosd.core.shown import Board
from mirosd_client.shell import Chart

DEFAULT_WATCHDOG_S = 120.0
"""Where no manager waits for it: seldom, since a round wakes every chart, and an idle daemon is to sleep."""
ROUNDS = 4
"""Rounds in that time: three of them must fail, so that one slow step on a loaded host ends nothing."""

log = structlog.get_logger()


class Watchdog:
    """Goes its rounds within a `with`. Thread: loop.

    Args:
        charts: all of them started.
    """

    def __init__(self, charts: Iterable[Chart], notifier: Notifier, board: Board) -> None:
        self._loop = asyncio.get_running_loop()
        self._notifier, self._board = notifier, board
        self._round_s = (notifier.watchdog_s or DEFAULT_WATCHDOG_S) / ROUNDS
        self._charts = [_Watched(chart) for chart in charts]
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._round()

    def __exit__(self, *_error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def awaited(self) -> set[str]:
        """The names of the charts that have still to answer the last round."""
        return {chart.name for chart in self._charts if not chart.has_answered}

    def _come(self, due_s: float) -> None:
        self._board.measures.lag_s.add(self._loop.time() - due_s)
        self._round()

    def _round(self) -> None:
        due_s = self._loop.time() + self._round_s
        self._timer = self._loop.call_at(due_s, self._come, due_s)
        for chart in self._charts:
            self._look(chart)
        if stuck := [f"{chart.name}: {chart.trouble}" for chart in self._charts if chart.trouble]:
            self._board.raise_reason("chart_stuck", "; ".join(stuck))
        else:
            self._board.clear_reason("chart_stuck")
            self._notifier.keep_alive()
        for chart in self._charts:
            chart.ask()

    def _look(self, chart: "_Watched") -> None:
        """Note what is wrong with a chart, once: what is said of it stands until it answers."""
        if chart.has_answered:
            if chart.trouble:
                log.info("chart_unstuck", chart=chart.name)
            chart.trouble = ""
        elif not chart.trouble:
            chart.trouble = chart.why(self._round_s)
            log.error("chart_stuck", chart=chart.name, why=chart.trouble, watchdog_s=self._notifier.watchdog_s)


class _Watched:
    """One chart, and whether it has answered since it was asked.

    `has_answered` is set by the chart's thread and reset by the loop, which asks again only after an answer.
    """

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._is_asked = False
        self.name = str(chart.name)
        self.has_answered = True
        self.trouble = ""

    def ask(self) -> None:
        """Have it answer, unless it is still to do so."""
        if not self._is_asked:
            self.has_answered = False
            self._is_asked = self._chart.post_call(self._answer)

    def why(self, round_s: float) -> str:
        """Say what keeps it from answering."""
        chart = self._chart
        if chart.thread is None or not chart.thread.is_alive():
            return "its thread has ended"
        busy_since_s = chart.busy_since
        busy_s = 0.0 if busy_since_s is None else chart.reactor.now() - busy_since_s
        if busy_s > round_s / 2:  # an answer is a round late: a step that takes half of it is what it waits for
            return f"{chart.vitals.last_signal} is handled for {busy_s:.1f} s, in {chart.state.fun.__name__}"
        return f"it does not come to rest: {len(chart.queue)} events wait, last {chart.vitals.last_signal}"

    def _answer(self) -> None:
        """In the chart's thread: answer, or once more behind what waits."""
        if len(self._chart.queue):
            self._is_asked = self._chart.post_call(self._answer)
        else:
            self._is_asked, self.has_answered = False, True
