"""The addresses a program can ask for."""

import socket
from typing import Any

import pytest

from mirosd_client.lan import LOOPBACK, LocalAreaNetwork


def test_peers_are_the_other_addresses() -> None:
    """Without ports and brackets, each once, sorted, names too."""
    lan = LocalAreaNetwork(lambda: ["[fe80::1]:5673", "127.0.0.9:5672", "127.0.0.9", "a.name:5672", "[::2]"])

    assert lan.other.addresses == ["127.0.0.9", "::2", "a.name", "fe80::1"]


def test_the_own_address_is_the_one_that_is_used_towards_peers() -> None:
    """By the kernel's route, of the first peer that has one."""
    lan = LocalAreaNetwork(lambda: ["127.0.0.9"])

    assert lan.this.address == lan.get_working_ip_address() == LOOPBACK
    assert lan.addresses == [LOOPBACK, "127.0.0.9"]
    assert LocalAreaNetwork(lambda: ["[::1]"]).this.address == "::1"


def test_a_peer_on_this_very_host_is_named_once() -> None:
    """Its address is the own one."""
    assert LocalAreaNetwork(lambda: [LOOPBACK]).addresses == [LOOPBACK]


def test_nothing_is_sent_and_no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is connected, which for datagrams asks the kernel alone; a host without any route has loopback."""
    asked: list[Any] = []

    class NoRoute(socket.socket):
        def connect(self, address: Any) -> None:
            asked.append(address[0])
            raise OSError("Network is unreachable")

        def sendto(self, *_: Any) -> int:
            raise AssertionError("sent")

        send = sendto  # type: ignore[assignment]

    monkeypatch.setattr(socket, "socket", NoRoute)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: asked.append("a name"))

    assert LocalAreaNetwork(lambda: ["a.name", "10.0.0.7:5673"]).this.address == LOOPBACK
    assert asked == ["10.0.0.7", "10.255.255.255"]
