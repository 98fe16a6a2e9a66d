"""Which routing keys a binding key matches on a topic exchange: what RabbitMQ does, for saying who would be reached.

A key is words between dots; the empty key has none. Source: AMQP 0-9-1 section 3.1.3.3, and
RabbitMQ itself, which the tests ask.
"""

from collections.abc import Iterable
from functools import lru_cache


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
