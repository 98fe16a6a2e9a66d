"""Which broker an asker is told of."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from mirosd.core.advertised import Advertised
from mirosd.core.probe import Address

HERE = IPv4Address("10.0.0.7")


@pytest.mark.parametrize(
    ("advertise", "port", "local", "expected"),
    [
        ((), 5672, "10.0.0.7", ("10.0.0.7", 5672)),
        ((), 5671, "fe80::7", ("fe80::7", 5671)),
        ((), 5672, None, None),
        ((), 0, "10.0.0.7", None),
        (("10.0.0.9:5673",), 0, "10.0.0.7", ("10.0.0.9", 5673)),
        (("10.0.0.9",), 5671, "10.0.0.7", ("10.0.0.9", 5671)),
        (("10.0.0.9",), 0, None, ("10.0.0.9", 5672)),
        (("192.168.1.9", "10.0.0.9"), 5672, "10.0.0.7", ("10.0.0.9", 5672)),
        (("192.168.1.9", "10.0.0.9"), 5672, "192.168.1.1", ("192.168.1.9", 5672)),
        (("192.168.1.9", "[fd00::9]:5673"), 5672, "fd00::7", ("fd00::9", 5673)),
        (("[fe80::9%eth0]",), 5672, "fe80::7", ("fe80::9", 5672)),
        (("10.0.0.9",), 5672, "fe80::7", ("10.0.0.9", 5672)),
        (("a.name:5673",), 5672, "10.0.0.7", ("10.0.0.7", 5672)),
    ],
)
def test_told_broker(
    advertise: tuple[str, ...], port: int, local: str | None, expected: tuple[str, int] | None
) -> None:
    """What is advertised, the nearest first; else the address that was asked; nothing when there is nothing."""
    told = Advertised(advertise, port).at(ip_address(local) if local else None)

    assert expected == (told and (f"{told[0]}", told[1]))


def test_names_are_told_apart() -> None:
    """A name has no place in a datagram: who composes the daemon hears of it."""
    assert ["a.name:5673"] == Advertised(("a.name:5673", "10.0.0.9"), 5672).names


def test_order_decides_between_equals() -> None:
    """Of two that have as much in common with the asked address, the operator's first is told."""
    told = Advertised(("10.0.0.8", "10.0.0.9"), 5672).at(None)

    assert told == (IPv4Address("10.0.0.8"), 5672)


def test_family_counts_more_than_likeness() -> None:
    """An asker that came by IPv6 may have nothing else."""
    here: Address = IPv6Address("::1")

    assert (IPv6Address("fd00::9"), 1) == Advertised(("0.0.0.1:1", "[fd00::9]:1"), 1).at(here)
