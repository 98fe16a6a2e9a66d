"""Who we are at brokers, and where ours is for others."""

import json
from pathlib import Path
from typing import Any

import pytest

from mirosd.accounts import Accounts
from mirosd.core.config import parse_config
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


@pytest.mark.parametrize(
    ("url", "peers", "is_tls", "port", "told"),
    [
        ("amqp://127.0.0.1", {}, False, 5672, 5672),
        ("amqps://127.0.0.1", {}, True, 5671, 5671),
        ("amqps://127.0.0.1:5999", {}, True, 5671, 5999),
        ("amqp://127.0.0.1", {"tls": "on"}, True, 5671, 5671),
        ("amqp://127.0.0.1:5999", {"tls": "on", "port": 5700}, True, 5700, 5700),
        ("amqps://127.0.0.1:5999", {"tls": "on"}, True, 5671, 5999),
        ("amqps://127.0.0.1", {"tls": "off"}, False, 5672, 5672),
    ],
)
def test_peers_are_reached_by_tls(url: str, peers: dict[str, Any], is_tls: bool, port: int, told: int) -> None:
    """As the own broker, unless the settings say otherwise; the port follows, and so does what others are told."""
    both = accounts(url, **peers)

    assert (is_tls, port) == (lambda at: (at.tls, at.port))(both.at_host("a.name"))
    assert (port, told) == (both.peer_port, both.told_port)
    assert f"{'amqps' if is_tls else 'amqp'}://a.name:{port}/" == both.url_at("a.name")
    assert (f"10.0.0.7:{told}",) == both.told(LAN[:1])
    assert both.is_tls is ("amqps" in url or is_tls)


@pytest.mark.parametrize("password", ["#/:@%", "a:b", "%2F", " a b ", '"\\\\"', "ümläut"])
def test_a_password_is_taken_as_it_stands(tmp_path: Path, password: str) -> None:
    """In the configuration and in a file, whatever a URL would make of it (D56)."""
    file = tmp_path / "password"
    file.write_text(password + "\n")
    configured = f"broker: {{password: {json.dumps(password)}}}\npeers: {{password_file: {file}}}\n"
    both = Accounts(parse_config(configured))

    assert (password, password) == (both.own.password, both.at("a.name", 5672).password)
