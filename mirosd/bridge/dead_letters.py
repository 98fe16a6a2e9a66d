"""What this host's queues dropped: counted by reason, so that nothing is lost in silence.

Queues that hold events send what expires or overflows to one exchange, with the node's
id as routing key; the daemon consumes that and adds the record count of each header.
"""

from mirosd.core.broker import Consumer, Incoming, Link
from mirosd.core.settings import DeliverySettings
from mirosd.core.shown import Board
from mirosd.names import SystemNames

PREFETCH = 100
REASONS = {"expired": "expired_in_queue", "maxlen": "overflow_in_queue"}


async def count_dead_letters(
    link: Link, names: SystemNames, node: str, settings: DeliverySettings, board: Board
) -> None:
    """Consume this host's dead letters over `link`, as long as it lives."""
    await link.declare_exchange(names.dead, kind="direct")
    arguments = {"x-expires": int(settings.queue_expires_s * 1000), "x-queue-mode": "lazy"}  # bodies come whole
    queue = await link.declare_queue(
        names.dead_queue(node, arguments), durable=True, exclusive=False, arguments=arguments
    )
    await link.bind_queue(queue, names.dead, node)
    consumers: list[Consumer] = []

    def count(incoming: Incoming) -> None:
        headers = incoming.headers or {}
        deaths = headers.get("x-death") or [{}]
        board.count(REASONS.get(str(deaths[0].get("reason")), "dead_lettered"), incoming.records or 1)
        if consumers:
            consumers[0].ack(incoming.tag)

    consumers.append(await link.consume(queue, count, prefetch=PREFETCH))
