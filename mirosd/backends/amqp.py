"""Opening connections to RabbitMQ: one attempt each, every failure with the stage it happened in.

    resolve -> tcp -> (tls) -> amqp -> auth -> channel
    the name   the socket      Connection.Start   log-in, virtual host   confirm mode

The whole has one deadline, TCP may have a shorter one. Whatever fails, socket and tasks are gone when the error is
raised.
"""

import asyncio
import ssl
from collections.abc import Callable

from mirosd.backends.amqp_channel import AmqpChannel, Confirms
from mirosd.backends.amqp_errors import closed_error, timeout_error
from mirosd.backends.amqp_link import AmqpLink
from mirosd.backends.amqp_wire import Passed, Progress, Wire, connect_tcp
from mirosd.core.broker import BrokerAddress
from mirosd.errors import BrokerError


class AmqpConnector:
    """See core.broker.BrokerConnector. Thread: loop."""

    def __init__(self, tls: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        """`tls` gives what TLS is spoken with, at each opening; by default the system's authorities are trusted."""
        self._tls = tls

    async def open(
        self,
        address: BrokerAddress,
        *,
        deadline_s: float,
        name: str,
        on_lost: Callable[[BrokerError], None],
        on_blocked: Callable[[bool], None] | None = None,
        tcp_deadline_s: float | None = None,
        on_passed: Passed | None = None,
    ) -> AmqpLink:
        """Give an open link within `deadline_s`; TCP alone within `tcp_deadline_s`.

        Args:
            name: shown by the broker's tools as the connection's name.
            on_passed: called with each stage passed and what was seen there.

        Raises:
            BrokerError: resolve, tcp(refused), tcp(silent), tls and its kinds (amqp_errors.tls_error), amqp,
                amqp(tls), amqp(slow), auth, guest_remote, vhost; lost or closed when the broker went away between two
                stages.
        """
        progress = Progress(on_passed)
        tls = self._tls() if address.tls else None
        wire: Wire | None = None
        try:
            async with asyncio.timeout(deadline_s):
                client = await connect_tcp(address, progress, min(deadline_s, tcp_deadline_s or deadline_s))
                wire = Wire(address, name, progress)
                await wire.open(client, tls)
                return await _confirming_link(address, wire, on_lost, on_blocked)
        except BaseException as exc:
            if wire is not None:
                await wire.dispose()
            if isinstance(exc, TimeoutError):
                raise timeout_error(address, progress.stage, deadline_s) from exc
            raise


async def _confirming_link(
    address: BrokerAddress,
    wire: Wire,
    on_lost: Callable[[BrokerError], None],
    on_blocked: Callable[[bool], None] | None,
) -> AmqpLink:
    publishing = await AmqpChannel.open(wire.connection, address)
    confirms = Confirms()
    publishing.raw.add_on_return_callback(confirms.on_return)
    await publishing.call(publishing.raw.confirm_delivery, ack_nack_callback=confirms.on_confirm)
    if not publishing.raw.is_open:  # closed in the turn of the loop in which it was answered
        raise closed_error(address, None)
    return AmqpLink(address, wire, publishing, confirms, on_lost=on_lost, on_blocked=on_blocked)
