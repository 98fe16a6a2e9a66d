"""One host without RabbitMQ: `broker.url: memory://`. Nothing of the lab is needed, and no network."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.stage import Actor
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Host
from tests.lab.waiting import until

EVENTS = 2000


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """This machine, with a directory of the test's own."""
    return Host("here", "127.0.0.1", tmp_path / "h")


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    """What is put here is ended with the test, last first."""
    with ExitStack() as stack:
        yield stack


def started(host: Host, exits: ExitStack, *hosts: str) -> Daemon:
    """Give a running daemon that lists `hosts`."""
    daemon = Daemon(host, "memory://", hosts=hosts)
    exits.callback(daemon.close)
    daemon.start()
    return daemon


def actor(host: Host, exits: ExitStack, name: str, **keys: str) -> Actor:
    """Give a program whose chart is subscribed."""
    made = Actor(host, name, **keys)
    exits.callback(made.close)
    assert made.do("wait_subscribed")["subscribed"]
    return made


def test_programs_of_one_host_talk(host: Host, exits: ExitStack) -> None:
    """Each event reaches the other programs that listen, once, in order, and neither its sender nor another key."""
    daemon = started(host, exits)
    daemon.wait_ready()
    sender, receiver = actor(host, exits, "sender"), actor(host, exits, "receiver")
    other = actor(host, exits, "other", tx="item.back", rx="marker.#")
    expected = list(range(1, EVENTS + 1))

    assert expected == sender.do("send", count=EVENTS)["accepted"]
    until(lambda: len(receiver.numbers("sender")) >= EVENTS, what="all events handled")
    other.do("send", count=1)
    until(lambda: sender.numbers("other"), what="the answer handled")

    assert expected == receiver.numbers("sender")
    assert [["other", 1, "item 1 of other"]] == sender.do("report")["handled"]
    assert [] == other.do("report")["handled"]
    assert 0 == sender.do("wait_settled")["waiting"]
    assert "memory" == daemon.ask("status")["broker"]["address"]
    assert 0 == daemon.stop()


def test_programs_live_through_a_restart(host: Host, exits: ExitStack) -> None:
    """A daemon that comes back finds its programs again: they are subscribed, and what waited is delivered."""
    daemon = started(host, exits)
    daemon.wait_ready()
    sender, receiver = actor(host, exits, "sender", rx="nothing"), actor(host, exits, "receiver")
    assert 0 == daemon.stop()
    daemon.start()
    daemon.wait_ready()
    until(lambda: 2 == daemon.ask("status")["subscriptions"], what="both subscribed again")
    sender.do("send", count=10)
    until(lambda: len(receiver.numbers("sender")) >= 10, what="all events handled")

    assert list(range(1, 11)) == receiver.numbers("sender")


def test_listed_hosts_are_told_to_be_ignored(host: Host, exits: ExitStack) -> None:
    """Hosts cannot be had from memory://: the status says so and what to do, until none is listed."""
    daemon = started(host, exits, "127.0.0.7", "127.0.0.8:5673")
    until(lambda: ["hosts_ignored"] == daemon.ask("status")["reasons"], what="hosts_ignored")
    said = daemon.ctl("status", check=False)
    until(lambda: "memory" in daemon.ctl("peers", "--why").stdout, what="the reason of each host")

    assert 5 == said.returncode
    assert "127.0.0.7, 127.0.0.8:5673" in said.stdout
    assert "name a RabbitMQ" in said.stdout

    daemon.write_hosts([])
    daemon.ctl("hosts", "reload")
    daemon.wait_ready()
    assert [] == daemon.ask("peers")["peers"]
