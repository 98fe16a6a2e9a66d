"""Who we are at brokers, and where ours is for others."""

from typing import Any

import pytest

from mirosd.accounts import Accounts
from mirosd.core.settings import BrokerSettings, PeersSettings, Settings

LAN = ("10.0.0.7", "fd00::7", "fe80::7", "fe80::7%eth0", "127.0.0.1")


def accounts(url: str, *advertise: str, **peers: Any) -> Accounts:
    """Give the accounts of a host with this broker."""
    return Accounts(
        Settings(
            broker=BrokerSettings(url, advertise=advertise, password="p"), peers=PeersSettings(password="q", **peers)
        )
    )


@pytest.mark.parametrize(
    ("url", "advertise", "told"),
    [
        ("amqp://127.0.0.1", (), ("10.0.0.7:5672", "[fd00::7]:5672")),
        ("amqp://localhost:5673", (), ("10.0.0.7:5673", "[fd00::7]:5673")),
        ("amqp://[::1]", (), ("10.0.0.7:5672", "[fd00::7]:5672")),
        ("amqp://10.0.0.9:5673", (), ("10.0.0.9:5673",)),
        ("amqp://Rabbit.lan", (), ("rabbit.lan:5672",)),
        ("amqp://127.0.0.1:5673", ("Me.lan", "10.1.1.1:5671"), ("me.lan:5673", "10.1.1.1:5671")),
        ("memory://", (), ()),
    ],
)
def test_others_are_told_where_the_broker_is(url: str, advertise: tuple[str, ...], told: tuple[str, ...]) -> None:
    """What is advertised; else the broker's address; for one on loopback, this host's, as others know them."""
    assert told == accounts(url, *advertise).told(LAN)


def test_peers_are_reached_by_their_account() -> None:
    """The account towards others has the settings' port where none is written; the own one's password is another."""
    both = accounts("amqps://127.0.0.1", port=5673)

    assert ("a.name", 5673, "q", True) == (lambda at: (at.host, at.port, at.password, at.tls))(both.at_host("A.name"))
    assert ("::1", 5671) == (lambda at: (at.host, at.port))(both.at_host("[::1]:5671"))
    assert ("p", 5671) == (both.own.password, both.own.port)
