"""A private LAN: hosts that are network namespaces, joined by a bridge in a namespace of its own, the switch.

No host has a default route, and none is linked to the namespace of whoever made the LAN. Namespaces separate
networks and host names, not files: so each host has a directory of its own for state, and its own socket path.
Everything here needs root on a private machine (`tests.lab.enter`), whose end ends all of it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.isolation import LAB_DIRECTORY, is_inside
from tests.lab.waiting import until

ROOT = Path(__file__).parents[2]
BRIDGE, SLOW_BRIDGE = "br0", "br1"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A machine of the lab: a name, an address, a place for files, and programs that see its network only."""

    def __init__(self, name: str, address: str, directory: Path, namespace: str = "") -> None:
        """Describe a host; `namespace` "" means the network namespace of this very process."""
        self.name = name
        self.address = address
        self.directory = directory
        self.socket = directory / "mirosd.sock"
        self.namespace = namespace
        directory.mkdir(parents=True)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Give the command line that runs `argv` on this host; each part replaces itself by the next, so pids hold."""
        if not self.namespace:
            return list(argv)
        rename = f'hostname {self.name}; exec "$@"'
        return ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "sh", "-c", rename, "sh", *argv]

    def popen(self, argv: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        """Start `argv` here; `options` are subprocess.Popen's."""
        return subprocess.Popen(self.command(argv), **({"stdin": subprocess.DEVNULL, "text": True} | options))

    def run(self, argv: Sequence[str], timeout_s: float = 60.0, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run `argv` here to its end; its output is captured, its failure raises (`check=False`: does not)."""
        defaults: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": timeout_s}
        if "input" not in options:
            defaults["stdin"] = subprocess.DEVNULL
        return subprocess.run(self.command(argv), **(defaults | options))

    @contextmanager
    def network(self) -> Iterator[None]:
        """Put the calling thread on this host's network: sockets made within, and threads started, belong there."""
        if not self.namespace:
            yield
            return
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)
        try:
            _set_network(there)
            yield
        finally:
            _set_network(before)
            os.close(before)
            os.close(there)


class Lan:
    """Hosts h1, h2 ... on one switch, each at `prefix`.n/24, and the faults that can befall them."""

    def __init__(self, hosts: int = 3, *, prefix: str = "10.77.0", name: str = "lan") -> None:
        """Build the LAN; several may exist at once under different names."""
        if not is_inside():
            raise RuntimeError("a lab needs a private machine: python -m tests.lab.enter -- COMMAND")
        self.prefix = prefix
        self.switch = f"{name}-sw"
        self.hosts: list[Host] = []
        self._extra_addresses: list[tuple[Host, str]] = []
        self._old_addresses: dict[Host, str] = {}
        self._cables: list[Host] = []
        self._slow_cable: subprocess.Popen[str] | None = None
        _ip("netns", "add", self.switch)
        self._bridge(BRIDGE)
        for number in range(1, hosts + 1):
            host = Host(f"h{number}", f"{prefix}.{number}", LAB_DIRECTORY / name / f"h{number}", f"{name}-h{number}")
            self.hosts.append(host)
            self._wire(host)
        self._name_hosts()

    def __getitem__(self, name: str) -> Host:
        """Give the host called `name` ("h1")."""
        return next(host for host in self.hosts if host.name == name)

    def _wire(self, host: Host) -> None:
        inside = ("-n", host.namespace)
        _ip("netns", "add", host.namespace)
        # a link-local address is then usable at once, not after 1-2 s of duplicate detection
        with host.network():
            Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "add", "eth0", "type", "veth", "peer", "name", host.name, "netns", self.switch)
        _ip(*inside, "address", "add", f"{host.address}/24", "broadcast", "+", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip("-n", self.switch, "link", "set", host.name, "master", BRIDGE, "up")

    def _bridge(self, name: str) -> None:
        # no snooping: without a querier a bridge may drop multicast; no delay: ports forward at once
        _ip("-n", self.switch, "link", "add", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        _ip("-n", self.switch, "link", "set", name, "up")

    def _name_hosts(self) -> None:
        names = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in self.hosts)
        for host in self.hosts:
            # `ip netns exec` lays these files over /etc for what runs on the host
            etc = Path("/etc/netns") / host.namespace
            etc.mkdir(parents=True)
            (etc / "hosts").write_text(names)

    def unplug(self, host: Host) -> None:
        """Take the host's cable out: it sees no carrier."""
        _ip("-n", self.switch, "link", "set", host.name, "down")

    def plug(self, host: Host) -> None:
        """Put the host's cable back in."""
        _ip("-n", self.switch, "link", "set", host.name, "up")

    def partition(self, left: Sequence[Host], right: Sequence[Host], *, is_one_way: bool = False) -> None:
        """Drop every frame between the two sides, or only those to the right, silently: their links stay up."""
        rules = [
            f'iifname "{one.name}" oifname "{other.name}" drop'
            for here, there in [(left, right)] + [(right, left)] * (not is_one_way)
            for one in here
            for other in there
        ]
        self._filter(self.switch, "bridge", "forward", rules)

    def lose(self, percent: int) -> None:
        """Drop this share (1 to 100) of all frames that cross the switch, at random."""
        self._filter(self.switch, "bridge", "forward", [f"numgen random mod 100 <= {percent - 1} drop"])

    def lengthen(self, host: Host, delay_s: float) -> None:
        """Have every frame from and to the host take this much longer (slow_cable.py); once until `heal`."""
        far, near = f"{host.name}-far", f"{host.name}-near"
        argv = [sys.executable, "-m", "tests.lab.slow_cable", str(delay_s), far, near]
        inside = ["ip", "netns", "exec", self.switch]
        self._slow_cable = subprocess.Popen([*inside, *argv], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._slow_cable.stdout is not None
        assert self._slow_cable.stdout.readline() == "laid\n", "slow_cable ended"
        self._bridge(SLOW_BRIDGE)
        for link, bridge in ((far, BRIDGE), (near, SLOW_BRIDGE), (host.name, SLOW_BRIDGE)):
            _ip("-n", self.switch, "link", "set", link, "up", "master", bridge)

    def close_port(self, host: Host, port: int, *, refuse: bool = False) -> None:
        """Swallow TCP packets to the host's port; `refuse=True` answers them with a reset instead."""
        self._filter(
            host.namespace, "inet", "input", [f"tcp dport {port} {'reject with tcp reset' if refuse else 'drop'}"]
        )

    def add_address(self, host: Host, address: str) -> None:
        """Give the host a second address ("10.77.0.201/24")."""
        _ip("-n", host.namespace, "address", "add", address, "dev", "eth0")
        self._extra_addresses.append((host, address))

    def renumber(self, prefix: str) -> None:
        """Give every host another address ("172.16.5": 172.16.5.1 ...), or none but its IPv6 link-local one ("").

        The old address stays on `lo`, where the host's own programs find the broker by the host's name.
        """
        for number, host in enumerate(self.hosts, 1):
            inside = ("-n", host.namespace)
            self._old_addresses.setdefault(host, host.address)
            old, new = host.address, f"{prefix}.{number}" if prefix else f"{_link_local(host)}%eth0"
            _ip(*inside, "address", "del", f"{old}/24", "dev", "eth0")
            _ip(*inside, "address", "add", f"{old}/32", "dev", "lo")
            if prefix:
                _ip(*inside, "address", "add", f"{new}/24", "broadcast", "+", "dev", "eth0")
            host.address = new

    def cable(self, one: Host, other: Host, prefix: str) -> None:
        """Lay a cable between two hosts alone: an `eth1` each, at `prefix`.1 and `prefix`.2."""
        _ip(
            "-n", one.namespace, "link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", other.namespace
        )
        self._cables.append(one)
        for number, host in enumerate((one, other), 1):
            _ip("-n", host.namespace, "address", "add", f"{prefix}.{number}/24", "broadcast", "+", "dev", "eth1")
            _ip("-n", host.namespace, "link", "set", "eth1", "up")

    def drop_broadcasts(self) -> None:
        """Let no IPv4 broadcast but ARP, and no IPv6 multicast but neighbour discovery, cross the switch."""
        rules = [
            "meta pkttype broadcast ether type ip drop",
            "ether daddr ff:ff:ff:ff:ff:ff ether type ip drop",
            "ip6 daddr ff02::1 udp dport 1-65535 drop",
        ]
        self._filter(self.switch, "bridge", "forward", rules)

    def heal(self) -> None:
        """Undo every fault: cables in, as short as they were, no filters, one address each."""
        for host in self._cables:
            _ip("-n", host.namespace, "link", "del", "eth1")
        self._cables.clear()
        for host, old in self._old_addresses.items():
            if "%" not in host.address:
                _ip("-n", host.namespace, "address", "del", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.namespace, "address", "flush", "dev", "lo", "to", f"{self.prefix}.0/24")
            _ip("-n", host.namespace, "address", "add", f"{old}/24", "broadcast", "+", "dev", "eth0")
            host.address = old
        self._old_addresses.clear()
        for host, address in self._extra_addresses:
            _ip("-n", host.namespace, "address", "del", address, "dev", "eth0")
        self._extra_addresses.clear()
        for namespace in (self.switch, *(host.namespace for host in self.hosts)):
            _nft(namespace, "flush ruleset\n")
        for host in self.hosts:
            self.plug(host)
        self._shorten()

    def _shorten(self) -> None:
        cable, self._slow_cable = self._slow_cable, None
        if cable is not None:
            for host in self.hosts:
                _ip("-n", self.switch, "link", "set", host.name, "master", BRIDGE)
            cable.kill()
            cable.communicate()
            _ip("-n", self.switch, "link", "del", SLOW_BRIDGE)

    def close(self) -> None:
        """End every process on the hosts, take the LAN down and remove its files."""
        self._shorten()
        for host in self.hosts:
            _end_all(host.namespace)
            _ip("netns", "del", host.namespace)
            shutil.rmtree(host.directory)
            shutil.rmtree(Path("/etc/netns") / host.namespace)
        _ip("netns", "del", self.switch)

    def _filter(self, namespace: str, family: str, hook: str, rules: Sequence[str]) -> None:
        lines = "\n".join([f"type filter hook {hook} priority 0", *rules])
        _nft(namespace, f"table {family} lab {{\nchain lab {{\n{lines}\n}}\n}}\n")


def _link_local(host: Host) -> str:
    shown = _ip("-n", host.namespace, "-6", "-o", "address", "show", "dev", "eth0", "scope", "link")
    return shown.split()[3].partition("/")[0]


def _set_network(descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> str:
    answer = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {answer.stderr.strip()}")
    return answer.stdout


def _nft(namespace: str, rules: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)


def _end_all(namespace: str) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _pids(namespace):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it ended by itself since it was listed
        if number == signal.SIGTERM:
            try:
                until(lambda: not _pids(namespace), 5.0, f"{namespace} empty")
            except AssertionError:
                continue
        return


def _pids(namespace: str) -> list[int]:
    return [int(pid) for pid in _ip("netns", "pids", namespace).split()]
