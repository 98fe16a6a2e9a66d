"""The hybrid clock."""

import threading

import pytest

from mirosd_client.hlc import MAX_TIMESTAMP, HybridClock, wall_time_s


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


def test_sixty_seconds_ahead_are_merged() -> None:
    """The bound itself is still merged."""
    clock = HybridClock(lambda: 100.0)

    assert clock.merge(160_000 << 16)
    assert wall_time_s(clock.now()) == 160.0


def test_no_wall_time_is_too_strange() -> None:
    """A clock before the epoch, or past the 48 bits, still gives a timestamp."""
    assert HybridClock(lambda: -1e9).now() == 1
    assert HybridClock(lambda: 1e20).now() == MAX_TIMESTAMP


def test_threads_never_read_the_same() -> None:
    """Readings of several threads are all different."""
    clock = HybridClock(lambda: 1.0)
    readings: list[int] = []

    def read() -> None:
        readings.extend([clock.now() for _ in range(2000)])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(readings)) == 8000
