"""Hosts that nobody listed: they become peers by their own word, or are kept out; and what never sees a credential."""

import json
import shutil
from typing import Any

import pytest

from mirosd.core.clearance import FRESH_S
from tests.backends.fake_broker import FakeBroker
from tests.e2e.stage import Stage, staged
from tests.lab.broker import PEERS_PASSWORD, Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


def peer(daemon: Daemon, name: str) -> dict[str, Any]:
    """Give a peer's line by its name, {} while there is none."""
    return next((row for row in daemon.ask("peers")["peers"] if row["name"] == name), {})


def quarantined(daemon: Daemon) -> int:
    """Give how many events of quarantined nodes were counted."""
    count: int = daemon.ask("status")["counters"].get("quarantined", 0)
    return count


def one_way(stage: Stage, policy: str) -> tuple[Daemon, Daemon]:
    """Start h1, which lists nobody, and h2, which lists h1."""
    h1 = stage.daemon("h1", [], settings={"discovery": {"aliens": policy}})
    h2 = stage.daemon("h2", ["h1"])
    for daemon in (h1, h2):
        daemon.start()
    for daemon in (h1, h2):
        daemon.wait_ready()
    return h1, h2


def test_an_alien_becomes_a_peer_both_ways(lan: Lan, brokers: dict[str, Broker]) -> None:
    """h2 lists h1, h1 lists nobody, the LAN is not searched: both see each other alive, and events cross both ways."""
    with staged(lan, brokers) as stage:
        h1, _ = one_way(stage, "allow")
        for name in ("h1", "h2"):
            stage.wait_alive(name)
        near, far = stage.actor("h1", "near"), stage.actor("h2", "far")
        for actor in (near, far):
            assert actor.do("wait_subscribed")["subscribed"]
        for actor in (near, far):
            actor.do("send", count=5)

        until(lambda: near.numbers("far") == [1, 2, 3, 4, 5], what="from the alien")
        until(lambda: far.numbers("near") == [1, 2, 3, 4, 5], what="to the alien")
        assert ["alien"] == peer(h1, "h2")["sources"]
        assert 1 == h1.log().count('"producers_made"')


@pytest.mark.parametrize(("policy", "shown"), [("quarantine", ("quarantined", "")), ("deny", ("refused", "alien"))])
def test_an_alien_that_is_kept_out(lan: Lan, brokers: dict[str, Broker], policy: str, shown: tuple[str, str]) -> None:
    """Its events are counted and delivered to nobody, it is shown as what it is; `peers allow` makes it a peer."""
    with staged(lan, brokers) as stage:
        h1, h2 = one_way(stage, policy)
        until(lambda: peer(h2, "h1").get("state") == "one-way(out)", what="h2 reaches h1")
        until(lambda: (peer(h1, "h2").get("state"), peer(h1, "h2").get("reason")) == shown, what=shown[0])
        near, far = stage.actor("h1", "near"), stage.actor("h2", "far")
        for actor in (near, far):
            assert actor.do("wait_subscribed")["subscribed"]
        far.do("send", count=5)
        until(lambda: quarantined(h1) == 5, what="all counted")
        assert [] == near.numbers("far")
        h1.ctl("peers", "allow", "h2")
        for name in ("h1", "h2"):
            stage.wait_alive(name)
        far.do("send", count=5)

        until(lambda: near.numbers("far") == [6, 7, 8, 9, 10], what="what was sent since")
        assert 5 == quarantined(h1)


def test_two_daemons_on_one_broker(lan: Lan, brokers: dict[str, Broker]) -> None:
    """h2 uses h1's broker and lists it; h1 lists nobody: they are peers, without producers of their own for it."""
    with staged(lan, brokers) as stage:
        h1 = stage.daemon("h1", [])
        h2 = stage.daemon("h2", ["h1"], broker=brokers["h1"])
        for daemon in (h1, h2):
            daemon.start()
        for name in ("h1", "h2"):
            stage.wait_alive(name)

        assert [0, 0] == [daemon.log().count('"producers_made"') for daemon in (h1, h2)]


def test_a_copied_state_directory_ends_as_two_nodes(lan: Lan, brokers: dict[str, Broker]) -> None:
    """One of the two draws a new id in place, says why, keeps its programs, and both see each other alive."""
    with staged(lan, brokers) as stage:
        h1, h2 = stage.daemon("h1", ["h2"]), stage.daemon("h2", ["h1"])
        h1.start()
        h1.wait_ready()
        node = h1.ask("status")["node"]
        shutil.copytree(h1.host.directory / "state", h2.host.directory / "state")
        actor = stage.actor("h2", "far")
        h2.start()
        for name in ("h1", "h2"):
            stage.wait_alive(name)
        nodes = {daemon.ask("status")["node"] for daemon in (h1, h2)}
        lines = [json.loads(line) for daemon in (h1, h2) for line in daemon.log().splitlines()]
        [renewal] = [line for line in lines if line["event"] == "node_id_renewed"]

        assert (node, {node, renewal["node"]}) == (renewal["was"], nodes)
        assert "copy of this host's state directory" in renewal["why"]
        assert actor.do("wait_subscribed")["subscribed"]


def test_a_host_at_a_peers_address_never_sees_a_credential(lan: Lan, brokers: dict[str, Broker]) -> None:
    """A broker that takes over the address of a peer that nobody listed is sent nothing; the true one is reached again.

    The daemon that is told, in the same place, to trust the address sends its account: the fake would have seen it.
    """
    with staged(lan, brokers) as stage:
        h1, h2 = one_way(stage, "allow")
        stage.wait_alive("h1")
        alive_s = h1.ask("status")["uptime_s"]
        until(lambda: h1.ask("status")["uptime_s"] > alive_s + FRESH_S + 1, what="the proof of h2 old")
        h2.kill()
        brokers["h2"].stop()
        with lan["h2"].network():
            fake = FakeBroker(lan["h2"].address, 5672)
        with fake:
            until(lambda: '"unproved"' in h1.log(), what="unproved")
            assert [] == fake.received
            h1.ctl("hosts", "add", lan["h2"].address)
            fake.wait_for(PEERS_PASSWORD.encode())
            h1.ctl("hosts", "remove", lan["h2"].address)
        brokers["h2"].start()
        brokers["h2"].wait_ready()
        h2.start()
        for name in ("h1", "h2"):
            stage.wait_alive(name)
