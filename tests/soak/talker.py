"""A statechart program that talks at a steady pace, and keeps account of what it hears.

    python -m tests.soak.talker NAME

Commands on stdin, one JSON object a line, each answered by one on stdout:

    {"do": "talk", "per_s": n}   {"sent": n}
    {"do": "rest"}               {"sent": n, "waiting": n}: talks no more, and waits until its events are settled
    {"do": "report"}             {"sent": n, "refused": n, "heard": {sender: [latest, count, missing, astray]}}

Of each sender it keeps the latest number, and counts what came, the numbers that were left out, and what came twice
or out of order.
"""

import argparse
import json
import sys
import threading
import time
from typing import Any

from mirosd_client import Event, NetworkedActiveObject, return_status, signals, spy_on

SETTLE_DEADLINE_S = 70.0  # an event's life and a little


class Talker(NetworkedActiveObject):
    """Handles Word events by counting them."""

    heard: dict[str, list[int]]


def take(heard: dict[str, list[int]], sender: str, number: int) -> None:
    """Account for one event; what was sent before the first one that is heard is nobody's loss."""
    account = heard.setdefault(sender, [number - 1, 0, 0, 0])
    latest = account[0]
    account[1] += 1
    if number <= latest:
        account[3] += 1
        return
    account[2] += number - latest - 1
    account[0] = number


@spy_on  # type: ignore[untyped-decorator]
def listening(chart: Talker, e: Event) -> Any:
    """The one state."""
    if e.signal == signals.Word:
        take(chart.heard, e.payload["from"], e.payload["n"])
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


class Mouth:
    """Talks from a thread of its own."""

    def __init__(self, chart: Talker) -> None:
        self.sent = self.refused = 0
        self._chart = chart
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None

    def talk(self, per_s: float) -> None:
        """Begin, if it does not talk yet."""
        if self._thread is None:
            self._halt.clear()
            self._thread = threading.Thread(target=self._talk, args=(1 / per_s,), daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """Say no more."""
        if self._thread is not None:
            self._halt.set()
            self._thread.join()
            self._thread = None

    def _talk(self, pause_s: float) -> None:
        due_s = time.monotonic()
        while not self._halt.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + pause_s, time.monotonic() - 1)  # after a standstill it does not shout
            event = Event(signal=signals.Word, payload={"from": self._chart.name, "n": self.sent + 1})
            if self._chart.transmit(event):
                self.sent += 1
            else:
                self.refused += 1


def _do(command: dict[str, Any], chart: Talker, mouth: Mouth) -> dict[str, Any]:
    match command["do"]:
        case "talk":
            mouth.talk(command["per_s"])
            return {"sent": mouth.sent}
        case "rest":
            mouth.rest()
            deadline_s = time.monotonic() + SETTLE_DEADLINE_S
            while chart.client.counters()["waiting"] and time.monotonic() < deadline_s:
                time.sleep(0.02)
            return {"sent": mouth.sent, "waiting": chart.client.counters()["waiting"]}
        case "report":
            return {"sent": mouth.sent, "refused": mouth.refused, "heard": dict(chart.heard)}
    raise ValueError(command)


def main() -> None:
    """Start the chart, then obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    name = parser.parse_args().name
    chart = Talker(name, tx_routing_key="word.any", rx_routing_key="word.#", instrumented=False)
    chart.heard = {}
    chart.start_at(listening)
    mouth = Mouth(chart)
    print(json.dumps({"subscribed": chart.wait_subscribed(60)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_do(json.loads(line), chart, mouth)), flush=True)
    mouth.rest()
    chart.close()


if __name__ == "__main__":
    main()
