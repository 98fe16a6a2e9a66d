"""Hosts that list nobody find each other on their LAN, whatever it looks like."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import PEERS_PASSWORD, Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

HOSTS = ("h1", "h2", "h3")
OWN_BROKER = "amqp://127.0.0.1:5672"
"""As on a real host: others are told the address at which they asked."""


@pytest.fixture
def stage(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    with staged(lan, brokers) as made:
        yield made


def searching(stage: Stage, *names: str, aliens: str = "allow", **lan: object) -> None:
    """Start daemons that list nobody and search the LAN, one right after the other."""
    settings = {"discovery": {"aliens": aliens, "lan": {"enabled": True, **lan}}}
    for name in names or HOSTS:
        stage.daemon(name, [], broker=OWN_BROKER, settings=settings).start()


def wait_found(stage: Stage, *names: str, peers: int = 2) -> None:
    """Return when each host sees that many peers alive; print how long it took after the last was ready."""
    for name in names or HOSTS:
        stage.daemons[name].wait_ready()
    began_s = time.monotonic()
    for name in names or HOSTS:
        stage.wait_alive(name, peers)
    print(f"all found {time.monotonic() - began_s:.2f} s after the last was seen ready")


def test_three_hosts_find_each_other(stage: Stage) -> None:
    """With an empty cache and Linux as it is, and each peer is a find of the LAN."""
    searching(stage)
    wait_found(stage)

    for name in HOSTS:
        rows = stage.daemons[name].ask("peers")["peers"]
        assert [("alive", True)] * 2 == [(row["state"], "lan" in row["sources"]) for row in rows]


@pytest.mark.parametrize("prefix", ["10.9.200", "172.16.5", "192.168.77"])
def test_any_private_network(stage: Stage, prefix: str) -> None:
    """The ancestor saw 192.x alone (D16)."""
    stage.lan.renumber(prefix)
    searching(stage)
    wait_found(stage)

    ways = [row["address"].split(", ") for row in stage.daemons["h1"].ask("peers")["peers"]]
    found = {address.removesuffix(":5672") for addresses in ways for address in addresses}
    assert {f"{prefix}.2", f"{prefix}.3"} <= found  # and by IPv6, which hosts have beside


def test_without_ipv4(stage: Stage) -> None:
    """Two hosts with nothing but their IPv6 link-local addresses find each other by ff02::1."""
    stage.lan.renumber("")
    searching(stage, "h1", "h2")
    wait_found(stage, "h1", "h2", peers=1)

    (row,) = stage.daemons["h1"].ask("peers")["peers"]
    assert row["address"].startswith("[fe80::"), row


def test_over_two_interfaces(stage: Stage) -> None:
    """A host with two networks finds the neighbours of both; neighbours of different networks meet by gossip or not."""
    h1, h2, h3 = stage.lan.hosts
    stage.lan.cable(h2, h3, "10.88.0")
    stage.lan.partition([h1, h2], [h3])
    searching(stage)
    for name in HOSTS:
        stage.daemons[name].wait_ready()

    stage.wait_alive("h2", 2)
    stage.wait_alive("h1", 1)
    stage.wait_alive("h3", 1)


def test_where_broadcasts_are_dropped(stage: Stage) -> None:
    """Then one address after the other is asked."""
    stage.lan.drop_broadcasts()
    searching(stage, sweep="always")
    wait_found(stage)


def test_with_a_fifth_of_all_frames_lost(stage: Stage) -> None:
    """Broadcasts are said again, addresses asked again, and scouts sent again."""
    stage.lan.lose(20)
    searching(stage)
    wait_found(stage)


def test_what_was_found_is_cached_without_passwords(stage: Stage) -> None:
    """A daemon that starts again asks its cached addresses first, and what it keeps holds no password (D53)."""
    searching(stage)
    wait_found(stage)
    daemon = stage.daemons["h1"]
    cache_path = daemon.host.directory / "state" / "lan_cache.json"
    until(lambda: len(json.loads(cache_path.read_text())["addresses"]) == 2, what="two addresses in the cache")
    text = cache_path.read_text()

    assert PEERS_PASSWORD not in text
    assert {"addresses", "amqp_urls", "time_out_in_minutes"} == set(json.loads(text))
    assert 30 == json.loads(text)["time_out_in_minutes"]

    stage.lan.drop_broadcasts()  # so that only the cache can tell h1 whom to ask
    daemon.stop()
    daemon.start()
    wait_found(stage, "h1")


def test_flushing_the_cache_searches_anew(stage: Stage) -> None:
    """`cache flush` forgets the addresses, finds them again, and disturbs no peer."""
    searching(stage)
    wait_found(stage)
    daemon = stage.daemons["h1"]
    assert 0 == daemon.ctl("cache", "flush").returncode
    until(lambda: len(daemon.ask("cache", "show")["addresses"]) == 2, what="the cache filled again")

    assert {"h2": "alive", "h3": "alive"} == daemon.peers()


def test_search_off_finds_and_answers_nobody(stage: Stage) -> None:
    """A host whose search is off is not found by those that search."""
    searching(stage, "h1", "h2")
    stage.daemon("h3", [], broker=OWN_BROKER).start()
    wait_found(stage, "h1", "h2", peers=1)
    stage.daemons["h3"].wait_ready()

    assert {"h2": "alive"} == stage.daemons["h1"].peers()
    assert {} == stage.daemons["h3"].peers()


def test_another_key_stays_a_stranger(stage: Stage) -> None:
    """A host with another key neither answers nor is answered."""
    searching(stage, "h1", "h2")
    other = "A" * 42 + "E="
    settings = {"discovery": {"lan": {"enabled": True}}}
    stage.daemon("h3", [], broker=OWN_BROKER, key=other, settings=settings).start()
    wait_found(stage, "h1", "h2", peers=1)
    stage.daemons["h3"].wait_ready()

    assert {} == stage.daemons["h3"].peers()
    assert {"h2": "alive"} == stage.daemons["h1"].peers()


def test_a_host_that_comes_later_is_found(stage: Stage) -> None:
    """Discovery never ends: a newcomer's own search introduces it (D15)."""
    searching(stage, "h1", "h2")
    wait_found(stage, "h1", "h2", peers=1)
    searching(stage, "h3")
    wait_found(stage)


def test_an_interface_that_comes_later_is_searched(stage: Stage) -> None:
    """A cable that is plugged in is noticed, and what is behind it is found."""
    stage.lan.unplug(stage.lan["h3"])
    searching(stage)
    wait_found(stage, "h1", "h2", peers=1)
    stage.daemons["h3"].wait_ready()
    stage.lan.plug(stage.lan["h3"])
    wait_found(stage)
