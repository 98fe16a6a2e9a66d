"""What the kernel says of interfaces, addresses and neighbours: plain values, as backends/netlink.py gives them."""

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

AnyAddress = IPv4Address | IPv6Address

IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_POINTOPOINT = 0x1, 0x2, 0x8, 0x10
IFF_NOARP, IFF_MULTICAST, IFF_LOWER_UP = 0x80, 0x1000, 0x10000
IFA_F_SECONDARY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x01, 0x08, 0x20, 0x40

NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_FAILED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80

FIRST_WINDOW, LAST_WINDOW, SPARED_ENTRIES = 32, 256, 64


class Link(NamedTuple):
    """An interface: `kind` "" is hardware, `master` the bridge or bond it is a port of (0: none), `mac` may be ""."""

    ifindex: int
    name: str
    flags: int
    kind: str = ""
    master: int = 0
    mac: str = ""


class Address(NamedTuple):
    """An address of this host. `peer` is the other end's, where there is just one; `broadcast` may be missing."""

    ifindex: int
    address: AnyAddress
    prefixlen: int
    peer: AnyAddress | None = None
    broadcast: AnyAddress | None = None
    flags: int = 0
    label: str = ""


class Neighbour(NamedTuple):
    """An entry of the neighbour table: `state` is one of NUD_* (0: none); `mac` "" while it is asked for.

    `confirmed_s` and `updated_s`: how many seconds ago the neighbour was last proved to be there, and last changed;
    None when the kernel did not say. `is_deleted`: the entry is gone, which says nothing about the host.
    """

    ifindex: int
    address: AnyAddress
    state: int
    mac: str = ""
    confirmed_s: float | None = None
    updated_s: float | None = None
    is_deleted: bool = False


class NeighbourLimits(NamedTuple):
    """The kernel's one IPv4 neighbour table: three thresholds, the entries of all containers, and its counters."""

    gc_thresh1: int
    gc_thresh2: int
    gc_thresh3: int
    entries: int
    forced_gc: int = 0
    table_fulls: int = 0


def window(limits: NeighbourLimits) -> int:
    """Give how many addresses may be asked while the kernel still looks for them: the table is all containers'."""
    return min(max(limits.gc_thresh2 - limits.entries - SPARED_ENTRIES, FIRST_WINDOW), LAST_WINDOW)
