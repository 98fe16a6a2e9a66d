"""What is refused as a recording, and that nothing honest is: rule by rule, and against a model of a broker."""

from collections import deque
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.core.cache_document import DocumentError
from mirosd.core.replay import MARGIN_S, MARK_S, MAX_NODES, PATIENCE_S, Passage, Position, Progress, ReplayGuard
from mirosd.core.seal import first_counter
from mirosd_client.limits import EVENT_TTL_S
from tests.properties import TOTAL

OWN, NODE, OTHER = b"own...", b"node..", b"other."
FIRST = first_counter(3)
LIFE_S = EVENT_TTL_S + MARGIN_S
"""How long a body is let through."""


class Host:
    """A guard with a clock of its own; what is heard of NODE's first start is heard already."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.guard = ReplayGuard(OWN, EVENT_TTL_S)
        self.guard.opened(self.now_s)
        self.hear()

    def bring(self, number: int, *, bound_s: float = -inf, node: bytes = NODE) -> Passage:
        """A queue that was bound then brings a body of this start of the node, counted from 0."""
        return self.guard.judge("mesh", node, FIRST + number, bound_s=bound_s, now_s=self.now_s)

    def hear(self, taken: int = 0, aged: int = 0) -> bool:
        """A heartbeat of the node."""
        return self.guard.hear("mesh", NODE, Position(FIRST + taken, FIRST + aged), self.now_s)

    def bind(self) -> float:
        """A queue is about to be bound; gives when."""
        self.guard.hold(self.now_s)
        return self.now_s

    def restart(self) -> None:
        """Begin another start with what this one has written down, and hear the node."""
        text = self.guard.text(self.now_s)
        self.guard = ReplayGuard(OWN, EVENT_TTL_S)
        self.guard.restore(text, self.now_s)
        self.guard.opened(self.now_s)
        self.hear()


def test_a_young_body_passes_as_often_as_it_comes() -> None:
    """A repeat after a reconnect, a redelivery, another queue's copy: none is lost, the program knows best."""
    host = Host()

    assert [Passage.FREE] * 5 == [host.bring(number) for number in (5, 6, 5, 2, 6)]


def test_what_is_older_than_events_live_is_refused_for_good() -> None:
    """By a later body that was here by then; an hour later, and after a restart, too."""
    host = Host()
    host.bring(5)
    host.now_s += LIFE_S - 1
    assert Passage.FREE is host.bring(5)
    host.now_s += 1
    for hour in range(3):
        assert Passage.OLD is host.bring(5 + hour)
        assert Passage.OLD is host.bring(0)
        assert Passage.FREE is host.bring(6 + hour)
        host.now_s += 3600
        host.restart()

    assert Passage.OLD is host.bring(8)


def test_each_body_is_as_old_as_it_is_whatever_came_around_it() -> None:
    """However close to others it came, and whatever came after it: it is too old a second after it might be."""
    for pauses in (
        (0.0, 0.5, 59.0, 10.0),
        (0.9, 0.9, 0.9, 0.9, 700.0),
        (0.3, 58.0, 0.3, 58.0, 0.3),
        (0.01,) * 500 + (59.0,),
    ):
        host, came_s = Host(), {}
        for number, pause_s in enumerate(pauses):
            host.now_s += pause_s
            host.bring(number)
            came_s[number] = host.now_s
            if number % 7 == 3:
                host.bind()
        for number in came_s:
            is_old = host.now_s - came_s[number] >= LIFE_S + MARK_S
            is_young = host.now_s - came_s[number] < LIFE_S
            passage = host.guard.judge("mesh", NODE, FIRST + number, bound_s=-inf, now_s=host.now_s)
            assert is_old <= (passage is Passage.OLD)
            assert is_young <= (passage is Passage.FREE)


def test_a_later_start_ages_all_of_an_earlier_one() -> None:
    """The counters of starts are in one order too."""
    host = Host()
    host.bring(500)
    host.now_s += 1
    later = first_counter(4)
    host.guard.judge("mesh", NODE, later, bound_s=-inf, now_s=host.now_s)
    assert Passage.FREE is host.bring(501)  # it was on its way still
    host.now_s += LIFE_S

    assert Passage.OLD is host.bring(502)


def test_what_the_node_says_is_old_is() -> None:
    """A host that has just started, and never had it, learns from a heartbeat how far the node is."""
    host = Host()
    host.hear(taken=100, aged=50)

    assert [Passage.OLD, Passage.FREE] == [host.bring(49), host.bring(50)]


def test_a_new_queue_gets_nothing_that_was_taken_before() -> None:
    """Neither what came to another queue here, nor what the node says that our broker has taken."""
    host = Host()
    host.bring(7)
    bound_s = host.bind()
    assert [Passage.REPEATED, Passage.FREE] == [host.bring(7, bound_s=bound_s), host.bring(8, bound_s=bound_s)]
    host.now_s += 0.1
    host.hear(taken=20)
    bound_s = host.bind()
    assert [Passage.REPEATED, Passage.FREE] == [host.bring(19, bound_s=bound_s), host.bring(20, bound_s=bound_s)]
    host.restart()
    bound_s = host.bind()

    assert [Passage.REPEATED, Passage.FREE] == [host.bring(20, bound_s=bound_s), host.bring(21, bound_s=bound_s)]
    assert Passage.FREE is host.bring(20)  # whose queue was there before


def test_what_comes_in_the_instant_of_the_binding_is_not_before_it() -> None:
    """A clock that is coarse takes nothing from a new queue."""
    host = Host()
    host.bring(1)
    first_s, second_s = host.bind(), host.bind()
    host.bring(2)
    third_s = host.bind()

    assert [Passage.REPEATED] * 3 == [host.bring(1, bound_s=at_s) for at_s in (first_s, second_s, third_s)]
    assert [Passage.FREE] * 3 == [host.bring(2, bound_s=at_s) for at_s in (first_s, second_s, third_s)]


def test_after_a_start_nodes_that_were_not_heard_are_waited_for() -> None:
    """A node's first heartbeat ends that, or the end of patience, once for all; our own node is not waited for."""
    host = Host()
    assert [Passage.WAIT, Passage.FREE] == [host.bring(1, node=OTHER), host.bring(1, node=OWN)]
    assert host.guard.hear("mesh", OTHER, Position(FIRST + 5, FIRST + 2), host.now_s)
    assert not host.guard.hear("mesh", OTHER, Position(FIRST + 5, FIRST + 2), host.now_s)
    assert [Passage.OLD, Passage.FREE] == [host.bring(1, node=OTHER), host.bring(2, node=OTHER)]
    host = Host()
    host.now_s += PATIENCE_S - 0.1
    host.guard.opened(host.now_s)  # a broker that was lost and found is no new start
    assert Passage.WAIT is host.bring(1, node=OTHER)
    host.now_s += 0.1

    assert [Passage.FREE] * 2 == [host.bring(1, node=node) for node in (OTHER, b"third.")]
    assert not host.guard.hear("mesh", OTHER, Position(FIRST + 5, FIRST), host.now_s)


def test_counters_of_no_start_pass() -> None:
    """Who says nothing of the order of its bodies is heard as before."""
    host = Host()
    for counter in (5, 5, first_counter(1) - 1, 0):
        assert Passage.FREE is host.guard.judge("mesh", OTHER, counter, bound_s=inf, now_s=host.now_s)


def test_networks_and_nodes_are_apart() -> None:
    """One node's counters on one network say nothing of others."""
    host = Host()
    host.bring(100)
    host.now_s += LIFE_S + 1

    assert Passage.OLD is host.bring(1)
    assert Passage.FREE is host.guard.judge("snoop_spy", NODE, FIRST, bound_s=-inf, now_s=host.now_s)
    assert Passage.FREE is host.bring(1, node=OWN)
    assert [FIRST + 100, -1] == [host.guard.latest("mesh", node) for node in (NODE, OTHER)]


def test_memory_is_bounded() -> None:
    """Who was quiet for longest is forgotten first, and times are kept a second apart at the closest."""
    host = Host()
    host.now_s += PATIENCE_S
    host.bring(1)
    for number in range(MAX_NODES - 1):
        host.guard.judge("mesh", number.to_bytes(6, "big"), FIRST, bound_s=-inf, now_s=host.now_s)
    host.bring(2)
    host.guard.judge("mesh", OTHER, FIRST, bound_s=-inf, now_s=host.now_s)
    assert [FIRST + 2, -1] == [host.guard.latest("mesh", node) for node in (NODE, bytes(6))]
    progress = Progress()
    for number in range(100_000):
        progress.old(number / 100 - LIFE_S)
        progress.reach(number, number / 100)

    assert len(progress._marks) <= LIFE_S / MARK_S + 2


def test_any_text_is_a_table_or_an_error() -> None:
    """What another program left in the file is told, and is no table."""
    host = Host()
    for text in ("[]", '{"counters": 3}', '{"counters": {"mesh": {"0011223344556677": [1, 2]}}}', "{", "", "{}"):
        try:
            host.guard.restore(text, 0.0)
        except DocumentError:
            continue
    for row in ('["a", 1]', "[1]", "[1, 2, 3]", "[true, 2]", "[1, 99999999999999999999999]", "[-2, 1]", "{}", "7"):
        with pytest.raises(DocumentError):
            host.guard.restore(f'{{"counters": {{"mesh": {{"{NODE.hex()}": {row}}}}}}}', 0.0)

    assert FIRST - 1 == host.guard.latest("mesh", NODE)


class World:
    """A node, the broker of a host, its queues, and the host's guard, as the daemons' code makes them behave.

    Each number is sealed once, and owed to the broker from then on. The connection may break at any time: what the
    broker had taken and not confirmed is then published again, before all that is newer.
    """

    def __init__(self) -> None:
        self.host = Host()
        self.sealed = 0  # how many
        self.owed: deque[int] = deque()  # not confirmed
        self.published = 0  # how many of these the broker has taken
        self.sealed_s: list[float] = []
        self.came_s: dict[int, float] = {}  # when it was delivered last
        self.taken = 0  # how many numbers the broker has taken, if only once
        self.queues: list[tuple[float, deque[int], set[int]]] = []  # bound when, what is in it, what it was due

    def do(self, step: str) -> None:
        """One step of the world."""
        getattr(self, step)()

    def seal(self) -> None:
        self.sealed_s.append(self.host.now_s)
        self.owed.append(self.sealed)
        self.sealed += 1

    def publish(self) -> None:
        if self.published < len(self.owed):
            number = self.owed[self.published]
            self.published += 1
            for _, waiting, due in self.queues:
                waiting.append(number)
                if number >= self.taken:
                    due.add(number)
            self.taken = max(self.taken, number + 1)

    def confirm(self) -> None:
        if self.published:
            self.owed.popleft()
            self.published -= 1

    def reconnect(self) -> None:
        self.published = 0

    def beat(self) -> None:
        past_s = self.host.now_s - LIFE_S
        aged = sum(sealed_s <= past_s for sealed_s in self.sealed_s)
        self.host.hear(self.owed[0] if self.owed else self.sealed, aged)

    def bind(self) -> None:
        self.queues.append((self.host.bind(), deque(), set()))

    def consume(self) -> None:
        for bound_s, waiting, due in self.queues:
            if waiting:
                self.check(waiting.popleft(), bound_s, due)

    def check(self, number: int, bound_s: float, due: set[int]) -> None:
        """What a queue was due passes for as long as it lives."""
        passage = self.host.bring(number, bound_s=bound_s)
        if passage is Passage.FREE:
            self.came_s[number] = self.host.now_s
        if number in due and self.host.now_s - self.sealed_s[number] < EVENT_TTL_S:
            assert Passage.FREE is passage

    def drain(self) -> None:
        for _ in range(5):
            self.publish()
            self.consume()

    def restart(self) -> None:
        """The receiving daemon: what was in its queues stays there, and they count as bound in an earlier start."""
        self.host.restart()
        self.queues = [(-inf, waiting, due) for _, waiting, due in self.queues]

    def wait(self) -> None:
        self.host.now_s += 0.3

    def wait_long(self) -> None:
        self.host.now_s += 7.0
        while self.owed and self.host.now_s - self.sealed_s[self.owed[0]] >= EVENT_TTL_S:
            self.owed.popleft()
            self.published = max(0, self.published - 1)


STEPS = [name for name in vars(World) if not name.startswith("_") and name not in ("do", "check")]


@settings(parent=TOTAL, max_examples=min(TOTAL.max_examples, 500))
@given(st.lists(st.sampled_from(STEPS), max_size=120))
def test_nothing_honest_is_refused(steps: list[str]) -> None:
    """What the broker took for a queue that was there passes, through reconnects, restarts, and whatever order."""
    world = World()
    for step in steps:
        world.do(step)


@settings(parent=TOTAL, max_examples=min(TOTAL.max_examples, 500))
@given(st.lists(st.sampled_from(STEPS), max_size=120), st.floats(0, 4000), st.booleans())
def test_no_recording_passes(steps: list[str], later_s: float, is_restarted: bool) -> None:
    """Whatever has happened: a body that was here is stopped at queues bound later, and everywhere once it is old.

    Until then the program that had it remembers it (test_intake.py).
    """
    world = World()
    for step in [*steps, "seal", "bind", "reconnect", *["publish"] * 120, *["consume"] * 120]:
        world.do(step)
    host = world.host
    played = max(world.came_s)
    host.now_s += 0.001
    bound_s = host.bind()
    host.now_s += later_s
    if is_restarted:
        host.restart()
        bound_s = host.bind()

    assert Passage.FREE is not host.bring(played, bound_s=bound_s)
    for number, came_s in world.came_s.items():
        if host.now_s - came_s > LIFE_S + MARK_S:
            assert Passage.OLD is host.bring(number)
