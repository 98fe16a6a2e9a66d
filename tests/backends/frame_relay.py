"""A relay in front of a real broker that counts AMQP frames, and breaks both connections behind one of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from mirosd.core.broker import BrokerAddress

PROTOCOL_HEADER_BYTES = 8  # "AMQP" 0 0 9 1, which a client begins with
FRAME_HEADER_BYTES = 7  # type (1), channel (2), size (4); behind the payload one byte more, AMQP 0-9-1 section 2.3.5


@dataclass
class Fuse:
    """How many frames, both ways together, may still pass; None: any number."""

    frames: int | None = None

    def burn(self) -> bool:
        """Count one frame; True behind the last."""
        if self.frames is not None:
            self.frames -= 1
        return self.frames == 0


@asynccontextmanager
async def relay(broker: BrokerAddress) -> AsyncIterator[tuple[BrokerAddress, Fuse]]:
    """Give an address that leads to `broker`, and the fuse on the way."""
    fuse = Fuse()
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(broker.host, broker.port)
        there_writer.write(await reader.readexactly(PROTOCOL_HEADER_BYTES))

        def cut() -> None:
            writer.transport.abort()
            there_writer.transport.abort()

        ended.append(asyncio.create_task(_pass_frames(reader, there_writer, fuse, cut)))
        ended.append(asyncio.create_task(_pass_frames(there_reader, writer, fuse, cut)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield replace(broker, host="127.0.0.1", port=server.sockets[0].getsockname()[1]), fuse
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*ended)


async def _pass_frames(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fuse: Fuse, cut: Callable[[], None]
) -> None:
    try:
        while not writer.transport.is_closing():
            head = await reader.readexactly(FRAME_HEADER_BYTES)
            writer.write(head + await reader.readexactly(int.from_bytes(head[3:7]) + 1))
            if fuse.burn():
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # one side has ended; so does the other
    cut()
