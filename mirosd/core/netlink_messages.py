"""Netlink's messages (RFC 3549, linux/rtnetlink.h): requests, and what the kernel answers and tells.

A message is a header (length, type, flags, sequence, port), a structure of its type, and attributes (length, type,
value), each padded to four bytes, in the machine's own byte order. Reading is total: of any bytes comes what can be
understood of them, None or nothing for the rest; nothing raises.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from mirosd.core.lan_facts import Address, AnyAddress, Link, Neighbour, NeighbourLimits

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_DUMP_INTR = 0x10
NLM_F_REQUEST_DUMP = 0x301  # NLM_F_REQUEST, NLM_F_ROOT and NLM_F_MATCH: all there are

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWNEIGHTBL, RTM_GETNEIGHTBL = 64, 66

AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_NEIGHBOUR = struct.Struct("=B3xiHBB")  # ndmsg: family, index, state, flags, type
_TABLE = struct.Struct("=B3x")  # ndtmsg: family
_BODY_BYTES = {RTM_GETLINK: _LINK.size, RTM_GETADDR: _ADDRESS.size, RTM_GETNEIGH: _NEIGHBOUR.size}

_U32 = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_AGES = struct.Struct("=III")  # nda_cacheinfo: since confirmed, used, updated, in clock ticks (always 1/100 s here)
_CONFIG = struct.Struct("=HHI")  # ndt_config: key bytes, entry bytes, entries
_COUNTERS = struct.Struct("=11Q")  # ndt_stats, of which the last two are forced_gc_runs and table_fulls
TICKS_PER_S = 100

_TYPE_BITS = 0x3FFF  # the two above say whether it is nested and in network order

Attributes = dict[int, bytes]


class Message(NamedTuple):
    """One message: `body` is all behind the header."""

    type: int
    flags: int
    sequence: int
    body: bytes


def request(kind: int, sequence: int) -> bytes:
    """Give the request for all entries of a kind (RTM_GET*)."""
    body = bytes(_BODY_BYTES.get(kind, _TABLE.size))
    return _HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST_DUMP, sequence, 0) + body


def messages(data: bytes) -> Iterator[Message]:
    """Give the messages of one datagram, up to the first whose length cannot be."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            return
        yield Message(kind, flags, sequence, data[at + _HEADER.size : at + length])
        at += -(-length // 4) * 4


def error_of(body: bytes) -> int:
    """Give the errno that an NLMSG_ERROR or NLMSG_DONE carries; 0 for none."""
    return max(0, -_ERROR.unpack_from(body)[0]) if len(body) >= _ERROR.size else 0


def link_of(body: bytes) -> Link | None:
    """Give the interface that an RTM_*LINK tells of as a whole; None for a bridge's or a radio's own news."""
    if len(body) < _LINK.size:
        return None
    family, _, index, flags, _ = _LINK.unpack_from(body)
    found = _attributes(body[_LINK.size :])
    if family != AF_UNSPEC or 3 not in found or 11 in found:  # IFLA_IFNAME; IFLA_WIRELESS comes without the rest
        return None
    kind = _attributes(found.get(18, b"")).get(1, b"")  # IFLA_LINKINFO, in it IFLA_INFO_KIND
    return Link(index, _text(found[3]), flags, _text(kind), _number(found.get(10)), _mac(found.get(1)))


def address_of(body: bytes) -> Address | None:
    """Give the address that an RTM_*ADDR tells of."""
    if len(body) < _ADDRESS.size:
        return None
    family, prefixlen, flags, _, index = _ADDRESS.unpack_from(body)
    found = _attributes(body[_ADDRESS.size :])
    other = _address(family, found.get(1))  # IFA_ADDRESS: the peer's where IFA_LOCAL is another
    local = _address(family, found.get(2)) or other
    if local is None or prefixlen > local.max_prefixlen:
        return None
    return Address(
        ifindex=index,
        address=local,
        prefixlen=prefixlen,
        peer=None if other == local else other,
        broadcast=_address(family, found.get(4)),
        flags=_number(found.get(8)) if 8 in found else flags,
        label=_text(found.get(3, b"")),
    )


def neighbour_of(body: bytes, *, is_deleted: bool = False) -> Neighbour | None:
    """Give the neighbour that an RTM_*NEIGH tells of; None for an entry of a bridge's table."""
    if len(body) < _NEIGHBOUR.size:
        return None
    family, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
    found = _attributes(body[_NEIGHBOUR.size :])
    address = _address(family, found.get(1))
    if address is None:
        return None
    ages = found.get(3, b"")
    confirmed, _, updated = _AGES.unpack_from(ages) if len(ages) >= _AGES.size else (None, None, None)
    return Neighbour(index, address, state, _mac(found.get(2)), _seconds(confirmed), _seconds(updated), is_deleted)


def limits_of(body: bytes) -> NeighbourLimits | None:
    """Give the limits of the IPv4 neighbour table if this RTM_NEWNEIGHTBL tells of them."""
    found = _attributes(body[_TABLE.size :])
    config, counters = found.get(5, b""), found.get(7, b"")
    if _text(found.get(1, b"")) != "arp_cache" or len(config) < _CONFIG.size:
        return None
    forced_gc, table_fulls = _COUNTERS.unpack_from(counters)[-2:] if len(counters) >= _COUNTERS.size else (0, 0)
    first, second, third = (_number(found.get(number)) for number in (2, 3, 4))
    return NeighbourLimits(first, second, third, _CONFIG.unpack_from(config)[2], forced_gc, table_fulls)


def _attributes(data: bytes) -> Attributes:
    found: Attributes = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            break
        found[kind & _TYPE_BITS] = data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
    return found


def _address(family: int, data: bytes | None) -> AnyAddress | None:
    if data is not None and (family, len(data)) == (AF_INET, 4):
        return IPv4Address(data)
    if data is not None and (family, len(data)) == (AF_INET6, 16):
        return IPv6Address(data)
    return None


def _number(data: bytes | None) -> int:
    return int(_U32.unpack_from(data)[0]) if data is not None and len(data) >= _U32.size else 0


def _seconds(ticks: int | None) -> float | None:
    return None if ticks is None else ticks / TICKS_PER_S


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _mac(data: bytes | None) -> str:
    return "" if data is None else data.hex(":")
