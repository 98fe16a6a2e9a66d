"""Worker: events from host to host through mirosd, plain `Client` to plain `Client`.

python -m bench.clients receive|send
"""

import sys

from bench.traffic import Tally
from bench.worker import obey_as_receiver, obey_as_sender
from mirosd_client import Client

KEY = "bench.clients"
READY_S = 30.0


def main() -> None:
    """Receive or send."""
    with Client() as client:
        if sys.argv[1] == "receive":
            tally = Tally()
            subscription = client.subscribe(KEY, lambda received: tally.take(received.payload))
            assert subscription.wait_bound(READY_S)
            obey_as_receiver(tally)
        else:
            assert client.wait_connected(READY_S)
            obey_as_sender(lambda event: client.transmit("Bench_Item", event, routing_key=KEY))


if __name__ == "__main__":
    main()
