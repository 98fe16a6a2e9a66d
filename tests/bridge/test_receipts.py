"""What a client is told of the events that it follows: each broker's word, once, whatever becomes of the connection."""

import pytest

from mirosd.bridge import receipts as receipts_module
from mirosd.core.broker import Outcome
from mirosd_client.messages import Fate
from mirosd_client.wire import Events, Network
from tests.bridge.fakes import RecordingLink
from tests.bridge.test_outbound import Scene, scene


def test_each_broker_is_counted_by_its_word() -> None:
    """One has a queue and one has none; the fate comes once, when the last has answered, before the numbers."""

    def test(s: Scene) -> None:
        own, peer = RecordingLink(), RecordingLink()
        s.own.opened(own)
        s.peer.opened(peer)
        s.outbound.follow(s.session, [2])
        s.send(1, 2, 3)
        own.answer()

        assert [] == s.session.fates

        peer.answer(outcome=Outcome.RETURNED)

        assert [Fate([2], confirmed=1, unroutable=1)] == s.session.fates
        assert [] == s.session.told
        s.turn()
        assert [(3, 3, 0)] == s.session.told

    scene(test)


def test_each_loss_is_counted_by_its_reason() -> None:
    """Refused, expired, overflowed and forgotten are each told as that (D34)."""

    def test(s: Scene) -> None:
        own = RecordingLink()
        s.own.opened(own)
        s.outbound.follow(s.session, [1, 2, 3])
        s.send(1)
        own.answer(outcome=Outcome.NACKED)
        s.move(50.1)
        s.send(2, size=6000)
        own.answer()
        s.send(3, size=6000)
        own.answer()
        s.peer.close()

        assert [
            Fate([1], nacked=1, expired=1),
            Fate([2], confirmed=1, overflow=1),
            Fate([3], confirmed=1, forgotten=1),
        ] == s.session.fates
        assert ["lost", "partial", "partial"] == [fate.outcome for fate in s.session.fates]

    scene(test, max_bytes=10_000)


def test_what_is_owed_to_nobody_is_told_at_once() -> None:
    """Where no broker can have a queue, none is in the numbers."""

    def test(s: Scene) -> None:
        s.lanes.clear()
        s.outbound.follow(s.session, [1])
        s.send(1)

        assert [Fate([1])] == s.session.fates
        assert "unheard" == s.session.fates[0].outcome

    scene(test)


def test_no_first_answer_settles_what_others_are_yet_to_owe() -> None:
    """An event that is too old at both brokers is expired at both, told once."""

    def test(s: Scene) -> None:
        s.own.opened(RecordingLink())
        s.peer.opened(RecordingLink())
        s.outbound.follow(s.session, [1])
        s.send(1, age_ms=60_000)

        assert [Fate([1], expired=2)] == s.session.fates

    scene(test)


def test_another_lane_of_the_same_broker_is_not_counted_twice() -> None:
    """A lane that is dissolved leaves the answer to the lane that owes the same."""

    def test(s: Scene) -> None:
        own = RecordingLink()
        s.own.opened(own)
        s.outbound.follow(s.session, [1])
        s.send(1)
        s.peer.dissolve()
        own.answer()

        assert [Fate([1], confirmed=1)] == s.session.fates

    scene(test)


def test_what_was_told_is_told_again_to_who_asks_again() -> None:
    """A fate that was written to a lost connection, or found none, comes when the client asks on the next one."""

    def test(s: Scene) -> None:
        link = RecordingLink()
        s.lanes.remove(s.peer)
        s.own.opened(link)
        s.outbound.follow(s.session, [1, 2, 3])
        s.send(1)
        link.answer()
        s.send(2)
        s.send(3)
        s.outbound.detached(s.session)
        link.answer(1)
        s.session.fates.clear()
        s.outbound.attached(s.session)
        s.outbound.follow(s.session, [1, 2, 3])
        s.send(3)

        assert [Fate([1], confirmed=1), Fate([2], confirmed=1)] == s.session.fates

        link.answer()

        assert Fate([3], confirmed=1) == s.session.fates[-1]
        assert 3 == len(s.session.fates)

    scene(test)


def test_asks_of_a_lost_connection_count_no_more() -> None:
    """What was asked and never handed over is not taken for the event that comes with the next connection."""

    def test(s: Scene) -> None:
        link = RecordingLink()
        s.lanes.remove(s.peer)
        s.own.opened(link)
        s.outbound.follow(s.session, [1, 2])
        s.outbound.detached(s.session)
        s.outbound.attached(s.session)
        s.outbound.follow(s.session, [2])
        s.send(2)
        link.answer()

        assert [Fate([2], confirmed=1)] == s.session.fates

    scene(test)


def test_who_asks_too_late_is_told_so() -> None:
    """Of an event that nobody followed when it went nothing is known."""

    def test(s: Scene) -> None:
        s.own.opened(RecordingLink())
        s.send(1)
        s.outbound.follow(s.session, [1])

        assert [Fate([1], is_known=False)] == s.session.fates
        assert "unknown" == s.session.fates[0].outcome

    scene(test)


def test_lines_for_people_have_no_fate() -> None:
    """A client that follows one all the same is told at once that no broker is asked; nothing is kept of it."""

    def test(s: Scene) -> None:
        s.outbound.follow(s.session, [1])
        record = s.record(1)
        s.outbound.events(s.session, Events(Network.SNOOP_TRACE, "k", record), s.span(record))

        assert [Fate([1])] == s.session.fates

    scene(test)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest fates are kept for who asks again, as many as may wait; older ones go."""
    monkeypatch.setattr(receipts_module, "MAX_RECEIPTS", 2)

    def test(s: Scene) -> None:
        s.lanes.clear()
        s.outbound.follow(s.session, [1, 2, 3])
        for number in (1, 2, 3):
            s.send(number)
        s.session.fates.clear()
        s.outbound.detached(s.session)
        s.outbound.attached(s.session)
        s.outbound.follow(s.session, [1, 2, 3])

        assert [Fate([1], is_known=False), Fate([2]), Fate([3])] == s.session.fates

    scene(test)


def test_who_does_not_ask_pays_nothing() -> None:
    """An account and a body without a follower hold nothing for one."""

    def test(s: Scene) -> None:
        s.own.opened(RecordingLink())
        s.send(1)
        (debt,) = s.peer._waiting

        assert (None, None) == (debt.body._followed, s.outbound._accounts[s.session.client]._receipts)

    scene(test)
