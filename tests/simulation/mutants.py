"""Ten wrong turns that the code could take, fixed beforehand: what the oracle has to notice.

Each is a context manager, and small: one function does another thing than it should. `python -m tests.simulation
--mutant NAME` runs seeds with one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, NamedTuple
from unittest import mock

from mirosd.backends.memory_link import MemoryConsumer, MemoryLink
from mirosd.bridge.lane import Lane
from mirosd.core.broker import Incoming, Outcome
from mirosd.core.envelope import MAGIC
from mirosd_client.intake import Intake
from mirosd_client.record import Record

SHORT_MEMORY = 16
"""Events that the mutant of de-duplication remembers of each source."""


def ack_before_confirm() -> AbstractContextManager[Any]:
    """What is published counts as confirmed."""
    publish = MemoryLink.publish

    def confirmed_at_once(
        link: MemoryLink,
        *body: Any,
        on_outcome: Callable[[Outcome], None] | None = None,
        persistent: bool = False,
        **options: Any,
    ) -> None:
        if persistent and on_outcome is not None:  # the mesh's; control's stay as they are
            asyncio.get_running_loop().call_soon(on_outcome, Outcome.CONFIRMED)
            on_outcome = None
        publish(link, *body, on_outcome=on_outcome, persistent=persistent, **options)

    return mock.patch.object(MemoryLink, "publish", confirmed_at_once)


def no_deduplication() -> AbstractContextManager[Any]:
    """A receiver takes whatever comes."""
    return mock.patch.object(Intake, "_fresh", lambda _intake, _source, records, _now_s: list(records))


def a_set_of_the_last_16() -> AbstractContextManager[Any]:
    """A receiver remembers the last numbers of each source, not the highest."""

    def fresh(intake: Any, source: tuple[bytes, int], records: Iterable[Record], _now_s: float) -> list[Record]:
        last = intake.__dict__.setdefault("_last", {}).setdefault(source, deque(maxlen=SHORT_MEMORY))
        new = []
        for record in records:
            if record.sequence not in last:
                last.append(record.sequence)
                new.append(record)
        return new

    return mock.patch.object(Intake, "_fresh", fresh)


def pending_dropped_on_reconnect() -> AbstractContextManager[Any]:
    """What is owed belongs to a connection, and ends with it."""

    def forget(lane: Any) -> None:
        while lane._waiting:
            _settle(lane, lane._waiting.popleft())

    return _after(Lane, "lost", forget)


def replay_newest_first() -> AbstractContextManager[Any]:
    """A new connection begins with the newest body."""
    return _after(Lane, "lost", lambda lane: lane._waiting.reverse())


def wrong_resume_point() -> AbstractContextManager[Any]:
    """A new connection begins at the second unconfirmed body."""
    lost = Lane.lost

    def lost_the_first(lane: Any) -> None:
        for tag in list(lane._in_flight)[:1]:
            lane._answered(tag, Outcome.CONFIRMED)
        lost(lane)

    return mock.patch.object(Lane, "lost", lost_the_first)


def expired_counted_as_confirmed() -> AbstractContextManager[Any]:
    """An event that is too old counts as one that the broker took."""
    give_up = Lane._give_up

    def give_up_in_silence(lane: Any, debt: Any, counter: Any, *rest: Any) -> None:
        if counter == "expired":
            _settle(lane, debt)
        else:
            give_up(lane, debt, counter, *rest)

    return mock.patch.object(Lane, "_give_up", give_up_in_silence)


def unroutable_counted_as_delivered() -> AbstractContextManager[Any]:
    """A body that came back counts as one that a queue took."""
    answered = Lane._answered

    def all_is_well(lane: Lane, tag: int, outcome: Outcome) -> None:
        answered(lane, tag, Outcome.CONFIRMED if outcome is Outcome.RETURNED else outcome)

    return mock.patch.object(Lane, "_answered", all_is_well)


@contextmanager
def queue_acknowledged_before_posting() -> Iterator[None]:
    """A delivery is taken off its queue as soon as the daemon has it."""
    deliver = MemoryConsumer.deliver

    @wraps(deliver)  # frames are known by their names
    def acknowledge_first(consumer: Any, incoming: Incoming) -> None:
        consumer._link.tell(consumer._channel.ack, incoming.tag, False)
        deliver(consumer, incoming)

    with (
        mock.patch.object(MemoryConsumer, "deliver", acknowledge_first),
        mock.patch.object(MemoryConsumer, "ack", lambda _consumer, _tag, *, multiple=False: None),
    ):
        yield


@contextmanager
def poison_requeued() -> Iterator[None]:
    """What is no body goes back to its queue."""
    deliver, ack = MemoryConsumer.deliver, MemoryConsumer.ack

    @wraps(deliver)
    def note(consumer: Any, incoming: Incoming) -> None:
        if not incoming.body.startswith(MAGIC):
            consumer.__dict__.setdefault("_poison", set()).add(incoming.tag)
        deliver(consumer, incoming)

    def give_back(consumer: Any, tag: int, *, multiple: bool = False) -> None:
        if tag in consumer.__dict__.get("_poison", ()):
            consumer.nack(tag, requeue=True)
        else:
            ack(consumer, tag, multiple=multiple)

    with mock.patch.object(MemoryConsumer, "deliver", note), mock.patch.object(MemoryConsumer, "ack", give_back):
        yield


def _settle(lane: Any, debt: Any) -> None:
    """Have a lane believe that its broker took a body."""
    lane._in_flight[0] = debt  # tags begin at 1
    lane._answered(0, Outcome.CONFIRMED)


def _after(cls: type, name: str, work: Callable[[Any], object]) -> AbstractContextManager[Any]:
    original = getattr(cls, name)

    def patched(self: Any) -> None:
        original(self)
        work(self)

    return mock.patch.object(cls, name, patched)


class Mutant(NamedTuple):
    """How to have it, and words of the violation that it has to lead to."""

    apply: Callable[[], AbstractContextManager[Any]]
    symptom: str


MUTANTS = {
    mutant.apply.__name__: mutant
    for mutant in (
        Mutant(ack_before_confirm, "never came to"),
        Mutant(no_deduplication, "twice"),
        Mutant(a_set_of_the_last_16, "twice"),
        Mutant(pending_dropped_on_reconnect, "never came to"),
        Mutant(replay_newest_first, "never handled"),
        Mutant(queue_acknowledged_before_posting, "never handled"),
        Mutant(poison_requeued, "again and again"),
        Mutant(expired_counted_as_confirmed, "never came to"),
        Mutant(wrong_resume_point, "never came to"),
        Mutant(unroutable_counted_as_delivered, "reached nobody"),
    )
}
