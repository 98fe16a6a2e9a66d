"""The hybrid clock."""

import itertools
import sys
import threading

import pytest

from mirosd_client.hlc import COUNTER_BITS, MAX_TIMESTAMP, MIN_LEAP, HybridClock, wall_time_s


def test_reads_rise_though_wall_time_stands_or_falls() -> None:
    """Every reading is above the one before, whatever wall time does."""
    walls = iter([5.0, 5.0, 1.0, 5.001, -3.0, 9.0])
    clock = HybridClock(lambda: next(walls))

    readings = [clock.now() for _ in range(6)]

    assert readings == sorted(set(readings))
    assert wall_time_s(readings[-1]) == 9.0


def test_an_effect_is_later_than_its_cause() -> None:
    """After a merge the clock reads more than what was merged."""
    clock = HybridClock(lambda: 100.0)
    remote = (100_500 << 16) + 7

    assert clock.merge(remote)
    assert clock.now() == remote + 1


@pytest.mark.parametrize("remote", [(160_001 << 16), MAX_TIMESTAMP, MAX_TIMESTAMP + 1, -1])
def test_a_remote_time_far_ahead_is_not_merged(remote: int) -> None:
    """More than 60 s ahead, or no timestamp at all, changes nothing."""
    clock = HybridClock(lambda: 100.0)

    assert not clock.merge(remote)
    assert wall_time_s(clock.now()) == 100.0


def test_a_remote_time_just_ahead_is_passed_at_once() -> None:
    """However few numbers it is ahead; the next reading is not far beyond it."""
    clock = HybridClock(lambda: 100.0)
    ahead = [1, 2, MIN_LEAP - 1, MIN_LEAP, MIN_LEAP + 1]
    for by in ahead:
        remote = clock.now() + by
        assert clock.merge(remote)
        assert remote < clock.now() <= remote + 2


def test_many_merges_do_not_run_away() -> None:
    """Two clocks that merge each other's readings go on beside wall time."""
    now_s = 100.0
    one, other = HybridClock(lambda: now_s), HybridClock(lambda: now_s)
    for _ in range(1000):
        now_s += 0.0001
        assert one.merge(other.now())
        assert other.merge(one.now())

    assert abs(wall_time_s(one.now()) - now_s) <= 0.001


def test_sixty_seconds_ahead_are_merged() -> None:
    """The bound itself is still merged."""
    clock = HybridClock(lambda: 100.0)

    assert clock.merge(160_000 << 16)
    assert wall_time_s(clock.now()) == 160.0


def test_no_wall_time_is_too_strange() -> None:
    """A clock before the epoch, or past the 48 bits, still gives a timestamp."""
    assert HybridClock(lambda: -1e9).now() == 1
    assert HybridClock(lambda: 1e20).now() == MAX_TIMESTAMP


def test_a_thread_that_takes_its_number_late_takes_no_other_threads() -> None:
    """It has looked up the count, and was held up while the clock came to the next millisecond, 6 numbers further."""
    now_s = 100.0
    clock = HybridClock(lambda: now_s)
    first = [clock.now() for _ in range((1 << COUNTER_BITS) - 6)]
    looked_up = clock._count
    now_s += 0.001
    readings = [*first, *(clock.now() for _ in range(10)), *(next(looked_up) for _ in range(10))]

    assert len(readings) == len(set(readings))


def test_threads_never_read_the_same() -> None:
    """Readings of several threads are all different, each thread's rise, and a merge between two is passed by both."""
    walls = itertools.count()
    clock = HybridClock(lambda: next(walls) / 3000)
    readings: list[list[int]] = []

    def read() -> None:
        own: list[int] = []
        for _ in range(1000):
            own.append(clock.now())
            assert clock.merge(own[-1] + 3)
            own += [clock.now(), clock.now(), clock.now()]
            assert own[-3] > own[-4] + 3
        readings.append(own)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # meetings that take minutes to happen by themselves
    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)

    assert readings == [sorted(own) for own in readings]
    assert 16_000 == len(set(itertools.chain(*readings)))
