"""Exchanges of a memory broker, and what a binding key matches."""

from typing import Generic, TypeVar

from mirosd.core.topic import topic_matches

Q = TypeVar("Q")

KINDS = ("topic", "direct")
"""All that mirosd declares."""


class Exchange(Generic[Q]):
    """A named place that bodies are published to, and the queues that are bound to it, in the order they were bound."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._bindings: dict[tuple[str, Q], None] = {}

    def bind(self, queue: Q, key: str) -> None:
        """Have the queue get what is published under a key that `key` matches."""
        self._bindings[key, queue] = None

    def unbind(self, queue: Q, key: str) -> None:
        """Undo a binding; one that is not there is no error."""
        self._bindings.pop((key, queue), None)

    def forget(self, queue: Q) -> None:
        """Undo all bindings of a queue."""
        self._bindings = {binding: None for binding in self._bindings if binding[1] is not queue}

    def route(self, routing_key: str) -> list[Q]:
        """Give each queue that gets what is published under `routing_key`, none twice."""
        match = topic_matches if self.kind == "topic" else str.__eq__
        return list(dict.fromkeys(queue for key, queue in self._bindings if match(key, routing_key)))
