"""What the daemon has in figures: queues, charts and programs as they are."""

import asyncio
from typing import Any

from mirosd.bridge.subscriptions import Subscription
from mirosd.core.measures import Measures
from mirosd.metrics_view import MAX_PROGRAMS, figures
from mirosd_client.messages import Subscribe
from mirosd_client.shell import Chart
from tests.bridge.fakes import RecordingSession

MEASURES = Measures(lambda: 0.0)
NONE = {"bound": 0, "pending": 0, "stuck": 0, "unacknowledged": 0}


def subscription(number: int, network: str = "mesh", **fields: Any) -> Subscription:
    """Give a subscription of a connected program in some state."""
    made = Subscription(RecordingSession(), Subscribe(number, network, "#"), asyncio.Lock())
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def connection(program: str, unsent_bytes: int = 0) -> dict[str, Any]:
    """Give a row of the sessions."""
    return {"program": program, "unsent_bytes": unsent_bytes}


def test_queues_are_counted_by_network_and_state() -> None:
    """With what programs have not acknowledged; one whose program has left is nobody's."""
    shown = figures(
        MEASURES,
        [
            subscription(1, is_bound=True, delivered=7, acknowledged=4),
            subscription(2, is_bound=True, delivered=2),
            subscription(3),
            subscription(4, "snoop_trace", awaited=9),
            subscription(5, is_bound=True, delivered=5, session=None),
        ],
        [],
        [],
    )

    assert {
        "mesh": {**NONE, "bound": 2, "pending": 1, "unacknowledged": 5},
        "snoop_trace": {**NONE, "stuck": 1},
        "snoop_spy": NONE,
    } == shown["queues"]


def test_charts_are_shown_with_what_waits() -> None:
    """And what they have handled, found no room for, and failed in."""
    chart = Chart("peer_chart")
    chart.queue.maxlen = 2
    for _ in range(3):
        chart.queue.append(None)
    chart.vitals.handled, chart.faults = 11, 1

    assert [{"chart": "peer_chart", "waiting": 2, "handled": 11, "dropped": 1, "faults": 1}] == figures(
        MEASURES, [], [chart], []
    )["charts"]


def test_programs_are_told_apart_by_their_names() -> None:
    """Each with its connections, and the bytes that it leaves waiting; sorted."""
    shown = figures(MEASURES, [], [], [connection("b", 3), connection("a"), connection("b", 4)])

    assert [
        {"program": "a", "connections": 1, "unsent_bytes": 0},
        {"program": "b", "connections": 2, "unsent_bytes": 7},
    ] == shown["programs"]


def test_so_many_names_are_told_apart() -> None:
    """The most frequent: whoever makes up names has one series, and hides nobody who is there more often."""
    made_up = [connection(f"x{number:04}", 1) for number in range(500)]
    shown = figures(MEASURES, [], [], [*made_up, connection("real"), connection("real")])["programs"]

    assert MAX_PROGRAMS + 1 == len(shown)
    assert {"program": "", "connections": 500 - MAX_PROGRAMS + 1, "unsent_bytes": 500 - MAX_PROGRAMS + 1} == shown[0]
    assert {"program": "real", "connections": 2, "unsent_bytes": 0} in shown
