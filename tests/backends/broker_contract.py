"""What the daemon relies on in a broker, for every backend that claims to be one: confirms, refusals, loss, replies.

A test module gives a fixture `rig` and imports the classes, here and in broker_queue_contract.py. Every test begins
with an empty broker.
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

    async def test_outcome_finds_its_publish(self, rig: Rig) -> None:
        """Among routed and unroutable bodies each outcome reaches the one it belongs to, in whatever order."""
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
            print("confirmed out of order:", list(outcomes) != sorted(outcomes))

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


class TestLoss:
    async def test_cut_in_the_middle(self, rig: Rig) -> None:
        """A link cut while it publishes and consumes says so once; no outcome follows, and every call is harmless."""
        lost: list[BrokerError] = []
        outcomes: list[Outcome] = []
        link = await rig.open(lost.append)
        inbox = await Inbox(acks=False).on(link, await make_queue(link), prefetch=10)
        await published(link, b"first")
        await eventually(lambda: inbox.got)
        await rig.cut()
        for _ in range(500):
            link.publish(MESH, "a", b"x" * 1000, persistent=True, on_outcome=outcomes.append)
        await eventually(lambda: lost, "on_lost")
        known, delivered = len(outcomes), len(inbox.got)
        link.publish(MESH, "a", b"late", on_outcome=outcomes.append)
        inbox.consumer.ack(inbox.got[0].tag)
        inbox.consumer.nack(inbox.got[0].tag, requeue=True)
        with pytest.raises(BrokerError) as refusal:
            await link.check_exchange(MESH)
        await inbox.consumer.cancel()
        link.abort()
        await link.close()

        assert [error.code for error in lost] == ["lost"]
        assert refusal.value.code == "lost"
        assert (len(outcomes), len(inbox.got), inbox.cancelled) == (known, delivered, [])

    async def test_cut_while_calling(self, rig: Rig) -> None:
        """A call that waits for its answer when the link is cut fails; none waits for ever."""
        lost: list[BrokerError] = []
        link = await rig.open(lost.append)
        await rig.cut()
        calls = [link.declare_queue(f"q{n}", durable=True, exclusive=False, arguments={}) for n in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await eventually(lambda: lost)

        assert {getattr(result, "code", result) for result in results} == {"lost"}
        assert len(lost) == 1

    async def test_own_end_is_no_loss(self, rig: Rig) -> None:
        """After close() or abort() nothing is heard of the link: no loss, no outcome."""
        for end in ("close", "abort"):
            heard: list[object] = []
            link = await rig.open(heard.append)
            await link.declare_exchange(MESH)
            link.publish(MESH, "a", b"1", on_outcome=heard.append)
            await link.close() if end == "close" else link.abort()
            link.publish(MESH, "a", b"2", on_outcome=heard.append)
            async with linked(rig) as other:  # a few turns of the loop and round trips
                await other.check_exchange(MESH)

            assert heard == []

    async def test_closing_twice(self, rig: Rig) -> None:
        """A link may be closed and aborted again, in any order."""
        link = await rig.open(lambda _: None)
        await link.close()
        await link.close()
        link.abort()

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_aborted_from_a_callback(self, rig: Rig, waiting: bool) -> None:
        """A link aborted by a delivery calls nobody any more, whether more had arrived early or just now."""
        bodies = [b"%d" % number for number in range(50)]
        async with linked(rig) as other:
            queue = await make_queue(other)
            link = await rig.open(lambda _: None)
            got: list[Incoming] = []

            def deliver(incoming: Incoming) -> None:
                got.append(incoming)
                link.abort()

            if waiting:
                await published(other, *bodies)
            await link.consume(queue, deliver, prefetch=50)
            if not waiting:
                await published(other, *bodies)
            await eventually(lambda: got)
            await link.close()

            assert len(got) == 1


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
