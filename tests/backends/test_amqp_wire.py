"""When what pika writes is sent; what becomes of a connection that this host cannot make."""

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from mirosd.backends.amqp_wire import Progress, Wire, connect_tcp
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError

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
    wire.connection_made(transport)  # pika greets, at once
    wire.write(b"1")
    before = list(transport.parts)
    await asyncio.sleep(0)
    wire.write(b"2")
    wire.write(b"3")
    wire.flush()
    at_once = list(transport.parts)
    await asyncio.sleep(0)

    assert (before, at_once, transport.parts) == ([HEADER], [HEADER, b"1", b"23"], [HEADER, b"1", b"23"])


async def test_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without descriptors fails to connect like any other: whoever keeps the link tries again."""

    def none_left(*_arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(BrokerError, match="Too many open files") as caught:
        await connect_tcp(BrokerAddress("192.0.2.1"), Progress(None), 1.0)

    assert "tcp(silent)" == caught.value.code
