"""The LAN search's sockets on loopback: what the filter lets in, what is known of it, and whose the port is."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from mirosd.backends.lan_port import TAKEN, LanPort
from mirosd.backends.lan_socket import READS_PER_WAKE, Arrival, LanSocket
from mirosd.core.answering import DATAGRAMS_PER_TICK, TICK_S, Budget
from mirosd.core.probe import MAGIC, PROBE_BYTES, filter_program
from tests.backends.lan_rig import RecordingBoard

KEY_IDS = (b"one!", b"two!")
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
DEADLINE_S = 30.0
families = pytest.mark.parametrize("family", LOOPBACK, ids=["v4", "v6"])


def datagram(key: bytes = b"one!", *, size: int = PROBE_BYTES, magic: bytes = MAGIC, tail: bytes = b"") -> bytes:
    """Give a datagram as far as the filter looks; `tail` tells it from others."""
    return (magic + bytes(8) + key + bytes(size))[: size - len(tail)] + tail


@contextmanager
def opened(
    family: socket.AddressFamily = socket.AF_INET, port: int = 0, clock: Callable[[], float] = time.monotonic
) -> Iterator[LanSocket]:
    """Give a socket of the running loop."""
    program = filter_program(KEY_IDS)
    made = LanSocket(asyncio.get_running_loop(), family, port, program=program, budget=Budget(), clock=clock)
    try:
        yield made
    finally:
        made.close()


def speaker(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Give a socket of somebody else, at loopback's own address."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((LOOPBACK[family], 0))
    return made


async def take(queue: "asyncio.Queue[Arrival]") -> Arrival:
    """Give the next arrival."""
    async with asyncio.timeout(DEADLINE_S):
        return await queue.get()


@families
@pytest.mark.parametrize("key", KEY_IDS)
@pytest.mark.parametrize(
    "junk",
    [
        datagram(b"none"),
        datagram(magic=b"junk"),
        datagram(size=PROBE_BYTES - 1),
        datagram(size=PROBE_BYTES + 1),
        b"",
    ],
    ids=["key", "magic", "short", "long", "empty"],
)
async def test_the_kernel_lets_ours_through_alone(family: socket.AddressFamily, key: bytes, junk: bytes) -> None:
    """Junk that was sent before a datagram of ours never arrives; of each key of the ring ours do."""
    arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
    with opened(family) as made, speaker(family) as other:
        made.listen(arrivals.put_nowait)
        for data in (junk, datagram(key), junk, datagram(key, tail=b"end")):
            other.sendto(data, (LOOPBACK[family], made.port))

        assert datagram(key) == (await take(arrivals)).data
        assert datagram(key, tail=b"end") == (await take(arrivals)).data


@families
async def test_where_it_came_from_and_went(family: socket.AddressFamily) -> None:
    """An arrival tells its source, the interface, and the address that it was sent to, to be answered from there."""
    arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
    with opened(family) as made, speaker(family) as other:
        made.listen(arrivals.put_nowait)
        other.sendto(datagram(), (LOOPBACK[family], made.port))
        arrival = await take(arrivals)
        here = ip_address(LOOPBACK[family])

        assert Arrival(datagram(), here, other.getsockname()[1], socket.if_nametoindex("lo"), here, here) == arrival
        assert not arrival.was_for_all


async def test_answers_leave_from_the_address_asked() -> None:
    """All of 127/8 is ours: who asked at another address of it hears from there."""
    with opened() as made, speaker() as other:
        other.settimeout(DEADLINE_S)
        made.send(b"x", ip_address("127.0.0.1"), other.getsockname()[1], source=ip_address("127.0.0.77"))

        assert (b"x", ("127.0.0.77", made.port)) == other.recvfrom(10)


@families
@pytest.mark.parametrize("option", [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
async def test_the_port_is_ours_alone(family: socket.AddressFamily, option: int | None) -> None:
    """Nobody else binds it, whatever he sets: he would take our datagrams."""
    with opened(family) as made, socket.socket(family, socket.SOCK_DGRAM) as thief:
        if option is not None:
            thief.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError) as caught:
            thief.bind((LOOPBACK[family], made.port))
    assert errno.EADDRINUSE == caught.value.errno


async def test_buffers_hold_512_datagrams() -> None:
    """The kernel doubles what is asked for, and allows it to everybody."""
    with opened() as made:
        sizes = [made._socket.getsockopt(socket.SOL_SOCKET, one) for one in (socket.SO_SNDBUF, socket.SO_RCVBUF)]

        assert [2 * 212_992] * 2 == sizes


async def test_ipv6_is_ipv6_alone_and_does_not_hear_itself() -> None:
    """IPv4 has a socket of its own; what we send to ff02::1 does not come back."""
    with opened(socket.AF_INET6) as made:
        options = (socket.IPV6_V6ONLY, socket.IPV6_MULTICAST_LOOP)

        assert [1, 0] == [made._socket.getsockopt(socket.IPPROTO_IPV6, one) for one in options]


async def test_a_flood_leaves_the_loop_its_turns() -> None:
    """Of 500 datagrams that wait 64 are read, then others have their turn."""
    turns: list[str] = []
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def arrived(arrival: Arrival) -> None:
        turns.append("datagram")
        if len(turns) == 1:
            loop.call_soon(turns.append, "other")
        if turns.count("datagram") == 200:
            done.set()

    with opened() as made, speaker() as other:
        for _ in range(200):
            other.sendto(datagram(), ("127.0.0.1", made.port))
        made.listen(arrived)
        async with asyncio.timeout(DEADLINE_S):
            await done.wait()

    assert READS_PER_WAKE == turns.index("other")


async def test_the_budget_pauses_reading() -> None:
    """250 datagrams are read in 50 ms and no more; in the next tick the reading goes on by itself."""
    now = [10.001]
    read: list[float] = []
    done = asyncio.Event()

    def arrived(arrival: Arrival) -> None:
        read.append(now[0])
        if len(read) == 300:
            done.set()

    with opened(clock=lambda: now[0]) as made, speaker() as other:
        for _ in range(300):
            other.sendto(datagram(), ("127.0.0.1", made.port))
        made.listen(arrived)
        async with asyncio.timeout(DEADLINE_S):
            while made._resume is None:
                await asyncio.sleep(0)
            assert DATAGRAMS_PER_TICK == len(read)
            now[0] += TICK_S
            await done.wait()

    assert [(10.001, DATAGRAMS_PER_TICK), (10.001 + TICK_S, 50)] == [(at, read.count(at)) for at in sorted(set(read))]


async def test_who_hears_may_close() -> None:
    """A socket that was closed by what it brought reads no more, even if that was the last that it might read now."""
    heard: list[Arrival] = []
    with opened(clock=lambda: 10.0) as made, speaker() as other:
        for _ in range(DATAGRAMS_PER_TICK + 1):
            other.sendto(datagram(), ("127.0.0.1", made.port))

        def arrived(arrival: Arrival) -> None:
            heard.append(arrival)
            if len(heard) == DATAGRAMS_PER_TICK:
                made.close()

        made.listen(arrived)
        async with asyncio.timeout(DEADLINE_S):
            while len(heard) < DATAGRAMS_PER_TICK:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert DATAGRAMS_PER_TICK == len(heard)


def port(number: int, board: RecordingBoard) -> LanPort:
    """Give a port of the running loop."""
    program = filter_program(KEY_IDS)
    return LanPort(asyncio.get_running_loop(), number, program=program, board=board, clock=time.monotonic)


def free_port() -> int:
    """Give a port that nobody had a moment ago, neither for IPv4 nor for IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as both:
        both.bind(("::", 0))
        return int(both.getsockname()[1])


class TestPort:
    @families
    async def test_a_taken_port_is_told_and_asked_around(self, family: socket.AddressFamily) -> None:
        """The reason names port and family; questions leave from another port; it is taken when it is free again."""
        board = RecordingBoard()
        number = free_port()
        holder = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((LOOPBACK[family], number))
        taken = port(number, board)
        with speaker(family) as other:
            other.settimeout(DEADLINE_S)
            taken.send(b"x", ip_address(LOOPBACK[family]), other.getsockname()[1])
            _, where = other.recvfrom(10)

            assert f"UDP port {number} (IPv{'6' if family == socket.AF_INET6 else '4'})" in board.reasons[TAKEN]
            assert number != where[1]

            holder.close()
            taken.open()
            taken.send(b"x", ip_address(LOOPBACK[family]), other.getsockname()[1])
            _, where = other.recvfrom(10)

            assert ({}, number) == (board.reasons, where[1])
        taken.close()

    async def test_a_socket_that_is_replaced_still_hears(self) -> None:
        """Who listened goes on listening on the port that became free."""
        arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        number = free_port()
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.bind(("127.0.0.1", number))
        taken = port(number, RecordingBoard())
        taken.listen(arrivals.put_nowait)
        holder.close()
        taken.open()
        with speaker() as other:
            other.sendto(datagram(), ("127.0.0.1", number))

            assert datagram() == (await take(arrivals)).data
        taken.close()

    @pytest.mark.parametrize(
        ("number", "counter", "is_sent"),
        [
            (errno.EAGAIN, "lan_delayed", False),
            (errno.ENOBUFS, "lan_delayed", False),
            (errno.EPERM, "lan_filtered_here", True),
            (errno.ENETUNREACH, "lan_unsent", True),
            (0, "lan_sent", True),
        ],
    )
    async def test_what_fails_is_counted(
        self, number: int, counter: str, is_sent: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only a full buffer is worth another try; nothing that the kernel says gets through to the caller."""

        def send(*args: object, **options: object) -> None:
            if number:
                raise OSError(number, "no")

        monkeypatch.setattr(LanSocket, "send", send)
        board = RecordingBoard()
        made = port(free_port(), board)

        assert is_sent == made.send(b"x", ip_address("127.0.0.1"))
        assert {counter: 1} == board.counters
        made.close()

    async def test_without_a_family(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A host without IPv6 searches by IPv4, and sends nothing to others."""
        real = socket.socket

        def without_ipv6(family: int, *args: object) -> socket.socket:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no")
            return real(family, *args)  # type: ignore[arg-type]

        board = RecordingBoard()
        number = free_port()
        monkeypatch.setattr(socket, "socket", without_ipv6)
        made = port(number, board)

        assert made.send(b"x", ip_address("::1"))
        assert ({}, {}) == (board.reasons, board.counters)
        made.close()

    async def test_closing(self) -> None:
        """A closed port is free, sends nothing, and is closed again without harm."""
        board = RecordingBoard()
        number = free_port()
        made = port(number, board)
        made.close()
        made.close()
        made.send(b"x", ip_address("127.0.0.1"))

        assert {} == board.counters
        again = port(number, board)
        assert {} == board.reasons
        again.close()
