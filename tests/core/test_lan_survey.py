"""What is said of each address of the LAN."""

from ipaddress import ip_address, ip_network

import pytest

from mirosd.core.lan_facts import (
    NUD_DELAY,
    NUD_FAILED,
    NUD_INCOMPLETE,
    NUD_PERMANENT,
    NUD_PROBE,
    NUD_REACHABLE,
    NUD_STALE,
    Neighbour,
)
from mirosd.core.lan_networks import LanNetwork
from mirosd.core.lan_survey import survey
from mirosd.payloads import LanNeighbour, LanSurvey

MAC = "02:00:00:00:00:07"


def network(own: str, prefix: str, ifindex: int = 2) -> LanNetwork:
    """Give a network of eth0 (2) or another interface."""
    net = ip_network(prefix)
    return LanNetwork(
        ifindex, f"eth{ifindex - 2}", ip_address(own), net, None, is_swept=False, own=frozenset((ip_address(own),))
    )


NETWORKS = (network("10.0.0.1", "10.0.0.0/24"), network("fe80::1", "fe80::/64"))


def entry(address: str, state: int, mac: str = MAC, confirmed_s: float | None = None, ifindex: int = 2) -> Neighbour:
    """Give a neighbour as the kernel tells of it."""
    return Neighbour(ifindex, ip_address(address), state, mac, confirmed_s)


@pytest.mark.parametrize(
    ("state", "confirmed_s", "expected"),
    [
        (NUD_REACHABLE, 20.0, ("alive", 20.0, "silent")),
        (NUD_PERMANENT, None, ("alive", None, "silent")),
        (NUD_STALE, 0.5, ("alive", 0.5, "silent")),
        (NUD_STALE, 40.0, ("stale", 40.0, "silent")),
        (NUD_DELAY, 40.0, ("stale", 40.0, "silent")),
        (NUD_PROBE, None, ("stale", None, "silent")),
        (NUD_FAILED, 60.0, ("dead", None, "nobody there")),
        (NUD_INCOMPLETE, 60.0, ("unknown", None, "asked")),
    ],
)
def test_states(state: int, confirmed_s: float | None, expected: tuple[str, float | None, str]) -> None:
    """Alive is who was proved to be there since the search began; the kernel takes eight seconds to see one go."""
    found = survey(NETWORKS, [entry("10.0.0.7", state, confirmed_s=confirmed_s)], {}, (), 1.5)
    said, age_s, verdict = expected

    assert LanSurvey("10.0.0.1", (LanNeighbour("10.0.0.7", said, MAC, age_s, "", verdict),)) == found


def test_who_answered_is_alive() -> None:
    """Whatever the kernel knows of it, and although it knows nothing of it."""
    nodes = {"10.0.0.7": "a" * 32, "192.168.9.9": "b" * 32, "fe80::7%eth0": "c" * 32}
    found = survey(NETWORKS, [entry("10.0.0.7", NUD_FAILED, ""), entry("fe80::7", NUD_STALE)], nodes, (), 1.5)

    assert (
        LanNeighbour("10.0.0.7", "alive", "", None, "a" * 32, "answered"),
        LanNeighbour("192.168.9.9", "alive", "", None, "b" * 32, "answered"),
        LanNeighbour("fe80::7%eth0", "alive", MAC, None, "c" * 32, "answered"),
    ) == found.neighbours


def test_a_router_that_speaks_for_everybody_says_nothing() -> None:
    """A MAC of many addresses is no host, unless it answered itself (more than 16: proxy ARP)."""
    entries = [entry("10.0.0.7", NUD_REACHABLE), entry("10.0.0.8", NUD_REACHABLE)]
    found = survey(NETWORKS, entries, {"10.0.0.8": "a" * 32}, {MAC}, 1.5)

    assert [("unknown", "a MAC of many addresses"), ("alive", "answered")] == [
        (row.state, row.verdict) for row in found.neighbours
    ]


def test_other_networks_are_left_out() -> None:
    """Neighbours of interfaces and networks that are not searched, our own addresses, multicast, deleted ones."""
    gone = entry("10.0.0.9", NUD_REACHABLE)._replace(is_deleted=True)
    found = survey(
        NETWORKS,
        [
            entry("10.0.0.7", NUD_REACHABLE, ifindex=3),
            entry("10.0.1.7", NUD_REACHABLE),
            entry("10.0.0.1", NUD_REACHABLE),
            entry("ff02::1", NUD_REACHABLE),
            gone,
        ],
        {},
        (),
        1.5,
    )

    assert () == found.neighbours


def test_without_networks() -> None:
    """A host without a LAN has no address there."""
    assert LanSurvey("", ()) == survey((), [entry("10.0.0.7", NUD_REACHABLE)], {}, (), 0.0)
