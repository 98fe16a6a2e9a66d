"""Worker: events from host to host with pika's BlockingConnection, as most programs use it.

    python -m bench.blocking_pika receive|send URL

As raw_pika.py in all else: one broker, a transient queue, no confirms, no persistence, no acknowledgements. It is
slower, since it flushes its socket at each publish, and stands beside raw_pika.py to show what a program gives up
that does not care for speed.
"""

import json
import sys
import threading
from typing import Any

import pika

from bench.raw_pika import QUEUE
from bench.traffic import Tally
from bench.worker import obey_as_receiver, obey_as_sender


def main() -> None:
    """Receive or send."""
    role, url = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(QUEUE, auto_delete=True)
    if role == "receive":
        tally = Tally()

        def take(_channel: Any, _method: Any, _properties: Any, body: bytes) -> None:
            tally.take(json.loads(body))

        channel.basic_consume(QUEUE, take, auto_ack=True)
        threading.Thread(target=channel.start_consuming, daemon=True).start()
        obey_as_receiver(tally)
    else:

        def publish(event: dict[str, Any]) -> bool:
            channel.basic_publish("", QUEUE, json.dumps(event).encode())
            return True

        obey_as_sender(publish)
        connection.close()


if __name__ == "__main__":
    main()
