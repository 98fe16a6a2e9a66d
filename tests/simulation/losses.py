"""Which events a daemon's counters are about: each count of a loss is told at the moment it is made."""

from collections.abc import Callable
from typing import Any

from mirosd.core.broker import Incoming
from mirosd.errors import RemoteProtocolError
from tests.simulation.daemon import Reader
from tests.simulation.history import Event, History
from tests.simulation.host import SimHost

LOSSES = frozenset(
    {"expired", "overflow", "forgotten", "nacked", "unconfirmed", "expired_in_queue", "overflow_in_queue"}
)
"""The counters that excuse an event's absence, each at one broker, or for one chart."""

NOBODY: Event = ("", 0)
"""The event in a body that is none."""


class Losses:
    """Names the events of each count in the history."""

    def __init__(self, history: History, reader: Reader) -> None:
        self._history, self._reader = history, reader
        self._place = ""
        self._events: list[Event] = []

    def observed(self, give_up: Callable[..., None]) -> Callable[..., None]:
        """Give Lane._give_up, and have what it counts named."""

        def named(lane: Any, debt: Any, *arguments: Any) -> None:
            events = self._reader.events(debt.body.sealed, debt.body.routing_key)
            self._about(lane.name.partition(":")[0], events, lambda: give_up(lane, debt, *arguments))

        return named

    def bury(self, deliver: Callable[[Incoming], None], incoming: Incoming, death: dict[str, Any]) -> None:
        """Deliver a dead letter, and have what that counts named."""
        try:
            events = self._reader.events(incoming.body, death["routing-keys"][0])
        except RemoteProtocolError:  # poison, which counts as one
            self._about("", [NOBODY], lambda: deliver(incoming))
            return
        client, number = str(death["queue"]).rsplit(".", 3)[1:3]
        chart = next(
            (
                chart.name
                for chart in self._history.charts.values()
                if chart.program == client and chart.number == int(number)
            ),
            "",
        )
        self._about(chart, events, lambda: deliver(incoming))

    def counted(self, host: SimHost, counter: str, amount: int) -> None:
        """A daemon counted."""
        if counter not in LOSSES:
            return
        if amount != len(self._events):
            self._history.miscounted.append(f"{host.name}: {counter} {amount} of {len(self._events)} events")
        for event in self._events:
            self._history.name(event, self._place, counter)

    def _about(self, place: str, events: list[Event], work: Callable[[], None]) -> None:
        self._place, self._events = place, events
        try:
            work()
        finally:
            self._place, self._events = "", []
