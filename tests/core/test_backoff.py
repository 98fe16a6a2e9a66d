"""The laws of trying again: bounded, growing, and different from host to host."""

import itertools
import random

import pytest

from mirosd.core.backoff import LISTED_HOST_CAP_S, LISTED_HOST_FIRST_S, cache_retry_s, delay_s

LEAST, MOST = lambda: 0.0, lambda: 1.0 - 2**-53


def listed(attempt, dice):
    return delay_s(attempt, first_s=LISTED_HOST_FIRST_S, cap_s=LISTED_HOST_CAP_S, random=dice)


def test_listed_hosts_wait_between_half_and_the_whole_of_a_doubling():
    """Half of the wait is fixed, the other half is the dice's, and it doubles up to 4 s."""
    assert [0.25, 0.5, 1.0, 2.0, 2.0] == [listed(attempt, LEAST) for attempt in range(5)]
    assert [0.5, 1.0, 2.0, 4.0, 4.0] == [pytest.approx(listed(attempt, MOST)) for attempt in range(5)]


def test_after_days_of_failures_the_wait_is_still_the_cap():
    """An attempt number that no power of two survives as a float gives the cap, not an overflow."""
    assert 4.0 == pytest.approx(listed(10**6, MOST))
    assert 5.0 == pytest.approx(cache_retry_s(10**6, random=MOST))


def test_hosts_that_failed_together_come_back_apart():
    """A thousand hosts spread over their interval instead of meeting in it."""
    dice = random.Random(1).random
    waits = sorted(listed(3, dice) for _ in range(1000))

    assert waits[0] < 2.05 and waits[-1] > 3.95
    assert max(later - sooner for sooner, later in itertools.pairwise(waits)) < 0.05


def test_a_busy_file_is_tried_again_between_a_millisecond_and_the_growing_limit():
    """The seeds' law: uniform(0.001, min(5, 0.1 + 1.2**n))."""
    assert [0.001] * 12 == [cache_retry_s(attempt, random=LEAST) for attempt in range(12)]
    assert [1.1, 1.3, 1.54] == [pytest.approx(cache_retry_s(attempt, random=MOST)) for attempt in range(3)]
    assert 5.0 == pytest.approx(cache_retry_s(20, random=MOST))
