"""The LAN: who reaches whom, what each fault does, and that it is undone."""

import socket
import threading
import time

import pytest

from tests.lab.isolation import faults
from tests.lab.namespaces import Host, Lan

pytestmark = pytest.mark.lab

PORT = 7000


SILENCE_S = 0.3
"""Of a network that drops packets nothing comes however long one waits."""

CABLE_S = 0.1
"""Each way."""

ANSWER_S = 30.0
"""The kernel asks again for an address, and sends a lost SYN again, only after a second each; and machines are slow."""


def listener_at(address: str) -> socket.socket:
    """Give a socket that takes connections at an address, IPv6 with its zone too."""
    family, _, _, _, where = socket.getaddrinfo(address, PORT, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def answer_of(client: Host, server: Host, *, within_s: float = SILENCE_S) -> str:
    """Give how a TCP connection from client to a listening server ends: connected, refused, silent or unreachable."""
    with server.network(), listener_at(server.address), client.network():
        try:
            socket.create_connection((server.address, PORT), timeout=within_s).close()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
        except OSError:
            return "unreachable"
        return "connected"


def is_heard(sender: Host, receiver: Host, *, within_s: float = SILENCE_S) -> bool:
    """Tell whether a datagram arrives."""
    with receiver.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", PORT))
        listener.settimeout(within_s)
        with sender.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            speaker.sendto(b"hello", (receiver.address, PORT))
        try:
            return listener.recv(16) == b"hello"
        except TimeoutError:
            return False


def test_no_host_has_a_way_out(lan: Lan) -> None:
    """No host has a default route, nor an interface besides its own on the LAN."""
    for host in lan.hosts:
        with host.network():
            assert faults() == ["an interface eth0"]


def test_hosts_reach_each_other_by_name(lan: Lan) -> None:
    """A program on a host has that host's name, and finds the others' addresses without DNS."""
    assert lan["h1"].run(["hostname"]).stdout.strip() == "h1"
    assert lan["h1"].run(["getent", "hosts", "h2"]).stdout.split()[0] == "10.77.0.2"
    assert answer_of(lan["h1"], lan["h2"], within_s=ANSWER_S) == "connected"


def test_network_is_the_calling_thread_s(lan: Lan) -> None:
    """`Host.network` moves one thread, not its neighbours, and only while the block lasts."""
    seen: dict[str, list[str]] = {}

    def look(who: str) -> None:
        seen[who] = [name for _, name in socket.if_nameindex()]

    neighbour_may, neighbour_did = threading.Event(), threading.Event()

    def neighbour() -> None:
        neighbour_may.wait(10)
        look("neighbour")
        neighbour_did.set()

    thread = threading.Thread(target=neighbour)
    thread.start()
    with lan["h1"].network():
        look("inside")
        neighbour_may.set()
        neighbour_did.wait(10)
    look("after")
    thread.join()

    assert seen == {"inside": ["lo", "eth0"], "neighbour": ["lo"], "after": ["lo"]}


def test_broadcast_reaches_all(lan: Lan) -> None:
    """A UDP datagram to the subnet's broadcast address arrives on every other host."""
    listeners = []
    for host in lan.hosts[1:]:
        with host.network():
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            listener.bind(("", PORT))
            listener.settimeout(10)
            listeners.append(listener)
    with lan["h1"].network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        speaker.sendto(b"who", ("10.77.0.255", PORT))

    assert [listener.recv(16) for listener in listeners] == [b"who", b"who"]
    for listener in listeners:
        listener.close()


def test_partition_is_between_its_sides_alone(lan: Lan) -> None:
    """Partitioned hosts do not hear each other in either direction, others hear both, and healing ends it."""
    h1, h2, h3 = lan.hosts
    lan.partition([h1], [h2])
    assert answer_of(h1, h2) == "silent"
    assert answer_of(h2, h1) == "silent"
    assert answer_of(h1, h3, within_s=ANSWER_S) == "connected"
    assert answer_of(h3, h2, within_s=ANSWER_S) == "connected"

    lan.heal()
    assert answer_of(h1, h2, within_s=ANSWER_S) == "connected"


def test_unplugged_cable(lan: Lan) -> None:
    """An unplugged host reaches nobody until it is plugged in again."""
    h1, h2, _ = lan.hosts
    lan.unplug(h1)
    assert answer_of(h2, h1) != "connected"

    lan.plug(h1)
    assert answer_of(h2, h1, within_s=ANSWER_S) == "connected"


def test_partition_of_one_direction(lan: Lan) -> None:
    """Nothing passes to the right side, while what its hosts send arrives; all of it does after healing."""
    h1, h2, _ = lan.hosts
    for sender, receiver in ((h1, h2), (h2, h1)):  # neighbours know each other from here on
        assert is_heard(sender, receiver, within_s=ANSWER_S)
    lan.partition([h1], [h2], is_one_way=True)
    assert (False, True) == (is_heard(h1, h2), is_heard(h2, h1, within_s=ANSWER_S))

    lan.heal()
    assert is_heard(h1, h2, within_s=ANSWER_S)


def test_long_cable(lan: Lan) -> None:
    """A connection takes a way there and back over the long cable, whoever begins; healed, it may be another's."""
    h1, h2, h3 = lan.hosts
    for host, client, server in ((h1, h1, h2), (h2, h3, h2)):
        lan.lengthen(host, CABLE_S)
        began_s = time.monotonic()
        assert answer_of(client, server, within_s=ANSWER_S) == "connected"
        assert time.monotonic() - began_s >= 2 * CABLE_S

        lan.heal()
        assert answer_of(client, server, within_s=ANSWER_S) == "connected"


@pytest.mark.parametrize(("refuse", "expected"), [(True, "refused"), (False, "silent")])
def test_closed_port(lan: Lan, refuse: bool, expected: str) -> None:
    """A closed port swallows connections or resets them, as asked, and is open again after healing."""
    h1, h2, _ = lan.hosts
    lan.close_port(h2, PORT, refuse=refuse)
    assert expected == answer_of(h1, h2, within_s=ANSWER_S if refuse else SILENCE_S)

    lan.heal()
    assert answer_of(h1, h2, within_s=ANSWER_S) == "connected"


def test_total_loss_is_silence(lan: Lan) -> None:
    """Losing every frame is the limit case of losing some."""
    lan.lose(100)
    assert answer_of(lan["h1"], lan["h2"]) != "connected"


def test_second_address(lan: Lan) -> None:
    """A host answers at an address it was given, and not after healing."""
    h1, h2, _ = lan.hosts
    twin = Host("twin", "10.77.0.201", h2.directory / "twin", h2.namespace)
    lan.add_address(h2, f"{twin.address}/24")
    assert answer_of(h1, twin, within_s=ANSWER_S) == "connected"

    lan.heal()
    with pytest.raises(OSError, match="assign requested address"):
        answer_of(h1, twin)


@pytest.mark.parametrize("prefix", ["172.16.5", "192.168.77", ""])
def test_renumbered_hosts(lan: Lan, prefix: str) -> None:
    """Hosts reach each other at their new addresses and not at the old ones, until healed."""
    h1, h2, _ = lan.hosts
    old = h2.address
    lan.renumber(prefix)
    assert answer_of(h1, h2, within_s=ANSWER_S) == "connected"
    assert h2.address.startswith(prefix or "fe80::")
    with pytest.raises(OSError, match="unreachable"), h1.network():
        socket.create_connection((old, PORT), timeout=ANSWER_S)

    lan.heal()
    assert h2.address == old
    assert answer_of(h1, h2, within_s=ANSWER_S) == "connected"


def test_cable_between_two(lan: Lan) -> None:
    """Two hosts have a network of their own beside the LAN, until healed."""
    h1, h2, _ = lan.hosts
    lan.cable(h1, h2, "10.88.0")
    twin = Host("twin", "10.88.0.2", h2.directory / "cabled", h2.namespace)
    assert answer_of(h1, twin, within_s=ANSWER_S) == "connected"

    lan.heal()
    with pytest.raises(OSError, match="assign requested address"):
        answer_of(h1, twin)


def test_dropped_broadcasts(lan: Lan) -> None:
    """Broadcasts arrive nowhere, while hosts find and reach each other by unicast."""
    h1, h2, _ = lan.hosts
    lan.drop_broadcasts()
    with h2.network():
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("", PORT))
        listener.settimeout(SILENCE_S)
    with listener, h1.network(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        speaker.sendto(b"who", ("10.77.0.255", PORT))
        with pytest.raises(TimeoutError):
            listener.recv(16)
    assert answer_of(h1, h2, within_s=ANSWER_S) == "connected"
