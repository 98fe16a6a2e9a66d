"""A small machine that most tests use: an outer state with two inner ones, written flat, undecorated."""

from mirosd_client.shell import Chart, Event, return_status, signals, spy_on

HANDLED = return_status.HANDLED
ENTRY, EXIT, INIT = signals.ENTRY_SIGNAL, signals.EXIT_SIGNAL, signals.INIT_SIGNAL


class Noting(Chart):
    """A chart that keeps what it was told by NOTE."""

    def __init__(self, name="c", **options):
        super().__init__(name, **options)
        self.seen = []


def outer(chart, e):
    """DO calls its payload with the chart; NOTE appends its payload to `chart.seen`."""
    match e.signal_name:
        case "ENTRY_SIGNAL" | "EXIT_SIGNAL" | "INIT_SIGNAL":
            return HANDLED
        case "DO":
            e.payload(chart)
            return HANDLED
        case "NOTE":
            chart.seen.append(e.payload)
            return HANDLED
    return chart.parent(chart.top)


def resting(chart, e):
    """GO goes to `working`."""
    match e.signal_name:
        case "ENTRY_SIGNAL" | "EXIT_SIGNAL" | "INIT_SIGNAL":
            return HANDLED
        case "GO":
            return chart.trans(working)
    return chart.parent(outer)


def working(chart, e):
    """GO goes back; AGAIN goes out and in."""
    match e.signal_name:
        case "ENTRY_SIGNAL" | "EXIT_SIGNAL" | "INIT_SIGNAL":
            return HANDLED
        case "GO":
            return chart.trans(resting)
        case "AGAIN":
            return chart.trans(working)
    return chart.parent(outer)


@spy_on
def watched(chart, e):
    """As `outer`, decorated."""
    return outer(chart, e)


def told(name, payload=None):
    """An event."""
    return Event(signal=name, payload=payload)
