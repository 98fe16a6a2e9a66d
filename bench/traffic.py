"""What all ways of carrying events have in common: the payload, the pace of a sender, the tally of a receiver.

The two hosts of the lab are one machine, so CLOCK_MONOTONIC is the same on both: each payload carries the time at
which it was made, just before it is handed over, and one-way latency is a subtraction at the receiver.

A flood is sustained when the receiver keeps up: so the receiver's count is shared with the sender, through eight bytes
of memory, and the sender waits while too many events are under way. Otherwise a sender that is faster than a chart
would measure how brokers behave in memory alarm.
"""

import json
import mmap
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

PAYLOAD_BYTES = 150  # as JSON; a typical event of a statechart
FIRST_NUMBER = 1_000_000  # all numbers of a run have seven digits, so all payloads have one size
FULL_PAUSE_S = 0.001  # after a refusal: some tens of events leave the window meanwhile
SHARE_EVERY = 64  # events: the receiver tells, and the sender looks, so rarely that neither costs
MOST_UNDERWAY = 800 * SHARE_EVERY  # more than a window holds, so that each way meets its own bounds first
WATCH_S = 0.05  # how often a receiver that waits looks at its tally: too rarely to disturb it
STALLED_S = 10.0  # without an arrival: what is missing by then is lost


def payload(number: int) -> dict[str, Any]:
    """Give the payload of one event, made now."""
    made_ns = time.monotonic_ns()
    return {"number": number, "made_ns": made_ns, "text": _filler(len(str(made_ns)))}


@cache
def _filler(digits: int) -> str:
    """Give what fills a payload up; the clock grows by a digit now and then."""
    empty = json.dumps({"number": FIRST_NUMBER, "made_ns": 10 ** (digits - 1), "text": ""})
    return "x" * (PAYLOAD_BYTES - len(empty))


class Arrived:
    """How many events the receiver has: one number that all processes on this machine share."""

    _COUNT = struct.Struct("Q")

    def __init__(self) -> None:
        path = Path(tempfile.gettempdir()) / "bench.arrived"
        with path.open("a+b") as file:
            file.truncate(self._COUNT.size)
            self._memory = mmap.mmap(file.fileno(), self._COUNT.size)

    def tell(self, count: int) -> None:
        """Set the number; the receiver's alone."""
        self._COUNT.pack_into(self._memory, 0, count)

    def permit(self, sent: int) -> bool:
        """Tell whether one more event may be sent after `sent`."""
        if sent % SHARE_EVERY:
            return True
        arrived: int = self._COUNT.unpack_from(self._memory)[0]
        return sent - arrived < MOST_UNDERWAY

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


def send(transmit: Callable[[dict[str, Any]], object], per_s: float, seconds: float) -> int:
    """Give how many events were accepted in `seconds`; `per_s` 0 is as fast as they are.

    `transmit` takes a payload and gives whether it was accepted; what it refuses is offered again.
    """
    arrived = Arrived()
    began_s = time.monotonic()
    accepted = 0
    while (passed_s := time.monotonic() - began_s) < seconds:
        if per_s and (wait_s := accepted / per_s - passed_s) > 0:
            time.sleep(wait_s)
        if not arrived.permit(accepted):
            time.sleep(FULL_PAUSE_S)
            continue
        while not transmit(payload(FIRST_NUMBER + accepted)):
            time.sleep(FULL_PAUSE_S)
        accepted += 1
    arrived.close()
    return accepted


class Tally:
    """What arrived: how long each event was under way, and whether each number came once and in order."""

    def __init__(self, stalled_s: float = STALLED_S) -> None:
        """Begin empty; `stalled_s` without an arrival means that nothing more will come."""
        self._stalled_s = stalled_s
        self._arrived = Arrived()
        self._begin()

    def _begin(self) -> None:
        self.latencies_ns: list[int] = []
        self._expected = FIRST_NUMBER
        self._astray = 0
        self._first_ns = self._last_ns = 0
        self._arrived.tell(0)

    def take(self, event: dict[str, Any]) -> None:
        """Note one event. Thread: whichever the way delivers on, but always the same."""
        self._last_ns = now_ns = time.monotonic_ns()
        if not self.latencies_ns:
            self._first_ns = now_ns
        if event["number"] != self._expected:
            self._astray += 1
        self._expected = event["number"] + 1
        self.latencies_ns.append(now_ns - event["made_ns"])
        if len(self.latencies_ns) % SHARE_EVERY == 0:
            self._arrived.tell(len(self.latencies_ns))

    def result(self, accepted: int) -> dict[str, float]:
        """Give the figures once `accepted` events are there, or no more will come; then begin anew.

        `lost` is what did not come, `astray` how often a number was not the next one (lost, doubled or reordered).
        """
        progress_s, seen = time.monotonic(), 0
        while (count := len(self.latencies_ns)) < accepted and time.monotonic() - progress_s < self._stalled_s:
            if count != seen:
                progress_s, seen = time.monotonic(), count
            time.sleep(WATCH_S)
        figures = percentiles(self.latencies_ns, 1e6, "ms") | {
            "events_per_s": (count - 1) / max(1, self._last_ns - self._first_ns) * 1e9,
            "lost": accepted - count,
            "astray": self._astray,
        }
        self._begin()
        return figures


def percentiles(samples_ns: list[int], unit_ns: float, unit: str) -> dict[str, float]:
    """Give p50, p95 and p99 of the samples, each key with its unit; empty for fewer than two."""
    if len(samples_ns) < 2:
        return {}
    cuts = statistics.quantiles(samples_ns, n=100, method="inclusive")
    return {f"p{percent}_{unit}": cuts[percent - 1] / unit_ns for percent in (50, 95, 99)}
