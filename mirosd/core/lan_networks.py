"""Which networks of this host are searched for other hosts, and how: chosen by facts, never by an interface's name.

The facts are the kernel's, as netlink gives them (core/lan_facts.py). What is left out says why, for people.
`discovery.lan.allow` and `.deny` name interfaces ("eth1"), kinds of interfaces ("tun") and networks
("100.64.0.0/22"); deny is stronger. An interface that is named is searched like any other. Sweeping a network that
is large or public needs the network's own name: an interface has tomorrow whatever address it is given then.
"""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import NamedTuple

from mirosd.core.lan_facts import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_SECONDARY,
    IFA_F_TENTATIVE,
    IFF_BROADCAST,
    IFF_LOOPBACK,
    IFF_LOWER_UP,
    IFF_MULTICAST,
    IFF_NOARP,
    IFF_POINTOPOINT,
    IFF_UP,
    Address,
    AnyAddress,
    Link,
)

AnyNetwork = IPv4Network | IPv6Network

MAX_SWEPT = 1024
"""Addresses of a network that is swept unasked: a /22 takes 12.8 s, and more is rude to the network."""

MAX_NAMED = 65_536
"""Addresses of a network that is swept because it was named: a /16 takes minutes, and more would take hours."""

OVERLAYS = frozenset(("dummy", "geneve", "ifb", "ipvlan", "ipvtap", "vrf", "vxlan", "xfrm")) | frozenset(
    ("erspan", "gre", "gretap", "ip6erspan", "ip6gre", "ip6gretap", "ip6tnl", "ipip", "sit", "vti", "vti6")
)
"""Kinds of interfaces that are no LAN, whatever their flags say."""

IN_HOST = OVERLAYS | {"veth", "tun"}
"""Kinds of bridge ports that lead to containers and virtual machines: nothing else is behind such a bridge."""

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"))
LINK_LOCAL = IPv6Network("fe80::/10")
ALL_NODES = IPv6Address("ff02::1")


class LanNetwork(NamedTuple):
    """A network that is searched, on one interface, from one address.

    `broadcast` is where one datagram reaches all: the directed broadcast, ff02::1 for IPv6, None where there is none.
    `is_swept`: its addresses may be asked one after the other (addresses_to_sweep); `why` says why not, or not all.
    `parts` are what is swept, `denied` what is never asked, `own` all addresses of this host in it.
    """

    ifindex: int
    ifname: str
    address: AnyAddress
    network: AnyNetwork
    broadcast: AnyAddress | None
    is_swept: bool
    why: str = ""
    parts: tuple[IPv4Network, ...] = ()
    denied: tuple[AnyNetwork, ...] = ()
    own: frozenset[AnyAddress] = frozenset()

    def may_ask(self, address: AnyAddress) -> bool:
        """Say whether a single address may be sent a datagram here: another host's, of this network, not denied."""
        return (
            address in self.network
            and address not in self.own
            and address != self.broadcast
            and not (isinstance(self.network, IPv4Network) and address in _ends(self.network))
            and not any(address in denied for denied in self.denied)
        )


class Skipped(NamedTuple):
    """An address whose network is not searched, and why, for people."""

    ifname: str
    address: str
    why: str


class Choice(NamedTuple):
    """What is searched, and what is not."""

    networks: tuple[LanNetwork, ...]
    skipped: tuple[Skipped, ...]


def choose_networks(
    links: Iterable[Link], addresses: Iterable[Address], *, allow: Sequence[str] = (), deny: Sequence[str] = ()
) -> Choice:
    """Choose the networks to search: each once per interface, from its first address that can be used.

    Args:
        links, addresses: as dumped; an address whose link is missing was on its way out, and is left out unsaid.
        allow, deny: interfaces, kinds and networks (core.setting_checks.check_interface_or_prefix).
    """
    by_index = {link.ifindex: link for link in links}
    listed = list(addresses)
    chooser = _Chooser(by_index, frozenset(entry.address for entry in listed), _Rules(allow), _Rules(deny))
    networks: dict[tuple[int, AnyNetwork], LanNetwork] = {}
    skipped = []
    for entry in sorted(listed, key=lambda entry: bool(entry.flags & (IFA_F_SECONDARY | IFA_F_DEPRECATED))):
        link = by_index.get(entry.ifindex)
        if link is None:
            continue
        found = chooser.judge(link, entry)
        if not isinstance(found, str):
            first = networks.setdefault((link.ifindex, found.network), found)
            if first is found:
                continue
            found = f"{found.network} is searched from {first.address} already"
        skipped.append(Skipped(link.name, f"{entry.address}/{entry.prefixlen}", found))
    return Choice(tuple(networks.values()), tuple(skipped))


def addresses_to_sweep(network: LanNetwork) -> list[IPv4Address]:
    """Give the addresses that may be asked one after the other, in their order: other hosts' only; [] if not swept."""
    if not network.is_swept:
        return []
    spared = network.own | {network.broadcast}
    if isinstance(network.network, IPv4Network):
        spared |= _ends(network.network)
    return [address for part in network.parts for address in part if address not in spared]


class _Rules:
    """A list of interfaces, kinds and networks."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[AnyNetwork] = []
        for entry in entries:
            try:
                self._networks.append(ip_network(entry))
            except ValueError:
                self._names.add(entry)

    def names(self, link: Link, entry: Address) -> bool:
        """Say whether the interface is named, by its name, its kind or the address's label."""
        return not self._names.isdisjoint({link.name, link.kind, entry.label})

    def within(self, network: AnyNetwork) -> tuple[AnyNetwork, ...]:
        """Give the parts of a network that are named."""
        return tuple(_common(network, named) for named in self._networks if network.overlaps(named))


class _Chooser:
    """Judges one address after the other: by its interface, then by its network."""

    def __init__(self, links: dict[int, Link], own: frozenset[AnyAddress], allow: _Rules, deny: _Rules) -> None:
        self._links, self._own, self._allow, self._deny = links, own, allow, deny

    def judge(self, link: Link, entry: Address) -> LanNetwork | str:
        """Give the network that this address is to be searched from, or why there is none."""
        network, is_single = _network(link, entry)
        denied = self._deny.within(network)
        if self._deny.names(link, entry) or network in denied:
            return "denied by discovery.lan.deny"
        broken = _unusable(link, entry)
        if broken:
            return broken
        named = self._allow.within(network)
        fault = "" if self._allow.names(link, entry) else self._no_lan(link)
        if is_single and link.kind not in OVERLAYS and _is_private(network):
            fault = ""
        if fault and not named:
            return fault
        if entry.address == network.network_address and network.prefixlen == network.max_prefixlen:
            return f"a single address (/{network.prefixlen}): nobody else is in it"
        own = frozenset(address for address in self._own if address in network)
        broadcast = _broadcast(link, entry, network)
        whole = LanNetwork(
            link.ifindex, link.name, entry.address, network, broadcast, is_swept=False, denied=denied, own=own
        )
        return _with_sweep(whole, named, fault)

    def _no_lan(self, link: Link) -> str:
        """Say why an interface is no LAN, by itself; "" when it is one."""
        master = self._links.get(link.master)
        if link.master:
            return f"a part of {master.name if master else 'another interface'}, which speaks for it"
        if link.kind in OVERLAYS:
            return f"kind {link.kind}: not a LAN of its own"
        if link.flags & (IFF_POINTOPOINT | IFF_NOARP):
            return "a tunnel: nobody answers there who is not listed"
        if link.kind == "tun":
            return "a virtual interface of a program (kind tun)"
        if link.kind == "bridge":
            kinds = {port.kind for port in self._links.values() if port.master == link.ifindex}
            if kinds <= IN_HOST:
                return "a bridge " + ("of containers or virtual machines only" if kinds else "without ports")
        return ""


def _unusable(link: Link, entry: Address) -> str:
    """Say why nothing can be sent from an address: no setting changes that."""
    if link.flags & IFF_LOOPBACK:
        return "loopback"
    if not link.flags & IFF_UP:
        return "the interface is down"
    if not link.flags & IFF_LOWER_UP:
        return "no carrier"
    if entry.flags & IFA_F_DADFAILED:
        return "another host has this address"
    if entry.flags & IFA_F_TENTATIVE:
        return "not usable yet: the kernel still asks whether another host has it"
    if isinstance(entry.address, IPv6Address) and entry.address not in LINK_LOCAL:
        return "IPv6 is searched from the link-local address"
    return ""


def _network(link: Link, entry: Address) -> tuple[AnyNetwork, bool]:
    """Give the network behind an address, and whether it is the one host at the other end of a tunnel."""
    if isinstance(entry.address, IPv6Address):
        return ip_network((entry.address, min(entry.prefixlen, 64)), strict=False), False
    if link.flags & IFF_POINTOPOINT and entry.peer is not None:
        return ip_network(entry.peer), True
    return ip_network((entry.peer or entry.address, entry.prefixlen), strict=False), False


def _broadcast(link: Link, entry: Address, network: AnyNetwork) -> AnyAddress | None:
    if isinstance(network, IPv6Network):
        return ALL_NODES if link.flags & IFF_MULTICAST else None
    if not link.flags & IFF_BROADCAST or network.prefixlen > 30:
        return None
    # it may be missing, or 255.255.255.255, which the kernel sends from any address it likes
    given = entry.broadcast
    is_good = given is not None and given in network and given != entry.address
    return given if is_good else network.broadcast_address


def _with_sweep(whole: LanNetwork, named: tuple[AnyNetwork, ...], why: str) -> LanNetwork:
    """Add what is swept of a network, and why not all of it; with a `why` already, only what is named."""
    network = whole.network
    if isinstance(network, IPv6Network):
        return whole._replace(why="IPv6: too large to be swept")
    if not _is_private(network):
        why = "a public network"
    elif network.num_addresses > MAX_SWEPT:
        why = f"{network.num_addresses} addresses"
    if why:
        why = f"{why}: swept where discovery.lan.allow names networks of at most {MAX_NAMED} addresses in all"
    parts: list[IPv4Network] = [part for part in named if isinstance(part, IPv4Network)] if why else [network]
    for denied in whole.denied:
        parts = [left for part in parts for left in _without(part, denied)]
    parts = list(collapse_addresses(parts))
    if sum(part.num_addresses for part in parts) > MAX_NAMED:
        parts = []
    return whole._replace(is_swept=bool(parts), parts=tuple(parts), why="" if parts == [network] else why)


def _is_private(network: AnyNetwork) -> bool:
    return isinstance(network, IPv4Network) and any(network.subnet_of(private) for private in PRIVATE)


def _without(part: IPv4Network, denied: AnyNetwork) -> list[IPv4Network]:
    if not isinstance(denied, IPv4Network) or not part.overlaps(denied):
        return [part]
    return [] if part.subnet_of(denied) else list(part.address_exclude(denied))


def _common(one: AnyNetwork, other: AnyNetwork) -> AnyNetwork:
    return one if one.prefixlen >= other.prefixlen else other


def _ends(network: IPv4Network) -> frozenset[AnyAddress]:
    """Give the two addresses of a network that no host has; a /31 and a /32 have none such."""
    if network.prefixlen > 30:
        return frozenset()
    return frozenset((network.network_address, network.broadcast_address))
