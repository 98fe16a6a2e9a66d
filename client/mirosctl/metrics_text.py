"""The daemon's figures in Prometheus' text format.

Series are bounded: labels are networks, states, codes and charts of the daemon, the peers and brokers of its tables,
and the programs that are connected. What is counted from the daemon's start on has no label of a peer, broker or
program: they come and go, and their series would stay.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from mirosctl.counter_texts import CODES, COUNTERS, counter_metric

STATES = ("starting", "ready", "degraded", "stopping")
PEER_STATES = (
    *("alive", "candidate", "failed", "left", "one-way(in)", "one-way(out)", "quarantined", "refused"),
    *("scouting", "suspect"),
)
"""Shown even where no peer is in one: an alert on a series that is not there never fires."""

Answer = dict[str, Any]
Labelled = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of the labels, and the figure; None: it is not known."""


class Exposition:
    """What `mirosctl metrics` prints.

    Args:
        figures: the result of the verb `metrics`; None: no daemon is running.
        peers: its rows.
    """

    def __init__(self, figures: Answer | None, peers: Iterable[Answer] = ()) -> None:
        self._figures, self._peers = figures, list(peers)

    def text(self) -> str:
        """Give all of it."""
        return generate_latest(self).decode()

    def collect(self) -> Iterator[Metric]:
        """Give each metric; for prometheus_client."""
        figures = self._figures
        yield _gauge("up", "1: the daemon has answered; 0: none is running", figures is not None)
        if figures is not None:
            yield from _daemon(figures)
            yield from _peers(self._peers)
            yield from _brokers(figures["producer_sets"])
            yield from _events(figures)
            yield from _durations(figures)
            yield from _programs(figures)
            yield from _charts(figures["charts"])
            yield from _counters(figures["counters"])


def _daemon(figures: Answer) -> Iterator[Metric]:
    who = ("name", "node", "system", "version")
    yield _gauges("info", "1: who this daemon is", who, [(tuple(str(figures[each]) for each in who), 1)])
    yield _gauge("uptime_seconds", "since the daemon's start", figures["uptime_s"])
    states = (((state,), state == figures["state"]) for state in STATES)
    yield _gauges("state", "1: the daemon is in this state", ("state",), states)
    reasons = (((reason["code"],), 1) for reason in figures["reasons"])
    yield _gauges("degraded", "1: why the daemon is degraded", ("reason",), reasons)


def _peers(peers: list[Answer]) -> Iterator[Metric]:
    count = Counter(dict.fromkeys(PEER_STATES, 0))
    count.update(peer["state"] for peer in peers)
    yield _gauges("peers", "peers by state", ("state",), (((state,), number) for state, number in count.items()))
    whose = [(peer["name"] or peer["address"], peer["node"]) for peer in peers]
    trips_ms = [peer["rtt_ms"] for peer in peers]
    for name, text, figures in (
        ("alive", "1: the peer is alive, in both directions", [peer["state"] == "alive" for peer in peers]),
        ("silence_seconds", "since the peer was last heard", [peer["last_seen_s"] for peer in peers]),
        ("round_trip_seconds", "of its latest heartbeat", [None if ms is None else ms / 1000 for ms in trips_ms]),
        ("clock_ahead_seconds", "its wall clock against ours, when it was heard", [p["clock_ahead_s"] for p in peers]),
    ):
        yield _gauges(f"peer_{name}", text, ("peer", "node"), zip(whose, figures, strict=True))


def _brokers(sets: list[Answer]) -> Iterator[Metric]:
    whose = [(each["broker"], "own" if each["is_own"] else "peer") for each in sets]
    for name, text, figures in (
        ("connected", "1: there is a connection to the broker", [each["is_connected"] for each in sets]),
        ("blocked", "1: the broker is in alarm, and takes no messages", [each["alarm"] is not None for each in sets]),
        ("pending_bytes", "events owed to the broker, not confirmed yet", [each["pending_bytes"] for each in sets]),
    ):
        yield _gauges(f"broker_{name}", text, ("broker", "whose"), zip(whose, figures, strict=True))


def _events(figures: Answer) -> Iterator[Metric]:
    for way, text in (
        ("sent", "events of this host's programs, sealed for brokers; trace and spy lines by the records they are in"),
        (
            "delivered",
            "events given to this host's programs, each subscription for itself, repeats too; lines likewise",
        ),
    ):
        rows = (((network,), ways[way]) for network, ways in figures["events"].items())
        yield _counts(f"mirosd_events_{way}", text, ("network",), rows)
    text = "events of the mesh by what a broker said: confirmed, returned (it has no queue for them), nacked"
    yield _counts("mirosd_events_answered", text, ("answer",), _by_name(figures["answers"]))
    text = "connections to brokers that were opened, first or again; `consume` are those to our own"
    yield _counts("mirosd_connections_opened", text, ("link",), _by_name(figures["connections_opened"]))


def _durations(figures: Answer) -> Iterator[Metric]:
    text = "from publishing a body of events to the broker's answer"
    yield _histograms("broker_answer_seconds", text, ("network",), _by_name(figures["answer"]))
    text = "of a body's oldest event when it is given to a program, by the clock of the host that sent it"
    yield _histograms("delivery_age_seconds", text, ("network",), _by_name(figures["delivery_age"]))
    text = "of heartbeats, to each peer and back"
    yield _histograms("heartbeat_round_trip_seconds", text, (), [((), figures["heartbeat_round_trip"])])
    text = "how late the daemon comes to what is due: each second while it has peers, else a few times a minute"
    yield _histograms("loop_lag_seconds", text, (), [((), figures["loop_lag"])])


def _programs(figures: Answer) -> Iterator[Metric]:
    programs = figures["programs"]
    text = "connections of programs by what they call themselves; those beyond the 50 most frequent names have none"
    yield _gauges("programs", text, ("program",), (((each["program"],), each["connections"]) for each in programs))
    text = "on their way to programs that do not read them"
    yield _gauges("unsent_bytes", text, ("program",), (((each["program"],), each["unsent_bytes"]) for each in programs))
    queues = figures["queues"].items()
    states = (((network, state), queue[state]) for network, queue in queues for state in ("bound", "pending", "stuck"))
    text = "subscriptions of programs: bound; pending, as our broker is away; stuck, as the program takes nothing"
    yield _gauges("subscriptions", text, ("network", "state"), states)
    text = "bodies given to programs, and not taken into a chart yet"
    yield _gauges("unacknowledged_bodies", text, ("network",), (((name,), q["unacknowledged"]) for name, q in queues))


def _charts(charts: list[Answer]) -> Iterator[Metric]:
    for name, key, text in (
        ("handled_events", "handled", "events that a statechart of the daemon has handled"),
        ("dropped_events", "dropped", "events that found no room in the queue of a statechart of the daemon"),
        ("faults", "faults", "steps of a statechart of the daemon that failed; its log has each"),
    ):
        yield _counts(f"mirosd_chart_{name}", text, ("chart",), (((each["chart"],), each[key]) for each in charts))
    text = "events that wait for a statechart of the daemon"
    yield _gauges("chart_waiting_events", text, ("chart",), (((each["chart"],), each["waiting"]) for each in charts))


def _counters(counters: dict[str, int]) -> Iterator[Metric]:
    """Give what the daemon counts, at 0 too: from nothing to 1 is no increase to Prometheus."""
    families: dict[str, list[tuple[tuple[str, ...], float]]] = {
        metric.name: [((code,), 0) for code in CODES[counter]] if counter in CODES else [((), 0)]
        for counter, metric in COUNTERS.items()
    }
    unknown = []
    for counter, count in counters.items():
        metric = counter_metric(counter)
        if metric is None:
            unknown.append(((counter,), count))
        else:
            families[metric.name].append(((metric.code,) if metric.code else (), count))
    for counter, metric in COUNTERS.items():
        yield _counts(metric.name, metric.text, ("code",) if counter in CODES else (), families[metric.name])
    yield _counts("mirosd_other", "a counter that this mirosctl does not know", ("counter",), unknown)


def _by_name(figures: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    return (((name,), figure) for name, figure in figures.items())


def _gauge(name: str, text: str, figure: float) -> Metric:
    return _gauges(name, text, (), [((), figure)])


def _gauges(name: str, text: str, labels: tuple[str, ...], rows: Labelled) -> Metric:
    return _filled(GaugeMetricFamily(f"mirosd_{name}", text, labels=labels), rows)


def _counts(name: str, text: str, labels: tuple[str, ...], rows: Labelled) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), rows)


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, rows: Labelled) -> Metric:
    sums = Counter[tuple[str, ...]]()
    for labels, figure in rows:  # names may be the same once they are printable: a series stands there once
        if figure is not None:
            sums[labels] += figure  # type: ignore[assignment]
    for labels, figure in sums.items():
        metric.add_metric(labels, figure)
    return metric


def _histograms(
    name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Answer]]
) -> Metric:
    metric = HistogramMetricFamily(f"mirosd_{name}", text, labels=labels)
    for values, shown in rows:
        bounds = [*(f"{bound:g}" for bound in shown["bounds_s"]), "+Inf"]
        metric.add_metric(values, list(zip(bounds, accumulate(shown["counts"]), strict=True)), shown["sum_s"])
    return metric
