"""mirosd, with a signal that makes it count what it holds: `python -m tests.soak.observed --config FILE`.

At SIGUSR1 it writes one JSON object to `written_by(pid)`: how many objects of each class of mirosd,
its client's library, pika and asyncio are alive, after a collection, and how many timers and tasks are pending. What
can be seen from outside, threads and descriptors, needs none of this. It runs on asyncio's own event loop, since
nobody can count uvloop's timers.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from typing import Any

from mirosd.main import main
from mirosd_client.shell.timers import Timer
from tests.soak.figures import written_by

PACKAGES = frozenset({"mirosd", "mirosd_client", "pika", "asyncio", "_asyncio"})


def census() -> dict[str, Any]:
    """Count."""
    gc.collect()
    alive = gc.get_objects()
    classes = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in alive)
    return {
        "timers": sum(
            not each.cancelled() if isinstance(each, asyncio.TimerHandle) else each.fn is not None
            for each in alive
            if isinstance(each, asyncio.TimerHandle | Timer)
        ),
        "tasks": sum(isinstance(each, asyncio.Task) and not each.done() for each in alive),
        "classes": {name: count for name, count in classes.items() if name.partition(".")[0] in PACKAGES},
    }


def _write(*_signal: object) -> None:
    path = written_by(os.getpid())
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(census()))
    draft.replace(path)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _write)
    sys.exit(main(new_loop=asyncio.new_event_loop))
