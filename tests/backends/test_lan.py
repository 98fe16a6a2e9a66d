"""The LAN search between hosts of the lab: found, however the network is, and fooled by nobody."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mirosd.backends import lan_ping
from mirosd.backends.lan import Lan as LanSearch
from mirosd.backends.lan_ground import Ground
from mirosd.backends.lan_port import TAKEN
from mirosd.core.answering import DATAGRAMS_PER_TICK, TICK_S
from mirosd.core.lan_networks import LanNetwork
from mirosd.core.probe import PROBE_BYTES, Datagram, Kind, ProbeSeal
from mirosd.core.seal import Keys
from mirosd.core.settings import LanSettings
from mirosd.errors import StartError
from mirosd.signals import Private
from tests.backends.lan_rig import KEY, PORT, RecordingBoard, Searcher, searchers
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

ALL = "10.77.0.255"


@pytest.fixture(autouse=True)
def unknown_neighbours(lan: Lan) -> None:
    """Let no host know another from the test before."""
    for host in lan.hosts:
        host.run(["ip", "neigh", "flush", "all"])


def speaker(host: Host, port: int = PORT) -> socket.socket:
    """Give a UDP socket of a host, not of its mirosd."""
    with host.network():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    made.bind(("0.0.0.0", port))
    made.settimeout(30)
    return made


def printed_time(began_s: float, what: str) -> None:
    """Say how long something took."""
    print(f"{what}: {time.monotonic() - began_s:.3f} s")


def wait_all_found(found: tuple[Searcher, ...]) -> None:
    """Return when each has an answer of each other."""
    for one in found:
        one.wait_nodes(*(other for other in found if other is not one))


class TestFinding:
    def test_by_broadcast(self, lan: Lan) -> None:
        """Three hosts with Linux as it is find each other without a single address being swept."""
        with searchers(*(Searcher(host, sweep="off") for host in lan.hosts)) as found:
            began_s = time.monotonic()
            for one in found:
                one.lan.search(())
            wait_all_found(found)
            printed_time(began_s, "three hosts by broadcast")
            h1, h2, _ = found
            until(lambda: {"10.77.0.2:5672", "10.77.0.3:5672"} <= h1.brokers, what="both by IPv4")

            answer = next(answer for answer in h1.answers if answer.address == "10.77.0.2")
            assert (h2.node, "10.77.0.2:5672") == (answer.node, answer.broker)
            assert 0 < answer.took_ms < 30_000
            assert 1 == len(h1.call(lambda: h1.lan._asker._search._loud) - {0})

    @pytest.mark.parametrize("sweep", ["auto", "always"])
    def test_where_broadcasts_are_dropped(self, lan: Lan, sweep: str) -> None:
        """One address after the other is asked, and the answers come to who asked."""
        lan.drop_broadcasts()
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1, sweep=sweep), Searcher(h2), Searcher(h3)) as found:
            began_s = time.monotonic()
            found[0].lan.search(())
            found[0].wait_nodes(*found[1:])
            printed_time(began_s, f"sweep {sweep}")

            assert {"10.77.0.2", "10.77.0.3"} == {answer.address for answer in found[0].answers}
            assert {0} == found[0].call(lambda: found[0].lan._asker._search._loud), "as if broadcasts had been answered"
            assert all({found[0].node} == {heard.node for heard in one.heard} for one in found[1:])

    def test_with_a_fifth_of_all_frames_lost(self, lan: Lan) -> None:
        """Broadcasts again, addresses again, each other's questions: all are found by all."""
        lan.lose(20)
        with searchers(*(Searcher(host) for host in lan.hosts)) as found:
            began_s = time.monotonic()
            for one in found:
                one.lan.search(())
            wait_all_found(found)
            printed_time(began_s, "three hosts at 20 % loss")

    def test_by_ipv6_alone(self, lan: Lan) -> None:
        """A pair with nothing but link-local addresses finds each other, and names its brokers with the zone."""
        lan.renumber("")
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as found:
            found[0].lan.search(())
            found[0].wait_nodes(found[1])

            (answer,) = {answer._replace(took_ms=0.0) for answer in found[0].answers}
            assert (h2.address, f"[{h2.address}]:5672") == (answer.address, answer.broker)
            assert {f"[{h2.address}]:5672"} == found[0].confirm(f"[{h2.address}]:5672")

    def test_over_two_interfaces(self, lan: Lan) -> None:
        """Each network's hosts are found by their addresses there."""
        h1, h2, h3 = lan.hosts
        lan.cable(h2, h3, "10.88.0")
        lan.partition([h2], [h3])
        with searchers(*(Searcher(host) for host in (h1, h2, h3))) as found:
            for one in found:
                one.lan.search(())
            found[1].wait_nodes(found[0], found[2])
            until(lambda: {"10.77.0.1:5672", "10.88.0.2:5672"} <= found[1].brokers, what="both by IPv4")

            assert not found[1].brokers & {"10.77.0.3:5672"}

    def test_two_cards_in_one_network(self, lan: Lan) -> None:
        """The second is searched too, although the kernel's routes know the first one only."""
        h1, _, h3 = lan.hosts
        lan.cable(h1, h3, "10.88.0")
        lan.partition([h1], [h3])
        for host, number in ((h1, 101), (h3, 103)):
            host.run(["ip", "address", "add", f"10.77.0.{number}/24", "broadcast", "+", "dev", "eth1"])
        with searchers(Searcher(h1, sweep="off"), Searcher(h3)) as (asker, _):
            asker.lan.search(())
            until(lambda: "10.77.0.103:5672" in asker.brokers, what="found by the second card")

    def test_a_host_that_appears(self, lan: Lan) -> None:
        """Who comes later is known by its own first probe, without a search of ours."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1)) as (first,):
            first.lan.search(())
            with searchers(Searcher(h2)) as (second,):
                second.lan.search(())
                until(lambda: second.node in {heard.node for heard in first.heard}, what="heard")
                first.lan.ask([first.heard[-1].address])
                first.wait_nodes(second)

    def test_a_neighbour_that_appears(self, lan: Lan) -> None:
        """Whoever speaks on the LAN, of whatever, is asked, without a search and where broadcasts do not pass."""
        lan.drop_broadcasts()
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, sweep="off"), Searcher(h2)) as (asker, asked):
            asker.lan.search(())
            with h2.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaks:
                speaks.sendto(b"hello", ("10.77.0.1", 9))
            asker.wait_nodes(asked)

    def test_a_host_replaced_under_its_address(self, lan: Lan) -> None:
        """A new network card behind a known address is reached by broadcast at once; unicast goes astray for 8 s."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, sweep="off")) as (asker,):
            with searchers(Searcher(h2)) as (old,):
                asker.lan.search(())
                asker.wait_nodes(old)
                until(lambda: "10.77.0.2" in {answer.address for answer in asker.answers}, what="by IPv4")
            before = Path("/sys/class/net/eth0/address")
            mac = h2.run(["cat", f"{before}"]).stdout.strip()
            h2.run(["ip", "link", "set", "eth0", "address", "02:00:00:00:77:77"])
            try:
                with searchers(Searcher(h2, node="f" * 32)) as (new,):
                    began_s = time.monotonic()
                    asker.lan.search(())
                    until(
                        lambda: ("10.77.0.2", new.node) in {(one.address, one.node) for one in asker.answers},
                        what="the new host under the old address",
                    )
                    printed_time(began_s, "a host with another MAC")
            finally:
                h2.run(["ip", "link", "set", "eth0", "address", mac])

    def test_246_dead_addresses_twice(self, lan: Lan) -> None:
        """Searches right after each other fill neither the socket nor the kernel's table: live hosts are heard."""
        h1, h2, h3 = lan.hosts
        lan.drop_broadcasts()
        with searchers(Searcher(h1, sweep="always"), Searcher(h2), Searcher(h3)) as found:
            asker = found[0]
            for number in (1, 2, 3):
                asker.posted.clear()
                asker.lan.search(())
                asker.wait_nodes(*found[1:])
                until(lambda: asker.call(lambda: asker.lan._asker.searched_for_s) > 1.3, what="all were asked")
                began_s = time.monotonic()
                found[1].posted.clear()
                found[1].lan.ask(["10.77.0.1"])
                found[1].wait_nodes(asker)
                printed_time(began_s, f"answered during sweep {number}")

            assert 0 == asker.board.counters["lan_delayed"]

    def test_the_kernel_s_table_is_spared(self, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where other containers fill it, fewer addresses are asked at a time."""
        monkeypatch.setattr(Ground, "window", lambda self: 32)
        with searchers(Searcher(lan["h1"], sweep="always")) as (asker,):
            asker.lan.search(())
            until(lambda: asker.board.counters["lan_sent"] > 50, what="more than fit at a time")

            assert asker.call(lambda: asker.lan._asker._search.unresolved) <= 32

    def test_known_hosts_are_asked(self, lan: Lan) -> None:
        """A search asks who it is told of, by whatever name and port, wherever broadcasts and sweeps do not reach."""
        lan.drop_broadcasts()
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1, sweep="off"), Searcher(h2), Searcher(h3)) as (asker, *asked):
            asker.resolve("three.example", "10.77.0.3", "10.77.0.77")
            asker.lan.search(["10.77.0.2:5673", "three.example:5674", "unknown.example", "no host at all"])
            asker.wait_nodes(*asked)

    def test_a_link_local_address_in_any_spelling(self, lan: Lan) -> None:
        """As a hosts file writes it, as the kernel does, and without a zone."""
        h1, h2, _ = lan.hosts
        lan.renumber("")
        bare = h2.address
        with searchers(Searcher(h1, sweep="off"), Searcher(h2)) as (asker, asked):
            for text in (bare, f"[{bare}]", f"[{bare}]:5672", bare.partition("%")[0]):
                asker.posted.clear()
                asker.lan.ask([text])
                asker.wait_nodes(asked)

    def test_an_answer_is_told_once_for_each_question(self, lan: Lan) -> None:
        """Five broadcasts and as many answers are one find; each minute's broadcast makes it another."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, sweep="off"), Searcher(h2)) as (asker, asked):
            asker.lan.search(())
            asker.wait_nodes(asked)
            until(lambda: asker.board.counters["lan_answers"] >= 10, what="all five broadcasts")
            addresses = [answer.address for answer in asker.answers]
            assert (2, 2) == (len(addresses), len(set(addresses)))

            asker.wait(75.0)
            until(lambda: sorted(addresses * 2) == sorted(answer.address for answer in asker.answers), what="again")

    def test_probes_are_told_of_once_a_second(self, lan: Lan) -> None:
        """However often somebody asks, he is one candidate a second."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (asker, asked):
            for _ in range(3):
                asker.posted.clear()
                asker.lan.ask(["10.77.0.2"])
                asker.wait_nodes(asked)
            assert 1 == len(asked.heard) or asked.posted[-1][0] - asked.posted[0][0] >= 1.0

            asked.wait(1.0)
            asker.lan.ask(["10.77.0.2"])
            until(lambda: len(asked.heard) >= 2, what="a second later")

    def test_the_ancestor_s_ping(self, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only who asks for it gets a broadcast ping, with each search."""
        pinged: list[list[str]] = []

        async def ping(networks: Iterable[LanNetwork]) -> None:
            pinged.append([f"{network.broadcast}" for network in networks])

        monkeypatch.setattr(lan_ping, "ping", ping)
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, ping=True), Searcher(h2)) as (asker, other):
            other.lan.search(())
            asker.lan.search(())
            until(lambda: pinged, what="a ping")
            asker.wait_nodes(other)

        assert [["10.77.0.255", "ff02::1"]] == pinged


class TestAnswering:
    def test_from_the_address_asked(self, lan: Lan) -> None:
        """A host with two addresses is found under both, each answering for itself."""
        h1, h2, _ = lan.hosts
        lan.add_address(h2, "10.77.0.201/24")
        with searchers(Searcher(h1), Searcher(h2)) as (asker, asked):
            asker.lan.ask(["10.77.0.201", "10.77.0.2"])
            until(lambda: len(asker.answers) == 2, what="both addresses")

            assert {("10.77.0.201", "10.77.0.201:5672", asked.node), ("10.77.0.2", "10.77.0.2:5672", asked.node)} == {
                (answer.address, answer.broker, answer.node) for answer in asker.answers
            }
            assert 0 == asker.board.counters["lan_misdirected"]

    def test_who_asks_from_afar_by_another_way(self, lan: Lan) -> None:
        """He is answered from the address asked, by the way that the routes know, not on the link he came by."""
        h1, _, h3 = lan.hosts
        lan.cable(h1, h3, "10.88.0")
        with h3.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.sendto(b"hello", ("10.77.0.1", 9))
        until(lambda: "lladdr" in h3.run(["ip", "neigh", "show", "10.77.0.1"]).stdout, what="it knows h1 by eth0")
        lan._filter(lan.switch, "bridge", "forward", ["arp daddr ip 10.88.0.2 drop"])
        with searchers(Searcher(h1, deny=("eth1",))) as (asked,), h3.network():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as afar:
                afar.bind(("10.88.0.2", 0))
                afar.settimeout(30)
                seal = ProbeSeal(Keys(KEY), "default", random=os.urandom)
                probe = Datagram(Kind.PROBE, b"12345678", "c" * 32, "d" * 16, ip_address("10.77.0.1"), port=5672)
                afar.sendto(seal.seal(probe), ("10.77.0.1", PORT))
                data, where = afar.recvfrom(200)

            assert ("10.77.0.1", PORT) == where
            assert (asked.node, b"12345678", ip_address("10.88.0.2")) == (
                (answer := seal.open(data)).node,
                answer.challenge,
                answer.target,
            )

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"advertise": ("10.77.0.99:5673", "192.168.9.9")}, "10.77.0.99:5673"),
            ({"broker_port": 0}, ""),
            ({"broker_port": 5671}, "10.77.0.2:5671"),
        ],
        ids=["advertised", "none", "port"],
    )
    def test_which_broker(self, lan: Lan, options: dict[str, object], expected: str) -> None:
        """What the operator advertises, else the address that was asked, else nothing; in probes as in answers."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2, **options)) as (asker, asked):  # type: ignore[arg-type]
            asker.lan.ask(["10.77.0.2"])
            asker.wait_nodes(asked)
            asked.lan.ask(["10.77.0.1"])
            until(lambda: asker.heard, what="a probe")

            assert expected == asker.answers[0].broker == asker.heard[0].broker
            assert ([expected] if expected else []) == asker.named

    @pytest.mark.parametrize("other", [{"key": b"k" * 32}, {"system": "other"}], ids=["key", "system"])
    def test_other_systems_are_strangers(self, lan: Lan, other: dict[str, object]) -> None:
        """Another key or another label is neither answered nor heard of; our own is, on the same LAN."""
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1), Searcher(h2, **other), Searcher(h3)) as found:  # type: ignore[arg-type]
            stranger = found[1]
            stranger.lan.search(())
            found[0].lan.search(())
            found[0].wait_nodes(found[2])
            found[0].lan.ask(["10.77.0.2", "10.77.0.3"])
            until(lambda: len([one for one in found[0].answers if one.address == "10.77.0.3"]) == 2, what="asked")

            assert ([], []) == (stranger.answers, stranger.heard)
            assert {found[2].node} == {one.node for one in (*found[0].answers, *found[0].heard)}

    def test_a_clone_is_shown(self, lan: Lan) -> None:
        """A copied state directory speaks with our own node id, and another instance tells it apart."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, node="a" * 32), Searcher(h2, node="a" * 32)) as (one, clone):
            one.lan.search(())
            until(lambda: one.answers and clone.heard, what="both hear of each other")

            assert ("a" * 32, True) == (one.answers[0].node, one.answers[0].instance != clone.heard[0].instance)


class TestFooling:
    def test_a_relay_gains_nothing(self, lan: Lan) -> None:
        """Who passes our broadcast on to a host that cannot hear us, and its answer back, is not taken for a broker."""
        h1, h2, h3 = lan.hosts
        lan.partition([h1], [h3])
        with searchers(Searcher(h1, sweep="off"), Searcher(h3)) as (victim, far), speaker(h2) as relay:
            victim.lan.search(())
            probe, where = relay.recvfrom(200)
            assert "10.77.0.1" == where[0]
            relay.sendto(probe, (ALL, PORT))
            answer = _from(relay, "10.77.0.3")
            relay.sendto(answer, ("10.77.0.1", PORT))
            until(lambda: victim.board.counters["lan_misdirected"] == 1, what="the relayed answer")

            assert ([], []) == (victim.answers, victim.named)
            assert {("10.77.0.2", "10.77.0.1:5672")} == {(heard.address, heard.broker) for heard in far.heard}

    def test_a_probe_is_for_its_target_alone(self, lan: Lan) -> None:
        """What was sent to one host and is sent on to another gets no answer, nor is it heard of."""
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1), Searcher(h3)) as (victim, far), speaker(h2) as relay:
            victim.lan.ask(["10.77.0.2"])
            probe, _ = relay.recvfrom(200)
            for to in ("10.77.0.3", ALL):
                relay.sendto(probe, (to, PORT))
                relay.sendto(probe[:16] + bytes(1) + probe[17:], (to, PORT))
                until(lambda: far.board.counters["lan_forged"], what="the one behind it")
                far.board.counters["lan_forged"] = 0

            assert {"lan_misdirected": 1, "lan_repeated": 1, "lan_forged": 0} == far.board.counters
            assert ([], []) == (far.heard, victim.answers)

    def test_what_was_recorded_is_answered_once(self, lan: Lan) -> None:
        """A broadcast that is sent again, to all or to one, is known; its answer that is sent again is, too."""
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1, sweep="off"), Searcher(h3)) as (asker, answerer), speaker(h2) as relay:
            asker.lan.search(())
            asker.wait_nodes(answerer)
            probe, _ = relay.recvfrom(200)
            relay.sendto(probe, (ALL, PORT))
            relay.sendto(probe, ("10.77.0.3", PORT))
            until(lambda: answerer.board.counters["lan_repeated"] == 2, what="both repeats")

            relay.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    assert "10.77.0.3" != relay.recvfrom(200)[1][0]

    def test_an_answer_from_elsewhere(self, lan: Lan) -> None:
        """A member that answers a question that was put to another address is not believed."""
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1)) as (asker,), speaker(h2) as member, speaker(h3) as elsewhere:
            asker.lan.ask(["10.77.0.2"])
            seal = ProbeSeal(Keys(KEY), "default", random=lambda n: b"n" * n)
            probe = seal.open(member.recvfrom(200)[0])
            answer = probe._replace(kind=2, node="e" * 32, target=ip_address("10.77.0.1"))  # type: ignore[arg-type]
            elsewhere.sendto(seal.seal(answer), ("10.77.0.1", PORT))
            until(lambda: asker.board.counters["lan_misdirected"], what="it came")

            assert [] == asker.answers

    def test_keys_that_change_while_it_runs(self, lan: Lan) -> None:
        """A key more lets its holders in, one less shuts them out, without a search begun anew."""
        h1, h2, _ = lan.hosts
        other = b"o" * 32
        with searchers(Searcher(h1), Searcher(h2, key=other)) as (asker, stranger):
            assert set() == asker.confirm("10.77.0.2:5672", 0.5)
            stranger.call(lambda: stranger.keys.change(other, [KEY]))
            asker.call(lambda: asker.keys.change(KEY, [other]))
            assert {"10.77.0.2:5672"} == asker.confirm("10.77.0.2:5672")  # each seals with the key that it uses
            asker.call(lambda: asker.keys.change(KEY))
            assert set() == asker.confirm("10.77.0.2:5672", 0.5)

    def test_a_challenge_that_nobody_drew(self, lan: Lan) -> None:
        """An answer to no question of ours is nothing, however well it is sealed."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1)) as (asker,), speaker(h2) as member:
            asker.lan.ask(["10.77.0.2"])
            seal = ProbeSeal(Keys(KEY), "default", random=lambda n: b"n" * n)
            probe = seal.open(member.recvfrom(200)[0])
            answer = probe._replace(kind=2, node="e" * 32, challenge=b"unknown!")  # type: ignore[arg-type]
            member.sendto(seal.seal(answer), ("10.77.0.1", PORT))
            until(lambda: asker.board.counters["lan_late"], what="it came")

            assert ([], []) == (asker.answers, asker.named)

    def test_a_flood_of_junk(self, lan: Lan) -> None:
        """Junk that the filter cannot know is read at 5,000/s at most: the loop goes on, and answers afterwards."""
        h1, h2, h3 = lan.hosts
        with searchers(Searcher(h1), Searcher(h3)) as (victim, other), speaker(h2) as flooder:
            key_id = ProbeSeal(Keys(KEY), "default", random=lambda n: bytes(n)).key_ids[0]
            junk = bytes.fromhex("d54d4c5001") + bytes(7) + key_id + bytes(112)
            assert PROBE_BYTES == len(junk)
            began_s, slowest_s, sent = time.monotonic(), 0.0, 0
            while time.monotonic() - began_s < 1.0:
                for _ in range(2000):
                    flooder.sendto(junk, ("10.77.0.1", PORT))
                sent += 2000
                asked_s = time.monotonic()
                victim.call(lambda: None)
                slowest_s = max(slowest_s, time.monotonic() - asked_s)
            ticks = (time.monotonic() - began_s) / TICK_S + 2
            read = victim.board.counters["lan_forged"]
            print(f"{sent} sent, {read} read, the loop's slowest turn {slowest_s * 1000:.1f} ms")

            assert 0 < read <= DATAGRAMS_PER_TICK * ticks
            other.lan.ask(["10.77.0.1"])
            other.wait_nodes(victim)


class TestHost:
    def test_a_taken_port(self, lan: Lan) -> None:
        """It is told, and such a host finds others all the same."""
        h1, h2, _ = lan.hosts
        with speaker(h1), searchers(Searcher(h1), Searcher(h2)) as (asker, asked):
            assert f"UDP port {PORT} (IPv4)" in asker.board.reasons[TAKEN]

            asker.lan.search(())
            until(lambda: "10.77.0.2" in {answer.address for answer in asker.answers}, what="found by IPv4")
            assert {} == asked.board.reasons

    def test_a_cable_that_is_laid(self, lan: Lan) -> None:
        """A new network interrupts the search and is searched, and so is one whose cable is in again."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (asker, _):
            asker.lan.search(())
            lan.cable(h1, h2, "10.88.0")
            until(lambda: "10.88.0.2:5672" in asker.brokers, what="the new network's host")
            assert any("eth1" in told for told in asker.payloads(Private.lan_changed))

            lan.unplug(h1)
            until(lambda: any("eth0 has no carrier" in one for one in asker.payloads(Private.lan_changed)), what="out")
            asker.posted.clear()
            lan.plug(h1)
            until(lambda: "10.77.0.2:5672" in asker.brokers, what="found again")

    def test_changes_that_make_no_difference(self, lan: Lan) -> None:
        """An interface that is never searched comes without a word, and no search begins anew for it."""
        (h1, *_) = lan.hosts
        with searchers(Searcher(h1, deny=("eth1",))) as (asker,):
            asker.lan.search(())
            lan.cable(h1, lan.hosts[1], "10.88.0")
            until(lambda: "eth1" in asker.call(lambda: asker.lan._ground._names.values()), what="it is known")
            assert [] == asker.payloads(Private.lan_changed)
            lan.add_address(h1, "10.99.0.1/24")
            until(lambda: asker.payloads(Private.lan_changed), what="the address")

            (told,) = asker.payloads(Private.lan_changed)
            assert "10.99.0.1" in told

    def test_survey(self, lan: Lan) -> None:
        """Who answered, who is alive and silent, who is not there."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, sweep="always"), Searcher(h2)) as (asker, asked):
            asker.lan.search(())
            asker.wait_nodes(asked)

            def seen() -> bool:
                rows = {row.address: row for row in asker.survey().neighbours}
                two, three, dead = (rows.get(f"10.77.0.{number}") for number in (2, 3, 77))
                assert two and three and dead
                return (
                    (two.state, two.node, two.verdict) == ("alive", asked.node, "answered")
                    and (three.state, three.node, three.verdict) == ("alive", "", "silent")
                    and (dead.state, dead.verdict) == ("dead", "nobody there")
                )

            until(lambda: "10.77.0.77" in {row.address for row in asker.survey().neighbours}, what="all were asked")
            until(seen, what="all is known")
            assert "10.77.0.1" == asker.survey().my_address

    def test_nothing_but_datagrams_to_the_networks_chosen(self, lan: Lan) -> None:
        """A whole search puts ARP, neighbour discovery and our 128 bytes on the chosen wire, and nothing on others."""
        h1, h2, h3 = lan.hosts
        lan.cable(h1, h3, "10.88.0")
        with h1.network():
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        wire.setblocking(False)
        frames: list[tuple[str, str]] = []
        with wire, searchers(Searcher(h1, sweep="always", deny=("eth1",)), Searcher(h2)) as (asker, asked):
            asker.lan.search(["10.77.0.2"])
            asker.wait_nodes(asked)
            until(lambda: asker.board.counters["lan_sent"] >= 252, what="the sweep's end")
            while True:
                try:
                    data, (interface, protocol, direction, *_) = wire.recvfrom(2000)
                except BlockingIOError:
                    break
                if direction == socket.PACKET_OUTGOING and interface != "lo":
                    frames.append((interface, _named(protocol, data)))

        kinds = {(interface, kind) for interface, kind in frames if kind != "neighbour discovery"}
        assert {("eth0", "arp"), ("eth0", "probe"), ("eth0", "probe6")} == kinds

    def test_a_filter_of_our_own(self, lan: Lan) -> None:
        """What this host's own filter swallows is counted, and the search goes on."""
        h1, h2, _ = lan.hosts
        lan._filter(h1.namespace, "inet", "output", [f"ip daddr 10.77.0.2 udp dport {PORT} drop"])
        with searchers(Searcher(h1), Searcher(h2), Searcher(lan["h3"])) as (asker, _, third):
            asker.lan.search(["10.77.0.2"])
            asker.wait_nodes(third)

            assert asker.board.counters["lan_filtered_here"] >= 1

    def test_closing(self, lan: Lan) -> None:
        """Nothing is posted any more, nothing asked, and the port is free for the next."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (closed, asker):
            closed.lan.search(())
            closed.wait_nodes(asker)
            closed.call(closed.lan.close)
            closed.call(closed.lan.close)
            posted, sent = len(closed.posted), closed.board.counters["lan_sent"]
            closed.lan.search(["10.77.0.2"])
            closed.lan.ask(["10.77.0.2"])
            closed.lan.survey()
            assert set() == closed.confirm("10.77.0.2:5672", timeout_s=0.3)
            with searchers(Searcher(h1, node="b" * 32)) as (again,):
                asker.lan.ask(["10.77.0.1"])
                asker.wait_nodes(again)
                assert {} == again.board.reasons

            assert (posted, sent) == (len(closed.posted), closed.board.counters["lan_sent"])

    def test_a_kernel_that_may_not_be_asked(self, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then the daemon does not start, and says what stands in the way and what to set."""

        def refused(*_: object) -> None:
            raise OSError(97, "Address family not supported by protocol")

        async def build() -> None:
            options = {"system_keys": Keys(KEY), "system": "s", "node": "a" * 32, "instance": "b" * 16}
            loop, settings, board = asyncio.get_running_loop(), LanSettings(), RecordingBoard()
            LanSearch(loop, **options, broker_port=1, advertise=(), settings=settings, board=board)  # type: ignore[arg-type]

        for where in ("lan_ground.Netlink", "lan.Watch"):
            with monkeypatch.context() as patch, lan["h1"].network():
                patch.setattr(f"mirosd.backends.{where}", refused)
                with pytest.raises(StartError, match=r"AF_NETLINK.*discovery\.lan\.enabled"):
                    asyncio.run(build())


class TestConfirming:
    def test_who_is_there_says_so(self, lan: Lan) -> None:
        """The broker stands in an answer that was made a moment ago; nobody else hears of the question."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (asker, _):
            began_s = time.monotonic()
            assert {"10.77.0.2:5672"} == asker.confirm("10.77.0.2:5672", timeout_s=50.0)
            assert time.monotonic() - began_s < 30, "it waited although all was said"
            assert (["10.77.0.2:5672"], []) == (asker.named, asker.answers)

    def test_ourselves(self, lan: Lan) -> None:
        """We do not ask ourselves."""
        with searchers(Searcher(lan.hosts[0])) as (asker,):
            assert set() == asker.confirm("10.77.0.1:5672")
            assert 0 == asker.board.counters["lan_sent"]

    def test_the_silent_are_asked_three_times(self, lan: Lan) -> None:
        """A datagram may be lost, and a connection waits."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1)) as (asker,), speaker(h2) as silent:
            assert set() == asker.confirm("10.77.0.2:5672", timeout_s=1.0)

            assert 3 == asker.board.counters["lan_sent"] == len({silent.recvfrom(200)[0] for _ in range(3)})

    def test_by_name(self, lan: Lan) -> None:
        """All addresses of a name are asked; what is named is where their brokers are."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (asker, _):
            asker.resolve("two.example", "10.77.0.77", "10.77.0.2")

            assert {"10.77.0.2:5672"} == asker.confirm("two.example:5672", timeout_s=0.5)

    @pytest.mark.parametrize("host", ["10.77.0.77:5672", "h9.invalid:5672", "not a host"])
    def test_nobody(self, lan: Lan, host: str) -> None:
        """A dead address, a name that nobody knows, no host at all: nothing is confirmed."""
        with searchers(Searcher(lan.hosts[0])) as (asker,):
            asker.resolve("three.example", "10.77.0.3")
            assert set() == asker.confirm(host, timeout_s=0.3)

    def test_a_broker_elsewhere(self, lan: Lan) -> None:
        """Where a broker has no daemon of its own, the one that named it is asked."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2, advertise=("10.77.0.99:5673",))) as (asker, asked):
            asker.lan.ask(["10.77.0.2"])
            asker.wait_nodes(asked)

            assert {"10.77.0.99:5673"} == asker.confirm("10.77.0.99:5673")

    def test_a_denied_network(self, lan: Lan) -> None:
        """What discovery.lan.deny names is not asked, whoever names it."""
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1, deny=("10.77.0.0/24",)), Searcher(h2)) as (asker, asked):
            assert set() == asker.confirm("10.77.0.2:5672", timeout_s=0.3)
            asker.lan.search(["10.77.0.2"])
            asker.wait_nodes(asked)

            assert all(answer.address.startswith("fe80") for answer in asker.answers)

    def test_at_a_loss_of_a_fifth(self, lan: Lan) -> None:
        """It is asked again while there is time."""
        lan.lose(20)
        h1, h2, _ = lan.hosts
        with searchers(Searcher(h1), Searcher(h2)) as (asker, _):
            until(lambda: asker.confirm("10.77.0.2:5672", timeout_s=1.0), what="confirmed")


def _from(relay: socket.socket, address: str) -> bytes:
    while True:
        data, where = relay.recvfrom(200)
        if where[0] == address:
            return data


def _named(protocol: int, packet: bytes) -> str:
    """Say what a frame without its Ethernet header is."""
    if protocol == 0x0806:
        return "arp"
    if protocol == 0x86DD:
        if packet[6] in (0, 58):  # hop-by-hop options (multicast listener reports), ICMPv6
            return "neighbour discovery"
        port, size = struct.unpack_from("!HH", packet, 42)
        to = ip_address(packet[24:40])
        is_ours = packet[6] == 17 and port == PORT and size == PROBE_BYTES + 8 and (to.is_multicast or to.is_link_local)
        return "probe6" if is_ours else packet.hex()
    port, size = struct.unpack_from("!HH", packet, 22)
    to = ip_address(packet[16:20])
    is_ours = packet[9] == 17 and port == PORT and size == PROBE_BYTES + 8 and to in ip_network("10.77.0.0/24")
    return "probe" if is_ours else packet.hex()
