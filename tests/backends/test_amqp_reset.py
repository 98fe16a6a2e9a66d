"""A broker that goes away between TCP's handshake and ours, as one that is killed does."""

import asyncio
import socket
import struct

import pytest

from mirosd.backends.amqp_wire import Progress, Wire
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError
from tests.backends.broker_rig import eventually

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def is_reset(client: socket.socket) -> bool:
    """Tell whether the other side has reset the connection, without taking the error off the socket."""
    try:
        client.getpeername()
    except OSError:
        return True
    return False


async def test_a_connection_that_was_reset_before_it_is_ours() -> None:
    """It has no peer any more: that is a BrokerError like any other end, and no exception in a callback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    accepted.close()
    client.setblocking(False)
    await eventually(lambda: is_reset(client))
    wire = Wire(BrokerAddress("127.0.0.1", 5672, "/", "user", "password"), "test", Progress(None))

    with pytest.raises(BrokerError) as caught:
        async with asyncio.timeout(30.0):
            await wire.open(client, None)

    assert "amqp" == caught.value.code
    await wire.dispose()
