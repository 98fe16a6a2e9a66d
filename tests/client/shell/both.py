"""The same program on plain miros and on the shell, each in a process of its own, which it may ruin."""

import os
import subprocess
import sys
import textwrap

PRELUDE = """
import sys, threading, time
from miros import ActiveObject, Event, Factory, return_status, signals, spy_on
from miros.activeobject import ActiveFabric, InstrumentionWriter
if sys.argv[1] == "shell":
    import logging
    logging.disable(logging.CRITICAL)
    from mirosd_client.shell import Chart, ChartFactory
else:
    Chart, ChartFactory = ActiveObject, Factory
HANDLED, SUPER = return_status.HANDLED, return_status.SUPER
INNER = (signals.ENTRY_SIGNAL, signals.EXIT_SIGNAL, signals.INIT_SIGNAL)

def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "not within 30 s"
        time.sleep(0.005)

seen = []

@spy_on
def listening(chart, e):
    # Notes the payload (or else the name) of every event.
    if e.signal == signals.INIT_SIGNAL or e.signal == signals.EXIT_SIGNAL:
        return HANDLED
    if e.signal == signals.ENTRY_SIGNAL:
        getattr(chart, "on_entry", lambda: None)()
        return HANDLED
    if e.signal > signals.PUBLISH_META_SIGNAL:
        if callable(e.payload):
            e.payload(chart)
        else:
            seen.append(e.signal_name if e.payload is None else e.payload)
        return HANDLED
    chart.temp.fun = chart.top
    return SUPER

def told(name, payload=None):
    return Event(signal=name, payload=payload)
"""


def outcome(kind: str, program: str) -> str:
    """What the program prints on "plain" or "shell"; it finds there the names of PRELUDE."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program), kind],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def outcomes(program: str) -> tuple[str, str]:
    """What it prints on plain miros, and on the shell."""
    return outcome("plain", program), outcome("shell", program)
