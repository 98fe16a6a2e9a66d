"""A program of several charts, each of which stands still where the test says, and keeps account of what it handled.

    python -m tests.e2e.crew --chart NAME TX_KEY RX_KEY [--chart ...]

Commands on stdin, one JSON object a line, each answered by one on stdout:

    {"do": "send", "chart": name, "count": n, "bytes": b, "per_s": p}  {"sent": n, "refused": n}: as `sent` of all time
    {"do": "stream", "chart": name, "bytes": b, "per_s": p}            {}: sends until "halt"
    {"do": "halt"}                                                     {"sent": n, "refused": n}
    {"do": "limit", "chart": name, "count": n}    {}: it stands still in its handler after n events; null: it goes on
    {"do": "report"}                              {"heard": {chart: {sender: [latest, count, missing, astray]}}}
    {"do": "snoop", "network": n, "count": c}     {}: tells so many lines, as fast as it can
    {"do": "step", "chart": name, "count": c, "per_s": p}  {"steps": n}: its witness is told of so many moves, into
                                                           states with long names and a number; n is the last one's
    {"do": "counters"}                            the client's

What is not accepted is sent again until it is, and counted as refused once each time.
"""

import argparse
import json
import sys
import threading
import time
from typing import Any

from mirosd_client import Event, NetworkedActiveObject, return_status, signals, spy_on
from mirosd_client.shell.witness import Step
from mirosd_client.wire import Network
from tests.soak.talker import take

AGAIN_S = 0.002


class Member(NetworkedActiveObject):
    """Handles parcels by noting their numbers, until it is to stand still."""

    def prepare(self) -> None:
        """What it needs beside the chart."""
        self.heard: dict[str, list[int]] = {}
        self.handled = 0
        self.limit: int | None = None
        self.turn = threading.Condition()

    def handle(self, parcel: dict[str, Any]) -> None:
        """Take one event, as soon as it is let."""
        with self.turn:
            self.turn.wait_for(lambda: self.limit is None or self.handled < self.limit)
            take(self.heard, parcel["from"], parcel["n"])
            self.handled += 1

    def let(self, limit: int | None) -> None:
        """Stand still after so many."""
        with self.turn:
            self.limit = limit
            self.turn.notify_all()


@spy_on  # type: ignore[untyped-decorator]
def handling(chart: Member, e: Event) -> Any:
    """The one state."""
    if e.signal == signals.Parcel:
        chart.handle(e.payload)
        return return_status.HANDLED
    chart.temp.fun = chart.top
    return return_status.SUPER


class Sender:
    """Sends through one chart, from the thread that asks or one of its own."""

    def __init__(self, chart: Member) -> None:
        self.sent = self.refused = 0
        self._chart = chart
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, count: float, size: int, per_s: float) -> None:
        """Send `count` events, at most `per_s` a second, or until halted."""
        text, due_s = "p" * size, time.monotonic()
        while count > 0 and not self._halt.is_set():
            payload = {"from": self._chart.name, "n": self.sent + 1, "text": text}
            if self._chart.transmit(Event(signal=signals.Parcel, payload=payload)):
                self.sent, count = self.sent + 1, count - 1
                due_s = max(due_s + 1 / per_s, time.monotonic() - 0.1)
                if (wait_s := due_s - time.monotonic()) > AGAIN_S:
                    self._halt.wait(wait_s)
            else:
                self.refused += 1
                self._halt.wait(AGAIN_S)

    def stream(self, size: int, per_s: float) -> None:
        """Go on sending."""
        self._halt.clear()
        self._thread = threading.Thread(target=self.send, args=(float("inf"), size, per_s))
        self._thread.start()

    def halt(self) -> None:
        """Send no more."""
        self._halt.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._halt.clear()


class Script:
    """Runs the commands."""

    def __init__(self, charts: dict[str, Member]) -> None:
        self.charts = charts
        self.senders = {name: Sender(chart) for name, chart in charts.items()}
        self.client = next(iter(charts.values())).client
        self.steps = 0

    def do(self, do: str, chart: str = "", **arguments: Any) -> dict[str, Any]:
        """Give the answer to one command."""
        match do:
            case "send":
                self.senders[chart].send(arguments["count"], arguments["bytes"], arguments["per_s"])
                return self._sent(chart)
            case "stream":
                self.senders[chart].stream(arguments["bytes"], arguments["per_s"])
                return {}
            case "halt":
                self.senders[chart].halt()
                return self._sent(chart)
            case "limit":
                self.charts[chart].let(arguments["count"])
                return {}
            case "report":
                return {"heard": {name: dict(chart.heard) for name, chart in self.charts.items()}}
            case "snoop":
                network = Network(arguments["network"])
                for _ in range(arguments["count"]):
                    self.client.send("L", b"l" * 200, "json", routing_key=network.name, network=network)
                return {}
            case "step":
                self._step(self.charts[chart], arguments["count"], arguments["per_s"])
                return {"steps": self.steps}
            case "counters":
                return self.client.counters()
        raise ValueError(do)

    def _step(self, chart: Member, count: int, per_s: float) -> None:
        """Tell of moves: lines of 500 bytes."""
        witness, long, began_s = chart.witness, "s" * 300, time.monotonic()
        assert witness is not None
        for n in range(1, count + 1):
            self.steps += 1
            state = f"{long}_{self.steps}"
            witness.stepped(
                Step(witness.number, chart.name, "Turn", "s", state, True, time.time(), witness.now(), None, None)
            )
            if n % 100 == 0 and (wait_s := began_s + n / per_s - time.monotonic()) > 0:
                time.sleep(wait_s)

    def _sent(self, chart: str) -> dict[str, Any]:
        return {"sent": self.senders[chart].sent, "refused": self.senders[chart].refused}


def main() -> None:
    """Start the charts, then obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chart", nargs=3, action="append", required=True, dest="charts")
    charts = {}
    for name, tx, rx in parser.parse_args().charts:
        chart = charts[name] = Member(name, tx_routing_key=tx, rx_routing_key=rx, instrumented=False)
        chart.prepare()
        chart.start_at(handling)
    print(json.dumps({"subscribed": all(chart.wait_subscribed(60) for chart in charts.values())}), flush=True)
    script = Script(charts)
    for line in sys.stdin:
        print(json.dumps(script.do(**json.loads(line))), flush=True)
    for chart in charts.values():
        chart.let(None)
    for sender in script.senders.values():
        sender.halt()
    for chart in charts.values():
        chart.close()


if __name__ == "__main__":
    main()
