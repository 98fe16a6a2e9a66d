"""Worker: what it costs to be seen, for a chart and for the mesh beside it.

    python -m bench.snoop handle unrecorded|recorded|watched
    python -m bench.snoop tell
    python -m bench.snoop watch

`handle` is a networked chart that each event moves, and that posts itself the next one: only its steps take time.
Each step makes a line, which the recorder keeps, and sends if somebody watches; `unrecorded`, nobody is told of steps.
`tell` has a chart's witness told of so many steps a second, which is all that the steps of many charts would do to the
mesh: to run them too would measure the machine. `watch` is a viewer that asks for every line of these charts and counts
what comes; it prints nothing, since on two cores a terminal would take its time from the mesh.
"""

import sys
import threading
import time
from typing import Any

from miros import Event, return_status, signals

from bench.charts import READY_S
from bench.worker import obey
from mirosd_client import NetworkedActiveObject
from mirosd_client.dial import Dial
from mirosd_client.shell.witness import Step
from mirosd_client.snoop_item import HostWatched, Lines
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Network

CHARTS = "bench.seen*"
WATCHED, UNWATCHED, TELLING = "bench.seen.handling", "bench.handling", "bench.seen.telling"
HOSTS = 2
TELL_PAUSE_S = 0.005  # 100 lines of 20,000 a second at a time
LOOK_S = 0.05

LOOK_EVERY = 64  # events: so rarely that the clock costs nothing


class Turner(NetworkedActiveObject):
    """Turns left and right, as fast as it can."""

    turns, ends_s = 0, 0.0

    def turn_for(self, seconds: float) -> dict[str, Any]:
        """Give how many events a second it handled."""
        self.is_done = threading.Event()
        self.turns, began_s = 0, time.monotonic()
        self.ends_s = began_s + seconds
        self.post_fifo(Event(signal=signals.Bench_Turn))
        self.is_done.wait()
        return {"events_per_s": self.turns / (time.monotonic() - began_s)}

    def turned(self, e: Event) -> None:
        """Go on, or not."""
        self.turns += 1
        if self.turns % LOOK_EVERY or time.monotonic() < self.ends_s:
            self.post_fifo(e)
        else:
            self.is_done.set()


def left(chart: Turner, e: Event) -> Any:
    """Goes right."""
    return _turned(chart, e, right)


def right(chart: Turner, e: Event) -> Any:
    """Goes left."""
    return _turned(chart, e, left)


def _turned(chart: Turner, e: Event, other: Any) -> Any:
    if e.signal == signals.Bench_Turn:
        chart.turned(e)
        return chart.trans(other)
    chart.temp.fun = chart.top
    return return_status.SUPER


def handle(way: str) -> None:
    """Answer {"seconds": s} with the figures of the chart."""
    with Turner(WATCHED if way == "watched" else UNWATCHED, instrumented=False) as chart:
        if way == "unrecorded":
            chart.witness = None
        chart.start_at(left)
        assert chart.wait_subscribed(READY_S)
        obey(lambda command: chart.turn_for(command["seconds"]))


class Teller:
    """Tells a chart's witness of steps, from a thread of its own."""

    def __init__(self, witness: Any) -> None:
        self._witness = witness
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = 0

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Answer {"per_s": n} by telling so many a second from now on, {"per_s": 0} with how many it told."""
        self._halt.set()
        if self._thread is not None:
            self._thread.join()
        told, self._told = self._told, 0
        if command["per_s"]:
            self._halt.clear()
            self._thread = threading.Thread(target=self._tell, args=(command["per_s"],), daemon=True)
            self._thread.start()
        return {"told": told}

    def _tell(self, per_s: float) -> None:
        began_s = time.monotonic()
        while not self._halt.wait(TELL_PAUSE_S):
            due = int((time.monotonic() - began_s) * per_s)
            for _ in range(due - self._told):
                hlc = self._witness.now()
                self._witness.stepped(
                    Step(
                        self._witness.number, TELLING, "Bench_Turn", "left", "right", True, time.time(), hlc, None, None
                    )
                )
            self._told = due


def tell() -> None:
    """Tell as a Teller is told."""
    with NetworkedActiveObject(TELLING, instrumented=False) as chart:
        chart.start_at(left)
        assert chart.wait_subscribed(READY_S)
        obey(Teller(chart.witness).obey)


class Viewer:
    """Watches, from a thread of its own."""

    def __init__(self) -> None:
        self.lines = self.missing = 0
        self._view = SnoopView(program="bench")
        self._view.watch(Network.SNOOP_TRACE, Dial(charts=[CHARTS]), for_s=None)
        accepting: set[str] = set()
        while len(accepting) < HOSTS:
            item = self._view.receive(READY_S)
            assert item is not None, "not every host says that it is watched"
            if isinstance(item, HostWatched) and item.accepts:
                accepting.add(item.host)
        threading.Thread(target=self._look, daemon=True).start()

    def obey(self, _command: dict[str, Any]) -> dict[str, Any]:
        """Answer with how many lines have come so far, and how many never did."""
        return {"seen": self.lines, "missing": self.missing}

    def _look(self) -> None:
        latest: dict[str, int] = {}
        while True:
            item = self._view.receive(LOOK_S)
            if isinstance(item, Lines):
                for line in item.lines:
                    self.missing += line.line - latest.get(line.client, line.line - 1) - 1
                    latest[line.client] = line.line
                self.lines += len(item.lines)


def main() -> None:
    """Take the role."""
    match sys.argv[1:]:
        case ["handle", way]:
            handle(way)
        case ["tell"]:
            tell()
        case ["watch"]:
            obey(Viewer().obey)


if __name__ == "__main__":
    main()
