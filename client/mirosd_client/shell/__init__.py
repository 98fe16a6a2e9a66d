"""A shell around miros: its statecharts as they are, without what a long-running program would die of.

miros' engine, which decides the steps of a statechart, is sound. What is around it (threads,
timers, publish, instrumentation, the table of signals) ends charts quietly, loses order
or never lets go. The shell stands around the engine and changes none of it:

    signal_table   the table of signals: threads, and look-ups            (installed on import)
    step           one step: exception guard, trace record, right start
    witness        what of a chart's steps is kept and told, for people
    inbox          a chart's queue: exact, bounded, counting
    posting        what waits in it beside events: timed ones, consequences, calls
    poster         how a chart's events come into it
    timers         what is due when
    reactor        the one thread for timers, calls and sockets
    bus            publish and subscribe, together with plain miros charts
    chart, factory `Chart` and `ChartFactory`, subclasses of ActiveObject and Factory
    region         statecharts without a thread, owned by a chart
    testing        charts without threads, for tests                      (imported by tests alone)

A step goes: inbox -> next_rtc (guard) -> dispatch (opens letters, notes moves) -> miros' engine -> listeners.
"""

from miros import spy_on
from miros.event import Event, return_status, signals

from mirosd_client.shell.chart import Chart, ChartMixin
from mirosd_client.shell.factory import ChartFactory
from mirosd_client.shell.reactor import Reactor, default_reactor
from mirosd_client.shell.region import Alarm, Region
from mirosd_client.shell.signal_table import INTERNAL_SIGNALS, install
from mirosd_client.shell.step import State, TraceRecord, format_trace
from mirosd_client.shell.timers import Timer

__all__ = [
    "INTERNAL_SIGNALS",
    "Alarm",
    "Chart",
    "ChartFactory",
    "ChartMixin",
    "Event",
    "Reactor",
    "Region",
    "State",
    "Timer",
    "TraceRecord",
    "default_reactor",
    "format_trace",
    "return_status",
    "signals",
    "spy_on",
]

install()
