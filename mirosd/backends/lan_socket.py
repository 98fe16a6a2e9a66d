"""A UDP socket of the LAN search, IPv4 or IPv6: which address a datagram was sent to, and from which one is answered.

asyncio's own datagram endpoint cannot tell the former, and refuses 19,000 junk
datagrams a second where this loop refuses 105,000 - and the kernel, by the filter
attached here, all that are not ours. The port is bound exclusively: with SO_REUSEADDR
any local user could bind it too and take our datagrams.
"""

import asyncio
import ctypes
import socket
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from mirosd.core.answering import Budget
from mirosd.core.probe import PROBE_BYTES, Address, Instruction

BUFFER_BYTES = 212_992
"""Allowed to everybody; the kernel doubles it, and then 512 datagrams of ours fit."""

READS_PER_WAKE = 64
"""Then the loop's other work has its turn."""

IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # linux/in.h; the socket module knows it from Python 3.14 on
SO_ATTACH_FILTER = 26  # asm-generic/socket.h

_PKTINFO = struct.Struct("=i4s4s")  # interface, the local address to answer from, where it was sent
_PKTINFO6 = struct.Struct("=16si")
_INSTRUCTION = struct.Struct("=HBBI")


class Arrival(NamedTuple):
    """A datagram that came.

    `to` is where it was sent; `local` our address to answer from, None: any. They differ when it was sent to all.
    """

    data: bytes
    source: Address
    port: int
    ifindex: int
    to: Address
    local: Address | None

    @property
    def was_for_all(self) -> bool:
        """Whether it came by broadcast or multicast."""
        return self.to != self.local


class LanSocket:
    """One socket; binding raises OSError. Thread: loop.

    Args:
        family: AF_INET or AF_INET6.
        port: to ask from and to answer on; 0: any free one.
        program: the filter of core/probe.py.
        budget: how many datagrams may be read, shared by all sockets of the search.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        family: socket.AddressFamily,
        port: int,
        *,
        program: Sequence[Instruction],
        budget: Budget,
        clock: Callable[[], float],
    ) -> None:
        self._loop, self._budget, self._clock = loop, budget, clock
        self._is_ipv6 = family == socket.AF_INET6
        self._on_arrival: Callable[[Arrival], None] = lambda arrival: None
        self._resume: asyncio.TimerHandle | None = None
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self.filter(program)  # before it is bound, so that nothing slips in between
            self._prepare()
            # bound to one address, a socket hears no broadcast
            self._socket.bind(("::" if self._is_ipv6 else "0.0.0.0", port))  # noqa: S104
        except BaseException:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """The port it is bound to."""
        return int(self._socket.getsockname()[1])

    def listen(self, on_arrival: Callable[[Arrival], None]) -> None:
        """Hand every datagram to `on_arrival`, which must not raise."""
        self._on_arrival = on_arrival
        self._loop.add_reader(self._socket, self._read)

    def send(self, data: bytes, to: Address, port: int, *, ifindex: int = 0, source: Address | None = None) -> None:
        """Send a datagram from `source` by interface `ifindex`; None and 0: as the routes say.

        Raises:
            OSError: EAGAIN: the buffer is full of datagrams that wait for ARP; EPERM: filtered on this host; else
                what the kernel says of the address.
        """
        if self._is_ipv6:
            info = _PKTINFO6.pack(source.packed if source else bytes(16), ifindex)
            self._socket.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)], 0, (f"{to}", port))
        else:
            info = _PKTINFO.pack(ifindex, source.packed if source else bytes(4), bytes(4))
            self._socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, (f"{to}", port))

    def close(self) -> None:
        """Let go of the port. Again: nothing."""
        if self._resume is not None:
            self._resume.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        self._socket.close()

    def filter(self, program: Sequence[Instruction]) -> None:
        """Hear what this program lets through, from the next datagram on."""
        code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in program))
        held = struct.pack("HP", len(program), ctypes.addressof(code))  # struct sock_fprog: their number, and where
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, held)

    def _prepare(self) -> None:
        sock = self._socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        if self._is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)

    def _read(self) -> None:
        for _ in range(READS_PER_WAKE):
            if not self._budget.take(self._clock()):
                self._pause()
                return
            try:
                data, ancillary, _, source = self._socket.recvmsg(PROBE_BYTES + 1, socket.CMSG_SPACE(_PKTINFO6.size))
            except OSError:  # nothing is left, or the kernel reports what concerns one datagram alone
                return
            arrival = self._arrival(data, ancillary, source)
            if arrival is not None:
                self._on_arrival(arrival)
                if self._socket.fileno() < 0:  # it closed us
                    return

    def _pause(self) -> None:
        self._loop.remove_reader(self._socket)
        self._resume = self._loop.call_later(self._budget.wait_s(self._clock()), self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        self._loop.add_reader(self._socket, self._read)

    def _arrival(
        self, data: bytes, ancillary: list[tuple[int, int, bytes]], source: tuple[str, int, int, int]
    ) -> Arrival | None:
        for level, kind, info in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                ifindex, local, to = _PKTINFO.unpack(info)
                address = IPv4Address(local) if any(local) else None
                return Arrival(data, IPv4Address(source[0]), source[1], ifindex, IPv4Address(to), address)
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                packed, ifindex = _PKTINFO6.unpack(info)
                to6 = IPv6Address(packed)
                here = None if to6.is_multicast else to6
                return Arrival(data, IPv6Address(source[0].partition("%")[0]), source[1], ifindex, to6, here)
        return None
