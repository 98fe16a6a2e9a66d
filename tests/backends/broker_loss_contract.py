"""What the daemon relies on when a broker, or the way to it, fails; goes with broker_contract.py."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from mirosd.core.broker import Incoming, Link, Outcome
from mirosd.errors import BrokerError
from tests.backends.broker_rig import MESH, Inbox, Rig, eventually, linked, make_queue, published


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

    async def test_cut_at_any_frame(self, rig: Rig) -> None:
        """Whichever frame was the last: what was confirmed is there, without a gap, and nothing more is heard."""
        async with linked(rig) as other:
            for frames in range(1, 17):
                queue = await make_queue(other, f"q{frames}", key := f"k{frames}")
                lost: list[BrokerError] = []
                confirmed: list[bytes] = []
                async with rig.fused(lost.append, frames) as link:
                    sent = await _sent_until(partial(bool, lost), link, key, confirmed)
                    known = len(confirmed)
                    link.publish(MESH, key, b"late", on_outcome=partial(_note, confirmed, b"late"))
                    await published(other, b"end", key=key)
                    inbox = await Inbox().on(other, queue)
                    await eventually(partial(inbox.has_body, b"end"), "the end")
                arrived = inbox.bodies[: inbox.bodies.index(b"end")]

                assert [error.code for error in lost] == ["lost"]
                assert arrived == sent[: len(arrived)]
                assert set(confirmed) <= set(arrived)
                assert len(confirmed) == known

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


class TestAlarm:
    async def test_blocked(self, rig: Rig) -> None:
        """In an alarm a link that publishes is told, and not read; others go on; when it is over nothing was lost."""
        lost: list[BrokerError] = []
        blocked: list[bool] = []
        outcomes: list[Outcome] = []
        async with linked(rig) as other:
            inbox = await Inbox().on(other, await make_queue(other))
            link, doomed = await rig.open(lost.append, blocked.append), await rig.open(lost.append)
            await rig.block(True)
            try:
                link.publish(MESH, "a", b"1", on_outcome=outcomes.append)
                doomed.publish(MESH, "nobody", b"2", on_outcome=outcomes.append)
                await eventually(lambda: link.is_blocked and doomed.is_blocked, "both blocked")
                assert "low on memory" == link.blocked_by
                await doomed.close()  # though nobody reads it
                await other.check_exchange(MESH)

                assert (blocked, other.is_blocked, outcomes, inbox.got) == ([True], False, [], [])
            finally:
                await rig.block(False)
            await eventually(lambda: outcomes and inbox.got)

            assert (blocked, link.is_blocked, inbox.bodies) == ([True, False], False, [b"1"])
            assert (outcomes, lost) == ([Outcome.CONFIRMED], [])
            await link.close()


async def _sent_until(is_over: Callable[[], bool], link: Link, key: str, confirmed: list[bytes]) -> list[bytes]:
    """Publish persistent bodies, two at a time, until it is over; give them."""
    sent: list[bytes] = []

    def send_unless_over() -> bool:
        for _ in range(2):
            body = b"%d" % len(sent)
            sent.append(body)
            link.publish(MESH, key, body, persistent=True, on_outcome=partial(_note, confirmed, body))
        return is_over()

    await eventually(send_unless_over, "on_lost")
    return sent


def _note(confirmed: list[bytes], body: bytes, _outcome: Outcome) -> None:
    confirmed.append(body)
