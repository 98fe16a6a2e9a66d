"""A second broker, in this process: it makes `broker.url: memory://` serve one host, and simulations many.

What can be seen of it is RabbitMQ's (one contract of tests holds both to that), as far as mirosd relies on it:

    pipe        one direction of a connection: frames in order, or cut
    link        the bridge's end, as core.broker asks for it
    connection  the broker's end: publishing, confirms, calls, direct replies
    channel     the broker's end of a consumer: prefetch, what is out
    vhost       exchanges, queues, bindings, dead letters
    exchange    what a binding key matches
    queue       order, TTL, length, redelivery

It is deterministic: time is the loop's clock alone, there is no thread and no dice, and nothing polls. It does not
judge accounts, and nothing of it outlives the process.
"""

import asyncio
from collections.abc import Callable, Mapping

from mirosd.backends.memory_link import MemoryLink
from mirosd.backends.memory_pipe import Pipe
from mirosd.backends.memory_vhost import Vhost
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError


class MemoryBroker:
    """One broker. Thread: loop.

    Args:
        make_pipe: gives each direction of each connection; a simulation puts its own faults there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, make_pipe: Callable[..., Pipe] = Pipe) -> None:
        self._vhost, self._make_pipe = Vhost(loop), make_pipe
        self._links: dict[MemoryLink, str] = {}

    def connect(
        self,
        address: BrokerAddress,
        name: str,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None,
    ) -> MemoryLink:
        """Give a new open link called `name`."""
        link = MemoryLink(
            address,
            self._vhost,
            make_pipe=self._make_pipe,
            on_lost=on_lost,
            on_blocked=on_blocked,
            on_gone=lambda: self._forget(link),
        )
        self._links[link] = name
        return link

    def cut(self, name: str | None = None) -> None:
        """Break every connection, or those called `name`, at once: what is on its way either way never arrives."""
        for link, called in list(self._links.items()):
            if name in (None, called):
                link.cut()

    def block(self, is_blocked: bool) -> None:
        """Raise or end an alarm: each link that publishes meanwhile is blocked, and not read, until it ends."""
        self._vhost.is_alarmed = is_blocked
        if not is_blocked:
            for link in list(self._links):
                link.far.unblock()

    def _forget(self, link: MemoryLink) -> None:
        self._links.pop(link, None)


class MemoryConnector:
    """See core.broker.BrokerConnector. Thread: loop.

    Args:
        brokers: by the host of their address; one that is not there refuses.
    """

    def __init__(self, brokers: Mapping[str, MemoryBroker]) -> None:
        self._brokers = brokers

    async def open(
        self,
        address: BrokerAddress,
        *,
        deadline_s: float,
        name: str,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None = None,
    ) -> MemoryLink:
        """Give an open link, one turn of the loop later; BrokerError("tcp(refused)") when there is no such broker."""
        await asyncio.sleep(0)
        broker = self._brokers.get(address.host)
        if broker is None:
            raise BrokerError("tcp(refused)", f"{address.display}: no broker in memory")
        return broker.connect(address, name, on_lost, on_blocked)
