"""What is another now, of interfaces and addresses, in words: the kernel tells of much that changes nothing for us."""

from collections.abc import Iterable

from mirosd.core import netlink_messages as nl
from mirosd.core.lan_facts import (
    IFA_F_DADFAILED,
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

LINK_FLAGS = IFF_UP | IFF_BROADCAST | IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST | IFF_LOWER_UP
"""What makes an interface another one for a search."""


class Facts:
    """The interfaces and usable addresses as last heard, and what an event changes in them, in words."""

    def __init__(self, links: Iterable[Link], addresses: Iterable[Address]) -> None:
        self._links = {link.ifindex: _essence(link) for link in links}
        self._addresses: dict[tuple[int, AnyAddress, int], Address] = {
            _key(entry): _bare(entry) for entry in addresses if _is_usable(entry)
        }

    def take(self, message: nl.Message) -> list[str]:
        """Note an event; give what is another now."""
        if message.type in (nl.RTM_NEWLINK, nl.RTM_DELLINK):
            link = nl.link_of(message.body)
            return [] if link is None else self._take_link(_essence(link), is_gone=message.type == nl.RTM_DELLINK)
        if message.type in (nl.RTM_NEWADDR, nl.RTM_DELADDR):
            entry = nl.address_of(message.body)
            return [] if entry is None else self._take_address(entry, is_gone=message.type == nl.RTM_DELADDR)
        return []

    def _take_link(self, link: Link, *, is_gone: bool) -> list[str]:
        before = self._links.get(link.ifindex)
        if is_gone:
            self._addresses = {key: entry for key, entry in self._addresses.items() if entry.ifindex != link.ifindex}
            return [] if self._links.pop(link.ifindex, None) is None else [f"{link.name} is gone"]
        self._links[link.ifindex] = link
        if before == link:
            return []
        if before is None:
            return [f"{link.name} is new"]
        if (before.flags ^ link.flags) & (IFF_UP | IFF_LOWER_UP):
            return [f"{link.name} {'has' if link.flags & IFF_LOWER_UP else 'has no'} carrier"]
        return [f"{link.name} is another"]

    def _take_address(self, entry: Address, *, is_gone: bool) -> list[str]:
        before = self._addresses.pop(_key(entry), None)
        if not is_gone and _is_usable(entry):
            self._addresses[_key(entry)] = _bare(entry)
        if before == self._addresses.get(_key(entry)):
            return []
        link = self._links.get(entry.ifindex)
        verb = "has" if _key(entry) in self._addresses else "lost"
        return [f"{link.name if link else 'an interface'} {verb} {entry.address}/{entry.prefixlen}"]


def _essence(link: Link) -> Link:
    return link._replace(flags=link.flags & LINK_FLAGS, mac="")


def _bare(entry: Address) -> Address:
    return entry._replace(flags=0)  # lifetimes are renewed all day long


def _key(entry: Address) -> tuple[int, AnyAddress, int]:
    return entry.ifindex, entry.address, entry.prefixlen


def _is_usable(entry: Address) -> bool:
    return not entry.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)
