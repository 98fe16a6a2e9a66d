"""A program with two statecharts, one that says and one that hears: of this program too. It keeps the history of both.

    python -m tests.faults.witness NAME

Commands on stdin, one JSON object a line, each answered by one on stdout:

    {"do": "begin"}                forgets the history so far
    {"do": "talk", "per_s": n}     says so many events each second
    {"do": "burst", "count": n}    ... and now so many more, as fast as it can
    {"do": "rest"}                 {"waiting": n}: says no more; n events are not settled
    {"do": "last"}                 {"last": n}: says one more event, and gives its number
    {"do": "heard"}                {speaker: number of its latest event}
    {"do": "report"}               {"accepted": [[number, monotonic s], ...], "heard": {speaker: [number, ...]},
                                    "counters": {...}}
    {"do": "dawdle", "s": s}       each event is handled for so long
    {"do": "stumble", "every": n}  each n-th event raises in its handler, after it was noted; 0: none
    {"do": "leap", "s": s}         the wall clock leaps
"""

import argparse
import json
import logging
import sys
import threading
import time
from typing import Any

from mirosd_client import Event, NetworkedActiveObject, return_status, signals, spy_on
from tests.faults.leaping import Leaping

FILLER = "x" * 100  # an event of some 150 bytes


class Hearer(NetworkedActiveObject):
    """Handles Word events by keeping their numbers."""

    heard: dict[str, list[int]]
    dawdle_s = 0.0
    stumble_every = 0


@spy_on  # type: ignore[untyped-decorator]
def listening(hearer: Hearer, e: Event) -> Any:
    """The one state."""
    if e.signal == signals.Word:
        number = e.payload["n"]
        hearer.heard.setdefault(e.payload["from"], []).append(number)
        if hearer.dawdle_s:
            time.sleep(hearer.dawdle_s)
        if hearer.stumble_every and number % hearer.stumble_every == 0:
            raise RuntimeError(f"event {number}")
        return return_status.HANDLED
    hearer.temp.fun = hearer.top
    return return_status.SUPER


class Mouth:
    """Talks from a thread of its own."""

    def __init__(self, chart: NetworkedActiveObject) -> None:
        self.accepted: list[tuple[int, float]] = []
        self._chart = chart
        self._said = 0
        self._burst = 0
        self._per_s = 0.0
        self._is_wanted = threading.Condition()
        self._is_over = threading.Event()
        self._is_over.set()

    def talk(self, per_s: float) -> None:
        """Begin."""
        self._per_s = per_s
        self._is_over.clear()
        threading.Thread(target=self._talk, daemon=True).start()

    def burst(self, count: int) -> None:
        """Say so many more."""
        with self._is_wanted:
            self._burst += count
            self._is_wanted.notify()

    def rest(self) -> None:
        """Say no more."""
        with self._is_wanted:
            self._per_s = 0.0
            self._is_wanted.notify()
        self._is_over.wait()

    def say(self) -> int:
        """Say one more event; gives its number."""
        self._said += 1
        payload = {"from": self._chart.name, "n": self._said, "text": FILLER}
        if self._chart.transmit(Event(signal=signals.Word, payload=payload)):
            self.accepted.append((self._said, time.monotonic()))
        return self._said

    def _talk(self) -> None:
        due_s = time.monotonic()
        while self._per_s:
            with self._is_wanted:
                if not self._burst and self._per_s:
                    self._is_wanted.wait(max(0.0, due_s - time.monotonic()))
                burst, self._burst = self._burst, 0
            for _ in range(burst):
                self.say()
            while self._per_s and due_s <= time.monotonic():
                due_s += 1 / self._per_s
                self.say()
        self._is_over.set()


def _do(command: dict[str, Any], hearer: Hearer, mouth: Mouth, clock: Leaping) -> dict[str, Any]:
    match command["do"]:
        case "begin":
            hearer.heard, mouth.accepted = {}, []
        case "talk":
            mouth.talk(command["per_s"])
        case "burst":
            mouth.burst(command["count"])
        case "rest":
            mouth.rest()
            return {"waiting": hearer.client.counters()["waiting"]}
        case "last":
            return {"last": mouth.say()}
        case "heard":
            return {speaker: numbers[-1] for speaker, numbers in list(hearer.heard.items())}
        case "report":
            return {"accepted": mouth.accepted, "heard": hearer.heard, "counters": hearer.client.counters()}
        case "dawdle":
            hearer.dawdle_s = command["s"]
        case "stumble":
            hearer.stumble_every = command["every"]
        case "leap":
            clock.offset_s += command["s"]
        case _:
            raise ValueError(command)
    return {}


def main() -> None:
    """Start the chart, then obey."""
    logging.basicConfig()
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    name = parser.parse_args().name
    clock = Leaping()
    hearer = Hearer(name, tx_routing_key="silence", rx_routing_key="word.#", instrumented=False)
    hearer.heard = {}
    hearer.start_at(listening)
    speaker = NetworkedActiveObject(name, tx_routing_key="word.any", rx_routing_key="silence", instrumented=False)
    mouth = Mouth(speaker)  # it is never started, so it hears nothing
    print(json.dumps({"subscribed": hearer.wait_subscribed(60)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_do(json.loads(line), hearer, mouth, clock)), flush=True)
    hearer.close()


if __name__ == "__main__":
    main()
