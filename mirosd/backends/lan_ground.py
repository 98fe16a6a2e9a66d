"""The ground that the LAN search stands on: this host's interfaces, addresses and networks as they are now."""

from ipaddress import IPv6Address, ip_address, ip_network

import structlog

from mirosd.backends.netlink import Netlink
from mirosd.core.addresses import HostPort
from mirosd.core.asking import Place
from mirosd.core.lan_facts import FIRST_WINDOW, AnyAddress, Neighbour, window
from mirosd.core.lan_networks import AnyNetwork, LanNetwork, choose_networks
from mirosd.core.settings import LanSettings
from mirosd.core.sweep import place_of, printed

log = structlog.get_logger()


class Ground:
    """The kernel's facts, read anew on request, and what the settings make of them. Thread: loop.

    Raises OSError when the kernel cannot be asked at all; later failures keep what was known, with a warning.
    """

    def __init__(self, settings: LanSettings) -> None:
        self._settings = settings
        self._netlink = Netlink()
        self._names: dict[int, str] = {}
        self._links_local: dict[int, AnyAddress] = {}
        self.networks: tuple[LanNetwork, ...] = ()
        self.own: frozenset[AnyAddress] = frozenset()
        self.refresh()

    def close(self) -> None:
        """Let go of the socket."""
        self._netlink.close()

    def refresh(self) -> bool:
        """Read interfaces and addresses; tell whether the networks to search are others than before."""
        before = self.networks
        try:
            links, addresses = self._netlink.links(), self._netlink.addresses()
        except OSError as exc:
            log.warning("networks_not_read", reason=str(exc))
            return False
        choice = choose_networks(links, addresses, allow=self._settings.allow, deny=self._settings.deny)
        self._names = {link.ifindex: link.name for link in links}
        self._links_local = {
            entry.ifindex: entry.address
            for entry in addresses
            if isinstance(entry.address, IPv6Address) and entry.address.is_link_local
        }
        self.own = frozenset(entry.address for entry in addresses)
        self.networks = choice.networks
        if [*map(_essence, before)] == [*map(_essence, self.networks)]:
            return False
        log.info(
            "networks_chosen",
            networks=[f"{network.network} on {network.ifname}" for network in choice.networks],
            skipped=[f"{skipped.address} on {skipped.ifname}: {skipped.why}" for skipped in choice.skipped],
        )
        return True

    def read_addresses(self) -> tuple[str, ...]:
        """Read all anew, and give `addresses`."""
        self.refresh()
        return self.addresses

    @property
    def addresses(self) -> tuple[str, ...]:
        """This host's own addresses on those networks, sorted."""
        return tuple(sorted({f"{address}" for network in self.networks for address in network.own}))

    def neighbours(self) -> tuple[Neighbour, ...]:
        """Give the kernel's neighbour tables; () when they cannot be read."""
        try:
            return self._netlink.neighbours()
        except OSError as exc:
            log.warning("neighbours_not_read", reason=str(exc))
            return ()

    def window(self) -> int:
        """Give how many unresolved addresses the kernel's table has room for now."""
        try:
            return window(self._netlink.limits())
        except OSError as exc:
            log.warning("neighbour_limits_not_read", reason=str(exc))
            return FIRST_WINDOW

    def printed(self, address: AnyAddress, ifindex: int) -> str:
        """Give an address as people write it, a link-local one with its interface's name."""
        return printed(address, self._names.get(ifindex, f"{ifindex}"))

    def own_towards(self, other: AnyAddress, ifindex: int) -> AnyAddress | None:
        """Give our own address on an interface, on the network that `other` is on there; None: it is elsewhere."""
        for network in self.networks:
            if network.ifindex == ifindex and other in network.network:
                return network.address
        return self._links_local.get(ifindex) if other.is_link_local else None

    def place(self, address: AnyAddress, ifindex: int) -> Place:
        """Give where somebody is who has sent us something."""
        found = place_of(self.networks, address, ifindex)
        return found or Place(self.printed(address, ifindex), ifindex if address.is_link_local else 0)

    def places(self, host: HostPort) -> list[Place]:
        """Give where to ask a host that is written as an address; ValueError when it is a name.

        Empty for what is never asked: ourselves, what discovery.lan.deny names, an interface that is not there. A
        link-local address without its interface is asked on all.
        """
        text, _, zone = host.host.partition("%")
        address = ip_address(text)
        if address in self.own or address.is_multicast or address.is_unspecified or self._is_denied(address, zone):
            return []
        if isinstance(address, IPv6Address) and address.is_link_local:
            return [
                found
                for network in self.networks
                if zone in ("", network.ifname) and (found := place_of([network], address)) is not None
            ]
        return [place_of(self.networks, address) or Place(f"{address}")]

    def _is_denied(self, address: AnyAddress, zone: str) -> bool:
        return any(zone == entry or address in _network(entry) for entry in self._settings.deny)


def _essence(network: LanNetwork) -> LanNetwork:
    """Give what makes a network another one for a search: not that a container's interface got its fe80 address."""
    return network if network.network.version == 4 else network._replace(own=frozenset())


def _network(entry: str) -> "AnyNetwork | tuple[()]":
    """Give the network that a setting names; () for an interface."""
    try:
        return ip_network(entry)
    except ValueError:
        return ()
