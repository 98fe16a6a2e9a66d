"""A connector that opens a connection to a peer's broker only where our credentials may go (core/clearance.py).

It looks at every opening, not only the first: a peer's address may be another host's by the time its link is lost
and opened again. An address that is not cleared is asked for; no fresh sealed answer that names it, no connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import structlog

from mirosd.backends.amqp import AmqpConnector
from mirosd.backends.amqp_link import AmqpLink
from mirosd.core.addresses import HostPort
from mirosd.core.broker import BrokerAddress
from mirosd.core.clearance import Clearance
from mirosd.errors import BrokerError

log = structlog.get_logger()

CONFIRM_S = 1.2
"""How long may be asked: who is there answers within milliseconds, and is asked again for one second."""

Confirm = Callable[[str], Awaitable[Collection[str]]]
"""Asks who is at a broker ("10.0.0.7:5672") to prove itself, and gives the brokers that sealed answers named."""


class GuardedConnector:
    """See core.broker.BrokerConnector: with AmqpConnector's options, and one more error. Thread: loop.

    Args:
        connector: what opens once an address is cleared.
        confirms: ways to ask; all are tried at once, and the first to clear the address ends the others. The nonces
            of what they give are drawn after they were called.
        clock: monotonic seconds, as the clearance counts them.
    """

    def __init__(
        self,
        connector: AmqpConnector,
        clearance: Clearance,
        confirms: Sequence[Confirm],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._connector, self._clearance, self._confirms, self._clock = connector, clearance, confirms, clock

    async def open(self, address: BrokerAddress, *, deadline_s: float, **options: Any) -> AmqpLink:
        """Give an open link within `deadline_s`, the asking included.

        Raises:
            BrokerError: `unproved`, before a name was resolved or anything sent by TCP; else as the connector does.
        """
        began_s = self._clock()
        if not self._is_cleared(address):
            await self._ask(address, min(CONFIRM_S, deadline_s))
            if not self._is_cleared(address):
                raise BrokerError(
                    "unproved",
                    f"{address.display}: no mirosd with our key has just said that its broker is there, so it is not "
                    f"sent our account; if the address is right, list it: mirosctl hosts add {address.display}",
                )
        return await self._connector.open(address, deadline_s=deadline_s - (self._clock() - began_s), **options)

    async def _ask(self, address: BrokerAddress, within_s: float) -> None:
        began_s = self._clock()
        broker = str(HostPort(address.host, address.port))
        asking = [asyncio.ensure_future(confirm(broker)) for confirm in self._confirms]
        try:
            for answer in asyncio.as_completed(asking, timeout=within_s):
                self._clearance.clear(await answer, began_s)
                if self._is_cleared(address):
                    break
        except TimeoutError:
            log.debug("not_confirmed", broker=broker)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def _is_cleared(self, address: BrokerAddress) -> bool:
        return self._clearance.is_cleared(address.host, address.port, self._clock())
