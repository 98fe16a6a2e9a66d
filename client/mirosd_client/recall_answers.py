"""Answers to recalls: what a process has on record, sent so slowly that it holds up nothing.

One recall after the other, at most 64 KiB in each pause. Each answer ends with an End, which
says how much there was: so whoever asked knows what is missing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from mirosd_client.messages import Recall, recall_key
from mirosd_client.recorder import Recorder, kind_of, line_of, subject_of
from mirosd_client.roster import Roster
from mirosd_client.runs import MAX_RUN_BYTES, runs
from mirosd_client.snoop_line import CHARTS_SIGNAL, END_SIGNAL, LINES_SIGNAL, End, belongs, encode_end
from mirosd_client.wire import Network

PAUSE_S = 0.02
"""Between bursts: events have the thread meanwhile."""
BURST_BYTES = 64 * 1024
"""Of each burst: 3 MB/s at most, and a whole recorder within 2 s."""

NETWORKS = {"snoop_trace": Network.SNOOP_TRACE, "snoop_spy": Network.SNOOP_SPY}

Put = Callable[[Network, str, str, bytes, int], object]
"""Called with network, routing key, signal name, payload, and how many are in it."""


class Executor(Protocol):
    """A thread that does one thing after the other."""

    def call(self, fn: Callable[[], object]) -> object:
        """Call it soon, in order; any thread."""

    def after(self, delay_s: float, fn: Callable[[], object]) -> object:
        """Call it later."""


class RecallAnswers:
    """The recalls of one process that are not answered yet. Thread: the executor's."""

    def __init__(self, recorder: Recorder, roster: Roster, put: Put, executor: Executor) -> None:
        self._recorder, self._roster = recorder, roster
        self._put, self._executor = put, executor
        self._waiting: deque[Iterator[int]] = deque()

    def answer(self, recall: Recall, host: str) -> None:
        """Send what there is, in its turn."""
        self._waiting.append(self._send(recall, host))
        if len(self._waiting) == 1:
            self._go_on()

    def _go_on(self) -> None:
        size = 0
        while self._waiting and size + MAX_RUN_BYTES <= BURST_BYTES:
            sent = next(self._waiting[0], None)
            if sent is None:
                self._waiting.popleft()
            else:
                size += sent
        if self._waiting:
            self._executor.after(PAUSE_S, self._go_on)

    def _send(self, recall: Recall, host: str) -> Iterator[int]:
        """Send one answer, a record at a time; gives the bytes of each."""
        network, key = NETWORKS[recall.network], recall_key(recall.id)
        signal, items, is_older = self._found(recall, network, host)
        count = 0
        for payload, n in runs(items):
            self._put(network, key, signal, payload, n)
            count += n
            yield len(payload)
        self._put(network, key, END_SIGNAL, encode_end(End(self._roster.client, host, count, is_older)), 1)

    def _found(self, recall: Recall, network: Network, host: str) -> tuple[str, Iterator[msgspec.Struct], bool]:
        if recall.what == "charts":
            return CHARTS_SIGNAL, iter(self._roster.rows(host, recall.dial)), False
        deeds, is_older = self._recorder.since(recall.since_s)
        client, dial = self._roster.client, recall.dial
        lines = (
            line_of(deed, client, host)
            for deed in deeds
            if belongs(kind_of(deed), network, is_traced=self._roster.is_traced(deed.number))
            and dial.asks_for(kind_of(deed), deed.chart, subject_of(deed))
        )
        return LINES_SIGNAL, lines, is_older
