"""What the answering side allows, with time and dice as arguments."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from mirosd.core.answering import (
    DATAGRAMS_PER_TICK,
    MAX_JITTER_S,
    NONCES_KEPT,
    PEER_KEPT_S,
    PEERS_KEPT,
    SOURCES_KEPT,
    TICK_S,
    Answering,
    Budget,
    Recent,
)
from mirosd.core.probe import Address, Datagram, Kind

HERE = IPv4Address("10.0.0.7")


def probe(target: Address | None) -> Datagram:
    """Give a probe to `target`."""
    return Datagram(Kind.PROBE, b"12345678", "ab" * 16, "cd" * 8, target)


class TestRecent:
    def test_a_repeat_is_known(self) -> None:
        """The first time is new, every other is not."""
        recent = Recent(3)

        assert [True, False, False] == [recent.is_new("a") for _ in range(3)]

    def test_the_oldest_is_forgotten(self) -> None:
        """As many as it may hold are remembered, and not one more."""
        recent = Recent(NONCES_KEPT)
        for number in range(NONCES_KEPT + 1):
            recent.is_new(number)

        assert not recent.is_new(1)
        assert not recent.is_new(NONCES_KEPT)
        assert recent.is_new(0)


class TestBudget:
    def test_a_tick_s_share(self) -> None:
        """5,000 a second, in ticks of 50 ms: what is spent is spent until the next begins."""
        budget = Budget()
        taken = sum(budget.take(10.01) for _ in range(1000))

        assert DATAGRAMS_PER_TICK == taken == 5000 * TICK_S
        assert pytest.approx(0.04) == budget.wait_s(10.01)
        assert not budget.take(10.049)
        assert budget.take(10.0501)

    def test_nothing_is_saved_up(self) -> None:
        """After a long pause the share is the same."""
        budget = Budget()
        budget.take(0.0)

        assert DATAGRAMS_PER_TICK == sum(budget.take(100.0) for _ in range(1000))


class TestTarget:
    @pytest.mark.parametrize(
        ("target", "arrived_at", "was_for_all", "expected"),
        [
            (HERE, HERE, False, True),
            (IPv4Address("10.0.0.8"), HERE, False, False),
            (None, HERE, False, False),
            (None, IPv4Address("10.0.0.255"), True, True),
            (None, IPv6Address("ff02::1"), True, True),
            (HERE, IPv4Address("10.0.0.255"), True, False),
            (IPv4Address("10.0.0.255"), IPv4Address("10.0.0.255"), True, False),
            (IPv6Address("fe80::1"), IPv6Address("fe80::1"), False, True),
        ],
    )
    def test_only_where_it_was_sent(
        self, target: Address | None, arrived_at: Address, was_for_all: bool, expected: bool
    ) -> None:
        """A probe is for its target, one without for everybody, and neither can be made the other."""
        answering = Answering(random=lambda: 0.5)

        assert expected == answering.is_meant(probe(target), arrived_at, was_for_all=was_for_all)


class TestRate:
    def test_burst_and_rate(self) -> None:
        """Twenty at once, then ten a second, and twenty again after a while."""
        answering = Answering(random=lambda: 0.5)

        assert 20 == sum(answering.may_answer("a", 0.0) for _ in range(100))
        assert 5 == sum(answering.may_answer("a", 0.5) for _ in range(100))
        assert 20 == sum(answering.may_answer("a", 1000.0) for _ in range(100))

    def test_sources_do_not_share(self) -> None:
        """Who asks too often takes nothing from others."""
        answering = Answering(random=lambda: 0.5)
        for _ in range(100):
            answering.may_answer("a", 0.0)

        assert answering.may_answer("b", 0.0)

    def test_memory_is_bounded(self) -> None:
        """However many sources there are, so many are remembered; who asks all the time is among them."""
        answering = Answering(random=lambda: 0.5)
        answered = 0
        for number in range(3 * SOURCES_KEPT):
            answering.may_answer(f"{number}", 0.0)
            answered += answering.may_answer("always", 0.0)

        assert SOURCES_KEPT == len(answering._buckets)
        assert 20 == answered


class TestJitter:
    @pytest.mark.parametrize(("peers", "expected_s"), [(0, 0.0), (7, 0.0), (8, 0.016), (50, 0.1), (1000, MAX_JITTER_S)])
    def test_grows_with_the_peers(self, peers: int, expected_s: float) -> None:
        """Few answer at once; of many each waits up to 2 ms a peer, at most 200 ms."""
        answering = Answering(random=lambda: 1.0)
        for number in range(peers):
            answering.heard(f"{number}", 0.0)

        assert pytest.approx(expected_s) == answering.delay_s(1.0)

    def test_is_uniform(self) -> None:
        """The dice decide where between nothing and the most."""
        answering = Answering(random=lambda: 0.25)
        for number in range(50):
            answering.heard(f"{number}", 0.0)

        assert pytest.approx(0.025) == answering.delay_s(0.0)

    def test_who_is_gone_does_not_count(self) -> None:
        """A peer that has not been heard for five minutes does not delay anybody."""
        answering = Answering(random=lambda: 1.0)
        for number in range(8):
            answering.heard(f"{number}", 0.0)
        answering.heard("0", 10.0)

        assert pytest.approx(0.016) == answering.delay_s(PEER_KEPT_S)
        assert 0.0 == answering.delay_s(PEER_KEPT_S + 1)

    def test_memory_is_bounded(self) -> None:
        """However many nodes are heard, so many are remembered."""
        answering = Answering(random=lambda: 1.0)
        for number in range(2 * PEERS_KEPT):
            answering.heard(f"{number}", 0.0)

        assert PEERS_KEPT == len(answering._peers)
