"""When what pika writes is sent."""

import asyncio
from typing import Any

from mirosd.backends.amqp_wire import Progress, Wire
from mirosd.core.broker import BrokerAddress

HEADER = b"AMQP\0\0\x09\x01"


class Sent(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 5672)})
        self.parts: list[bytes] = []

    def write(self, data: Any) -> None:
        self.parts.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_a_turn_of_the_loop_is_one_send() -> None:
    """What is written in one turn goes together in the next, or at once when that is asked for, and once."""
    transport = Sent()
    wire = Wire(BrokerAddress("192.0.2.1"), "t", Progress(None))
    wire.connection_made(transport)  # pika greets
    wire.write(b"1")
    before = list(transport.parts)
    await asyncio.sleep(0)
    wire.write(b"2")
    wire.write(b"3")
    wire.flush()
    at_once = list(transport.parts)
    await asyncio.sleep(0)

    assert (before, at_once, transport.parts) == ([], [HEADER + b"1", b"23"], [HEADER + b"1", b"23"])
