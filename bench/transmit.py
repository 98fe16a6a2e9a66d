"""Worker: what `transmit()` costs the thread of a chart, beside the least that handing an event over can cost.

    python -m bench.transmit

That least, the baseline, is json.dumps of the same payload and one send on a socket whose other end another process
reads (`cat`): no promise, no window. Both are timed in the chart's own thread, a call every two milliseconds,
so that the reader at the other end sleeps before each, as it does in life.
"""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from miros import Event, signals

from bench.charts import READY_S
from bench.miros_alone import taking
from bench.traffic import FIRST_NUMBER, payload, percentiles
from bench.worker import obey
from mirosd_client import NetworkedActiveObject

PAUSE_S = 0.002
WARM_UP = 50  # calls that are not counted: the first ones import, connect and allocate


def timed(call: Callable[[dict[str, Any]], object], samples: int) -> dict[str, float]:
    """Give percentiles of `call`'s duration in microseconds."""
    took_ns = []
    for number in range(WARM_UP + samples):
        event = payload(FIRST_NUMBER + number)
        began_ns = time.perf_counter_ns()
        call(event)
        took_ns.append(time.perf_counter_ns() - began_ns)
        time.sleep(PAUSE_S)
    return percentiles(took_ns[WARM_UP:], 1e3, "us")


def main() -> None:
    """Answer {"what": "baseline" | "transmit", "samples": n} with the percentiles."""
    near, far = socket.socketpair()
    reader = subprocess.Popen(["cat"], stdin=far.fileno(), stdout=subprocess.DEVNULL)
    far.close()
    chart = NetworkedActiveObject("timed", tx_routing_key="bench.transmit", instrumented=False)
    chart.start_at(taking)
    assert chart.wait_subscribed(READY_S)
    calls: dict[str, Callable[[dict[str, Any]], object]] = {
        "baseline": lambda event: near.send(json.dumps(event).encode()),
        "transmit": lambda event: chart.transmit(Event(signal=signals.Bench_Item, payload=event)),
    }

    def measure(command: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, float] = {}
        is_done = threading.Event()

        def in_chart() -> None:
            result.update(timed(calls[command["what"]], command["samples"]))
            is_done.set()

        chart.post_call(in_chart)
        is_done.wait()
        return result

    obey(measure)
    chart.close()
    near.close()
    reader.wait()


if __name__ == "__main__":
    main()
