"""What waits for a chart that stands still, on a real RabbitMQ."""

import re

import pytest

from tests.bridge.rig import BridgedHost, Program, until
from tests.bridge.test_bridge import run
from tests.lab.broker import Broker

pytestmark = pytest.mark.lab

EVENTS, EVENT_BYTES = 200, 60_000


class Stopped(Program):
    """A program whose chart takes nothing."""

    def deliver(self, subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> None:
        """Keep it, and acknowledge nothing."""


def bytes_of_queues(broker: Broker, vhost: str) -> list[tuple[int, int, int]]:
    """Give of each queue of a virtual host the bytes that are ready, unacknowledged, and in memory."""
    items = ("message_bytes_ready", "message_bytes_unacknowledged", "message_bytes_ram")
    values = ", ".join(f"proplists:get_value({item}, Q)" for item in items)
    text = broker.call(f'[{{{values}}} || Q <- rabbit_amqqueue:info_all(<<"{vhost}">>, [{", ".join(items)}])].')
    return [(int(a), int(b), int(c)) for a, b, c in re.findall(r"\{(\d+),\s*(\d+),\s*(\d+)\}", text)]


def test_what_waits_for_a_stopped_chart_is_on_disk_alone(broker: Broker) -> None:
    """But for what is on its way to the program, none of it is in the broker's memory: else floods end in an alarm."""

    async def test(a: BridgedHost, b: BridgedHost) -> None:
        sender, far = Program(a, "s"), Stopped(b, "f")
        sender.attach()
        far.attach()
        await far.hear("#")
        sender.send(EVENTS, "k", size=EVENT_BYTES)
        await until(lambda: sender.numbers[1] == EVENTS, "all settled")
        queues = bytes_of_queues(broker, b.vhosts["b"])
        ready, on_its_way, in_memory = max(queues)

        assert ready + on_its_way > EVENTS * EVENT_BYTES
        assert in_memory <= on_its_way < EVENTS * EVENT_BYTES / 2

    run(broker, test)
