"""One round: everything is measured once, in the same order, on the same stage.

Figures are named `way.figure_unit`. The ways: `raw` (pika alone, as fast as it can be), `blocking` (pika alone, as most
use it), `client`, `chart` (uninstrumented), `chart_spied` (as miros is by default), `alone` and `alone_spied` (miros
without mirosd), `unrecorded`, `recorded` and `watched` (a chart of a program without a recorder, with one, and watched
from the other host), `mesh_untraced` and `mesh_traced` (clients, beside no traces and beside many), `transmit_*`,
`daemon`, `command`.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.processes import idle_cost, resident_mb, settled, start_s, wall_ms
from bench.stage import Stage, Worker
from tests.lab.waiting import until

Figures = dict[str, float]

IDLE_PER_S = 200  # events: each leaves alone, none waits for the one before
WARM_UP_S = 0.5  # not timed: first events import, connect and allocate
TRACE_PER_S = 20_000  # lines: charts of a whole mesh under load, all watched from one host
SLICES = 10  # of a measurement in turns: what else the machine does meanwhile falls on both sides
REST_S = 0.2  # without a line at the viewer: nothing of a slice is left for the next one


@dataclass(frozen=True)
class Scale:
    """How long each measurement takes."""

    seconds: float = 5.0  # of traffic: a thousand events at the idle pace
    samples: int = 1000  # of transmit()
    runs: int = 10  # of a command
    idle_s: float = 10.0  # some ten heartbeats


QUICK = Scale(seconds=1.0, samples=200, runs=2, idle_s=2.0)


def measure(stage: Stage, scale: Scale, tell: Callable[[str], None], parts: Iterable[str]) -> Figures:
    """Give the figures of one round of some of the PARTS; `tell` hears what is measured next."""
    figures: Figures = {}
    for name in parts:
        tell(name)
        figures |= PARTS[name](stage, scale)
    for fault in ("lost", "astray"):
        figures[f"all.{fault}"] = sum(value for name, value in figures.items() if name.endswith(f".{fault}"))
    return figures


def _pika(stage: Stage, scale: Scale, way: str, module: str) -> Figures:
    url = stage.raw_url
    with stage.worker(1, module, "receive", url) as receiver, stage.worker(0, module, "send", url) as sender:
        return _carried(way, sender, receiver, scale)


def _clients(stage: Stage, scale: Scale) -> Figures:
    with stage.worker(1, "clients", "receive") as receiver, stage.worker(0, "clients", "send") as sender:
        return _carried("client", sender, receiver, scale)


def _charts(stage: Stage, scale: Scale, way: str, style: str) -> Figures:
    with stage.worker(1, "charts", "receive", style) as receiver, stage.worker(0, "charts", "send", style) as sender:
        return _carried(way, sender, receiver, scale) | {f"{way}.threads": receiver.threads}


def _carried(way: str, sender: Worker, receiver: Worker, scale: Scale) -> Figures:
    def traffic(per_s: float, seconds: float) -> Figures:
        return receiver.tell(**sender.tell(per_s=per_s, seconds=seconds))

    return _told(way, traffic, scale)


def _alone(stage: Stage, scale: Scale, way: str, style: str) -> Figures:
    with stage.worker(0, "miros_alone", style) as worker:

        def traffic(per_s: float, seconds: float) -> Figures:
            return worker.tell(per_s=per_s, seconds=seconds)

        return _told(way, traffic, scale) | {f"{way}.threads": worker.threads}


def _told(way: str, traffic: Callable[[float, float], Figures], scale: Scale) -> Figures:
    """Give latencies of the idle pace and the rate of a flood; what went wrong counts in the warm-up too."""
    warm_up = traffic(IDLE_PER_S, WARM_UP_S)
    idle = traffic(IDLE_PER_S, scale.seconds)
    flood = traffic(0, scale.seconds)
    figures = {f"{way}.{name}": value for name, value in idle.items() if name.endswith("_ms")}
    figures[f"{way}.events_per_s"] = flood["events_per_s"]
    for fault in ("lost", "astray"):
        figures[f"{way}.{fault}"] = sum(part[fault] for part in (warm_up, idle, flood))
    return figures


def _seen(stage: Stage, scale: Scale) -> Figures:
    """How fast a chart handles what moves it: without recorder, with one, and with its trace watched; in turns."""
    slices: dict[str, list[Figures]] = {"unrecorded": [], "recorded": [], "watched": []}
    with ExitStack() as exits:
        viewer = exits.enter_context(stage.worker(1, "snoop", "watch"))
        workers = {way: exits.enter_context(stage.worker(0, "snoop", "handle", way)) for way in slices}
        for worker in workers.values():
            worker.tell(seconds=WARM_UP_S)
        until(lambda: viewer.tell()["seen"], what="lines at the viewer")
        for number in range(SLICES):
            for way in reversed(slices) if number % 2 else slices:  # nobody always comes behind the same one
                _rest(viewer)
                slices[way].append(workers[way].tell(seconds=scale.seconds / SLICES))
        _rest(viewer)
        lines = viewer.tell()
    dropped = lines["missing"] / (lines["seen"] + lines["missing"])
    return _medians(slices, ("events_per_s",)) | {"watched.dropped_percent": dropped * 100}


def _beside_traces(stage: Stage, scale: Scale) -> Figures:
    """Events of the mesh at the idle pace, alone, and beside traces that go the same way, to a viewer; in turns."""
    slices: dict[str, list[Figures]] = {"mesh_untraced": [], "mesh_traced": []}
    with (
        stage.worker(1, "clients", "receive") as receiver,
        stage.worker(0, "clients", "send") as sender,
        stage.worker(1, "snoop", "watch") as viewer,
        stage.worker(0, "snoop", "tell") as teller,
    ):

        def traffic(seconds: float) -> Figures:
            return receiver.tell(**sender.tell(per_s=IDLE_PER_S, seconds=seconds))

        traffic(WARM_UP_S)
        seen_per_s = []
        for _ in range(SLICES):
            slices["mesh_untraced"].append(traffic(scale.seconds / SLICES))
            before = viewer.tell()["seen"]
            teller.tell(per_s=TRACE_PER_S)
            until(lambda count=before: viewer.tell()["seen"] > count, what="lines at the viewer")  # type: ignore[misc]
            before, began_s = viewer.tell()["seen"], time.monotonic()
            slices["mesh_traced"].append(traffic(scale.seconds / SLICES))
            seen_per_s.append((viewer.tell()["seen"] - before) / (time.monotonic() - began_s))
            teller.tell(per_s=0)
            _rest(viewer)
        missing = viewer.tell()["missing"]
    figures = _medians(slices, ("p50_ms", "p99_ms"))
    for fault in ("lost", "astray"):
        figures[f"mesh_traced.{fault}"] = sum(part[fault] for parts in slices.values() for part in parts)
    return figures | {"traces.seen_per_s": statistics.median(seen_per_s), "traces.missing": missing}


def _rest(viewer: Worker) -> None:
    """Return when no more lines come."""
    seen = -1
    while (now := viewer.tell()["seen"]) != seen:
        seen = now
        time.sleep(REST_S)


def _medians(slices: dict[str, list[Figures]], names: Iterable[str]) -> Figures:
    """Give the medians of some figures over each way's slices."""
    return {
        f"{way}.{name}": statistics.median(part[name] for part in parts)
        for way, parts in slices.items()
        for name in names
    }


def _processes(stage: Stage, scale: Scale) -> Figures:
    """A daemon after the floods of this round; started anew; idle with one peer and one client."""
    daemon = stage.daemons[0]
    settled(stage)
    figures = {"daemon.flooded_mb": resident_mb(daemon.pid)}
    daemon.stop()
    figures["daemon.start_s"] = start_s(daemon)
    stage.wait_meshed()
    figures |= {f"command.{name}": value for name, value in wall_ms(stage, scale.runs).items()}
    with stage.worker(0, "clients", "receive"):
        settled(stage)
        figures["daemon.idle_mb"] = resident_mb(daemon.pid)
        figures |= {f"daemon.{name}": value for name, value in idle_cost(daemon.pid, scale.idle_s).items()}
    return figures


def _transmit(stage: Stage, scale: Scale) -> Figures:
    """The baseline, then `transmit()` with the daemon alive, stopped (SIGSTOP) and dead (SIGKILL)."""
    daemon = stage.daemons[0]
    figures: Figures = {}
    with stage.worker(0, "transmit") as worker:

        def timed(state: str, what: str = "transmit") -> None:
            answer: dict[str, Any] = worker.tell(what=what, samples=scale.samples)
            figures.update({f"transmit_{state}.{name}": value for name, value in answer.items()})

        timed("baseline", "baseline")
        timed("alive")
        with _paused(stage):
            timed("stopped")
        daemon.kill()
        timed("dead")
        daemon.start()
        stage.wait_meshed()
    return figures


@contextmanager
def _paused(stage: Stage) -> Iterator[None]:
    stage.daemons[0].pause()
    yield
    stage.daemons[0].resume()


PARTS: dict[str, Callable[[Stage, Scale], Figures]] = {
    "raw pika": lambda stage, scale: _pika(stage, scale, "raw", "raw_pika"),
    "blocking pika": lambda stage, scale: _pika(stage, scale, "blocking", "blocking_pika"),
    "clients": _clients,
    "charts, bare": lambda stage, scale: _charts(stage, scale, "chart", "bare"),
    "charts, spied": lambda stage, scale: _charts(stage, scale, "chart_spied", "spied"),
    "miros alone, bare": lambda stage, scale: _alone(stage, scale, "alone", "bare"),
    "miros alone, spied": lambda stage, scale: _alone(stage, scale, "alone_spied", "spied"),
    "a chart that is seen": _seen,
    "the mesh beside traces": _beside_traces,
    "daemon and commands": _processes,
    "transmit": _transmit,
}
"""What a round measures, in this order."""
