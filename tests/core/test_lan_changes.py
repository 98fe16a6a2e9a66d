"""What an event changes: told once, in words, and only if a search would care."""

from mirosd.core import netlink_messages as nl
from mirosd.core.lan_changes import Facts
from tests.netlink_play import address_body, link_body, neighbour_body

UP, NO_CARRIER, DOWN = 0x11043, 0x1043, 0x1002
TENTATIVE, FAILED, PERMANENT = 0x40, 0x08, 0x80


def facts(*addresses):
    return Facts([nl.link_of(link_body())], [nl.address_of(body) for body in addresses])


def told(known, *events):
    """What each event of (type, body) changes."""
    return [known.take(nl.Message(kind, 0, 0, body)) for kind, body in events]


def test_a_carrier_that_goes_and_comes():
    """Each once, however often the kernel says it."""
    lost, back = (nl.RTM_NEWLINK, link_body(flags=NO_CARRIER)), (nl.RTM_NEWLINK, link_body(flags=UP))

    assert [["eth0 has no carrier"], [], ["eth0 has carrier"], []] == told(facts(), lost, lost, back, back)
    assert [["eth0 has no carrier"]] == told(facts(), (nl.RTM_NEWLINK, link_body(flags=DOWN)))


def test_links_that_come_and_go():
    """With a link its addresses go, so that they are news when they come back."""
    known = facts(address_body("10.0.0.5", 24))
    new = (nl.RTM_NEWLINK, link_body(9, "eth9"))
    gone = (nl.RTM_DELLINK, link_body())
    address = (nl.RTM_NEWADDR, address_body("10.0.0.5", 24))

    assert [["eth9 is new"], [], ["eth0 is gone"], [], ["eth0 is new"], ["eth0 has 10.0.0.5/24"]] == told(
        known, new, address, gone, gone, (nl.RTM_NEWLINK, link_body()), address
    )


def test_a_link_that_becomes_another():
    """A port of a bridge, or renamed; promiscuous listening and a new hardware address are nothing to us."""
    assert [["eth0 is another"], ["lan0 is another"], []] == told(
        facts(),
        (nl.RTM_NEWLINK, link_body(master=9)),
        (nl.RTM_NEWLINK, link_body(name="lan0", master=9)),
        (nl.RTM_NEWLINK, link_body(name="lan0", master=9, flags=UP | 0x100)),
    )


def test_addresses_count_when_they_can_be_used():
    """While the kernel asks whether another host has it an address is none; a renewed lifetime is no news."""
    asked = (nl.RTM_NEWADDR, address_body("fe80::5", 64, flags=PERMANENT | TENTATIVE))
    good = (nl.RTM_NEWADDR, address_body("fe80::5", 64, flags=PERMANENT))
    renewed = (nl.RTM_NEWADDR, address_body("fe80::5", 64, flags=0))
    gone = (nl.RTM_DELADDR, address_body("fe80::5", 64))

    assert [[], ["eth0 has fe80::5/64"], [], ["eth0 lost fe80::5/64"], []] == told(
        facts(), asked, good, renewed, gone, gone
    )
    taken = (nl.RTM_NEWADDR, address_body("fe80::5", 64, flags=FAILED))
    assert [["eth0 lost fe80::5/64"]] == told(facts(address_body("fe80::5", 64)), taken)
    assert [["eth0 has fe80::5/64"]] == told(facts(address_body("fe80::5", 64, flags=TENTATIVE)), good)


def test_an_address_with_another_broadcast_or_peer_is_another():
    """Where datagrams go has changed."""
    known = facts(address_body("10.0.0.5", 24))

    assert [["eth0 has 10.0.0.5/24"]] == told(
        known, (nl.RTM_NEWADDR, address_body("10.0.0.5", 24, broadcast="10.0.0.255"))
    )


def test_what_else_the_kernel_says_is_nothing():
    """Neighbours, unknown types, an address of a link unheard of, and bytes that mean nothing."""
    assert [[], [], ["an interface has 10.0.0.5/24"], []] == told(
        facts(),
        (nl.RTM_NEWNEIGH, neighbour_body("10.0.0.6", 2)),
        (999, b"\1\2\3"),
        (nl.RTM_NEWADDR, address_body("10.0.0.5", 24, index=44)),
        (nl.RTM_NEWLINK, b"\1"),
    )
