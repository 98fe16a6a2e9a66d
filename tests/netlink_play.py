"""Netlink messages as a kernel would send them, put together by hand."""

import struct
from ipaddress import ip_address

from mirosd.core import netlink_messages as nl


def message(kind, body, *, flags=0, sequence=1):
    """One message with its header, padded as in a datagram."""
    data = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 77) + body
    return data + bytes(-len(data) % 4)


def attribute(kind, value):
    """One attribute, padded."""
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def link_body(index=2, name="eth0", flags=0x11043, *, kind="", master=0, family=0, more=b""):
    body = struct.pack("=BxHiII", family, 1, index, flags, 0) + attribute(3, name.encode() + b"\0")
    body += attribute(1, bytes.fromhex("02fc00000001"))
    if master:
        body += attribute(10, struct.pack("=I", master))
    if kind:
        body += attribute(18 | 0x8000, attribute(1, kind.encode() + b"\0") + attribute(2, b"\1\2\3\4"))
    return body + more


def address_body(text, prefixlen, *, peer=None, broadcast=None, flags=0, index=2, label=None):
    address = ip_address(text)
    family = nl.AF_INET if address.version == 4 else nl.AF_INET6
    body = struct.pack("=BBBBI", family, prefixlen, flags & 0xFF, 0, index)
    body += attribute(1, ip_address(peer or text).packed)
    if peer or address.version == 4:
        body += attribute(2, address.packed)
    if broadcast:
        body += attribute(4, ip_address(broadcast).packed)
    if label:
        body += attribute(3, label.encode() + b"\0")
    return body + attribute(8, struct.pack("=I", flags))


def neighbour_body(text, state, *, mac="02fc00000005", ages=(100, 200, 300), index=2, family=None):
    address = ip_address(text)
    family = family or (nl.AF_INET if address.version == 4 else nl.AF_INET6)
    body = struct.pack("=B3xiHBB", family, index, state, 0, 1) + attribute(1, address.packed)
    if mac:
        body += attribute(2, bytes.fromhex(mac))
    return body + (attribute(3, struct.pack("=IIII", *ages, 0)) if ages else b"")


def table_body(name="arp_cache", *, entries=9, counters=True, config=True):
    body = struct.pack("=B3x", nl.AF_INET) + attribute(1, name.encode() + b"\0")
    body += b"".join(attribute(2 + n, struct.pack("=I", value)) for n, value in enumerate((128, 512, 1024)))
    if config:
        body += attribute(5, struct.pack("=HHIIIIIIII", 4, 360, entries, *[0] * 7))
    return body + (attribute(7, struct.pack("=11Q", *range(11))) if counters else b"")
