"""The clock of our hearing stands still while nothing could be heard."""

from mirosd.core.hearing import Hearing


def test_it_goes_with_the_real_one_until_we_are_deaf():
    """Then it stands, and goes on from there, later than the real one by all that was missed."""
    hearing = Hearing()
    assert (7.0, float("-inf"), False) == (hearing.now_s(7.0), hearing.resumed_s, hearing.is_deaf)
    hearing.stop(10.0)
    assert (10.0, True) == (hearing.now_s(25.0), hearing.is_deaf)
    hearing.resume(30.0)
    assert (10.0, 10.0, False) == (hearing.now_s(30.0), hearing.resumed_s, hearing.is_deaf)
    hearing.stop(31.0)
    hearing.resume(41.0)

    assert (12.0, 11.0) == (hearing.now_s(42.0), hearing.resumed_s)


def test_what_is_said_twice_counts_once():
    """Deaf is deaf, whoever says so how often."""
    hearing = Hearing()
    hearing.resume(1.0)
    hearing.stop(10.0)
    hearing.stop(15.0)
    hearing.resume(20.0)
    hearing.resume(25.0)

    assert (20.0, 10.0) == (hearing.now_s(30.0), hearing.resumed_s)
