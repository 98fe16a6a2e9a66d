"""A broker that asks whoever connects for credentials, keeps every byte that it is sent, and then hangs up."""

import socket
import threading
import time
from types import TracebackType

from pika.frame import Method
from pika.spec import Connection

GREETING = Method(
    0, Connection.Start(server_properties={"product": "RabbitMQ"}, mechanisms="PLAIN", locales="en_US")
).marshal()


class FakeBroker:
    """Listens from `with` on; made on the network of the calling thread."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self._listening = socket.create_server((address, port))
        self.address, self.port = self._listening.getsockname()[:2]
        self.received: list[bytearray] = []  # of each connection
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def text(self) -> bytes:
        """All that was sent here."""
        return b"|".join(bytes(received) for received in self.received)

    def wait_for(self, text: bytes, deadline_s: float = 30.0) -> None:
        """Return when `text` has been sent here."""
        until_s = time.monotonic() + deadline_s
        while text not in self.text:
            assert time.monotonic() < until_s, self.received
            time.sleep(0.01)

    def __enter__(self) -> "FakeBroker":
        self._threads[0].start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.received.append(bytearray())
            thread = threading.Thread(target=self._record, args=(client, self.received[-1]), daemon=True)
            self._threads.append(thread)
            thread.start()

    @staticmethod
    def _record(client: socket.socket, received: bytearray) -> None:
        with client:
            client.settimeout(5)
            try:
                is_greeted = False
                while data := client.recv(4096):
                    received += data
                    if not is_greeted and received.startswith(b"AMQP"):
                        client.sendall(GREETING)
                        is_greeted = True
                    if b"PLAIN" in received:
                        return
            except OSError:
                return
