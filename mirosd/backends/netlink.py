"""Interfaces, addresses and neighbours, asked of the kernel and followed as they change: raw netlink, no privilege.

It works in the tightest sandbox (AF_NETLINK is all it needs), and 253 neighbours take 1.4 ms. What the messages say
is core/netlink_messages.py's; here are the sockets, each of the network namespace of the thread that made it.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog

from mirosd.core import netlink_messages as nl
from mirosd.core.lan_changes import Facts
from mirosd.core.lan_facts import Address, Link, Neighbour, NeighbourLimits

log = structlog.get_logger()

T = TypeVar("T")

GROUPS = (1, 3, 5, 9)
"""RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR and _IPV6_IFADDR."""

RECEIVE_BYTES = 1 << 17
"""One read of a dump; the kernel fills at most 32 KiB."""

WATCH_BUFFER_BYTES = 1 << 20
"""Events that wait while the loop is busy: with the usual 208 KiB none was lost in 4 s of a /24's sweep."""

ANSWER_S = 1.0
"""A dump is made while it is read, so only a kernel in distress is late."""

MAX_DUMPS = 8
"""A dump that changes interrupted is asked for again; where changes never end the last one is as good as any."""

READS_PER_WAKE = 64
"""Then the loop's other work has its turn."""

QUIET_S, LATEST_S = 0.1, 0.25
"""Changes come in clusters (carrier, routes, addresses): told in a pause, at the latest so long after the first."""

MAX_TOLD = 8
"""Changes that are told by name."""


class Netlink:
    """Asks the kernel. Thread: any, one at a time; each call takes about a millisecond.

    Every call raises OSError, and nothing else: the kernel's own, or EPROTO when its answer cannot be understood.
    """

    def __init__(self) -> None:
        self._socket = _open()
        self._socket.settimeout(ANSWER_S)
        self._sequence = 0

    def close(self) -> None:
        """Let go of the socket. Again: nothing."""
        self._socket.close()

    def links(self) -> tuple[Link, ...]:
        """Give all interfaces."""
        return self._all(nl.RTM_GETLINK, nl.RTM_NEWLINK, nl.link_of)

    def addresses(self) -> tuple[Address, ...]:
        """Give all addresses of this host, IPv4 and IPv6."""
        return self._all(nl.RTM_GETADDR, nl.RTM_NEWADDR, nl.address_of)

    def neighbours(self) -> tuple[Neighbour, ...]:
        """Give the neighbour tables, IPv4 and IPv6, multicast and loopback entries among them."""
        return self._all(nl.RTM_GETNEIGH, nl.RTM_NEWNEIGH, nl.neighbour_of)

    def limits(self) -> NeighbourLimits:
        """Give the limits of the IPv4 neighbour table."""
        found = self._all(nl.RTM_GETNEIGHTBL, nl.RTM_NEWNEIGHTBL, nl.limits_of)
        if not found:
            raise OSError(errno.EPROTO, "the kernel told of no IPv4 neighbour table")
        return found[0]

    def _all(self, kind: int, answer: int, parse: Callable[[bytes], T | None]) -> tuple[T, ...]:
        for _ in range(MAX_DUMPS):
            dump = list(self._dump(kind))
            if not any(message.flags & nl.NLM_F_DUMP_INTR for message in dump):
                break
        parsed = (parse(message.body) for message in dump if message.type == answer)
        return tuple(entry for entry in parsed if entry is not None)

    def _dump(self, kind: int) -> Iterator[nl.Message]:
        """Give all messages of one dump, its end included."""
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        self._socket.send(nl.request(kind, self._sequence))
        while True:
            data, (port, _) = self._socket.recvfrom(RECEIVE_BYTES)
            for message in nl.messages(data) if port == 0 else ():
                if message.sequence != self._sequence:
                    continue  # of a dump that was given up
                yield message
                if message.type in (nl.NLMSG_DONE, nl.NLMSG_ERROR):
                    number = nl.error_of(message.body)
                    if number:
                        raise OSError(number, f"netlink: {os.strerror(number)}")
                    return


class Watch:
    """Follows what the kernel tells of interfaces, addresses and neighbours. Thread: loop.

    Args:
        on_change: told in words what is another now, once for a cluster of changes: interfaces that came, went, gained
            or lost their carrier or became a port of another; addresses that can be used or no more. An IPv6 address
            can be used when the kernel has found that no other host has it, a second or two after its link is up.
        on_neighbour: told of each change of a neighbour table's entry, at once; the kernel is silent about entries
            that it has just begun to ask for (NUD_INCOMPLETE).

    When events were lost, all is asked anew and on_change is told; on_neighbour is not. Raises OSError.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[str], None],
        on_neighbour: Callable[[Neighbour], None],
    ) -> None:
        self._loop, self._on_change, self._on_neighbour = loop, on_change, on_neighbour
        self._told: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._latest_s = 0.0
        with contextlib.ExitStack() as opened:
            self._netlink = Netlink()
            opened.callback(self._netlink.close)
            self._socket = _open()
            opened.callback(self._socket.close)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WATCH_BUFFER_BYTES)
            self._socket.bind((0, sum(1 << group - 1 for group in GROUPS)))
            self._facts = Facts(self._netlink.links(), self._netlink.addresses())
            self._sockets = opened.pop_all()
        loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Tell nothing any more. Again: nothing."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        self._sockets.close()

    def _read(self) -> None:
        for _ in range(READS_PER_WAKE):
            try:
                data, (port, _) = self._socket.recvfrom(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as exc:
                if not self._catch_up(exc):
                    return
                continue
            for message in nl.messages(data) if port == 0 else ():
                self._take(message)
                if self._socket.fileno() < 0:
                    return  # who was told has closed us

    def _take(self, message: nl.Message) -> None:
        neighbour = None
        if message.type in (nl.RTM_NEWNEIGH, nl.RTM_DELNEIGH):
            neighbour = nl.neighbour_of(message.body, is_deleted=message.type == nl.RTM_DELNEIGH)
        if neighbour is not None:
            self._on_neighbour(neighbour)
        else:
            self._tell(self._facts.take(message))

    def _catch_up(self, exc: OSError) -> bool:
        """Ask for all anew after events were lost; say whether the watch goes on."""
        try:
            if exc.errno != errno.ENOBUFS:
                raise exc
            self._facts = Facts(self._netlink.links(), self._netlink.addresses())
        except OSError as failure:
            log.warning("network_not_watched", reason=str(failure), cure="restart mirosd, or search by mirosctl recce")
            self.close()
            return False
        self._tell(["events were lost"])
        return True

    def _tell(self, changes: Iterable[str]) -> None:
        before = len(self._told)
        self._told.update(dict.fromkeys(changes))
        if len(self._told) == before:
            return
        now_s = self._loop.time()
        if self._timer is None:
            self._latest_s = now_s + LATEST_S
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now_s + QUIET_S, self._latest_s), self._tell_now)

    def _tell_now(self) -> None:
        told, self._told, self._timer = list(self._told), {}, None
        more = f" and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
        self._on_change("; ".join(told[:MAX_TOLD]) + more)


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
