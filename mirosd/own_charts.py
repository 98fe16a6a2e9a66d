"""The daemon's own charts, shown like those of any program: recorded, listed, and sent to whoever watches."""

import asyncio
import os
from collections.abc import Callable, Iterable

from mirosd.bridge.snooping import Snooping
from mirosd_client import codec
from mirosd_client.hlc import HybridClock
from mirosd_client.record import Record, encode_record
from mirosd_client.recorder import Recorder
from mirosd_client.roster import Roster
from mirosd_client.secret import client_id, draw_secret
from mirosd_client.shell import Chart
from mirosd_client.snoop_feed import SnoopFeed
from mirosd_client.wire import Events, Network

PROGRAM = "mirosd"


class OwnCharts:
    """A source of lines beside the programs of this host. Thread: loop.

    Args:
        charts: not started yet; their regions show under their own names.
        host: this host's name.
        wall_s: seconds since the epoch.
    """

    def __init__(self, charts: Iterable[Chart], snooping: Snooping, host: str, wall_s: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._out = snooping.outbound
        self._client, self._sequence = client_id(draw_secret()), 0
        self._clock = HybridClock(wall_s)
        recorder = Recorder(self._clock.now, wall_clock=wall_s)
        roster = Roster(self._client.hex(), PROGRAM, os.getpid())
        feed = SnoopFeed(recorder, roster, self._publish, self)
        feed.host = host
        for number, chart in enumerate(charts, 1):
            roster.add(chart, number)
            chart.witness = recorder.witness(number)
        snooping.attached(feed)

    # recall_answers.Executor

    def call(self, fn: Callable[[], object]) -> None:
        """Call it on the loop, soon. Thread: any."""
        if not self._loop.is_closed():  # what a chart does after the loop has ended reaches nobody
            self._loop.call_soon_threadsafe(fn)

    def after(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Call it on the loop, later."""
        self._loop.call_later(delay_s, fn)

    def _publish(self, network: Network, routing_key: str, signal: str, payload: bytes) -> bool:
        self._sequence += 1
        now = self._clock.now()
        record = Record(self._client, 0, self._sequence, now, 0, codec.CONTENT_TYPE, signal, b"", payload)
        self._out.take(Events(network, routing_key, encode_record(record)), 1)
        self._out.flush()
        return True  # what a broker cannot take is counted on the way out
