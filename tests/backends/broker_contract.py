"""What the daemon relies on in a broker, for every backend that claims to be one: confirms, refusals, replies.

A test module gives a fixture `rig` and imports the classes: here, in broker_queue_contract.py and in
broker_loss_contract.py. Every test begins with an empty broker. The behaviours that design stands on, by name:

    confirm of the unroutable            test_unroutable_is_confirmed
    return before ack                    test_return_comes_before_the_ack
    confirms out of order over queues    test_confirms_out_of_order_over_queues
    TTL at the head                      test_ttl_acts_at_the_head
    drop-head and dead letters           test_drop_head_to_the_dead_letters
    redelivery in place                  test_redelivered_in_place
    exclusive queues that die            test_exclusive_dies_with_its_link
    x-expires                            test_expires_unused
    blocked connections                  test_blocked
    a connection cut at any frame        test_cut_at_any_frame

That each of them is told apart is shown in test_contract_bites.py.
"""

import asyncio
import time
from functools import partial

import pytest

from mirosd.core.broker import DIRECT_REPLY, Incoming, Outcome
from mirosd.errors import BrokerError
from tests.backends.broker_rig import MESH, Inbox, Rig, eventually, linked, make_queue, published


class TestConfirms:
    async def test_unroutable_is_confirmed(self, rig: Rig) -> None:
        """A broker confirms what it has no queue for, unless it was asked to return it."""
        async with linked(rig) as link:
            await link.declare_exchange(MESH)

            assert await published(link, b"1") == [Outcome.CONFIRMED]
            assert await published(link, b"2", mandatory=True) == [Outcome.RETURNED]

    async def test_return_comes_before_the_ack(self, rig: Rig) -> None:
        """An unroutable body is returned before it, or it with others, is confirmed: each outcome finds its publish."""
        async with linked(rig) as link:
            await make_queue(link)
            outcomes: dict[int, Outcome] = {}
            for number in range(400):
                key = "a.b" if number % 3 else "nobody"
                link.publish(
                    MESH, key, b"x", persistent=True, mandatory=True, on_outcome=partial(outcomes.__setitem__, number)
                )
            await eventually(lambda: len(outcomes) == 400)

            assert outcomes == {n: Outcome.CONFIRMED if n % 3 else Outcome.RETURNED for n in range(400)}

    async def test_confirms_out_of_order_over_queues(self, rig: Rig) -> None:
        """A body that needs no disk may be confirmed before an earlier one, in another queue, that does."""
        async with linked(rig) as link:
            await make_queue(link, "disk", "d")
            await make_queue(link, "memory", "m")
            orders: set[tuple[str, ...]] = set()
            for _ in range(20):
                order: list[str] = []
                link.publish(MESH, "d", b"1", persistent=True, on_outcome=lambda _, to=order: to.append("persistent"))
                link.publish(MESH, "m", b"2", on_outcome=lambda _, to=order: to.append("transient"))
                await eventually(partial(_are, order, 2), "both confirms")
                orders.add(tuple(order))

            assert ("transient", "persistent") in orders

    async def test_refused_by_a_full_queue(self, rig: Rig) -> None:
        """A queue that refuses what does not fit makes the broker nack."""
        async with linked(rig) as link:
            await make_queue(link, x_max_length=1, x_overflow="reject-publish")

            assert await published(link, b"1") == [Outcome.CONFIRMED]
            assert await published(link, b"2") == [Outcome.NACKED]

    async def test_missing_exchange_loses_the_link(self, rig: Rig) -> None:
        """Publishing to an exchange that is not there ends the link, once, with code `exchange`; nothing follows."""
        lost: list[BrokerError] = []
        outcomes: list[Outcome] = []
        link = await rig.open(lost.append)
        link.publish("mirosd.not.there", "a", b"1", on_outcome=outcomes.append)
        await eventually(lambda: lost, "on_lost")
        link.publish("mirosd.not.there", "a", b"2", on_outcome=outcomes.append)
        await link.close()

        assert [error.code for error in lost] == ["exchange"]
        assert outcomes == []


class TestRefusals:
    async def test_refusals_hurt_their_own_call(self, rig: Rig) -> None:
        """A missing exchange (404) or another queue's arguments (406) fail that call; link and consumers go on."""
        async with linked(rig) as link:
            inbox = await Inbox().on(link, await make_queue(link, "q", "a", x_message_ttl=1000))
            for code, refused in (
                ("exchange", lambda: link.check_exchange("mirosd.not.there")),
                ("exchange", lambda: link.bind_queue("q", "mirosd.not.there", "a")),
                ("closed", lambda: link.bind_queue("not.there", MESH, "a")),
                ("closed", lambda: make_queue(link, "q", "a", x_message_ttl=2000)),
                ("closed", lambda: link.declare_exchange(MESH, kind="direct")),
                ("closed", lambda: link.consume("not.there", inbox.got.append, prefetch=1)),
            ):
                with pytest.raises(BrokerError) as refusal:
                    await refused()
                assert refusal.value.code == code

            assert await published(link, b"1", key="a") == [Outcome.CONFIRMED]
            await eventually(lambda: inbox.got)
            assert inbox.cancelled == []

    async def test_check_creates_nothing(self, rig: Rig) -> None:
        """Looking for an exchange does not make it, and finds it when it is there."""
        async with linked(rig) as link:
            for _ in range(2):
                with pytest.raises(BrokerError):
                    await link.check_exchange(MESH)
            await link.declare_exchange(MESH)
            await link.check_exchange(MESH)


class TestReplies:
    async def test_direct_reply(self, rig: Rig) -> None:
        """An answer published to the default exchange under the question's reply-to reaches the asking link."""
        async with linked(rig) as asking, linked(rig) as answering:
            questions = await Inbox().on(answering, await make_queue(answering))
            answers: list[Incoming] = []
            await asking.listen_for_replies(answers.append)
            asking.publish(MESH, "a", b"who?", mandatory=True, reply_to=DIRECT_REPLY, correlation_id="7")
            question = (await eventually(lambda: questions.got))[0]
            outcomes: list[Outcome] = []
            # not mandatory: RabbitMQ returns such an answer as unroutable though it delivers it
            answering.publish("", question.reply_to, b"me", correlation_id="7", on_outcome=outcomes.append)
            await eventually(lambda: answers and outcomes)

            assert (question.correlation_id, answers[0].correlation_id, answers[0].body) == ("7", "7", b"me")
            assert answers[0].routing_key == question.reply_to != DIRECT_REPLY
            assert outcomes == [Outcome.CONFIRMED]

    async def test_reply_to_nobody(self, rig: Rig) -> None:
        """An answer to a link that is gone is confirmed like any other, and harms nobody."""
        async with linked(rig) as answering:
            questions = await Inbox().on(answering, await make_queue(answering))
            asking = await rig.open(lambda _: None)
            await asking.listen_for_replies(lambda _: None)
            asking.publish(MESH, "a", b"who?", reply_to=DIRECT_REPLY)
            question = (await eventually(lambda: questions.got))[0]
            await asking.close()
            outcomes: list[Outcome] = []
            answering.publish("", question.reply_to, b"me", on_outcome=outcomes.append)
            await eventually(lambda: outcomes)

            assert outcomes == [Outcome.CONFIRMED]


class TestThroughput:
    async def test_figure(self, rig: Rig) -> None:
        """5,000 confirmed bodies of 1 KiB pass one link, in order; the rate is printed, not judged."""
        count = 5000
        async with linked(rig) as link:
            inbox = await Inbox().on(link, await make_queue(link), prefetch=500)
            outcomes: list[Outcome] = []
            started_s = time.perf_counter()
            spent_s = 0.0
            for number in range(count):
                before_s = time.perf_counter()
                link.publish(MESH, "a", b"%01024d" % number, persistent=True, on_outcome=outcomes.append)
                spent_s += time.perf_counter() - before_s
                if number % 100 == 99:
                    await asyncio.sleep(0)
            await eventually(lambda: len(outcomes) == count and len(inbox.got) == count)
            took_s = time.perf_counter() - started_s
            print(f"{count / took_s:.0f} bodies/s published and consumed; {spent_s / count * 1e6:.0f} us a publish")

            assert inbox.bodies == [b"%01024d" % number for number in range(count)]
            assert set(outcomes) == {Outcome.CONFIRMED}


def _are(items: list[str], count: int) -> bool:
    return len(items) == count
