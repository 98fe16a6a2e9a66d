"""A program with charts, on the client library as programs use it."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import cast

from mirosd_client.client import Client
from mirosd_client.record import Record
from mirosd_client.shell.reactor import Reactor
from mirosd_client.subscription import Subscription
from tests.simulation.history import Chart, Event
from tests.simulation.local import SimReactor
from tests.simulation.processes import Process

CHART_ROOM = 40
"""Events that wait in a chart before no more are posted (FULL_AT of mirosd_client.mesh, scaled to small runs)."""

STEP_S = 0.001
"""The longest that a chart takes to handle an event."""


class SimChart:
    """A chart: its queue, and when it handles what is in it. `on_handled` is told each event that is posted."""

    def __init__(
        self, chart: Chart, process: Process, random: Random, on_handled: Callable[[Chart, Event], None]
    ) -> None:
        self.chart = chart
        self.subscription: Subscription | None = None
        self.was_bound = False
        self.is_asleep = False
        self._process, self._random, self._on_handled = process, random, on_handled
        self._loop = asyncio.get_running_loop()
        self._queued = 0
        self._is_stepping = False

    @property
    def is_bound(self) -> bool:
        """What is published now has to arrive: the binding was confirmed, and its queue has not gone since."""
        if self.subscription is not None and self.subscription.is_bound:
            self.was_bound = True
        return self.was_bound

    def take(self, record: Record) -> None:
        """Post an event."""
        self._on_handled(self.chart, (record.client.hex(), record.sequence))
        self._queued += 1
        self._step_later()

    def has_room(self) -> bool:
        """Say whether one more may be posted."""
        return self._queued < CHART_ROOM

    def sleep(self) -> None:
        """Handle nothing for now: a handler that blocks."""
        self.is_asleep = True

    def wake(self) -> None:
        """The handler returns."""
        self.is_asleep = False
        self._step_later()

    def _step_later(self) -> None:
        if self._queued and not self._is_stepping and not self.is_asleep:
            self._is_stepping = True
            self._loop.call_later(self._random.random() * STEP_S, self._step, context=self._process.context)

    def _step(self) -> None:
        self._is_stepping = False
        if self.is_asleep:
            return
        self._queued = self._queued // 2  # a chart catches up faster than it is filled
        subscription = self.subscription
        if subscription is not None and subscription.intake.is_waiting and self._queued <= CHART_ROOM // 2:
            subscription.resume()
        self._step_later()


class SimProgram:
    """One process with charts, transmitting and hearing."""

    def __init__(
        self,
        name: str,
        host: str,
        process: Process,
        random: Random,
        window_bytes: int,
    ) -> None:
        self.name, self.host, self.process = name, host, process
        self.is_killed = False
        self.charts: list[SimChart] = []
        self._random = random
        reactor = SimReactor(asyncio.get_running_loop(), process)
        self.client = Client(host, reactor=cast(Reactor, reactor), window_bytes=window_bytes)
        self.id = self.client.id.hex()
        self._accepted = 0

    def subscribe(self, chart: Chart, on_handled: Callable[[Chart, Event], None]) -> None:
        """Begin to hear."""
        sim = SimChart(chart, self.process, self._random, on_handled)
        self.charts.append(sim)
        sim.subscription = self.client.open_subscription(
            chart.binding_key, sim.take, sim.has_room, chart=(chart.name, chart.number)
        )

    def transmit(self, chart: int, routing_key: str) -> Event | None:
        """Send an event from a chart; None when it was refused."""
        if not self.client.send("Signal", b"{}", "json", routing_key=routing_key, chart_number=chart):
            return None
        self._accepted += 1
        return self.id, self._accepted

    def counters(self) -> dict[str, int]:
        """Give the client's own counters."""
        return self.client.counters()
