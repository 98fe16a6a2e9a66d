"""Whoever can read and write a broker records bodies there and plays them again: nothing reaches a chart twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pika import BasicProperties, BlockingConnection, ConnectionParameters, PlainCredentials

from mirosd.names import SystemNames
from mirosd_client.wire import Network
from tests.e2e.stage import Actor, Stage, staged
from tests.lab.broker import PASSWORD, USER, Broker
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

EVENTS = 20
EXCHANGE = SystemNames("default").exchanges[Network.MESH]


class Recorder:
    """Somebody with a broker's own account, who keeps all mesh bodies that the broker takes."""

    def __init__(self, broker: Broker) -> None:
        address = ConnectionParameters(
            broker.host.address, broker.port, credentials=PlainCredentials(USER, PASSWORD), heartbeat=0
        )
        with broker.host.network():
            self._connection = BlockingConnection(address)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, EXCHANGE, "#")

    def bodies(self) -> list[tuple[str, bytes]]:
        """Give (routing key, body) of all that came since it was last asked."""
        found = []
        while (got := self._channel.basic_get(self._queue, auto_ack=True))[0] is not None:
            found.append((got[0].routing_key, got[2]))
        return found

    def play(self, bodies: list[tuple[str, bytes]]) -> None:
        """Publish them; the broker has taken them when this returns."""
        for routing_key, body in bodies:
            self._channel.basic_publish(
                EXCHANGE, routing_key, body, BasicProperties(delivery_mode=2, expiration="50000")
            )

    def close(self) -> None:
        """End it."""
        self._connection.close()


@contextmanager
def recording(broker: Broker) -> Iterator[Recorder]:
    recorder = Recorder(broker)
    try:
        yield recorder
    finally:
        recorder.close()


def mark(sender: Actor, receiver: Actor) -> list[int]:
    """Have one more event sent, which comes behind all that was played; gives what the receiver has handled by then."""
    number = sender.do("send", count=1)["accepted"][-1]
    until(lambda: receiver.numbers("sender")[-1:] == [number], what=f"event {number}")
    return receiver.numbers("sender")


def refused(stage: Stage, name: str) -> int:
    """Give how many events a host's daemon has refused as repeats."""
    return int(stage.daemons[name].ask("status")["counters"].get("replayed", 0))


def subscribed(stage: Stage, host: str, name: str) -> Actor:
    actor = stage.actor(host, name)
    assert actor.do("wait_subscribed")["subscribed"]
    return actor


def test_recordings_reach_no_chart_twice(lan: Lan, brokers: dict[str, Broker]) -> None:
    """At once, to a new program, through restarts of the receiving daemon, and into another host's broker (D55)."""
    with staged(lan, brokers) as stage, recording_all(stage, brokers) as (at_h2, at_h3):
        first = subscribed(stage, "h2", "first")
        sender = stage.actor("h1", "sender", rx="nothing")
        sent = sender.do("send", count=EVENTS)["accepted"]
        until(lambda: first.numbers("sender") == sent, what="all handled")
        recorded = at_h2.bodies()

        at_h2.play(recorded)
        assert [*sent, EVENTS + 1] == mark(sender, first), "at once"

        first.close()
        second = subscribed(stage, "h2", "second")
        before = refused(stage, "h2")
        at_h2.play(recorded)
        assert [EVENTS + 2] == mark(sender, second), "to a program that has started anew"
        assert EVENTS == refused(stage, "h2") - before

        for number, is_orderly in ((EVENTS + 3, False), (EVENTS + 5, True)):
            recorded = recorded[:1] + at_h2.bodies()
            daemon = stage.daemons["h2"]
            if is_orderly:
                daemon.stop()
            else:
                daemon.kill()
            at_h2.play(recorded)
            daemon.start()
            stage.wait_alive("h2")
            at_h2.play(recorded)
            assert list(range(EVENTS + 2, number + 1)) == mark(sender, second), "after a restart of the daemon"
            third = subscribed(stage, "h2", f"later-{number}")
            at_h2.play(recorded)
            assert [number + 1] == mark(sender, third), "after it, to a program that has started anew"

        other = subscribed(stage, "h3", "other")
        at_h3.play(recorded)
        assert [EVENTS + 7] == mark(sender, other), "into another host's broker"
        assert refused(stage, "h3") > 0


@contextmanager
def recording_all(stage: Stage, brokers: dict[str, Broker]) -> Iterator[tuple[Recorder, Recorder]]:
    """Start three daemons, h2's and h3's as peers of h1's, and somebody at the brokers of these two."""
    for name, peers in {"h1": ["h2", "h3"], "h2": ["h1"], "h3": ["h1"]}.items():
        stage.daemon(name, peers).start()
    stage.wait_alive("h1", 2)
    stage.wait_alive("h2")
    stage.wait_alive("h3")
    with recording(brokers["h2"]) as at_h2, recording(brokers["h3"]) as at_h3:
        yield at_h2, at_h3
