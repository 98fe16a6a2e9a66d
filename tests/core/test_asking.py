"""Which answers are to us, and how single hosts are asked; time is an argument."""

from collections import Counter
from itertools import count

import pytest

from mirosd.core.asking import (
    ASKED_AT_S,
    ASKED_FOR_S,
    CHALLENGES_KEPT,
    FRESH_S,
    MAX_ASKED,
    MAX_WAITING,
    Asked,
    Asking,
    Challenges,
    Place,
    Send,
)


def places(number: int) -> list[Place]:
    """Give so many places."""
    return [Place(f"10.0.{n // 256}.{n % 256}") for n in range(number)]


class TestChallenges:
    def test_tells_what_was_asked(self) -> None:
        """A challenge tells whom it was sent to, when, and for which question."""
        numbers = count()
        challenges = Challenges(lambda n: next(numbers).to_bytes(n))
        one = challenges.draw(Send(Place("10.0.0.7"), 3), 1.0)
        to_all = challenges.draw(Send(Place("10.0.0.255"), 4, is_for_all=True), 2.0)

        assert Asked("10.0.0.7", 1.0, 3) == challenges.asked(one, 2.0)
        assert Asked("", 2.0, 4) == challenges.asked(to_all, 2.0)
        assert None is challenges.asked(b"other...", 2.0)

    def test_is_good_for_five_seconds(self) -> None:
        """An answer that comes later proves nothing any more."""
        challenges = Challenges(lambda n: b"c" * n)
        challenge = challenges.draw(Send(Place("10.0.0.7"), 1), 10.0)

        assert challenges.asked(challenge, 10.0 + FRESH_S) is not None
        assert challenges.asked(challenge, 10.001 + FRESH_S) is None

    def test_memory_is_bounded(self) -> None:
        """The old go with time, and the oldest when there are too many."""
        numbers = count()
        challenges = Challenges(lambda n: next(numbers).to_bytes(n))
        for _ in range(CHALLENGES_KEPT + 10):
            challenges.draw(Send(Place("10.0.0.7"), 1), 1.0)
        assert CHALLENGES_KEPT == len(challenges._asked)

        challenges.draw(Send(Place("10.0.0.7"), 1), 100.0)
        assert 1 == len(challenges._asked)


def played(asking: Asking, until_s: float = 100.0) -> list[tuple[float, str]]:
    """Give when each address is asked, with nobody answering; time goes from due to due."""
    sent: list[tuple[float, str]] = []
    now_s = 0.0
    while now_s <= until_s:
        sent += [(round(now_s, 3), send.place.address) for send in asking.due(now_s)]
        next_s = asking.next_s()
        if next_s is None:
            return sent
        assert next_s > now_s, "due again at once"
        now_s = next_s
    raise AssertionError("it never ends")


class TestAsking:
    def test_four_times_within_a_second_and_a_half(self) -> None:
        """A silent host is asked at once and three times more, then no more."""
        asking = Asking()
        asking.ask(places(1), 1)

        assert [(at_s, "10.0.0.0") for at_s in ASKED_AT_S] == played(asking)
        assert (4, True) == (len(ASKED_AT_S), ASKED_AT_S[-1] < ASKED_FOR_S <= 1.5)

    def test_who_answers_is_asked_no_more(self) -> None:
        """An answer ends it; there is nothing to wait for then."""
        asking = Asking()
        asking.ask(places(2), 1)
        asking.due(0.0)
        asking.answered("10.0.0.0")

        assert ["10.0.0.1"] == [send.place.address for send in asking.due(0.2)]
        asking.answered("10.0.0.1")
        assert asking.next_s() is None

    def test_a_few_at_a_time(self) -> None:
        """Dead hosts wait for ARP: 32 at a time, the next when they have had their turn."""
        asking = Asking()
        asking.ask(places(100), 1)
        sent = played(asking)

        assert 4 * 100 == len(sent)
        begun = [at_s for at_s, address in sent if at_s == min(at for at, one in sent if one == address)]
        assert {MAX_ASKED: 3, 100 - 3 * MAX_ASKED: 1} == Counter(Counter(begun).values())
        assert [pytest.approx(ASKED_FOR_S * number) for number in range(4)] == sorted(set(begun))

    def test_answers_let_the_next_have_their_turn(self) -> None:
        """A hundred hosts that answer at once are asked at once."""
        asking = Asking()
        asking.ask(places(100), 1)
        asked = 0
        while sends := asking.due(0.0):
            asked += len(sends)
            for send in sends:
                asking.answered(send.place.address)

        assert 100 == asked

    def test_is_not_asked_twice_at_a_time(self) -> None:
        """Who is being asked, or waits for it, is not asked anew by another question; later he is."""
        asking = Asking()
        asking.ask(places(40), 1)
        asking.due(0.0)
        asking.ask(places(40), 2)
        assert 4 * 40 - MAX_ASKED == len(played(asking))

        asking.ask(places(1), 3)
        assert [Send(Place("10.0.0.0"), 3)] == asking.due(200.0)

    def test_waiting_is_bounded(self) -> None:
        """Who names more hosts than there is room for is told how many are not asked."""
        asking = Asking()

        assert 10 == asking.ask(places(MAX_WAITING + 10), 1)

    def test_nothing_to_do(self) -> None:
        """Without hosts nothing is due, ever."""
        assert ([], None) == (Asking().due(0.0), Asking().next_s())


def test_probes_fit_into_the_socket_s_buffer() -> None:
    """What waits for ARP of a sweep's whole window and of all who are asked is less than the 512 that fit."""
    assert 256 + MAX_ASKED * len(ASKED_AT_S) < 512
    assert pytest.approx(1.4) == ASKED_AT_S[-1]
