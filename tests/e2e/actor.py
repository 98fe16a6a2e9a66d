"""A statechart program that does what the test tells it, one JSON line at a time.

    python -m tests.e2e.actor NAME --tx KEY --rx KEY

Commands on stdin, each answered by one line on stdout:

    {"do": "wait_subscribed"}          {"subscribed": true}
    {"do": "send", "count": n}         {"accepted": [numbers]}
    {"do": "stream", "pause_s": s}     {"streaming": true}: sends one event after another until "halt"
    {"do": "halt"}                     {"accepted": [numbers]}: all that was accepted so far
    {"do": "wait_settled"}             {"waiting": 0, ...counters}
    {"do": "report"}                   {"handled": [[sender, number, text], ...]}
    {"do": "quit"}                     ends
"""

import argparse
import json
import sys
import threading
import time
from typing import Any

from miros import Event, return_status, signals, spy_on

from mirosd_client import NetworkedActiveObject

SETTLE_DEADLINE_S = 70.0  # an event's life and a little


class Actor(NetworkedActiveObject):
    """Handles Item events by keeping them."""

    handled: list[list[Any]]


@spy_on
def acting(chart: Actor, e: Event) -> Any:
    """The one state: knows nothing of networks."""
    if e.signal == signals.Item:
        chart.handled.append([e.payload["from"], e.payload["n"], e.payload["text"]])
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


class Script:
    """Runs the commands."""

    def __init__(self, chart: Actor) -> None:
        self.chart = chart
        self.accepted: list[int] = []
        self.number = 0
        self._halt = threading.Event()
        self._stream: threading.Thread | None = None

    def send(self) -> None:
        """Transmit one more event; remember it when it was accepted."""
        self.number += 1
        payload = {"from": self.chart.name, "n": self.number, "text": f"item {self.number} of {self.chart.name}"}
        if self.chart.transmit(Event(signal=signals.Item, payload=payload)):
            self.accepted.append(self.number)

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """Give the answer to one command."""
        match command["do"]:
            case "wait_subscribed":
                return {"subscribed": self.chart.wait_subscribed(60)}
            case "send":
                for _ in range(command["count"]):
                    self.send()
                return {"accepted": self.accepted}
            case "stream":
                self._stream = threading.Thread(target=self._send_until_halt, args=(command["pause_s"],))
                self._stream.start()
                return {"streaming": True}
            case "halt":
                self._halt.set()
                if self._stream is not None:
                    self._stream.join()
                return {"accepted": self.accepted}
            case "wait_settled":
                deadline = time.monotonic() + SETTLE_DEADLINE_S
                while self.chart.client.counters()["waiting"] and time.monotonic() < deadline:
                    time.sleep(0.01)
                return self.chart.client.counters()
            case "report":
                return {"handled": self.chart.handled}
        raise ValueError(command)

    def _send_until_halt(self, pause_s: float) -> None:
        while not self._halt.wait(pause_s):
            self.send()


def main() -> None:
    """Start the chart, then obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--tx", required=True)
    parser.add_argument("--rx", required=True)
    options = parser.parse_args()
    chart = Actor(options.name, tx_routing_key=options.tx, rx_routing_key=options.rx, instrumented=False)
    chart.handled = []
    chart.start_at(acting)
    script = Script(chart)
    print(json.dumps({"started": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "quit":
            break
        print(json.dumps(script.do(command)), flush=True)
    chart.close()


if __name__ == "__main__":
    main()
