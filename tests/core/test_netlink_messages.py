"""Netlink's messages: what the kernel says comes out, and no bytes at all raise."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core import netlink_messages as nl
from mirosd.core.lan_facts import Address, Link, Neighbour, NeighbourLimits
from tests.netlink_play import address_body, attribute, link_body, message, neighbour_body, table_body
from tests.properties import TOTAL

MAC = "02:fc:00:00:00:01"
READERS = (nl.link_of, nl.address_of, nl.neighbour_of, nl.limits_of, nl.error_of)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (nl.RTM_GETLINK, "20000000 1200 0103 07000000 00000000" + "00" * 16),
        (nl.RTM_GETADDR, "18000000 1600 0103 07000000 00000000" + "00" * 8),
        (nl.RTM_GETNEIGH, "1c000000 1e00 0103 07000000 00000000" + "00" * 12),
        (nl.RTM_GETNEIGHTBL, "14000000 4200 0103 07000000 00000000" + "00" * 4),
    ],
)
def test_requests(kind, expected):
    """Each asks for all there is, behind a structure of its own size (on a little-endian machine)."""
    assert bytes.fromhex(expected) == nl.request(kind, 7)


def test_messages_are_cut_out_of_a_datagram():
    """With their padding; up to the first that cannot be."""
    data = message(16, b"abcde") + message(20, b"", flags=0x10, sequence=9)
    expected = [nl.Message(16, 0, 1, b"abcde"), nl.Message(20, 0x10, 9, b"")]

    assert expected == list(nl.messages(data))
    assert expected == list(nl.messages(data + struct.pack("=IHHII", 15, 16, 0, 1, 0)))
    assert expected == list(nl.messages(data + struct.pack("=IHHII", 99, 16, 0, 1, 0) + bytes(60)))


def test_an_error_carries_its_number():
    """The end of a dump carries 0, or nothing."""
    assert [16, 0, 0, 0] == [nl.error_of(body) for body in (struct.pack("=i", -16), struct.pack("=i", 0), b"", b"\1\2")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (link_body(), Link(2, "eth0", 0x11043, "", 0, MAC)),
        (link_body(kind="bridge"), Link(2, "eth0", 0x11043, "bridge", 0, MAC)),
        (link_body(kind="veth", master=7), Link(2, "eth0", 0x11043, "veth", 7, MAC)),
        (link_body(family=7, master=7), None),  # of a bridge: it has no kind, and comes besides the whole
        (link_body(more=attribute(11, b"scan")), None),  # of a radio: it has no master
        (link_body(more=attribute(10, b"\7\0")), Link(2, "eth0", 0x11043, "", 0, MAC)),  # too short for a number
        (link_body(more=struct.pack("=HHI", 99, 10, 7)), Link(2, "eth0", 0x11043, "", 0, MAC)),  # longer than all
        (link_body(more=struct.pack("=HH", 2, 3)), Link(2, "eth0", 0x11043, "", 0, MAC)),  # shorter than its head
        (link_body()[:15], None),
        (link_body()[:16], None),
    ],
)
def test_links(body, expected):
    """Name, flags, kind, master and hardware address."""
    assert expected == nl.link_of(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (address_body("10.0.0.5", 24), Address(2, IPv4Address("10.0.0.5"), 24)),
        (
            address_body("10.0.0.5", 32, peer="10.0.0.6", label="tun0"),
            Address(2, IPv4Address("10.0.0.5"), 32, peer=IPv4Address("10.0.0.6"), label="tun0"),
        ),
        (
            address_body("10.0.0.5", 24, broadcast="10.0.0.255", flags=0x81, label="eth0:1"),
            Address(2, IPv4Address("10.0.0.5"), 24, None, IPv4Address("10.0.0.255"), 0x81, "eth0:1"),
        ),
        (address_body("fe80::5", 64, flags=0x440), Address(2, IPv6Address("fe80::5"), 64, flags=0x440)),
        (address_body("10.0.0.5", 33), None),
        (address_body("10.0.0.5", 24)[:7], None),
        (address_body("10.0.0.5", 24)[:8], None),
    ],
)
def test_addresses(body, expected):
    """The own one, and the other end's where there is one; the wide flags count, not the old narrow ones."""
    assert expected == nl.address_of(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            neighbour_body("10.0.0.6", 2),
            Neighbour(2, IPv4Address("10.0.0.6"), 2, "02:fc:00:00:00:05", 1.0, 3.0),
        ),
        (neighbour_body("fe80::6", 1, mac="", ages=None), Neighbour(2, IPv6Address("fe80::6"), 1)),
        (neighbour_body("10.0.0.6", 2, family=7), None),
        (neighbour_body("fe80::6", 2, family=7), None),
        (neighbour_body("10.0.0.6", 2)[:11], None),
    ],
)
def test_neighbours(body, expected):
    """State, hardware address, and how many seconds ago it was confirmed and changed; a bridge's entries are none."""
    assert expected == nl.neighbour_of(body)


def test_a_deleted_neighbour_says_so():
    """The message is the same but for its type."""
    deleted = nl.neighbour_of(neighbour_body("10.0.0.6", 32), is_deleted=True)

    assert deleted is not None
    assert (True, 32) == (deleted.is_deleted, deleted.state)


def test_limits():
    """Of the IPv4 table as a whole; its counters may be missing, other tables and devices' parts are left out."""
    assert NeighbourLimits(128, 512, 1024, 9, 9, 10) == nl.limits_of(table_body())
    assert NeighbourLimits(128, 512, 1024, 9, 0, 0) == nl.limits_of(table_body(counters=False))
    assert [None, None, None] == [
        nl.limits_of(body) for body in (table_body("ndisc_cache"), table_body(config=False), b"")
    ]


BODIES = [link_body(kind="veth", master=3), address_body("10.0.0.5", 32, peer="10.0.0.6"), table_body()]
WHOLE = st.sampled_from([*BODIES, neighbour_body("fe80::6", 2), message(16, BODIES[0]) + message(3, bytes(4))])


@TOTAL
@given(st.one_of(st.binary(max_size=200), st.tuples(WHOLE, st.binary(max_size=8), st.integers(0, 200))))
def test_any_bytes_are_read_to_something(data):
    """Arbitrary bytes, and whole messages with a few bytes put into them, give a value or nothing."""
    if isinstance(data, tuple):
        whole, junk, at = data
        data = whole[: at % len(whole)] + junk + whole[at % len(whole) + len(junk) :]
    for read in READERS:
        read(data)
    for found in nl.messages(data):
        for read in READERS:
            read(found.body)
