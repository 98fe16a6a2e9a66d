"""What the example programs do around their charts: options, traces, running, the figures at the end."""

import argparse
import contextlib
import json
import signal
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def options(text: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run (default 60)")
    parser.add_argument("--fast", action="store_true", help="ten times as fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was sent and received there at the end")
    return parser.parse_args()


def new_name(suffix: str) -> str:
    """Give a chart's name that no other program on the network has: the payload of its events is its name."""
    return f"{uuid.uuid4().hex[:5]}_{suffix}"


def run(chart: Any, start: Any, seconds: float, figures: Path | None) -> None:
    """Run a chart for so long, or until SIGTERM or Ctrl-C; then close it and write the figures.

    Its terminal shows what it does (its name blue) and what the charts of all other programs do (purple).
    """
    chart.enable_snoop_trace()
    run_all([(chart, start)], seconds)
    if figures is not None:
        names = ("transmitted", "received", "received_from_other")
        figures.write_text(json.dumps({"chart": chart.name} | {name: getattr(chart, name) for name in names}) + "\n")


def run_all(starts: Iterable[tuple[Any, Any]], seconds: float) -> None:
    """Run charts, each from its state, for so long, or until SIGTERM or Ctrl-C; then close them."""
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with contextlib.ExitStack() as stack:
        for chart, start in starts:
            stack.enter_context(chart).start_at(start)
        done.wait(seconds)
