"""Which address of our broker an asker is told: one that the operator advertises, else the one at which he asked."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from mirosd.core.addresses import AMQP_PORT, parse_host
from mirosd.core.probe import Address


class Advertised:
    """What of `broker.advertise` fits into a datagram: addresses. Names do not.

    Args:
        advertise: hosts as a hosts file writes them.
        port: of our own broker on this host; 0: it takes nobody from outside.
    """

    def __init__(self, advertise: Iterable[str], port: int) -> None:
        self.port = port
        self._brokers: list[tuple[Address, int]] = []
        self.names: list[str] = []
        for text in advertise:
            host = parse_host(text)
            try:
                address = ip_address(host.host.partition("%")[0])  # another host's name for its interface says nothing
            except ValueError:
                self.names.append(text)
                continue
            self._brokers.append((address, host.port or port or AMQP_PORT))

    def at(self, local: Address | None) -> tuple[Address, int] | None:
        """Give the broker's address and port for who asked us at `local` (None: unknown); None: there is none.

        Of several that are advertised, the one that has most in common with `local`: likely on its network.
        """
        if self._brokers:
            return max(self._brokers, key=lambda broker: _likeness(broker[0], local))
        return (local, self.port) if local is not None and self.port else None


def _likeness(one: Address, other: Address | None) -> int:
    """Give how many leading bits two addresses share; -1 when they are not of one family."""
    if other is None or one.version != other.version:
        return -1
    bits = 128 if isinstance(one, IPv6Address) else 32
    return bits - (int(one) ^ int(other)).bit_length()
