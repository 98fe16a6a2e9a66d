"""Worker: events from host to host with pika alone, as a program would without mirosd, as fast as pika allows.

    python -m bench.raw_pika receive|send URL

One broker, the receiver's; a transient queue, the default exchange, no confirms, no persistence, no encryption,
consumer acknowledgements off. Both ends use AsyncioConnection: of the nine pairings of BlockingConnection,
SelectConnection and AsyncioConnection it was the fastest or within the noise of it.
"""

import asyncio
import json
import sys
import threading
import time
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from bench.traffic import FIRST_NUMBER, FULL_PAUSE_S, SHARE_EVERY, Arrived, Tally, payload
from bench.worker import obey, obey_as_receiver

QUEUE = "bench"
BURST = 4 * SHARE_EVERY  # publishes in one turn of the loop: as many as mirosd puts into one body


class Peer:
    """A connection with one channel, on an asyncio loop in a thread of its own."""

    def __init__(self, url: str) -> None:
        """Connect, and declare the queue."""
        self.loop = asyncio.new_event_loop()
        self.channel: Any = None
        self._is_ready = threading.Event()
        self._url = url
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._is_ready.wait(30):
            raise TimeoutError("no channel within 30 s")

    def consume(self, tally: Tally) -> None:
        """Tally what arrives; returns once the broker has confirmed the consumer."""
        is_consuming = threading.Event()

        def begin() -> None:
            self.channel.basic_consume(
                QUEUE,
                lambda _channel, _method, _properties, body: tally.take(json.loads(body)),
                auto_ack=True,
                callback=lambda _frame: is_consuming.set(),
            )

        self.loop.call_soon_threadsafe(begin)
        if not is_consuming.wait(30):
            raise TimeoutError("no consumer within 30 s")

    async def send(self, per_s: float, seconds: float) -> int:
        """Give how many events were published in `seconds`."""
        arrived = Arrived()
        began_s, sent = time.monotonic(), 0
        while (passed_s := time.monotonic() - began_s) < seconds:
            await asyncio.sleep(max(0.0, sent / per_s - passed_s) if per_s else 0)
            if not arrived.permit(sent):
                await asyncio.sleep(FULL_PAUSE_S)
                continue
            for _ in range(1 if per_s else BURST):
                self.channel.basic_publish("", QUEUE, json.dumps(payload(FIRST_NUMBER + sent)).encode())
                sent += 1
        arrived.close()
        return sent

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        AsyncioConnection(pika.URLParameters(self._url), on_open_callback=self._open_channel, custom_ioloop=self.loop)
        self.loop.run_forever()

    def _open_channel(self, connection: AsyncioConnection) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel: Any) -> None:
        self.channel = channel
        channel.queue_declare(QUEUE, auto_delete=True, callback=lambda _frame: self._is_ready.set())


def main() -> None:
    """Receive or send."""
    role, url = sys.argv[1:]
    peer = Peer(url)
    if role == "receive":
        tally = Tally()
        peer.consume(tally)
        obey_as_receiver(tally)
    else:
        obey(
            lambda command: {
                "accepted": asyncio.run_coroutine_threadsafe(
                    peer.send(command["per_s"], command["seconds"]), peer.loop
                ).result()
            }
        )


if __name__ == "__main__":
    main()
