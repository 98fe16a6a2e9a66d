"""Worker: events from statechart to statechart, NetworkedActiveObjects on two hosts.

    python -m bench.charts receive|send bare|spied

The styles and the state are those of miros_alone.py.
"""

import sys

from bench.miros_alone import STATES, TALLY, item
from bench.worker import obey_as_receiver, obey_as_sender
from mirosd_client import NetworkedActiveObject

RECEIVERS_KEY, SENDERS_KEY = "bench.charts.receiver", "bench.charts.sender"
READY_S = 30.0


def main() -> None:
    """Take the role."""
    role, style = sys.argv[1:]
    tx, rx = (SENDERS_KEY, RECEIVERS_KEY) if role == "receive" else (RECEIVERS_KEY, SENDERS_KEY)
    with NetworkedActiveObject(role, tx_routing_key=tx, rx_routing_key=rx, instrumented=style == "spied") as chart:
        chart.start_at(STATES[style])
        assert chart.wait_subscribed(READY_S)
        if role == "receive":
            obey_as_receiver(TALLY)
        else:
            obey_as_sender(lambda event: chart.transmit(item(event)))


if __name__ == "__main__":
    main()
