"""Two hosts, h1 and h2, each with RabbitMQ and mirosd, that have found each other; and workers on them."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self
from urllib.parse import quote

from tests.lab.broker import TESTER, TESTER_PASSWORD, Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Host, Lan

ANSWER_S = 120.0  # the longest measurement takes some ten seconds, and a stalled one says so after ten more
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}


class Worker:
    """A program on a host that measures what it is told to (bench/worker.py)."""

    def __init__(self, host: Host, module: str, *arguments: str) -> None:
        """Start `python -m bench.MODULE` and wait until it is ready."""
        self._name = module
        self._process = host.popen(
            [sys.executable, "-m", f"bench.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT | {"MIROSD_SOCKET": str(host.socket)},
            cwd=ROOT,
        )
        self.threads: int = self._answer()["threads"]

    def tell(self, **command: Any) -> dict[str, Any]:
        """Give the answer to a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._process.communicate(timeout=ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        is_there, _, _ = select.select([self._process.stdout], [], [], ANSWER_S)
        line = self._process.stdout.readline() if is_there else ""
        if not line:
            raise RuntimeError(f"the worker {self._name} gave no answer; its exit status: {self._process.poll()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Stage:
    """The hosts with what runs on them for the whole benchmark."""

    def __init__(self, lan: Lan, brokers: list[Broker], daemons: list[Daemon]) -> None:
        self.hosts, self.brokers, self.daemons = lan.hosts, brokers, daemons

    @property
    def raw_url(self) -> str:
        """The AMQP URL, with an account, of the one broker that raw pika uses: the receiver's."""
        return self.brokers[1].url().replace("//", f"//{TESTER}:{quote(TESTER_PASSWORD, safe='')}@", 1)

    def worker(self, host: int, module: str, *arguments: str) -> Worker:
        """Start a worker on the host of that index."""
        return Worker(self.hosts[host], module, *arguments)

    def wait_meshed(self) -> None:
        """Return when both daemons see each other alive."""
        for daemon in self.daemons:
            daemon.ctl("wait", "--peers", "1", "--timeout", "60")


@contextmanager
def staged() -> Iterator[Stage]:
    """Give a stage; what is on it ends with it, last first."""
    with ExitStack() as exits:
        lan = Lan(2)
        exits.callback(lan.close)
        brokers = [Broker(host) for host in lan.hosts]
        for broker in brokers:
            broker.start()
            exits.callback(broker.close)
        for broker in brokers:
            broker.wait_ready()
        first, second = lan.hosts
        daemons = [
            Daemon(host, broker, hosts=[peer.address])
            for host, broker, peer in zip(lan.hosts, brokers, (second, first), strict=True)
        ]
        for daemon in daemons:
            daemon.start()
            exits.callback(daemon.close)
        stage = Stage(lan, brokers, daemons)
        stage.wait_meshed()
        yield stage
