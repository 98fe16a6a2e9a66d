"""A broker that breaks one behaviour of the contract fails the test of that behaviour, and no other."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from mirosd.backends import memory_exchange
from mirosd.backends.memory import MemoryBroker
from mirosd.backends.memory_channel import Channel
from mirosd.backends.memory_connection import Connection
from mirosd.backends.memory_queue import Held, Message, Queue
from mirosd.backends.memory_vhost import Vhost
from mirosd.core.topic import topic_matches
from mirosd.errors import BrokerError
from tests.backends import broker_contract, broker_loss_contract, broker_queue_contract
from tests.backends.memory_rig import MemoryRig
from tests.backends.virtual_time import run_virtually


def contract() -> Iterator[tuple[str, Callable[[MemoryRig], Any]]]:
    """Give each test of the contract, with each of its parameters."""
    for module in (broker_contract, broker_loss_contract, broker_queue_contract):
        classes = (member for name, member in vars(module).items() if name.startswith("Test"))
        for test_class in classes:
            for name, function in vars(test_class).items():
                if name.startswith("test_"):
                    for arguments in parameters(function):
                        yield name, partial(getattr(test_class(), name), **arguments)


def parameters(function: Any) -> Iterator[dict[str, Any]]:
    """Give the arguments of each run of a test that may be parametrized, once at the most."""
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    yield from ({marks[0].args[0]: value} for value in marks[0].args[1]) if marks else iter([{}])


def failing() -> set[str]:
    """Give the tests of the contract that the broker in memory fails as it is now."""
    failed = set()
    for name, test in contract():
        try:
            run_virtually(test(rig=MemoryRig()))
        except (AssertionError, BrokerError, TimeoutError, LookupError):
            failed.add(name)
    return failed


def goes_nowhere(connection: Connection, message: Message) -> bool:
    """Tell whether a message would be taken by an exchange and by no queue."""
    try:
        return bool(message.exchange) and not connection._vhost.route(message) and not connection._vhost.is_alarmed
    except BrokerError:
        return False


publish, confirm, put = Connection.publish, Connection.confirm, Queue.put

# The mutants: each a method that takes the place of one of the broker's.


def drop_the_unroutable(self: Connection, tag: int, message: Message, is_mandatory: bool) -> None:
    """What has no queue is dropped without a word."""
    if is_mandatory or not goes_nowhere(self, message):
        publish(self, tag, message, is_mandatory)


def return_behind_the_ack(self: Connection, tag: int, message: Message, is_mandatory: bool) -> None:
    """While others wait for their confirm, an unroutable body is confirmed together with them, and then returned."""
    if self._unsynced and is_mandatory and goes_nowhere(self, message):
        self._confirm_synced(tag)
        self._vhost.loop.call_soon(self._down.send, self._near.returned, tag)
    else:
        publish(self, tag, message, is_mandatory)


def confirm_in_order(self: Connection, tag: int, is_taken: bool) -> None:
    """A confirm waits for those of all bodies before it."""
    if self._unsynced:
        self._vhost.loop.call_soon(confirm_in_order, self, tag, is_taken)
    else:
        confirm(self, tag, is_taken)


def confirm_before_it_is_kept(self: Connection, tag: int, message: Message, is_mandatory: bool) -> None:
    """A persistent body is put into its queues some turns after its confirm, if the connection still stands."""
    if not message.is_persistent or self._vhost.is_alarmed or not (queues := self._vhost.route(message)):
        publish(self, tag, message, is_mandatory)
        return
    self._confirm_synced(tag)

    def keep(turns: int) -> None:
        if turns:
            self._vhost.loop.call_soon(keep, turns - 1)
        elif not self._up._is_cut:
            for queue in queues:
                queue.put(message)

    keep(4)


def expire_anywhere(self: Queue, message: Message) -> bool:
    """What has its own TTL dies on time wherever it is."""
    is_taken = put(self, message)
    if self._ready and self._ready[-1].message is message and message.expiration_ms is not None:
        self._loop.call_at(self._ready[-1].expires_s, expire_one, self, self._ready[-1])
    return is_taken


def expire_one(queue: Queue, held: Held) -> None:
    """Let one message die if it is still there."""
    if held in queue._ready:
        queue._ready.remove(held)
        queue._ready_bytes -= len(held.message.body)
        queue._on_dead(queue, held.message, "expired")


def drop_the_newest(self: Queue) -> None:
    """A queue that is too long lets go of its tail."""
    held = self._ready.pop()
    self._ready_bytes -= len(held.message.body)
    self._on_dead(self, held.message, "maxlen")


def give_back_to_the_tail(self: Queue, returned: Iterable[Held]) -> None:
    """What comes back waits behind all others."""
    for held in returned:
        held.is_redelivered = True
        self._ready.append(held)
        self._ready_bytes += len(held.message.body)
    self.deliver()


def has_room_unless_for_one(self: Channel) -> bool:
    """A prefetch counts only where it is 1."""
    return self._is_open and (self._prefetch != 1 or not self._out)


def is_known_or_let_be(self: Channel, tag: int) -> bool:
    """An unknown tag is passed over."""
    return tag in self._out


def ack_one(self: Channel, tag: int, multiple: bool) -> None:
    """An acknowledgement is for its own delivery alone."""
    if self._is_known(tag):
        del self._out[tag]
        self._queue.deliver()


def many_words(binding_key: str, routing_key: str) -> bool:
    """`*` is any number of words, as `#` is."""
    return topic_matches(binding_key.replace("*", "#"), routing_key)


def nothing(*_arguments: Any) -> None:
    """It does not happen."""


class Mutant(NamedTuple):
    """What is broken, and by what; the only test that may notice."""

    owner: Any
    name: str
    instead: Any
    noticed_by: str


MUTANTS = (
    Mutant(Connection, "publish", drop_the_unroutable, "test_unroutable_is_confirmed"),
    Mutant(Connection, "publish", return_behind_the_ack, "test_return_comes_before_the_ack"),
    Mutant(Connection, "confirm", confirm_in_order, "test_confirms_out_of_order_over_queues"),
    Mutant(Queue, "put", expire_anywhere, "test_ttl_acts_at_the_head"),
    Mutant(Queue, "_drop_one", drop_the_newest, "test_drop_head_to_the_dead_letters"),
    Mutant(Queue, "give_back", give_back_to_the_tail, "test_redelivered_in_place"),
    Mutant(Vhost, "delete_owned", nothing, "test_exclusive_dies_with_its_link"),
    Mutant(Queue, "used", nothing, "test_expires_unused"),
    Mutant(MemoryBroker, "block", nothing, "test_blocked"),
    Mutant(Connection, "publish", confirm_before_it_is_kept, "test_cut_at_any_frame"),
    # beyond the ten that design names
    Mutant(Channel, "has_room", property(has_room_unless_for_one), "test_prefetch"),
    Mutant(Channel, "ack", ack_one, "test_prefetch"),
    Mutant(Channel, "queue_deleted", nothing, "test_queue_deleted_under_it"),
    Mutant(Channel, "_is_known", is_known_or_let_be, "test_foreign_tag_ends_its_consumer_alone"),
    Mutant(Queue, "reject", nothing, "test_dropped_by_the_consumer"),
    Mutant(Vhost, "reply", nothing, "test_direct_reply"),
    Mutant(Connection, "end", nothing, "test_missing_exchange_loses_the_link"),
    Mutant(memory_exchange, "topic_matches", many_words, "test_topics"),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.noticed_by}-{mutant.name}")
def test_a_broken_behaviour_fails_its_test_alone(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one behaviour broken, exactly the test that has its name fails."""
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.instead)

    assert failing() == {mutant.noticed_by}


def test_nothing_broken_fails_nothing() -> None:
    """The broker as it is passes all of the contract, in virtual time too."""
    assert failing() == set()
