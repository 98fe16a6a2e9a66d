"""What the daemon has in figures, beside its status and its peers: for monitoring, by the verb `metrics`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mirosd.bridge.subscriptions import Subscription
from mirosd.core.measures import Measures
from mirosd.names import NETWORK_NAMES
from mirosd_client.shell import Chart

MAX_PROGRAMS = 50
"""Names of programs that are told apart, the most connected ones: each makes up its own, and series last for years."""


def figures(
    measures: Measures,
    subscriptions: Iterable[Subscription],
    charts: Iterable[Chart],
    sessions: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Give the figures: measures.Measures.display, and queues, charts and programs as they are now. Thread: loop."""
    return {
        **measures.display(),
        "queues": _queues(subscriptions),
        "charts": [
            {
                "chart": str(chart.name),
                "waiting": len(chart.queue),
                "handled": chart.vitals.handled,
                "dropped": chart.queue.dropped,
                "faults": chart.faults,
            }
            for chart in charts
        ],
        "programs": _programs(sessions),
    }


def _queues(subscriptions: Iterable[Subscription]) -> dict[str, dict[str, int]]:
    """Give by network how many queues are in each state, and how many deliveries programs have not acknowledged."""
    queues = {name: {"bound": 0, "pending": 0, "stuck": 0, "unacknowledged": 0} for name in NETWORK_NAMES.values()}
    for shown in (each.display() for each in subscriptions if each.session is not None):
        of_network = queues[shown["network"]]
        of_network[shown["state"]] += 1
        of_network["unacknowledged"] += shown["unacknowledged"]
    return queues


def _programs(sessions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give a row for each name; "" are those beyond MAX_PROGRAMS."""
    connections, unsent = Counter[str](), Counter[str]()
    told_apart = {name for name, _ in Counter(each["program"] for each in sessions).most_common(MAX_PROGRAMS)}
    for each in sessions:
        name = each["program"] if each["program"] in told_apart else ""
        connections[name] += 1
        unsent[name] += each["unsent_bytes"]
    return [
        {"program": name, "connections": connections[name], "unsent_bytes": unsent[name]}
        for name in sorted(connections)
    ]
