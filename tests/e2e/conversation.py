"""A program of charts that hold a conversation by a script, on a host whose wall clock may be wrong.

    python -m tests.e2e.conversation --clock OFFSET_S NAME ...

Commands on stdin, one JSON object a line, each answered by {name: [signals of its moves, in their order]} on stdout:

    {"do": "post", "chart": name, "signal": s}    posts an event of the chart's own
    {"do": "report"}
"""

import argparse
import json
import sys
import time
from functools import partial
from typing import Any

SCRIPT: dict[str, dict[str, tuple[str, ...]]] = {
    "ann": {"Begin": ("Question",), "Verdict": (), "Noted": ()},
    "bob": {"Question": ("Guess",)},
    "cy": {"Question": ("Doubt",), "Guess": ("Objection",)},
    "dee": {"Doubt": ("Proof",), "Objection": ()},
    "eve": {"Doubt": (), "Proof": ("Verdict",), "Objection": ("Noted",)},
}
"""What each chart says when it hears what; all of it is said to the same others. Begin is posted, not said."""

ARROWS = sorted(
    (speaker, signal, hearer)
    for speaker, turns in SCRIPT.items()
    for said in turns.values()
    for signal in said
    for hearer, hears in SCRIPT.items()
    if signal in hears
)
"""Who says what to whom, each once a round."""

CHAIN = ["Question", "Doubt", "Proof", "Verdict"]
"""The causes of a Verdict, which ends a round, from the first one down: of ann, cy, dee, eve."""


def main() -> None:
    """Set the clock, start the charts, then obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+")
    parser.add_argument("--clock", type=float, required=True)
    options = parser.parse_args()
    right = time.time
    time.time = lambda: right() + options.clock  # before anybody else has it

    from mirosd_client import Event, NetworkedFactory, signals

    class Talker(NetworkedFactory):
        """Waits in `silent`; has a state inside of it for each signal it knows, and goes there when it hears that."""

        def __init__(self, name: str) -> None:
            hearers = sorted({hearer for speaker, _signal, hearer in ARROWS if speaker == name})
            tx, rx = ".".join(("talk", *hearers)), f"#.{name}.#"
            super().__init__(name, tx_routing_key=tx, rx_routing_key=rx, instrumented=False)
            self.moves: list[str] = []
            silent = self.create(state="silent")
            for signal in (*SCRIPT[name], "Cough"):
                silent.catch(signal=getattr(signals, signal), handler=partial(self.hear, f"heard_{signal}"))
            self.nest(silent.to_method(), parent=None)
            for signal in (*SCRIPT[name], "Cough"):
                self.nest(self.create(state=f"heard_{signal}").to_method(), parent="silent")

        def hear(self, state: str, _chart: Any, e: Any) -> Any:
            """Answer, and move."""
            self.moves.append(e.signal_name)
            for signal in SCRIPT[self.name].get(e.signal_name, ()):
                assert self.transmit(Event(signal=getattr(signals, signal)))
            return self.trans(self.states[state].to_method())

    charts = {name: Talker(name) for name in options.names}
    for chart in charts.values():
        chart.start_at("silent")
        assert chart.wait_subscribed(60)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "post":
            charts[command["chart"]].post_fifo(Event(signal=getattr(signals, command["signal"])))
        print(json.dumps({name: chart.moves for name, chart in charts.items()}), flush=True)
    for chart in charts.values():
        chart.close()


if __name__ == "__main__":
    main()
