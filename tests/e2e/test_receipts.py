"""Receipts on the whole system: two hosts, each with a real RabbitMQ and a mirosd."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host, Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

PROGRAM = """
import json, sys
from mirosd_client import Client
client = Client(sys.argv[1])
receipts = []
print(json.dumps(client.wait_connected(30)), flush=True)
for line in sys.stdin:
    what, key = json.loads(line)
    if what == "transmit":
        receipts.append(client.transmit("ITEM", key, routing_key=key, receipt=True))
    if what == "wait":
        receipts[-1].wait(60)
    receipt = receipts[-1]
    numbers = [receipt.confirmed_by, receipt.unroutable_at, receipt.expired_at]
    print(json.dumps([receipt.outcome, *numbers, client.counters()["waiting"]]), flush=True)
"""


class Asker:
    """A program on a host that transmits with receipts, and says what became of the last one."""

    def __init__(self, host: Host) -> None:
        argv = [sys.executable, "-c", PROGRAM, str(host.socket)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "client")}
        self._process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._answer() is True

    def transmit(self, key: str) -> list[Any]:
        """Transmit an event; gives what is known of it at once, as `wait` does."""
        return self._do("transmit", key)

    def wait(self) -> list[Any]:
        """Wait until the last receipt is settled: outcome, confirmed by, unroutable at, expired at; events waiting."""
        return self._do("wait")

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.communicate()

    def _do(self, what: str, key: str = "") -> list[Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, key]) + "\n")
        self._process.stdin.flush()
        answer: list[Any] = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def heard(stage: Stage) -> None:
    """Two charts: one hears `near.#` on the sender's host, one `far.#` on the other; `all` reaches both."""
    for host, name, key in (
        ("h1", "near", "near.#"),
        ("h2", "far", "far.#"),
        ("h1", "here", "all"),
        ("h2", "o", "all"),
    ):
        assert stage.actor(host, name, rx=key).do("wait_subscribed")["subscribed"]


def test_receipts_say_which_brokers_have_the_event(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Where somebody is bound; where nobody is; and where nobody can be, which is not asked."""
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        heard(stage)
        asker = Asker(lan["h1"])
        try:
            said = {}
            for key in ("all", "far.one", "near.one", "nobody.here"):
                asker.transmit(key)
                said[key] = asker.wait()[:4]
        finally:
            asker.close()
        sent = stage.daemons["h1"].ask("send", "ITEM", "--key", "all")

    assert {
        "all": ["delivered", 2, 0, 0],
        "far.one": ["delivered", 1, 0, 0],
        "near.one": ["delivered", 1, 1, 0],
        "nobody.here": ["unheard", 0, 1, 0],
    } == said
    assert ("delivered", 2, True) == (sent["outcome"], sent["confirmed_by"], sent["settled"])


def test_a_receipt_outlives_the_daemon(lan: Lan, brokers: dict[str, Broker]) -> None:
    """The sender's daemon is killed while a broker does not read: the next one answers for it, and once for all."""
    with staged(lan, brokers) as stage:
        h1 = stage.daemon("h1", ["h2"])
        h1.start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        heard(stage)
        asker = Asker(lan["h1"])
        brokers["h2"].set_alarm()
        try:
            # the first one tells the broker's alarm: only who publishes hears of it
            asker.transmit("far.first")
            assert ["", 0, 0, 0, 2] == asker.transmit("all")
            h1.kill()
            h1.start()
            h1.wait_ready()
            until(lambda: h1.ask("clients")["clients"], what="the program is back")
            brokers["h2"].clear_alarm()

            assert ["delivered", 2, 0, 0] == asker.wait()[:4]
        finally:
            brokers["h2"].clear_alarm()
            asker.close()
