"""Whether states carry miros' `@spy_on`: those without it must not be asked what miros asks when it is instrumented.

Around an instrumented step miros asks the settled state for its name. A state that is not
decorated takes that question for an event, and does whatever it does with events.
"""

from collections.abc import Callable
from typing import Any

from miros import spy_on
from miros.event import Event, return_status, signals

MAX_DEPTH = 64
"""States inside each other; more is a state that names no parent, or one that is inside it."""

_SPIED = spy_on(lambda chart, event: None).__code__


def is_decorated(state: Callable[..., Any]) -> bool:
    """Tell whether a state is as `@spy_on` makes it; the states of a factory always are."""
    return getattr(state, "__code__", None) is _SPIED  # a method has its function's


def first_undecorated(chart: Any) -> Callable[..., Any] | None:
    """Give the innermost state of those a chart is in that is not decorated; None: all are, or it has not started.

    Asks each state for its parent, as the engine does in every transition. Thread: the chart's, between steps.
    """
    state: Callable[..., Any] | None = vars(chart.state).get("fun")
    if state is None:
        return None
    kept = chart.temp.fun, chart.state_name, chart.state_fn, chart.instrumented
    chart.instrumented = False  # what is asked here is no line of the spy
    try:
        for _ in range(MAX_DEPTH):
            if state is None or state == chart.top:
                return None
            if not is_decorated(state):
                return state
            chart.temp.fun = state
            if state(chart, Event(signal=signals.SEARCH_FOR_SUPER_SIGNAL)) != return_status.SUPER:
                return None
            state = chart.temp.fun
        return None
    finally:
        chart.temp.fun, chart.state_name, chart.state_fn, chart.instrumented = kept
