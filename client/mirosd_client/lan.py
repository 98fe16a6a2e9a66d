"""The addresses that a program can ask for: this host's, and those of the live peers.

Nothing is searched here. Peers are what the daemon knows of them, and the own address is
the one that the kernel would use towards them.
"""

import ipaddress
import socket
from collections.abc import Callable
from types import SimpleNamespace

ELSEWHERE = "10.255.255.255"
"""Asked for when there is no peer: the route to it is that of the default interface. Nothing is sent there."""
LOOPBACK = "127.0.0.1"
_PORT = 9  # discard; any would do


class LocalAreaNetwork:
    """This host and its live peers, looked up anew at each question; waits for the daemon as `peers()` does.

    Args:
        live_peers: gives the peers' addresses as hosts are written: `10.0.0.7`, `10.0.0.7:5673`, `[fe80::1]:5672`.
    """

    def __init__(self, live_peers: Callable[[], list[str]]) -> None:
        self._live_peers = live_peers

    @property
    def this(self) -> SimpleNamespace:
        """This host; its `address`."""
        return SimpleNamespace(address=self.get_working_ip_address())

    @property
    def other(self) -> SimpleNamespace:
        """The live peers; their `addresses`, sorted."""
        return SimpleNamespace(addresses=sorted({_host(peer) for peer in self._live_peers()}))

    @property
    def addresses(self) -> list[str]:
        """This host's address, then those of the live peers."""
        others = self.other.addresses
        this = _own_address_towards(others)
        return [this, *(address for address in others if address != this)]

    def get_working_ip_address(self) -> str:
        """Give the address at which this host's peers see it; without peers that of the default interface."""
        return _own_address_towards(self.other.addresses)


def _own_address_towards(others: list[str]) -> str:
    for other in [*others, ELSEWHERE]:
        try:
            version = ipaddress.ip_address(other).version
        except ValueError:
            continue  # a name; to look it up might take long
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((other, _PORT))  # of a datagram socket: chooses the route, and sends nothing
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return LOOPBACK


def _host(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0]
