"""A daemon that has nothing to do sleeps."""

import time
from pathlib import Path

import pytest

from tests.e2e.stage import staged
from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

WINDOW_S = 20.0
MOST_PER_S = 2.0


def switches(pid: int) -> int:
    """Give the voluntary context switches of all threads of a process so far."""
    return sum(
        int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


class Rest:
    """Tells when a process has done nothing for a second: what a start brings with it is over."""

    def __init__(self, pid: int) -> None:
        self._pid, self._seen, self._since_s = pid, -1, 0.0

    def __call__(self) -> bool:
        now_s, seen = time.monotonic(), switches(self._pid)
        if seen != self._seen:
            self._seen, self._since_s = seen, now_s
        return now_s - self._since_s > 1.0


def test_an_idle_daemon_polls_nothing(lan: Lan, brokers: dict[str, Broker]) -> None:
    """With one idle client and no peer, at most two voluntary context switches a second, over all its threads (D37)."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [])
        daemon.start()
        daemon.wait_ready()
        client = stage.actor("h1", "idle")
        assert client.do("wait_subscribed")["subscribed"]
        until(lambda: daemon.host.directory.joinpath("state/lan_cache.json").exists(), what="the start's search over")
        until(Rest(daemon.pid), what="at rest")
        before, began_s = switches(daemon.pid), time.monotonic()
        until(lambda: time.monotonic() - began_s >= WINDOW_S, deadline_s=WINDOW_S + 10, what="the window over")
        assert before > 10, "not the daemon's process"
        rate = (switches(daemon.pid) - before) / (time.monotonic() - began_s)
        print(f"{rate:.2f} voluntary context switches a second")

        assert rate <= MOST_PER_S
