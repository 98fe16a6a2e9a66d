"""A source of lines in the hands of a test: its clock, its charts, what it published."""

from collections.abc import Callable
from typing import Any

from mirosd_client.messages import Watched
from mirosd_client.recorder import Recorder
from mirosd_client.roster import Roster
from mirosd_client.shell.testing import ManualReactor
from mirosd_client.shell.witness import Step
from mirosd_client.snoop_feed import SnoopFeed
from mirosd_client.snoop_line import SnoopLine, decode_lines
from mirosd_client.wire import Network

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
CLIENT = "ab" * 16


class Plain:
    """A chart as far as a roster looks at it."""

    def __init__(self, name: str) -> None:
        self.name = name


class Source:
    """A feed in the hands of a test: its clock, its charts, what it published."""

    def __init__(self) -> None:
        self.reactor = ManualReactor(1000.0)
        self.records: list[tuple[Network, str, str, bytes]] = []
        self.has_room: Callable[[], bool] = lambda: True
        self.recorder = Recorder(self._hlc, wall_clock=self.reactor.now)
        self.roster = Roster(CLIENT, "prog", 42, self.reactor.now)
        self.feed = SnoopFeed(self.recorder, self.roster, self._publish, self.reactor)
        self.feed.host = "h1"
        self.charts = [Plain("one"), Plain("two")]
        for number, chart in enumerate(self.charts, 1):
            self.roster.add(chart, number)
        self._ticks = 0

    def _hlc(self) -> int:
        self._ticks += 1
        return (int(self.reactor.now_s * 1000) << 16) + self._ticks

    def _publish(self, network: Network, routing_key: str, signal: str, payload: bytes) -> bool:
        if self.has_room():
            self.records.append((network, routing_key, signal, payload))
            return True
        return False

    def watch(self, watched: Watched) -> None:
        """Say what is watched, and let all be done."""
        self.feed.watched(watched)
        self.reactor.run_ready()

    def move(self, number: int = 1, signal: str = "GO", *, moved: bool = True) -> None:
        """Have a chart make a step."""
        name = self.charts[number - 1].name
        step = Step(number, name, signal, "a", "b", moved, self.reactor.now(), self._hlc(), None, None)
        self.recorder.witness(number).stepped(step)

    def say(self, text: str, kind: Any = "scribble", number: int = 1) -> None:
        """Have a chart say something."""
        self.recorder.said(number, self.charts[number - 1].name, kind, text)

    def lines(self, network: Network = TRACE) -> list[SnoopLine]:
        """Give the lines published so far on a network."""
        return [line for record in self.records if record[0] is network for line in decode_lines(record[3])]

    def subjects(self, network: Network = TRACE) -> list[str]:
        """Give what they are about, once all is done."""
        self.reactor.advance(1.0)
        return [line.subject or line.text for line in self.lines(network)]
