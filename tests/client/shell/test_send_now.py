"""Sending without letting go of the interpreter's lock, and the bell that is rung by it."""

import ctypes
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosd_client.shell import send_now as module
from mirosd_client.shell.bell import Bell
from mirosd_client.shell.send_now import MAX_BYTES, send_now

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets that do not block."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


def test_bytes_arrive_and_are_counted(pair: Pair) -> None:
    """Zero bytes among them end nothing."""
    near, far = pair

    assert send_now(near, b"a\0b") == 3
    assert far.recv(9) == b"a\0b"


def test_much_is_sent_in_parts_and_too_much_blocks(pair: Pair) -> None:
    """One call sends a bounded part; when nothing fits any more it says so, and all that was counted arrives."""
    near, far = pair
    data = bytes(2 * MAX_BYTES)
    counts = [send_now(near, data)]
    with pytest.raises(BlockingIOError):
        while True:
            counts.append(send_now(near, data))
    received = 0
    with pytest.raises(BlockingIOError):
        while True:
            received += len(far.recv(MAX_BYTES))

    assert 0 < counts[0] <= MAX_BYTES
    assert received == sum(counts)


def test_nobody_at_the_other_end(pair: Pair) -> None:
    """It is an error as with `socket.send`, and no signal, which may end a process; so is a socket that was closed."""
    near, far = pair
    far.close()
    signals: list[int] = []
    before = signal.signal(signal.SIGPIPE, lambda number, _frame: signals.append(number))
    try:
        with pytest.raises(BrokenPipeError):
            send_now(near, b"x")
    finally:
        signal.signal(signal.SIGPIPE, before)
    near.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        send_now(near, b"x")

    assert signals == []


def test_the_lock_is_held(pair: Pair) -> None:
    """A thread that could run at once does not while another sends."""
    near, far = pair
    gate, ran, sends_until = threading.Lock(), [], time.monotonic() + 0.05
    gate.acquire()
    thread = threading.Thread(target=lambda: (gate.acquire(), ran.append(1)))
    thread.start()
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # from here on the lock changes hands only where it is let go of
    try:
        gate.release()
        sends = 0
        while time.monotonic() < sends_until and sends < 100:
            send_now(near, b"x")
            sends += 1
        ran_meanwhile = list(ran)
    finally:
        sys.setswitchinterval(interval_s)
    thread.join(30)

    assert (ran_meanwhile, ran) == ([], [1])
    assert far.recv(200) == b"x" * sends


def test_where_the_c_library_cannot_be_called(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    """It is `socket.send` then."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "PyDLL", refuse)
    near, far = pair
    plain = module._make()

    assert plain is socket.socket.send
    assert (plain(near, b"x"), far.recv(9)) == (1, b"x")


def test_a_bell_is_heard_until_it_is_hushed() -> None:
    """However often it was rung, more often than its socket holds included."""
    bell = Bell()
    with selectors.DefaultSelector() as selector:
        selector.register(bell, selectors.EVENT_READ)
        heard = [bool(selector.select(0))]
        for _ in range(1000):
            bell.ring()
        heard.append(bool(selector.select(0)))
        while selector.select(0):
            bell.hush()
        heard.append(bool(selector.select(0)))
        bell.ring()
        heard.append(bool(selector.select(0)))

    assert heard == [False, True, False, True]


def test_a_bell_lives_as_long_as_somebody_knows_it() -> None:
    """Its descriptors go with the last reference: who still rings it rings no other's."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    bell = Bell()
    known = [bell]
    del bell
    held = len(list(Path("/proc/self/fd").iterdir())) - before
    known[0].ring()
    known.clear()

    assert (held, len(list(Path("/proc/self/fd").iterdir())) - before) == (2, 0)
