"""What the daemon relies on in a broker's queues and consumers; goes with broker_contract.py."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mirosd.core.broker import Incoming, Link, Outcome
from tests.backends.broker_rig import MESH, Inbox, Rig, eventually, linked, make_queue, published

DEAD = "mirosd.t.dead"
TOPICS = {
    "a": {"a"},
    "a.b": {"a.b"},
    "*": {"a", "b", "ab", "A"},
    "a.*": {"a.", "a.b", "a.#"},
    "*.b": {"a.b"},
    "*.*": {"a.", "a.b", "b.a", "a.#"},
    "a.#": {"a", "a.", "a.b", "a.b.c", "a.a.b", "a.#"},
    "#.b": {"a.b", "a.a.b", "b"},
    "a.#.b": {"a.b", "a.a.b"},
    "*.#.b": {"a.b", "a.a.b"},
    "#.*": {"a", "a.", "a.b", "a.b.c", "a.a.b", "b", "b.a", "a.#", "ab", "A"},
    "#": {"", "a", "a.", "a.b", "a.b.c", "a.a.b", "b", "b.a", "a.#", "ab", "A"},
    "#.#": {"", "a", "a.", "a.b", "a.b.c", "a.a.b", "b", "b.a", "a.#", "ab", "A"},
    "": {""},
}
"""Binding keys, and which of the test's keys they match; what RabbitMQ says, which the contract is run against."""


class TestQueues:
    async def test_order_and_fields(self, rig: Rig) -> None:
        """Bodies come in the order they were published, with routing key, headers and any bytes."""
        bodies = [bytes([n]) * 70_000 if n == 3 else bytes(range(n)) for n in range(8)]
        async with linked(rig) as link:
            inbox = await Inbox().on(link, await make_queue(link))
            for body in bodies:
                link.publish(MESH, "a.b", body, persistent=True, headers={"n": 3}, correlation_id="c")
            await eventually(lambda: len(inbox.got) == len(bodies))

            assert inbox.bodies == bodies
            first = inbox.got[0]
            assert (first.routing_key, first.headers, first.correlation_id) == ("a.b", {"n": 3}, "c")
            assert not first.redelivered

    async def test_empty_body(self, rig: Rig) -> None:
        """A body may be empty."""
        async with linked(rig) as link:
            inbox = await Inbox().on(link, await make_queue(link))
            link.publish(MESH, "a", b"")
            await eventually(lambda: inbox.got)

            assert inbox.bodies == [b""]

    async def test_ttl_acts_at_the_head(self, rig: Rig) -> None:
        """What is older than the queue's TTL, or than its own, dies when it is at the head; the reason is `expired`."""
        async with linked(rig) as link:
            dead = await _dead_letters(link)
            to_dead = {"x_dead_letter_exchange": DEAD, "x_dead_letter_routing_key": "n"}
            await make_queue(link, "behind", "c", **to_dead)
            await make_queue(link, "queue", "a", x_message_ttl=50, **to_dead)
            await make_queue(link, "own", "b", **to_dead)
            link.publish(MESH, "c", b"lives")
            link.publish(MESH, "c", b"behind", expiration_ms=50)
            link.publish(MESH, "a", b"queue's")
            link.publish(MESH, "b", b"own", expiration_ms=200)
            await eventually(lambda: len(dead.got) >= 2, "dead letters")
            assert set(dead.bodies) == {b"queue's", b"own"}

            living = await Inbox(acks=False).on(link, "behind", prefetch=1)
            await eventually(lambda: len(dead.got) == 3 and living.got, "what was behind")

            assert (dead.bodies[2], living.bodies) == (b"behind", [b"lives"])
            assert [_reason(letter) for letter in dead.got] == ["expired"] * 3

    async def test_drop_head_to_the_dead_letters(self, rig: Rig) -> None:
        """A queue beyond its length lets go of its oldest, to the dead letters with reason `maxlen`; headers stay."""
        async with linked(rig) as link:
            dead = await _dead_letters(link)
            queue = await make_queue(
                link, x_max_length_bytes=30, x_dead_letter_exchange=DEAD, x_dead_letter_routing_key="n"
            )
            for number in range(5):
                link.publish(MESH, "a", b"%010d" % number, headers={"n": number})
            await eventually(lambda: len(dead.got) == 2, "dead letters")
            kept = await Inbox().on(link, queue)
            await eventually(lambda: len(kept.got) == 3)

            assert dead.bodies == [b"%010d" % 0, b"%010d" % 1]
            assert [(_reason(letter), (letter.headers or {})["n"]) for letter in dead.got] == [
                ("maxlen", 0),
                ("maxlen", 1),
            ]
            assert kept.bodies == [b"%010d" % number for number in (2, 3, 4)]

    async def test_exclusive_dies_with_its_link(self, rig: Rig) -> None:
        """An exclusive queue with a name from the broker is gone when its link is, however that ended."""
        async with linked(rig) as other:
            await other.declare_exchange(MESH)
            for end in ("close", "abort"):
                link = await rig.open(lambda _: None)
                queue = await link.declare_queue("", durable=False, exclusive=True, arguments={"x-message-ttl": 3000})
                await link.bind_queue(queue, MESH, "a")
                assert queue
                assert await published(other, b"1", key="a", mandatory=True) == [Outcome.CONFIRMED]
                await link.close() if end == "close" else link.abort()
                await _until_unroutable(other, "a")

    async def test_expires_unused(self, rig: Rig) -> None:
        """A queue without a consumer for its x-expires is gone, with its binding; one that has a consumer stays."""
        async with linked(rig) as link:
            used = await Inbox().on(link, await make_queue(link, "used", "u", x_expires=300))
            await make_queue(link, "unused", "a", x_expires=300)
            await _until_unroutable(link, "a")
            assert await published(link, b"1", key="u", mandatory=True) == [Outcome.CONFIRMED]

            await used.consumer.cancel()
            await _until_unroutable(link, "u")

    async def test_topics(self, rig: Rig) -> None:
        """In a binding key `*` is one word, whatever it is, and `#` any number of words, also none."""
        keys = ("", "a", "a.", "a.b", "a.b.c", "a.a.b", "b", "b.a", "a.#", "ab", "A")
        async with linked(rig) as link:
            for binding, matching in TOPICS.items():
                queue = await make_queue(link, key=binding)
                outcomes: dict[str, Outcome] = {}
                for key in keys:
                    link.publish(MESH, key, b"", mandatory=True, on_outcome=partial(outcomes.__setitem__, key))
                await eventually(partial(_are_all, outcomes, keys), "all outcomes")
                await link.unbind_queue(queue, MESH, binding)

                assert {key for key in keys if outcomes[key] is Outcome.CONFIRMED} == matching, binding

    async def test_unbound_and_deleted(self, rig: Rig) -> None:
        """Unbinding and deleting are done when they return; deleting what is not there is no error."""
        async with linked(rig) as link:
            queue = await make_queue(link, key="a")
            await link.unbind_queue(queue, MESH, "a")
            assert await published(link, b"1", key="a", mandatory=True) == [Outcome.RETURNED]

            await link.bind_queue(queue, MESH, "a")
            await link.delete_queue(queue)
            await link.delete_queue(queue)
            assert await published(link, b"1", key="a", mandatory=True) == [Outcome.RETURNED]


class TestConsumers:
    async def test_whether_it_is_there(self, rig: Rig) -> None:
        """A queue can be asked for without being made, by whoever may use it; the link goes on after either answer."""
        async with linked(rig) as link:
            assert not await link.has_queue("mirosd.t.nobody")
            name = await make_queue(link)
            async with linked(rig) as other:
                assert await other.has_queue(name)
            await link.delete_queue(name)
            assert not await link.has_queue(name)
            await make_queue(link)
            assert [Outcome.CONFIRMED] == await published(link, b"")

    async def test_prefetch(self, rig: Rig) -> None:
        """No more than `prefetch` bodies are out at once; an acknowledgement of several makes room for as many."""
        async with linked(rig) as link:
            queue = await make_queue(link)
            await published(link, *(b"%d" % n for n in range(10)))
            inbox = await Inbox(acks=False).on(link, queue, prefetch=4)
            await eventually(lambda: len(inbox.got) == 4)
            await link.check_exchange(MESH)  # a round trip: a fifth would be here
            assert len(inbox.got) == 4

            inbox.consumer.ack(inbox.got[2].tag, multiple=True)
            await eventually(lambda: len(inbox.got) == 7)
            await link.check_exchange(MESH)

            assert inbox.bodies == [b"%d" % n for n in range(7)]

    async def test_redelivered_in_place(self, rig: Rig) -> None:
        """A delivery given back comes again, before what is behind it, and says so."""
        async with linked(rig) as link:
            queue = await make_queue(link)
            await published(link, b"1", b"2", b"3")
            inbox = await Inbox(acks=False).on(link, queue, prefetch=1)
            await eventually(lambda: inbox.got)
            inbox.consumer.nack(inbox.got[0].tag, requeue=True)
            for count in (2, 3, 4):
                await eventually(partial(inbox.has, count))
                inbox.consumer.ack(inbox.got[-1].tag)

            assert [(i.body, i.redelivered) for i in inbox.got] == [
                (b"1", False),
                (b"1", True),
                (b"2", False),
                (b"3", False),
            ]

    async def test_dropped_by_the_consumer(self, rig: Rig) -> None:
        """A delivery that is refused for good goes to the dead letters with reason `rejected`."""
        async with linked(rig) as link:
            dead = await _dead_letters(link)
            queue = await make_queue(link, x_dead_letter_exchange=DEAD, x_dead_letter_routing_key="n")
            inbox = await Inbox(acks=False).on(link, queue)
            link.publish(MESH, "a", b"1")
            await eventually(lambda: inbox.got)
            inbox.consumer.nack(inbox.got[0].tag, requeue=False)
            await eventually(lambda: dead.got)

            assert [(_reason(letter), letter.body) for letter in dead.got] == [("rejected", b"1")]

    @pytest.mark.parametrize("end", ["cancel", "close", "abort"])
    async def test_unacknowledged_comes_again(self, rig: Rig, end: str) -> None:
        """What a consumer had not acknowledged when it ended comes again, in order and before newer ones."""
        async with linked(rig) as other:
            queue = await make_queue(other)
            await published(other, b"1", b"2", b"3")
            link = await rig.open(lambda _: None)
            inbox = await Inbox(acks=False).on(link, queue, prefetch=3)
            await eventually(lambda: len(inbox.got) == 3)
            inbox.consumer.ack(inbox.got[0].tag)
            await {"cancel": inbox.consumer.cancel, "close": link.close, "abort": _aborting(link)}[end]()
            await published(other, b"4")
            again = await Inbox().on(other, queue)
            await eventually(lambda: len(again.got) >= 3 and again.bodies[-1] == b"4")
            await link.close()

            # an aborted link's acknowledgement may not have left
            assert again.bodies[-3:] == [b"2", b"3", b"4"]
            assert [i.redelivered for i in again.got[-3:]] == [True, True, False]

    async def test_nobody_waits_for_its_end(self, rig: Rig) -> None:
        """Who asked for a consumer's end may be cancelled meanwhile: it ends all the same, and the link goes on."""
        async with linked(rig) as link:
            queue = await make_queue(link)
            inbox = await Inbox(acks=False).on(link, queue)
            ending = asyncio.ensure_future(inbox.consumer.cancel())
            await asyncio.sleep(0)
            ending.cancel()
            await published(link, b"1")
            again = await Inbox().on(link, queue)
            await eventually(lambda: again.got)

            assert [b"1"] == again.bodies

    async def test_queue_deleted_under_it(self, rig: Rig) -> None:
        """A consumer whose queue is deleted hears it once; the link and other consumers go on."""
        async with linked(rig) as link:
            gone = await Inbox().on(link, await make_queue(link, "gone", "g"))
            stays = await Inbox().on(link, await make_queue(link, "stays", "s"))
            await link.delete_queue("gone")
            await eventually(lambda: gone.cancelled)
            gone.consumer.ack(1)
            link.publish(MESH, "s", b"1")
            await eventually(lambda: stays.got)

            assert (gone.cancelled, stays.cancelled) == (["cancelled"], [])

    async def test_foreign_tag_ends_its_consumer_alone(self, rig: Rig) -> None:
        """Acknowledging what was never delivered ends that consumer, which hears it; its neighbours go on."""
        async with linked(rig) as link:
            bad = await Inbox(acks=False).on(link, await make_queue(link, "bad", "b"))
            good = await Inbox().on(link, await make_queue(link, "good", "g"))
            bad.consumer.ack(77)
            await eventually(lambda: bad.cancelled)
            bad.consumer.ack(78)
            link.publish(MESH, "g", b"1")
            await eventually(lambda: good.got)

            assert (bad.cancelled, good.cancelled) == (["closed"], [])


async def _dead_letters(link: Link) -> Inbox:
    await link.declare_exchange(DEAD, kind="direct")
    queue = await link.declare_queue("dead", durable=True, exclusive=False, arguments={})
    await link.bind_queue(queue, DEAD, "n")
    return await Inbox().on(link, queue)


def _are_all(outcomes: dict[str, Outcome], keys: tuple[str, ...]) -> bool:
    return len(outcomes) == len(keys)


def _reason(letter: Incoming) -> str:
    return str((letter.headers or {})["x-death"][0]["reason"])


async def _until_unroutable(link: Link, key: str) -> None:
    outcomes: list[Outcome] = []

    def is_unroutable() -> bool:
        link.publish(MESH, key, b"?", mandatory=True, on_outcome=outcomes.append)
        return Outcome.RETURNED in outcomes

    await eventually(is_unroutable, "the queue gone")


def _aborting(link: Link) -> Callable[[], Any]:
    async def abort() -> None:
        link.abort()

    return abort
