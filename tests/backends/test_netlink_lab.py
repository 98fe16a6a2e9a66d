"""Netlink on a host of its own, whose interfaces and addresses come and go."""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from mirosd.backends.netlink import Netlink, Watch
from mirosd.core.lan_facts import IFA_F_TENTATIVE, NUD_FAILED, NUD_REACHABLE
from mirosd.core.lan_networks import addresses_to_sweep, choose_networks
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host

pytestmark = pytest.mark.lab

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000
DEADLINE_S = 30.0


class Machine:
    """A host with `eth0`, whose cable ends in a host called far; addresses are added by hand."""

    def __init__(self, name, directory):
        self.near, self.far = (Host(end, "", directory / end, f"{name}-{end}") for end in ("near", "far"))
        for host in (self.near, self.far):
            subprocess.run(["ip", "netns", "add", host.namespace], check=True)
        self.ip("link set lo up")
        self.ip(f"link add eth0 type veth peer name eth0 netns {self.far.namespace}")
        self.ip("link set eth0 up")
        self.ip("link set eth0 up", self.far)

    def ip(self, command, host=None):
        subprocess.run(["ip", "-n", (host or self.near).namespace, *command.split()], check=True, capture_output=True)

    @contextmanager
    def asked(self):
        """A Netlink on this machine."""
        with self.near.network():
            netlink = Netlink()
        try:
            yield netlink
        finally:
            netlink.close()

    def choice(self, **rules):
        with self.asked() as netlink:
            return choose_networks(netlink.links(), netlink.addresses(), **rules)

    def chosen(self, **rules):
        """What is searched: interface, own address, network, broadcast, and how many addresses are swept."""
        return [
            (found.ifname, str(found.address), str(found.network), str(found.broadcast), len(addresses_to_sweep(found)))
            for found in self.choice(**rules).networks
            if found.network.version == 4
        ]

    def reasons(self):
        return {entry.address: entry.why for entry in self.choice().skipped}

    @contextmanager
    def program_interface(self, name, mode):
        """A tun or tap interface with a program at its other end, which gives it a carrier."""
        with self.near.network():
            program = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(program, TUNSETIFF, struct.pack("16sH22x", name.encode(), mode | IFF_NO_PI))
        try:
            self.ip(f"link set {name} up")
            yield
        finally:
            os.close(program)

    def close(self):
        for host in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", host.namespace], check=True)


@pytest.fixture
def machine(tmp_path):
    """A machine of this test alone."""
    made = Machine("nl", tmp_path)
    yield made
    made.close()


class Heard:
    """A Watch on a machine, and what it told."""

    def __init__(self, machine):
        self.changes, self.neighbours = asyncio.Queue(), asyncio.Queue()
        with machine.near.network():
            self.watch = Watch(asyncio.get_running_loop(), self.changes.put_nowait, self.neighbours.put_nowait)

    async def until(self, words):
        """Return when a change with these words was told; fail with all that was told instead."""
        told = []
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not any(words in change for change in told):
                    told.append(await self.changes.get())
        except TimeoutError:
            raise AssertionError(f"{words!r} was not told, but {told}") from None

    async def neighbour(self, address, state):
        """Return when a neighbour was told to be in a state."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                entry = await self.neighbours.get()
                if (str(entry.address), entry.state) == (address, state):
                    return entry


def test_labels_and_second_addresses(machine):
    """An address with the label `eth0:1` belongs to eth0; its network is searched once, from the primary address."""
    machine.ip("address add 10.5.0.1/24 broadcast + dev eth0")
    machine.ip("address add 10.5.0.9/24 broadcast + dev eth0 label eth0:1")
    machine.ip("address add 10.6.0.9/24 broadcast + dev eth0 label eth0:2")

    assert [
        ("eth0", "10.5.0.1", "10.5.0.0/24", "10.5.0.255", 252),
        ("eth0", "10.6.0.9", "10.6.0.0/24", "10.6.0.255", 253),
    ] == machine.chosen()
    assert "10.5.0.0/24 is searched from 10.5.0.1 already" == machine.reasons()["10.5.0.9/24"]
    with machine.asked() as netlink:
        labels = {entry.label for entry in netlink.addresses()}
    assert {"eth0", "eth0:1", "eth0:2"} <= labels


def test_an_address_without_its_broadcast(machine):
    """`ip address add A/20` gives none: it is computed, and the kernel sends to it."""
    machine.ip("address add 10.5.0.1/23 dev eth0")
    with machine.asked() as netlink:
        assert [None] == [entry.broadcast for entry in netlink.addresses() if entry.address == IPv4Address("10.5.0.1")]

    assert [("eth0", "10.5.0.1", "10.5.0.0/23", "10.5.1.255", 509)] == machine.chosen()
    with machine.near.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        assert 1 == sender.sendto(b"x", ("10.5.1.255", 9))


def test_networks_of_two_and_of_one(machine):
    """/31: the other end alone; /32: nobody, unless the address names its other end."""
    machine.ip("address add 10.5.0.0/31 dev eth0")
    machine.ip("address add 10.6.0.1/32 dev eth0")
    machine.ip("address add 10.7.0.1 peer 10.7.0.2/32 dev eth0")

    assert [
        ("eth0", "10.5.0.0", "10.5.0.0/31", "None", 1),
        ("eth0", "10.7.0.1", "10.7.0.2/32", "None", 1),
    ] == machine.chosen()
    assert "a single address (/32): nobody else is in it" == machine.reasons()["10.6.0.1/32"]


def test_tunnels(machine):
    """Of tun0 the named other end alone is asked; a tap looks like a LAN, and is skipped until it is allowed."""
    with machine.program_interface("tun0", IFF_TUN), machine.program_interface("tap0", IFF_TAP):
        machine.ip("address add 10.8.0.1 peer 10.8.0.2/32 dev tun0")
        machine.ip("address add 10.9.0.1/24 dev tun0")
        machine.ip("address add 10.10.0.1/24 dev tap0")

        assert [("tun0", "10.8.0.1", "10.8.0.2/32", "None", 1)] == machine.chosen()
        assert "a tunnel: nobody answers there who is not listed" == machine.reasons()["10.9.0.1/24"]
        assert "a virtual interface of a program (kind tun)" == machine.reasons()["10.10.0.1/24"]
        assert ("tap0", "10.10.0.1", "10.10.0.0/24", "10.10.0.255", 253) in machine.chosen(allow=["tap0"])


def test_bridges(machine):
    """Without ports, and of containers only; a port's own address is none."""
    machine.ip("link add br0 type bridge forward_delay 0")
    machine.ip("link set br0 up")
    machine.ip("address add 10.5.0.1/24 dev br0")
    assert machine.reasons()["10.5.0.1/24"] in {"a bridge without ports", "no carrier"}  # the latter once it had one

    machine.ip("address add 10.6.0.1/24 dev eth0")
    machine.ip("link set eth0 master br0")
    with machine.program_interface("tap0", IFF_TAP):
        machine.ip("link set tap0 master br0")

        assert "a bridge of containers or virtual machines only" == machine.reasons()["10.5.0.1/24"]
        assert "a part of br0, which speaks for it" == machine.reasons()["10.6.0.1/24"]
        assert [] == machine.chosen()
        assert ["br0"] == [row[0] for row in machine.chosen(allow=["br0"])]


async def test_a_cable_that_is_pulled_and_put_back(machine):
    """Both are told; without carrier nothing is chosen, and afterwards what was before."""
    machine.ip("address add 10.5.0.1/24 dev eth0")
    heard = Heard(machine)
    before = machine.chosen()
    machine.ip("link set eth0 down", machine.far)
    await heard.until("eth0 has no carrier")
    assert ([], "no carrier") == (machine.chosen(), machine.reasons()["10.5.0.1/24"])

    machine.ip("link set eth0 up", machine.far)
    await heard.until("eth0 has carrier")
    assert before == machine.chosen() != []
    heard.watch.close()


async def test_addresses_and_interfaces_that_come_and_go(machine):
    """Each is told by name."""
    heard = Heard(machine)
    machine.ip("address add 10.5.0.1/24 dev eth0")
    await heard.until("eth0 has 10.5.0.1/24")
    machine.ip("address del 10.5.0.1/24 dev eth0")
    await heard.until("eth0 lost 10.5.0.1/24")
    machine.ip("link add br0 type bridge")
    await heard.until("br0 is new")
    machine.ip("link set eth0 master br0")
    await heard.until("eth0 is another")
    machine.ip("link set eth0 nomaster")
    await heard.until("eth0 is another")
    machine.ip("link del br0")
    await heard.until("br0 is gone")
    heard.watch.close()


async def test_an_ipv6_only_host(machine):
    """Its link-local address is told when it can be used, no sooner, and is all that is searched."""
    with machine.near.network():
        Path("/proc/sys/net/ipv6/conf/eth0/accept_dad").write_text("1")
    machine.ip("link set eth0 down")
    heard = Heard(machine)
    machine.ip("link set eth0 up")
    await heard.until("eth0 has fe80::")
    network = next(found for found in machine.choice().networks if found.network.version == 6)
    with machine.near.network(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        assert 1 == sender.sendto(b"x", (str(network.broadcast), 9, 0, network.ifindex))

    assert ("eth0", "fe80::/64", []) == (network.ifname, str(network.network), addresses_to_sweep(network))
    assert [] == machine.chosen()
    heard.watch.close()


def test_an_address_that_is_being_checked_is_none(machine):
    """While the kernel asks whether another host has it, it is skipped, and says so."""
    with machine.near.network():
        Path("/proc/sys/net/ipv6/conf/eth0/dad_transmits").write_text("100")  # so that it outlasts this test
    machine.ip("address add fe80::77/64 dev eth0")
    with machine.asked() as netlink:
        flags = next(entry.flags for entry in netlink.addresses() if str(entry.address) == "fe80::77")

    assert flags & IFA_F_TENTATIVE
    assert machine.reasons()["fe80::77/64"].startswith("not usable yet")


async def test_neighbours_are_read_and_followed(machine):
    """Who answers is told to be reachable, with its hardware address; who does not, to have failed."""
    machine.ip("address add 10.5.0.1/24 dev eth0")
    machine.ip("address add 10.5.0.2/24 dev eth0", machine.far)
    heard = Heard(machine)
    with machine.near.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for address in ("10.5.0.2", "10.5.0.3"):
            sender.sendto(b"x", (address, 9))
    alive = await heard.neighbour("10.5.0.2", NUD_REACHABLE)
    await heard.neighbour("10.5.0.3", NUD_FAILED)
    with machine.asked() as netlink:
        states = {str(entry.address): entry for entry in netlink.neighbours()}
        assert netlink.limits().entries >= 2
    machine.ip("neighbour del 10.5.0.2 dev eth0")
    async with asyncio.timeout(DEADLINE_S):
        while not (gone := await heard.neighbours.get()).is_deleted or str(gone.address) != "10.5.0.2":
            pass

    assert (17, alive.mac) == (len(alive.mac), states["10.5.0.2"].mac)
    assert (NUD_FAILED, "") == (states["10.5.0.3"].state, states["10.5.0.3"].mac)
    assert states["10.5.0.2"].confirmed_s is not None
    heard.watch.close()


async def test_events_that_the_kernel_dropped(machine):
    """With a buffer too small for what happens the loss is told, and what was missed is known."""
    heard = Heard(machine)
    heard.watch._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel's smallest
    for number in range(1, 40):
        machine.ip(f"address add 10.5.{number}.1/24 dev eth0")
    await heard.until("events were lost")
    machine.ip("address del 10.5.39.1/24 dev eth0")
    await heard.until("eth0 lost 10.5.39.1/24")
    heard.watch.close()


PROGRAM = """
import asyncio, os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from mirosd.backends.netlink import Netlink, Watch
asked = Netlink()
print([link.name for link in asked.links()], len(asked.addresses()) > 1, asked.limits().gc_thresh3 > 0)
asked.neighbours()
async def watch():
    Watch(asyncio.get_running_loop(), print, print).close()
asyncio.run(watch())
"""


def test_anybody_may_ask_and_watch(machine):
    """No privilege is needed for any of it."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
    run = machine.near.run([sys.executable, "-c", PROGRAM], env=environment, check=False)

    assert (0, "['lo', 'eth0'] True True\n") == (run.returncode, run.stdout), run.stderr
