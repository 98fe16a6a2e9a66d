"""A worker program's side of the talk with the benchmark: a JSON object a line on stdin, its answer on stdout."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.traffic import Tally, send


def say(answer: dict[str, Any]) -> None:
    """Print one object."""
    print(json.dumps(answer), flush=True)


def obey(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Say that the worker is ready and how many threads it has; then answer each command until stdin ends."""
    logging.getLogger("mirosd_client").setLevel(logging.ERROR)  # full windows and dead daemons are meant here
    say({"threads": len(list(Path("/proc/self/task").iterdir()))})
    for line in sys.stdin:
        say(handle(json.loads(line)))


def obey_as_receiver(tally: Tally) -> None:
    """Answer {"accepted": n} with the tally's figures."""
    obey(lambda command: tally.result(command["accepted"]))


def obey_as_sender(transmit: Callable[[dict[str, Any]], object]) -> None:
    """Answer {"per_s": n, "seconds": s} with {"accepted": n} after sending."""
    obey(lambda command: {"accepted": send(transmit, command["per_s"], command["seconds"])})
