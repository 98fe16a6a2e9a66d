"""What a memory broker holds: exchanges, queues, bindings, and where the dead go. Connections come and go above it.

Refusals are RabbitMQ's, as backends.amqp_errors would tell them: BrokerError `exchange` for a missing exchange (404),
`closed` for all else (another 404, 405, 406).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mirosd.backends.memory_exchange import KINDS, Exchange
from mirosd.backends.memory_queue import ARGUMENTS, Message, Queue
from mirosd.core.broker import DIRECT_REPLY
from mirosd.errors import BrokerError


class Vhost:
    """Exchanges and queues, by name; and who waits for answers. Thread: loop.

    Attributes:
        is_alarmed: no more bodies are taken for now.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_alarmed = False
        self._askers: dict[str, Callable[[Message], None]] = {}
        self._exchanges: dict[str, Exchange[Queue]] = {}
        self._queues: dict[str, Queue] = {}
        self._names_given = 0

    def declare_exchange(self, name: str, kind: str) -> None:
        """Have an exchange."""
        if kind not in KINDS:
            raise BrokerError("closed", f"503 COMMAND_INVALID - no exchange type {kind!r} in memory")
        if self._exchanges.setdefault(name, Exchange(kind)).kind != kind:
            raise BrokerError("closed", f"406 PRECONDITION_FAILED - exchange {name!r} is of another type")

    def exchange(self, name: str) -> Exchange[Queue]:
        """Give an exchange; BrokerError("exchange") when there is none."""
        if name not in self._exchanges:
            raise BrokerError("exchange", f"404 NOT_FOUND - no exchange {name!r}")
        return self._exchanges[name]

    def declare_queue(
        self, name: str, is_durable: bool, owner: object | None, arguments: dict[str, Any], asker: object
    ) -> str:
        """Have a queue and give its name; `owner` is who alone may use it, `asker` who asks."""
        if not name:
            name = self._new_name("amq.gen-")
        if name in self._queues:
            queue = self.queue(name, asker)
            if (queue.is_durable, queue.owner, queue.arguments) != (is_durable, owner, arguments):
                raise BrokerError("closed", f"406 PRECONDITION_FAILED - queue {name!r} was declared otherwise")
            queue.used()
            return name
        if unknown := arguments.keys() - ARGUMENTS:
            raise BrokerError("closed", f"406 PRECONDITION_FAILED - in memory no queue knows {sorted(unknown)}")
        self._queues[name] = Queue(
            name,
            is_durable=is_durable,
            owner=owner,
            arguments=arguments,
            loop=self.loop,
            on_dead=self._bury,
            on_unused=self._delete,
        )
        return name

    def has_queue(self, name: str) -> bool:
        """Say whether a queue is there."""
        return name in self._queues

    def queue(self, name: str, asker: object) -> Queue:
        """Give a queue that `asker` may use; BrokerError("closed") when there is none, or it is another's own."""
        if name not in self._queues:
            raise BrokerError("closed", f"404 NOT_FOUND - no queue {name!r}")
        queue = self._queues[name]
        if queue.owner not in (None, asker):
            raise BrokerError("closed", f"405 RESOURCE_LOCKED - queue {name!r} is exclusive to another connection")
        return queue

    def bind_queue(self, name: str, exchange: str, key: str, asker: object) -> None:
        """Bind a queue."""
        self.exchange(exchange).bind(self.queue(name, asker), key)

    def unbind_queue(self, name: str, exchange: str, key: str, asker: object) -> None:
        """Undo a binding; nothing happens when any part of it is gone."""
        if name in self._queues and exchange in self._exchanges:
            self._exchanges[exchange].unbind(self.queue(name, asker), key)

    def delete_queue(self, name: str, asker: object) -> None:
        """Delete a queue, if it is there."""
        if name in self._queues:
            self._delete(self.queue(name, asker))

    def delete_owned(self, owner: object) -> None:
        """Delete the exclusive queues of a connection that is gone."""
        for queue in [queue for queue in self._queues.values() if queue.owner is owner]:
            self._delete(queue)

    def add_asker(self, on_reply: Callable[[Message], None]) -> str:
        """Give a name that answers can be published to through the default exchange."""
        name = self._new_name(f"{DIRECT_REPLY}.")
        self._askers[name] = on_reply
        return name

    def remove_asker(self, name: str) -> None:
        """Nobody waits for answers under this name any more."""
        self._askers.pop(name, None)

    def reply(self, message: Message) -> None:
        """Hand a message over if it is an answer and somebody waits for it. No queue takes part."""
        if not message.exchange and message.routing_key in self._askers:
            self._askers[message.routing_key](message)

    def route(self, message: Message) -> Sequence[Queue]:
        """Give the queues that a message goes to; BrokerError("exchange") when its exchange is missing."""
        if message.exchange:
            return self.exchange(message.exchange).route(message.routing_key)
        return [self._queues[message.routing_key]] if message.routing_key in self._queues else []

    def _new_name(self, prefix: str) -> str:
        self._names_given += 1
        return f"{prefix}{self._names_given}"

    def _delete(self, queue: Queue) -> None:
        del self._queues[queue.name]
        for exchange in self._exchanges.values():
            exchange.forget(queue)
        queue.delete()

    def _bury(self, queue: Queue, message: Message, reason: str) -> None:
        """Send what died in a queue to its dead letter exchange, if it has one.

        In a later turn, as RabbitMQ does: no queue is changed from within another's change.
        """
        exchange = queue.arguments.get("x-dead-letter-exchange")
        if exchange is not None:
            deaths = _deaths(queue, message, reason)
            letter = replace(
                message,
                exchange=exchange,
                routing_key=queue.arguments.get("x-dead-letter-routing-key", message.routing_key),
                expiration_ms=None,  # else it would die again where it is counted
                headers={**(message.headers or {}), "x-death": deaths},
            )
            self.loop.call_soon(self._put_dead, letter, deaths)

    def _put_dead(self, letter: Message, deaths: list[dict[str, Any]]) -> None:
        if letter.exchange and letter.exchange not in self._exchanges:
            return
        is_refused = any(death["reason"] == "rejected" for death in deaths)
        for target in self.route(letter):
            # what would go round for ever is dropped, unless a consumer had a hand in it
            if is_refused or all(death["queue"] != target.name for death in deaths):
                target.put(letter)


def _deaths(queue: Queue, message: Message, reason: str) -> list[dict[str, Any]]:
    """Give the x-death header with one death more, the latest first. Without RabbitMQ's `time`: no wall clock here."""
    earlier = (message.headers or {}).get("x-death", [])
    same = [death for death in earlier if (death["queue"], death["reason"]) == (queue.name, reason)]
    latest = {
        "count": 1 + sum(death["count"] for death in same),
        "reason": reason,
        "queue": queue.name,
        "exchange": message.exchange,
        "routing-keys": [message.routing_key],
    }
    return [latest, *(death for death in earlier if death not in same)]
