"""The broker: its life, its accounts, and how quickly it is new again."""

from collections.abc import Callable
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker, ProbableAuthenticationError

from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER, Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EXCHANGE = "mirosd.default.control"
REPLY_TO = "amq.rabbitmq.reply-to"


def connect(broker: Broker, user: str = USER, password: str = PASSWORD, vhost: str = "/") -> BlockingConnection:
    """Give a connection from the calling thread's network."""
    credentials = pika.PlainCredentials(user, password)
    return BlockingConnection(pika.ConnectionParameters(broker.host.address, broker.port, vhost, credentials))


def make_control_exchange(broker: Broker) -> str:
    """Declare the exchange that a host's own daemon would; give the name of a queue bound to it."""
    own = connect(broker)
    channel = own.channel()
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    queue = str(channel.queue_declare("mirosd.default.inbox", durable=True).method.queue)
    channel.queue_bind(queue, EXCHANGE, "#")
    own.close()
    return queue


def refuse(broker: Broker, user: str, password: str, attempt: Callable[[BlockingChannel], object]) -> None:
    """Have an account try something, which the broker must refuse for want of a right."""
    connection = connect(broker, user, password)
    channel = connection.channel()
    channel.confirm_delivery()

    with pytest.raises(ChannelClosedByBroker) as refusal:
        attempt(channel)

    assert refusal.value.reply_code == 403
    connection.close()


def test_peers_may_ask_and_are_answered(broker: Broker) -> None:
    """With `peers` alone a host declares passively, asks through an exchange and reads its direct reply."""
    queue = make_control_exchange(broker)
    asking, answering = connect(broker, PEERS_USER, PEERS_PASSWORD), connect(broker)
    heard: list[bytes] = []
    channel = asking.channel()
    channel.confirm_delivery()
    channel.exchange_declare(EXCHANGE, passive=True)
    channel.basic_consume(REPLY_TO, lambda _c, _m, _p, body: heard.append(body), auto_ack=True)
    channel.basic_publish(EXCHANGE, "a.b", b"who?", pika.BasicProperties(reply_to=REPLY_TO), mandatory=True)

    replies = answering.channel()
    question = until(lambda: _got(replies.basic_get(queue, auto_ack=True)), what="the question")
    assert question
    replies.basic_publish("", question[1].reply_to, b"me, to " + question[2])

    def step() -> list[bytes]:
        asking.process_data_events(0.01)
        return heard

    assert until(step, what="the answer") == [b"me, to who?"]
    asking.close()
    answering.close()


def _got(answer: tuple[Any, ...]) -> tuple[Any, ...] | None:
    return answer if answer[0] else None


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda c: c.exchange_declare("mirosd.evil", "topic"), id="make an exchange"),
        pytest.param(lambda c: c.exchange_delete(EXCHANGE), id="delete an exchange"),
        pytest.param(lambda c: c.queue_declare("mirosd.evil"), id="make a queue"),
        pytest.param(lambda c: c.queue_delete("mirosd.default.inbox"), id="delete a queue"),
        pytest.param(lambda c: c.queue_bind("mirosd.default.inbox", EXCHANGE, "x"), id="bind a queue"),
        pytest.param(lambda c: c.exchange_bind(EXCHANGE, "amq.topic"), id="bind an exchange"),
        pytest.param(lambda c: c.basic_get("mirosd.default.inbox"), id="read a queue"),
        pytest.param(lambda c: c.basic_publish("amq.topic", "x", b""), id="write elsewhere"),
        pytest.param(lambda c: c.basic_publish("", "mirosd.default.inbox", b""), id="write past the exchanges"),
        pytest.param(lambda c: c.basic_publish("mirosd.default.dead", "x", b""), id="write dead letters"),
    ],
)
def test_peers_may_nothing_else(broker: Broker, attempt: Callable[[BlockingChannel], object]) -> None:
    """The account that other hosts know can make, delete, bind and read nothing, and write to few exchanges (D57)."""
    make_control_exchange(broker)
    refuse(broker, PEERS_USER, PEERS_PASSWORD, attempt)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda c: c.exchange_declare("other"), id="make an exchange"),
        pytest.param(lambda c: c.queue_declare("other"), id="make a queue"),
        pytest.param(lambda c: c.exchange_delete("other"), id="delete an exchange"),
        pytest.param(lambda c: c.queue_delete("other"), id="delete a queue"),
        pytest.param(lambda c: c.queue_bind("mirosd.default.inbox", "amq.topic", "#"), id="hear others"),
        pytest.param(lambda c: c.basic_get("other"), id="read a queue"),
        pytest.param(lambda c: c.basic_publish("amq.topic", "x", b""), id="write elsewhere"),
    ],
)
def test_the_own_account_may_nothing_else(broker: Broker, attempt: Callable[[BlockingChannel], object]) -> None:
    """What is not mirosd's on a host's own broker is none of its daemon's business either (D57)."""
    make_control_exchange(broker)
    refuse(broker, USER, PASSWORD, attempt)


def test_nobody_is_administrator(broker: Broker) -> None:
    """No account of ours has a tag, and guest is as it comes: for loopback (D57)."""
    tags = broker.call("lists:append([T || [{user, _}, {tags, T}] <- rabbit_auth_backend_internal:list_users()]).")

    assert "[]" == tags
    assert "true" == broker.call('{ok, [<<"guest">>]} == application:get_env(rabbit, loopback_users).')


def test_guest_is_of_this_host_alone(broker: Broker, brokers: dict[str, Broker], lan: Lan) -> None:
    """RabbitMQ's own `guest` connects over loopback and from nowhere else, as on a plain install."""
    connect(broker, "guest", "guest").close()

    with lan["h2"].network(), pytest.raises(ProbableAuthenticationError):
        connect(brokers["h1"], "guest", "guest")


def test_reset_leaves_nothing(broker: Broker) -> None:
    """After a reset the broker has no queue, no exchange and no virtual host of the test before, and works."""
    make_control_exchange(broker)
    other = broker.new_vhost()
    connect(broker, vhost=other).close()

    broker.reset()

    connection = connect(broker)
    with pytest.raises(ChannelClosedByBroker) as missing:
        connection.channel().exchange_declare(EXCHANGE, passive=True)
    assert missing.value.reply_code == 404
    connection.close()
    assert broker.call("length(rabbit_vhost:list_names()).") == "1"


def test_disk_outlives_a_kill(broker: Broker) -> None:
    """A persistent message in a durable queue is there after kill -9 and a new start."""
    queue = make_control_exchange(broker)
    connection = connect(broker)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish(EXCHANGE, "a.b", b"kept", pika.BasicProperties(delivery_mode=2))
    connection.close()

    broker.kill()
    assert not broker.is_running
    broker.start()
    broker.wait_ready()

    connection = connect(broker)
    assert connection.channel().basic_get(queue, auto_ack=True)[2] == b"kept"
    connection.close()


def test_stopped_in_order(broker: Broker) -> None:
    """SIGTERM reaches the broker itself, which ends its applications and then itself, with status 0."""
    assert broker.stop() == 0

    assert not broker.is_running
    assert "SIGTERM received" in broker.log()
    assert not broker.is_ready()


def test_paused_broker_is_silent_until_resumed(broker: Broker) -> None:
    """A paused broker accepts nothing and answers nothing; resumed, it goes on."""
    broker.pause()
    assert not broker.is_ready()

    broker.resume()
    until(broker.is_ready, what="the broker answers again")


def test_rabbitmqctl_reaches_it(broker: Broker) -> None:
    """`ctl` talks to this broker, with its own cookie."""
    assert PEERS_USER in broker.ctl("list_users")
