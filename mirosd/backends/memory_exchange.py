"""Exchanges of a memory broker, and what a binding key matches."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

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


@lru_cache(maxsize=4096)
def topic_matches(binding_key: str, routing_key: str) -> bool:
    """Tell whether a binding key matches: `*` one word, `#` any number of words, also none.

    All ways through the binding key are followed at once, so that many `#` cost no more than other words.
    """
    words = binding_key.split(".") if binding_key else []
    here = _past_hashes(words, {0})
    for word in routing_key.split(".") if routing_key else []:
        passed = (at for at in here if at < len(words) and words[at] in ("#", "*", word))
        here = _past_hashes(words, {at if words[at] == "#" else at + 1 for at in passed})
    return len(words) in here


def _past_hashes(words: list[str], here: Iterable[int]) -> set[int]:
    found = set()
    for at in here:
        found.add(at)
        while at < len(words) and words[at] == "#":
            at += 1  # noqa: PLW2901 -- walks on from here
            found.add(at)
    return found
