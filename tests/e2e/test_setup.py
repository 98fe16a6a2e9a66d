"""`mirosctl init`, `invite` and `join` on two hosts with files of their own, each with a RabbitMQ as it comes."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from mirosctl.broker_rights import OWN, PEERS
from tests.e2e.own_files import InstalledDaemon, OwnFiles, virgin
from tests.e2e.stage import Actor
from tests.lab.broker import TESTER, TESTER_PASSWORD, Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]  # twenty calls of rabbitmqctl, 0.7 s each on an idle machine

INVITATION, PASSPHRASE = "/etc/invitation.json", "/etc/passphrase"

FORBIDDEN: dict[str, dict[str, Callable[[BlockingChannel], Any]]] = {
    "peers": {
        "declare a queue": lambda channel: channel.queue_declare("mirosd.mine"),
        "declare one of the broker's naming": lambda channel: channel.queue_declare("", exclusive=True),
        "read a queue": lambda channel: channel.basic_get("mirosd.there"),
        "bind a queue": lambda channel: channel.queue_bind("mirosd.there", "mirosd.default.mesh", "#"),
        "declare an exchange": lambda channel: channel.exchange_declare("mirosd.default.more"),
        "delete an exchange": lambda channel: channel.exchange_delete("mirosd.default.mesh"),
        "write to queues past the exchanges": lambda channel: channel.basic_publish("", "mirosd.there", b""),
        "count what was never sent as lost": lambda channel: channel.basic_publish("mirosd.default.dead", "", b""),
    },
    "mirosd": {
        "declare a queue of another program": lambda channel: channel.queue_declare("others"),
        "read one": lambda channel: channel.basic_get("others"),
        "hear what others send": lambda channel: channel.queue_bind("mirosd.there", "amq.topic", "#"),
        "send to others": lambda channel: channel.basic_publish("amq.topic", "", b""),
    },
}
"""By account, what RabbitMQ has to refuse (403)."""


@pytest.fixture
def hosts(lan: Lan, brokers: dict[str, Broker]) -> Iterator[tuple[OwnFiles, OwnFiles]]:
    """h1 and h2 as they are before mirosd comes to them."""
    with virgin([brokers["h1"], brokers["h2"]]):
        yield OwnFiles(lan["h1"], brokers["h1"]), OwnFiles(lan["h2"], brokers["h2"])


def test_a_host_joins_another(hosts: tuple[OwnFiles, OwnFiles]) -> None:
    """After init here, and invite and join there, both daemons find each other and events cross both ways."""
    one, other = hosts
    one.ctl("init", "--system", "workshop")
    invited = one.ctl("invite")
    other.write(INVITATION, invited.stdout)
    other.write(PASSPHRASE, invited.stderr.partition("passphrase: ")[2])
    other.ctl("join", INVITATION, "--passphrase-file", PASSPHRASE)
    with ExitStack() as exits:
        for host in hosts:
            daemon = InstalledDaemon(host)
            exits.callback(tell, daemon)
            exits.callback(daemon.close)
            daemon.start()
        for host in hosts:
            host.ctl("wait", "--peers", "1", "--timeout", "30")
        actors = {host.name: Actor(host, host.name) for host in hosts}
        for actor in actors.values():
            exits.callback(actor.close)
            assert {"subscribed": True} == actor.do("wait_subscribed")
        sent = {name: actor.do("send", count=3)["accepted"] for name, actor in actors.items()}

        until(
            lambda: sent == {"h1": actors["h2"].numbers("h1"), "h2": actors["h1"].numbers("h2")},
            what="events both ways",
        )
        assert [3, 3] == [len(numbers) for numbers in sent.values()]


def test_the_accounts_may_do_no_more_than_they_must(
    hosts: tuple[OwnFiles, OwnFiles], brokers: dict[str, Broker]
) -> None:
    """No account is an administrator or has rights to everything, and guest stays what and where it was (D57)."""
    one, other = hosts
    broker = brokers["h1"]
    before = listed(broker, "users")["guest"]
    broker.ctl("add_user", "mirosd", "old")  # by somebody who followed the ancestor's guide
    broker.ctl("set_user_tags", "mirosd", "administrator")
    broker.ctl("set_permissions", "mirosd", ".*", ".*", ".*")
    told = json.loads(one.ctl("init", "--json").stdout)
    with connected(one, broker, "mirosd", one.secret("broker")) as channel:  # what its daemon would have made
        channel.exchange_declare("mirosd.default.mesh", "topic")
        channel.exchange_declare("mirosd.default.dead", "direct")
        channel.queue_declare("mirosd.there")
    with connected(one, broker, TESTER, TESTER_PASSWORD) as channel:
        channel.queue_declare("others")
    rights = listed(broker, "permissions")

    assert [False, []] == [told["broker_on_loopback_only"], told["by_hand"]]
    assert [] == listed(broker, "users")["mirosd"]["tags"] == listed(broker, "users")["peers"]["tags"]
    assert [OWN, PEERS] == [
        tuple(rights[user][right] for right in ("configure", "write", "read")) for user in ("mirosd", "peers")
    ]
    assert before == listed(broker, "users")["guest"]
    with pytest.raises(AMQPError), connected(other, broker, "guest", "guest"):
        pass
    for user, host in (("peers", other), ("mirosd", one)):
        for what, action in FORBIDDEN[user].items():
            assert 403 == refusal(host, broker, user, one.secret("peers" if user == "peers" else "broker"), action), (
                what
            )


def test_the_lines_by_hand_do_the_same(hosts: tuple[OwnFiles, OwnFiles], brokers: dict[str, Broker]) -> None:
    """Where RabbitMQ does not answer, init says so (status 1), and what it prints makes the accounts elsewhere."""
    one, _ = hosts
    (one.bin / "rabbitmqctl").rename(one.directory / "rabbitmqctl")
    (one.bin / "rabbitmqctl").write_text("#!/bin/sh\necho 'Error: unable to connect to node' >&2\nexit 69\n")
    (one.bin / "rabbitmqctl").chmod(0o755)
    ended = one.ctl("init", "--vhost", "mesh", check=False)
    lines = [line.strip() for line in ended.stderr.splitlines() if line.startswith("  rabbitmqctl")]

    assert (1, True) == (ended.returncode, "unable to connect to node" in ended.stderr)
    (one.directory / "rabbitmqctl").replace(one.bin / "rabbitmqctl")
    one.run(["sh", "-ec", "\n".join(lines)])
    rights = listed(brokers["h1"], "permissions", "-p", "mesh")

    assert {"mirosd": OWN, "peers": PEERS} == {
        user: tuple(row[right] for right in ("configure", "write", "read")) for user, row in rights.items()
    }
    for user, file in (("mirosd", "broker"), ("peers", "peers")):
        with connected(one, brokers["h1"], user, one.secret(file), vhost="mesh"):
            pass


def listed(broker: Broker, what: str, *more: str) -> dict[str, Any]:
    rows = json.loads(broker.ctl("--quiet", f"list_{what}", *more, "--formatter", "json"))
    return {row["user"]: row for row in rows}


@contextmanager
def connected(
    host: OwnFiles, broker: Broker, user: str, password: str, *, vhost: str = "/"
) -> Iterator[BlockingChannel]:
    """Give a channel from a host to a broker."""
    account = pika.PlainCredentials(user, password)
    with host.network():
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(broker.host.address, broker.port, vhost, account, blocked_connection_timeout=30)
        )
    try:
        channel = connection.channel()
        channel.confirm_delivery()  # a refused publish is then told at once
        yield channel
    finally:
        connection.close()


def refusal(
    host: OwnFiles, broker: Broker, user: str, password: str, action: Callable[[BlockingChannel], Any]
) -> int | None:
    """Give the code with which the broker refuses, None when it does as asked."""
    with connected(host, broker, user, password) as channel:
        try:
            action(channel)
        except ChannelClosedByBroker as exc:
            return int(exc.reply_code)
    return None


def tell(daemon: InstalledDaemon) -> None:
    print(f"--- mirosd of {daemon.host.name}\n{daemon.log()[-4000:]}")
