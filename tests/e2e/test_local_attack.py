"""A user of the socket's group attacks its daemon: another user's program loses nothing, and the daemon stays small."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirosd.localapi.session import MAX_ASKS
from tests.e2e.attacker import ASKERS
from tests.e2e.stage import staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

UID, GROUP = 23_456, 23_001
CROWD, CONNECTIONS = 1000, 32
HOARD = 12  # subscriptions: 2 MiB may be on their way to each, 16 MiB unread by all of a user's
SOCKET = {"socket": {"group": str(GROUP), "mode": "0660"}}

MORE_BYTES = 96 * 1024 * 1024
"""What the attack may add to the daemon's memory: 16 MiB of frames that are begun (one in each connection), 16 MiB that
nobody reads, what is owed to brokers meanwhile, and as much again for what Python needs besides."""

MORE_DESCRIPTORS = CONNECTIONS + 128 + 16
"""The user's connections, a backlog of those that are accepted only to be refused, and a few."""

MAX_LOG_BYTES = 64 * 1024
"""Twenty lines a minute are said of his connections, and a few of everything else."""


class Stranger:
    """The attacker, as a user of his own; told what to do."""

    def __init__(self, daemon: Daemon, groups: str) -> None:
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", groups, "--inh-caps=-all", "--no-new-privs"]
        argv = [*become, sys.executable, "-m", "tests.e2e.attacker", str(daemon.host.socket)]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = daemon.host.popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
        )

    def do(self, *words: object) -> Counter[str]:
        """Have him do something, and give what he was told."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        told = Counter(json.loads(self._process.stdout.readline()))
        print(*words, dict(told))
        return told

    def close(self) -> None:
        """End him."""
        self._process.communicate(timeout=30)


@contextmanager
def stranger(daemon: Daemon, groups: str) -> Iterator[Stranger]:
    made = Stranger(daemon, groups)
    try:
        yield made
    finally:
        made.close()


class Scales:
    """Weighs a process until it is told to stop: the most memory and descriptors that it has had."""

    POLL_S = 0.02

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.before = self.most = self._weigh()

    def __enter__(self) -> "Scales":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self.POLL_S):
            self.most = tuple(map(max, self.most, self._weigh()))

    def _weigh(self) -> tuple[int, ...]:
        pages = int((self._process / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(self._process / "fd"))  # noqa: PTH208 -- counts


def test_an_attack_from_the_socket_harms_its_own_user_alone(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Crowds, silence, halves, junk, theft, hoards and questions: each refusal counted, and no event of others lost."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", ["h2"], settings=SOCKET)
        daemon.start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        citizen, friend = stage.actor("h1", "citizen"), stage.actor("h2", "friend")
        for actor in (citizen, friend):
            assert actor.do("wait_subscribed")["subscribed"]
        (victim,) = (client["client"] for client in daemon.ask("clients")["clients"] if client["charts"])
        with stranger(daemon, "--clear-groups") as outsider:
            assert {"forbidden": 1} == outsider.do("connect")
        for actor in (citizen, friend):
            actor.do("stream", pause_s=0.005)
        with stranger(daemon, f"--groups={GROUP}") as insider, Scales(daemon.pid) as scales:
            crowd = insider.do("crowd", CROWD)
            silence = insider.do("silence", CONNECTIONS)
            halves = insider.do("halves", CONNECTIONS)
            junk = insider.do("junk", 200)
            theft = insider.do("steal", victim)
            hoard = insider.do("hoard", HOARD)
            asked = insider.do("ask", 3)
        sent = {name: actor.do("halt")["accepted"] for name, actor in (("citizen", citizen), ("friend", friend))}
        until(lambda: friend.numbers("citizen") == sent["citizen"], what="all that the citizen sent")
        until(lambda: citizen.numbers("friend") == sent["friend"], what="all that the citizen is to hear")
        assert min(map(len, sent.values())) > 100

        counters = Counter(daemon.ask("status")["counters"])
        log = daemon.log()
        print(f"{counters}\nbefore {scales.before}, most {scales.most} (bytes, descriptors); log {len(log)} bytes")
        print({name: len(numbers) for name, numbers in sent.items()})
        assert {"welcome": CONNECTIONS, "too_many_connections": CROWD - CONNECTIONS} == crowd
        assert {"hello_timeout": CONNECTIONS} == silence
        assert {"welcome": CONNECTIONS} == halves
        assert {"welcome": 1, "already_connected": 1, "foreign_source": 1} == theft
        assert {"welcome": 2, "subscribed": HOARD} == {name: hoard[name] for name in ("welcome", "subscribed")}
        assert ASKERS == asked["welcome"]
        assert asked["too_many_asks"] > 10 * MAX_ASKS
        assert asked["done"] > 0
        refused = crowd + silence + junk + theft
        for code in refused.keys() - {"welcome"}:
            assert refused[code] <= counters[f"session_{code}"], code
        assert counters["session_slow_reader"] > 0
        for code in ("too_many_asks", "not_permitted", "unknown_verb"):
            assert 0 < asked[code] <= counters[f"refused_{code}"], code
        assert [] == daemon.ask("hosts", "list")["hosts"][1:]  # what the hosts file had, and nothing of his
        (memory, descriptors), (memory_before, descriptors_before) = scales.most, scales.before
        assert memory < memory_before + MORE_BYTES
        assert descriptors < descriptors_before + MORE_DESCRIPTORS
        assert len(log) < MAX_LOG_BYTES
