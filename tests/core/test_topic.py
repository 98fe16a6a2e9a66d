"""What a binding key matches: as its definition says, and as RabbitMQ does."""

import asyncio
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirosd.backends.amqp import AmqpConnector
from mirosd.core.broker import BrokerAddress, Outcome
from mirosd.core.topic import topic_matches
from tests.lab.broker import PASSWORD, USER, Broker
from tests.properties import TOTAL

WORDS = ("a", "b", "", "*", "#")  # few, so that they meet often; RabbitMQ takes any of them for either key
KEYS = st.lists(st.sampled_from(WORDS), max_size=5).map(".".join)


def by_definition(pattern: list[str], words: list[str]) -> bool:
    """Follow each way through the pattern, one after the other."""
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(by_definition(rest, words[taken:]) for taken in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and by_definition(rest, words[1:])


def words_of(key: str) -> list[str]:
    """Give a key's words: the empty key has none."""
    return key.split(".") if key else []


@TOTAL
@given(KEYS, KEYS)
def test_a_match_is_what_its_definition_says(binding_key: str, routing_key: str) -> None:
    """For all small keys: the same as trying every way of sharing out the words."""
    assert by_definition(words_of(binding_key), words_of(routing_key)) == topic_matches(binding_key, routing_key)


def test_many_hashes_cost_no_more_than_other_words() -> None:
    """The longest keys that AMQP carries, all hashes, are judged in an instant: a user may have 64 bindings so made."""
    began_s = time.process_time()
    for number in range(100):
        assert not topic_matches("#." * 125 + "b", "a." * 125 + str(number))

    assert time.process_time() - began_s < 1.0  # every way would take ages, and each run of hashes anew ten seconds


@pytest.mark.lab
def test_a_match_is_what_rabbitmq_does(broker: Broker) -> None:
    """RabbitMQ routes or returns each of 900 pairs of keys as is said here."""
    dice = random.Random(1)
    keys = {".".join(dice.choices(WORDS, k=dice.randint(0, 4))) for _ in range(200)}
    binding_keys, routing_keys = sorted(keys)[:30], sorted(keys)[-30:]

    async def ask() -> dict[tuple[str, str], bool]:
        address = BrokerAddress(broker.host.address, broker.port, user=USER, password=PASSWORD)
        link = await AmqpConnector().open(address, deadline_s=10, name="test", on_lost=lambda _: None)
        queue = await link.declare_queue("", durable=False, exclusive=True, arguments={"x-max-length": 1})
        said: dict[tuple[str, str], bool] = {}
        done = asyncio.Event()
        for number, binding_key in enumerate(binding_keys):
            exchange = f"mirosd.topic.{number}"  # one each, so that each binding answers for itself
            await link.declare_exchange(exchange)
            await link.bind_queue(queue, exchange, binding_key)
            for routing_key in routing_keys:

                def told(outcome: Outcome, pair: tuple[str, str] = (binding_key, routing_key)) -> None:
                    said[pair] = outcome is Outcome.CONFIRMED
                    if len(said) == len(binding_keys) * len(routing_keys):
                        done.set()

                link.publish(exchange, routing_key, b"", mandatory=True, on_outcome=told)
        async with asyncio.timeout(30):
            await done.wait()
        await link.close()
        return said

    said = asyncio.run(ask())

    assert {pair: topic_matches(*pair) for pair in said} == said
    assert {True, False} == set(said.values())
