"""Netlink as it is answered: by this machine's kernel, and by one that misbehaves."""

import asyncio
import errno
import os
import socket
import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.backends import netlink
from mirosd.backends.netlink import MAX_DUMPS, Netlink, Watch
from mirosd.core import netlink_messages as nl
from tests.netlink_play import address_body, link_body, message, neighbour_body
from tests.properties import TOTAL

INTERRUPTED = nl.NLM_F_DUMP_INTR


def done(sequence, number=0, flags=0):
    return message(nl.NLMSG_DONE, struct.pack("=i", -number), sequence=sequence, flags=flags)


class PlayedSocket:
    """Answers each request with what `answer(sequence)` gives: datagrams, each from a port."""

    def __init__(self, answer):
        self._answer, self._waiting, self.requests = answer, [], 0

    def send(self, data):
        self.requests += 1
        self._waiting = [*self._waiting, *self._answer(struct.unpack_from("=I", data, 8)[0])]

    def recvfrom(self, size):
        if not self._waiting:
            raise TimeoutError("timed out")
        datagram = self._waiting.pop(0)
        return datagram if isinstance(datagram, tuple) else (datagram, (0, 0))

    def settimeout(self, timeout_s):
        pass

    def close(self):
        pass


@pytest.fixture
def played(monkeypatch):
    """Gives a Netlink whose kernel answers as told, and its socket."""

    def make(answer):
        fake = PlayedSocket(answer)
        monkeypatch.setattr(netlink, "_open", lambda: fake)
        return Netlink(), fake

    return make


def test_this_machine_has_loopback():
    """A link, an address and the limits, read again and again through one socket, by anybody."""
    asked = Netlink()
    for _ in range(3):
        links = {link.name: link for link in asked.links()}
        assert links["lo"].flags & 0x8
        limits = asked.limits()
        assert 0 < limits.gc_thresh1 <= limits.gc_thresh2 <= limits.gc_thresh3
        assert all(entry.ifindex for entry in asked.neighbours())
    asked.close()
    asked.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        asked.links()


def test_a_dump_that_was_interrupted_is_asked_for_again(played):
    """Its entries are those of the whole one; where changes never end, the last one is given."""
    asked, fake = played(
        lambda n: [
            message(nl.RTM_NEWLINK, link_body(n), sequence=n, flags=INTERRUPTED if n == 1 else 0),
            done(n, flags=INTERRUPTED if n == 2 else 0),
        ]
    )
    assert ([3], 3) == ([link.ifindex for link in asked.links()], fake.requests)

    asked, fake = played(lambda n: [message(nl.RTM_NEWLINK, link_body(n), sequence=n, flags=INTERRUPTED), done(n)])
    assert ([MAX_DUMPS], MAX_DUMPS) == ([link.ifindex for link in asked.links()], fake.requests)


def test_only_the_kernels_answers_to_this_question_count(played):
    """Messages of an earlier dump, and datagrams of other processes, are left out; so is what means nothing."""
    asked, _ = played(
        lambda n: [
            message(nl.RTM_NEWLINK, link_body(1), sequence=n - 1) + done(n - 1),
            (message(nl.RTM_NEWLINK, link_body(4), sequence=n) + done(n), (4711, 0)),
            message(nl.RTM_NEWLINK, b"\1\2", sequence=n) + message(nl.RTM_NEWADDR, link_body(5), sequence=n),
            message(nl.RTM_NEWLINK, link_body(7), sequence=n),
            done(n),
        ]
    )
    assert [7] == [link.ifindex for link in asked.links()]


@pytest.mark.parametrize("kind", [nl.NLMSG_ERROR, nl.NLMSG_DONE])
def test_a_refusal_is_an_os_error(played, kind):
    """With the kernel's number, whether it came at the beginning or at the end."""
    asked, _ = played(lambda n: [message(kind, struct.pack("=i", -errno.EPERM), sequence=n)])
    with pytest.raises(PermissionError):
        asked.neighbours()


def test_a_kernel_without_the_table_is_an_os_error(played):
    """Nothing is made up."""
    asked, _ = played(lambda n: [done(n)])
    with pytest.raises(OSError, match="neighbour table"):
        asked.limits()


@TOTAL
@given(st.lists(st.binary(max_size=120), max_size=4), st.integers(0, 100))
def test_whatever_comes_nothing_else_is_raised(datagrams, kind):
    """Of arbitrary datagrams, with a whole header or without one, come entries or OSError."""
    fake = PlayedSocket(lambda n: [part for data in datagrams for part in (data, message(kind, data, sequence=n))])
    asked = Netlink()
    asked._socket.close()
    asked._socket = fake
    for ask in (asked.links, asked.addresses, asked.neighbours, asked.limits):
        try:
            ask()
        except OSError:
            pass


class PlayedEvents(PlayedSocket):
    """A socket of events: real to the loop, its datagrams put in by hand."""

    def __init__(self):
        super().__init__(lambda n: [])
        self._ours, self._theirs = socket.socketpair()
        self.failures = []
        self.options = []

    def put(self, *datagrams):
        self._waiting += datagrams
        self._theirs.send(b"!")

    def recvfrom(self, size):
        if self._waiting:
            datagram = self._waiting.pop(0)
            if isinstance(datagram, OSError):
                raise datagram
            return datagram if isinstance(datagram, tuple) else (datagram, (0, 0))
        self._ours.setblocking(False)
        try:
            self._ours.recv(100)
        except BlockingIOError:
            pass
        raise BlockingIOError

    def bind(self, address):
        self.bound = address

    def setsockopt(self, *option):
        self.options.append(option)

    def setblocking(self, flag):
        pass

    def fileno(self):
        return self._ours.fileno()

    def close(self):
        self._ours.close()
        self._theirs.close()


class PlayedWatch:
    """A Watch over a played kernel: `links` and `addresses` are what a dump gives."""

    def __init__(self, monkeypatch):
        self.links, self.addresses = [link_body()], [address_body("10.0.0.5", 24)]
        self.changes, self.neighbours, self.heard = [], [], asyncio.Event()
        self.events = PlayedEvents()
        sockets = iter([PlayedSocket(self._dump), self.events])
        monkeypatch.setattr(netlink, "_open", lambda: next(sockets))
        self.watch = Watch(asyncio.get_running_loop(), self._change, self.neighbours.append)

    def _dump(self, n):
        links = [message(nl.RTM_NEWLINK, body, sequence=n) for body in self.links]
        addresses = [message(nl.RTM_NEWADDR, body, sequence=n) for body in self.addresses]
        return [*links, *addresses, done(n)]

    def _change(self, what):
        self.changes.append(what)
        self.heard.set()

    async def change(self):
        async with asyncio.timeout(30):
            await self.heard.wait()
        self.heard.clear()
        return self.changes.pop(0)

    async def drained(self):
        """Return when what was put in has been read."""
        async with asyncio.timeout(30):
            while self.events._waiting:
                await asyncio.sleep(0)

    def close(self):
        self.watch.close()


def carrier(index, flags):
    return message(nl.RTM_NEWLINK, link_body(index, f"eth{index - 2}", flags))


async def test_changes_are_told_once_for_a_cluster(monkeypatch):
    """After 100 ms without another, each in its words, none twice."""
    play = PlayedWatch(monkeypatch)
    play.events.put(carrier(2, 0x1043), message(nl.RTM_NEWADDR, address_body("10.0.0.6", 24)) + carrier(2, 0x1043))
    await play.drained()
    play.events.put(carrier(2, 0x11043))

    assert "eth0 has no carrier; eth0 has 10.0.0.6/24; eth0 has carrier" == await play.change()
    assert [] == play.changes
    assert (0, 0b100010101) == play.events.bound
    play.close()
    play.close()


async def test_a_change_is_told_in_time_however_many_follow(monkeypatch):
    """Within 250 ms of the loop's clock after the first, though changes never pause."""
    play = PlayedWatch(monkeypatch)
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    moved = 0.0
    monkeypatch.setattr(loop, "time", lambda: now_s + moved)
    deadlines = []
    for step in range(5):
        moved = step * 0.06
        play.events.put(carrier(2, 0x1043 if step % 2 == 0 else 0x11043), carrier(9 + step, 0x11043))
        await play.drained()
        deadlines.append(round(play.watch._timer.when() - now_s, 2))

    assert [0.1, 0.16, 0.22, 0.25, 0.25] == deadlines
    play.close()


async def test_many_changes_are_not_told_one_by_one(monkeypatch):
    """Eight by name, and how many more."""
    play = PlayedWatch(monkeypatch)
    play.events.put(*(carrier(index, 0x11043) for index in range(3, 13)))
    told = await play.change()

    assert (8, " and 2 more") == (len(told.split("; ")), told[-11:])
    play.close()


async def test_neighbours_are_told_at_once(monkeypatch):
    """Each event, deletions too; they are no change. What other processes send is not heard."""
    play = PlayedWatch(monkeypatch)
    body = neighbour_body("10.0.0.6", 2)
    play.events.put(
        message(nl.RTM_NEWNEIGH, body) + message(nl.RTM_NEWNEIGH, b"\1"),
        (message(nl.RTM_NEWNEIGH, neighbour_body("10.0.0.66", 2)), (4711, 0)),
        message(nl.RTM_DELNEIGH, body),
    )
    await play.drained()

    address = IPv4Address("10.0.0.6")
    assert [(address, False), (address, True)] == [(entry.address, entry.is_deleted) for entry in play.neighbours]
    assert play.watch._timer is None
    play.close()


async def test_who_is_told_may_close_the_watch(monkeypatch, capsys):
    """Nothing more is told, of this datagram or the next, and nothing is wrong."""
    play = PlayedWatch(monkeypatch)
    play.watch._on_neighbour = lambda entry: (play.neighbours.append(entry), play.close())
    told = message(nl.RTM_NEWNEIGH, neighbour_body("10.0.0.6", 2))
    play.events.put(told + told, told)
    async with asyncio.timeout(30):
        while not play.neighbours:
            await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert (1, "") == (len(play.neighbours), capsys.readouterr().out)


async def test_after_lost_events_all_is_asked_anew(monkeypatch):
    """The change is told, and what was missed is known: a link that came meanwhile is no news when it is told of."""
    play = PlayedWatch(monkeypatch)
    play.links = [link_body(), link_body(9, "eth7")]
    play.addresses = []
    play.events.put(OSError(errno.ENOBUFS, "no buffer space"))
    assert "events were lost" == await play.change()

    play.events.put(carrier(9, 0x11043), message(nl.RTM_NEWADDR, address_body("10.0.0.5", 24)))
    assert "eth0 has 10.0.0.5/24" == await play.change()
    play.close()


async def test_a_watch_that_fails_ends_with_one_warning(monkeypatch, capsys):
    """The daemon lives on."""
    play = PlayedWatch(monkeypatch)
    play.events.put(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    async with asyncio.timeout(30):
        while play.events.fileno() >= 0:
            await asyncio.sleep(0)
    play.close()

    out = capsys.readouterr().out
    assert (1, 1) == (out.count("network_not_watched"), out.count("Cannot allocate memory"))


async def test_a_watch_that_cannot_begin_leaves_nothing_open(monkeypatch):
    """OSError, and all sockets are closed again."""
    opened = []

    def open_socket():
        opened.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        return opened[-1]

    monkeypatch.setattr(netlink, "_open", open_socket)
    monkeypatch.setattr(nl, "RTM_GETADDR", 9999)
    with pytest.raises(OSError, match="not supported"):
        Watch(asyncio.get_running_loop(), lambda what: None, lambda neighbour: None)

    assert [-1, -1] == [made.fileno() for made in opened]
