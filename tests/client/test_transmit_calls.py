"""What `transmit` asks of the kernel, and what it holds meanwhile: it blocks for nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from mirosd_client import outlet as outlet_module
from mirosd_client.client import Client
from mirosd_client.shell import bell as bell_module
from mirosd_client.shell.reactor import Reactor
from tests.client.fake_daemon import FakeDaemon, until
from tests.client.sandbox import is_possible
from tests.client.stoppable_daemon import ROOT, stoppable

EVENTS = 2000


@pytest.mark.skipif(not is_possible(), reason="the kernel of this machine cannot be asked to watch a thread's calls")
@pytest.mark.parametrize(("words", "status"), [((), 0), (("spoil",), -signal.SIGSYS)], ids=["as it is", "spoilt"])
def test_transmit_makes_no_call_that_could_block(socket_file: Path, words: tuple[str, ...], status: int) -> None:
    """With the daemon stopped and its socket full (D29): memory, the interpreter's lock, and sends that do not wait.

    The kernel ends a process that does anything else, as the spoilt one does, which yields between two events.
    """
    argv = [sys.executable, "-m", "tests.client.sandbox", str(socket_file), str(EVENTS), *words]
    with (
        stoppable(socket_file) as daemon,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program,
    ):
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "connected\n"
            os.kill(daemon.pid, signal.SIGSTOP)
            said, _ = program.communicate("go\n", timeout=60)
        finally:
            program.kill()

    assert (program.returncode, said) == (status, "" if words else f"{EVENTS}\n")


class WatchedLock:
    """A lock that knows which thread has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.owner: int | None = None

    def __enter__(self) -> Self:
        self._lock.acquire()
        self.owner = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.owner = None
        self._lock.release()


def test_no_lock_is_held_across_a_system_call(
    daemon: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the thread that transmits, when it rings the bell, nor by the client's, when it writes."""
    client.wait_connected(30)
    lock: Any = WatchedLock()
    monkeypatch.setattr(client._session.window, "lock", lock)
    calls: dict[str, list[bool]] = {"ring": [], "write": []}

    def watched(name: str, module: Any) -> None:
        send_now = module.send_now

        def send(sock: Any, data: bytes) -> int:
            calls[name].append(lock.owner == threading.get_ident())
            return int(send_now(sock, data))

        monkeypatch.setattr(module, "send_now", send)

    watched("ring", bell_module)
    watched("write", outlet_module)
    for number in range(200):
        client.transmit("PING", number, receipt=number % 2 == 0)  # type: ignore[call-overload]
        until(lambda number=number: len(daemon.link.records) > number)  # type: ignore[misc]

    assert len(calls["ring"]) >= 100
    assert len(calls["write"]) >= 200
    assert not any(calls["ring"] + calls["write"])


def test_a_write_that_never_returns_holds_nobody(
    daemon: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's thread is stuck in the kernel, as it must not be but might: transmit goes on, and so do counters."""
    assert client.wait_connected(30)
    is_stuck, may_go = threading.Event(), threading.Event()

    def stick(_sock: Any, _data: bytes) -> int:
        is_stuck.set()
        may_go.wait(60)
        raise BlockingIOError

    monkeypatch.setattr(outlet_module, "send_now", stick)
    client.transmit("FIRST")
    assert is_stuck.wait(30)
    accepted: list[bool] = []
    sender = threading.Thread(target=lambda: accepted.extend(client.transmit("PING") for _ in range(1000)), daemon=True)
    sender.start()
    sender.join(30)

    assert accepted == [True] * 1000
    assert client.counters()["waiting"] == 1001
    may_go.set()


def test_close_does_not_wait_for_a_daemon_that_is_stopped(socket_file: Path, reactor: Reactor) -> None:
    """It ends after its time, however much is in the way; the time is printed."""
    with stoppable(socket_file) as daemon:
        client = Client(str(socket_file), reactor=reactor)
        assert client.wait_connected(30)
        os.kill(daemon.pid, signal.SIGSTOP)
        for _ in range(1000):
            client.transmit("PING", "x" * 1000)
        receipt = client.transmit("PING", receipt=True)
        assert receipt is not None
        closer = threading.Thread(target=client.close, daemon=True)
        began_s = time.monotonic()
        closer.start()
        closer.join(30)
        print(f"close() took {time.monotonic() - began_s:.2f} s")

        assert not closer.is_alive()
        assert receipt.lost_here == "closed"
        assert client.counters()["waiting"] == 1001
