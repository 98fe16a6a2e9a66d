"""Which networks are searched, row by row of what a host may have."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.lan_facts import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_SECONDARY,
    IFA_F_TENTATIVE,
    Address,
    Link,
    NeighbourLimits,
    window,
)
from mirosd.core.lan_networks import LanNetwork, addresses_to_sweep, choose_networks
from tests.properties import TOTAL

LAN = 0x1 | 0x2 | 0x1000 | 0x10000  # up, broadcast, multicast, carrier
TUNNEL = 0x1 | 0x10 | 0x80 | 0x1000 | 0x10000  # up, one other end, no ARP, multicast, carrier
ETH0 = Link(2, "eth0", LAN)


def at(text, ifindex=2, **facts):
    """An address of this host, "10.0.0.5/24"."""
    interface = ip_interface(text)
    return Address(ifindex, interface.ip, interface.network.prefixlen, **facts)


def chosen(*addresses, links=(ETH0,), allow=(), deny=()):
    """What is searched: from where, which network, where a broadcast goes, how many addresses are swept."""
    choice = choose_networks(links, addresses, allow=allow, deny=deny)
    return [
        (network.ifname, str(network.address), str(network.network), text_of(network.broadcast), swept(network))
        for network in choice.networks
    ]


def skipped(*addresses, links=(ETH0,), allow=(), deny=()):
    """Why what is not searched is not: the address and the reason."""
    choice = choose_networks(links, addresses, allow=allow, deny=deny)
    return {entry.address: entry.why for entry in choice.skipped}


def text_of(address):
    return None if address is None else str(address)


def swept(network):
    return len(addresses_to_sweep(network))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.77.0.5/24", ("eth0", "10.77.0.5", "10.77.0.0/24", "10.77.0.255", 253)),
        ("172.16.9.1/23", ("eth0", "172.16.9.1", "172.16.8.0/23", "172.16.9.255", 509)),
        ("192.168.4.1/22", ("eth0", "192.168.4.1", "192.168.4.0/22", "192.168.7.255", 1021)),
        ("10.0.0.1/30", ("eth0", "10.0.0.1", "10.0.0.0/30", "10.0.0.3", 1)),
        ("10.0.0.1/31", ("eth0", "10.0.0.1", "10.0.0.0/31", None, 1)),
        ("10.0.0.1/21", ("eth0", "10.0.0.1", "10.0.0.0/21", "10.0.7.255", 0)),
        ("169.254.7.7/16", ("eth0", "169.254.7.7", "169.254.0.0/16", "169.254.255.255", 0)),
        ("100.64.0.5/24", ("eth0", "100.64.0.5", "100.64.0.0/24", "100.64.0.255", 0)),
        ("203.0.113.5/28", ("eth0", "203.0.113.5", "203.0.113.0/28", "203.0.113.15", 0)),
        ("fe80::5/64", ("eth0", "fe80::5", "fe80::/64", "ff02::1", 0)),
        ("fe80::5/128", ("eth0", "fe80::5", "fe80::/64", "ff02::1", 0)),
    ],
)
def test_networks_of_a_plain_interface(address, expected):
    """Each is searched by broadcast where it has one, and swept if it is private and of at most 1,024 addresses."""
    assert [expected] == chosen(at(address))
    assert {} == skipped(at(address))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1/24", ""),
        ("10.0.0.1/21", "2048 addresses"),
        ("203.0.113.5/28", "a public network"),
        ("8.0.0.1/8", "a public network"),
        ("fe80::5/64", "IPv6"),
    ],
)
def test_what_is_not_swept_says_why(address, why):
    """The reason stands with the network; a network that is swept whole, as it is or because it is named, has none."""
    network = choose_networks([ETH0], [at(address)]).networks[0]
    named = choose_networks([ETH0], [at(address)], allow=[str(network.network)]).networks[0]
    is_sweepable = network.network.num_addresses <= 65536

    assert (why == "", why) == (network.is_swept, network.why[: len(why)])
    assert (is_sweepable, is_sweepable) == (named.is_swept, named.why == "")


@pytest.mark.parametrize(
    ("flags", "address", "why"),
    [
        (LAN | 0x8, "127.0.0.1/8", "loopback"),
        (LAN & ~0x1, "10.0.0.1/24", "the interface is down"),
        (LAN & ~0x10000, "10.0.0.1/24", "no carrier"),
        (TUNNEL, "10.0.0.1/24", "a tunnel: nobody answers there who is not listed"),
        (LAN | 0x80, "10.0.0.1/24", "a tunnel: nobody answers there who is not listed"),
        (LAN | 0x10, "fe80::1/64", "a tunnel: nobody answers there who is not listed"),
        (LAN, "10.0.0.1/32", "a single address (/32): nobody else is in it"),
        (LAN, "2001:db8::1/64", "IPv6 is searched from the link-local address"),
        (LAN, "fd00::1/64", "IPv6 is searched from the link-local address"),
    ],
)
def test_interfaces_and_addresses_that_are_skipped(flags, address, why):
    """By the interface's flags and the address's shape, each with its reason."""
    links = [Link(2, "eth0", flags)]

    assert ([], {address: why}) == (chosen(at(address), links=links), skipped(at(address), links=links))


@pytest.mark.parametrize("kind", ["vxlan", "geneve", "dummy", "ipvlan", "gre", "sit", "vrf", "ip6gretap", "xfrm"])
def test_overlays_are_skipped(kind):
    """By their kind, whatever flags and addresses they have."""
    for flags in (LAN, TUNNEL):
        links = [Link(2, "eth0", flags, kind=kind)]
        peer = at("10.0.0.1/32", peer=IPv4Address("10.0.0.2"))

        assert {"10.0.0.1/32": f"kind {kind}: not a LAN of its own"} == skipped(peer, links=links)


@pytest.mark.parametrize("kind", ["", "veth", "vlan", "bond", "macvlan", "team"])
def test_kinds_that_are_a_lan(kind):
    """A container's eth0 is a veth; VLANs and bonds are as good as a cable."""
    assert 1 == len(chosen(at("10.0.0.1/24"), links=[Link(2, "x", LAN, kind=kind)]))


def test_a_virtual_machines_tap_is_skipped_until_it_is_allowed():
    """It looks like a LAN (a VPN may be behind it): one line of the configuration lets it in, by name or by kind."""
    links = [Link(2, "zt0", LAN, kind="tun")]

    assert {"10.0.0.1/24": "a virtual interface of a program (kind tun)"} == skipped(at("10.0.0.1/24"), links=links)
    for entry in ("zt0", "tun", "10.0.0.0/24", "10.0.0.0/8"):
        assert [253] == [row[-1] for row in chosen(at("10.0.0.1/24"), links=links, allow=[entry])]


@pytest.mark.parametrize(
    ("ports", "why"),
    [
        ((), "a bridge without ports"),
        (("veth", "veth"), "a bridge of containers or virtual machines only"),
        (("tun", "dummy"), "a bridge of containers or virtual machines only"),
        (("veth", "vxlan"), "a bridge of containers or virtual machines only"),
        (("veth", ""), None),
        (("bond",), None),
    ],
)
def test_a_bridge_is_the_lan_if_a_cable_is_in_it(ports, why):
    """Its ports are never searched themselves: it speaks for them."""
    bridge = Link(2, "br0", LAN, kind="bridge")
    others = [Link(10 + n, f"p{n}", LAN, kind=kind, master=2) for n, kind in enumerate(ports)]
    addresses = [at("10.0.0.1/24"), *(at(f"fe80::{link.ifindex}/64", link.ifindex) for link in others)]
    reasons = skipped(*addresses, links=[*others, bridge])

    assert why == reasons.pop("10.0.0.1/24", None)
    assert {"a part of br0, which speaks for it"} >= set(reasons.values())
    assert len(ports) == len(reasons)


def test_the_other_end_of_a_tunnel_is_asked_alone():
    """`A peer B` on a tunnel is one host; a public B is left alone, unless it is allowed."""
    links = [Link(2, "wg0", TUNNEL, kind="wireguard")]
    private = at("10.8.0.1/32", peer=IPv4Address("10.8.0.2"))
    wide = at("10.8.0.1/24", peer=IPv4Address("10.8.0.2"))
    public = at("10.8.0.1/32", peer=IPv4Address("203.0.113.9"))
    expected = [("wg0", "10.8.0.1", "10.8.0.2/32", None, 1)]

    assert expected == chosen(private, links=links)
    assert expected == chosen(wide, links=links)
    assert [] == chosen(public, links=links)
    assert 1 == len(chosen(public, links=links, allow=["203.0.113.0/24"]))
    assert [] == chosen(at("10.8.0.1/32"), links=links)


def test_the_other_end_on_a_lan_has_its_own_prefix():
    """`A peer B/24` on Ethernet means the network of B, with what broadcast it has."""
    assert [("eth0", "10.0.0.1", "10.9.0.0/24", "10.9.0.255", 254)] == chosen(
        at("10.0.0.1/24", peer=IPv4Address("10.9.0.7"))
    )
    assert [("eth0", "10.0.0.1", "10.9.0.7/32", None, 1)] == chosen(at("10.0.0.1/32", peer=IPv4Address("10.9.0.7")))


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "10.0.0.255"), ("10.0.0.0", "10.0.0.0"), ("255.255.255.255", "10.0.0.255"), ("10.0.0.5", "10.0.0.255")],
)
def test_a_broadcast_address_may_be_missing_or_wrong(given, expected):
    """It is then computed: the kernel delivers to it whatever the address was added with."""
    broadcast = None if given is None else ip_address(given)

    assert [expected] == [row[3] for row in chosen(at("10.0.0.5/24", broadcast=broadcast))]


def test_a_broadcast_address_of_their_own_is_no_host():
    """Whatever address it is, it is neither swept nor asked alone."""
    odd = IPv4Address("10.0.0.7")
    network = choose_networks([ETH0], [at("10.0.0.5/24", broadcast=odd)]).networks[0]

    assert (odd, 252, False) == (network.broadcast, swept(network), network.may_ask(odd))


def test_a_link_without_multicast_has_no_ipv6_to_search():
    """There is nothing to send to."""
    assert [None] == [row[3] for row in chosen(at("fe80::5/64"), links=[Link(2, "eth0", LAN & ~0x1000)])]


def test_labels_and_secondary_addresses_are_not_networks_of_their_own():
    """A network is searched once per interface, from its primary address, whatever the order."""
    addresses = [
        at("10.0.0.9/24", flags=IFA_F_SECONDARY, label="eth0:1"),
        at("10.0.0.5/24", label="eth0"),
        at("10.9.0.5/24", label="eth0:2"),
    ]

    assert [
        ("eth0", "10.0.0.5", "10.0.0.0/24", "10.0.0.255", 252),
        ("eth0", "10.9.0.5", "10.9.0.0/24", "10.9.0.255", 253),
    ] == chosen(*addresses)
    assert {"10.0.0.9/24": "10.0.0.0/24 is searched from 10.0.0.5 already"} == skipped(*addresses)


def test_two_cables_in_one_network_are_both_searched():
    """And neither asks the other."""
    links = [ETH0, Link(3, "eth1", LAN)]
    rows = chosen(at("10.0.0.5/24"), at("10.0.0.6/24", 3), links=links)

    assert [("eth0", 252), ("eth1", 252)] == [(row[0], row[-1]) for row in rows]


def test_one_link_local_address_per_link():
    """One that is being checked, or that another host has, is none; a deprecated one is the last choice."""
    good, spare = at("fe80::5/64"), at("fe80::9/64", flags=IFA_F_DEPRECATED)

    assert ["fe80::5"] == [row[1] for row in chosen(spare, good)]
    for flag in (IFA_F_TENTATIVE, IFA_F_DADFAILED):
        assert [] == chosen(at("fe80::5/64", flags=flag))
        assert {"fe80::5/64"} == skipped(at("fe80::5/64", flags=flag)).keys()


def test_an_address_without_its_link_is_left_out():
    """It was on its way out between the two dumps."""
    assert ((), ()) == choose_networks([ETH0], [at("10.0.0.5/24", 9)])


@pytest.mark.parametrize("entry", ["eth0", "veth", "eth0:1", "10.0.0.0/24", "10.0.0.0/8"])
def test_deny_is_stronger_than_allow(entry):
    """By interface, kind, label and network."""
    links = [Link(2, "eth0", LAN, kind="veth")]
    address = at("10.0.0.5/24", label="eth0:1")

    assert {"10.0.0.5/24": "denied by discovery.lan.deny"} == skipped(
        address, links=links, deny=[entry], allow=["eth0", "10.0.0.0/24"]
    )


def test_a_denied_part_is_never_asked():
    """Neither by the sweep nor alone; the rest of the network is."""
    network = choose_networks([ETH0], [at("10.0.0.5/24")], deny=["10.0.0.128/25", "10.0.0.8/29"]).networks[0]
    swept = addresses_to_sweep(network)

    assert ["10.0.0.1", "10.0.0.4", "10.0.0.6", "10.0.0.7", "10.0.0.16", "10.0.0.127"] == [
        str(swept[n]) for n in (0, 3, 4, 5, 6, -1)
    ]
    assert 127 - 1 - 8 == len(swept)
    assert [False, False, True] == [
        network.may_ask(ip_address(text)) for text in ("10.0.0.200", "10.0.0.8", "10.0.0.20")
    ]


@pytest.mark.parametrize(
    ("address", "allow", "expected"),
    [
        ("10.0.0.5/16", ["10.0.4.0/24", "10.0.5.0/24"], 512),
        ("10.0.0.5/16", ["10.0.0.0/16"], 65536 - 3),
        ("10.0.0.5/16", ["10.0.0.0/8"], 65536 - 3),
        ("10.0.0.5/15", ["10.0.0.0/8"], 0),
        ("10.0.0.5/15", ["eth0"], 0),
        ("203.0.113.5/28", ["203.0.113.0/28"], 13),
        ("203.0.113.5/28", ["eth0"], 0),
        ("100.64.0.5/24", ["100.64.0.0/10"], 253),
        ("10.0.0.5/24", ["10.0.0.0/28"], 253),
    ],
)
def test_large_and_public_networks_are_swept_where_their_name_is_allowed(address, allow, expected):
    """An interface's name lets none of them in: it has tomorrow whatever address it is given. None takes hours."""
    assert [expected] == [row[-1] for row in chosen(at(address), allow=allow)]


def test_what_was_let_in_by_network_is_swept_there_alone():
    """A tunnel's network of which a part is allowed."""
    links = [Link(2, "tun0", TUNNEL, kind="tun")]

    assert [("tun0", "10.8.0.1", "10.8.0.0/24", None, 127)] == chosen(
        at("10.8.0.1/24"), links=links, allow=["10.8.0.128/25"]
    )


@pytest.mark.parametrize("entry", ["eth0", "", "10.0.0.0/24"])
def test_what_cannot_be_cannot_be_allowed(entry):
    """A name in the list puts no cable in."""
    for flags in (LAN & ~0x10000, LAN | 0x8):
        assert [] == chosen(at("10.0.0.5/24"), links=[Link(2, "eth0", flags)], allow=[entry])


def test_who_may_be_asked_alone():
    """Other hosts' addresses of the network, and nothing else."""
    network = choose_networks([ETH0], [at("10.0.0.5/16"), at("10.0.0.6/16", flags=1)]).networks[0]
    texts = ("10.0.200.9", "10.1.0.1", "10.0.0.5", "10.0.0.6", "10.0.0.0", "10.0.255.255", "fe80::1")

    assert [True, False, False, False, False, False, False] == [network.may_ask(ip_address(text)) for text in texts]


@pytest.mark.parametrize(
    ("second", "entries", "expected"),
    [(512, 0, 256), (512, 192, 256), (512, 193, 255), (512, 400, 48), (512, 416, 32), (512, 2000, 32), (0, 0, 32)],
)
def test_the_window_leaves_room_for_others(second, entries, expected):
    """Between 32 and 256: what is free below the second threshold, less 64 for whoever else needs neighbours."""
    assert expected == window(NeighbourLimits(128, second, 1024, entries))


NETWORKS = st.sampled_from(["10.0.0.0/8", "10.0.0.0/24", "10.0.0.64/26", "203.0.113.0/24", "fe80::/10", "eth0", "tun"])


@TOTAL
@given(
    st.lists(
        st.builds(
            Link,
            ifindex=st.integers(1, 4),
            name=st.sampled_from(["eth0", "tun0"]),
            flags=st.integers(0, 0x1FFFF),
            kind=st.sampled_from(["", "veth", "tun", "bridge", "vxlan"]),
            master=st.integers(0, 4),
        ),
        max_size=4,
    ),
    st.lists(
        st.one_of(
            st.builds(
                Address,
                ifindex=st.integers(1, 4),
                address=st.sampled_from([IPv4Address(t) for t in ("10.0.0.1", "10.0.0.70", "203.0.113.4", "0.0.0.0")]),
                prefixlen=st.integers(20, 32),
                peer=st.sampled_from([None, IPv4Address("10.0.0.9"), IPv4Address("203.0.113.1")]),
                broadcast=st.sampled_from([None, IPv4Address("10.0.0.255"), IPv4Address("255.255.255.255")]),
                flags=st.integers(0, 255),
            ),
            st.builds(
                Address,
                ifindex=st.integers(1, 4),
                address=st.sampled_from([IPv6Address(t) for t in ("fe80::1", "fe80::2", "2001:db8::1")]),
                prefixlen=st.integers(0, 128),
                flags=st.integers(0, 255),
            ),
        ),
        max_size=5,
    ),
    st.lists(NETWORKS, max_size=3),
    st.lists(NETWORKS, max_size=3),
)
def test_nothing_is_asked_that_must_not_be(links, addresses, allow, deny):
    """Of any facts and lists: no own or denied address is swept or may be asked, and no network comes twice."""
    choice = choose_networks(links, addresses, allow=allow, deny=deny)
    own = {entry.address for entry in addresses}
    denied = [ip_network(entry) for entry in deny if "/" in entry]
    keys = [(network.ifindex, network.network) for network in choice.networks]

    assert len(keys) == len(set(keys))
    for network in choice.networks:
        assert isinstance(network, LanNetwork)
        targets = addresses_to_sweep(network)
        assert network.is_swept or not targets
        assert len(targets) == len(set(targets)) <= 65536
        for target in targets:
            assert target in network.network
            assert target not in own
            assert not any(target in entry for entry in denied)
            assert network.may_ask(target)
