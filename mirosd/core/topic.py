"""Which routing keys a binding key matches on a topic exchange: what RabbitMQ does, for saying who would be reached.

A key is words between dots; the empty key has none. Source: AMQP 0-9-1 section 3.1.3.3, and
RabbitMQ itself, which the tests ask.
"""

from functools import lru_cache


@lru_cache(maxsize=4096)
def topic_matches(binding_key: str, routing_key: str) -> bool:
    """Tell whether a binding key matches: `*` one word, `#` any number of words, also none.

    All ways through the binding key are followed at once, a bit for each place of it where one may stand; so the
    longest keys cost some hundred steps, whatever is in them.
    """
    words = binding_key.split(".") if binding_key else []
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    hashes, stars = places.get("#", 0), places.get("*", 0)
    here = _past_hashes(1, hashes)
    for word in routing_key.split(".") if routing_key else []:
        here = _past_hashes(here & hashes | (here & (stars | places.get(word, 0))) << 1, hashes)
    return bool(here >> len(words))


def _past_hashes(here: int, hashes: int) -> int:
    """Give the places too that no word leads to: behind each run of `#`, and in it.

    A carry runs through a run of ones as far as it goes, and changes each bit on its way.
    """
    return here | ((here & hashes) + hashes ^ hashes)
