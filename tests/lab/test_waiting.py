"""Waiting: what counts as reached, and what is said when it is not."""

import pytest

from tests.lab.waiting import until


def test_first_true_value_is_given() -> None:
    """False values and refused assertions mean "not yet"."""
    answers = iter([0, None, AssertionError("odd"), ConnectionRefusedError(), "here"])

    def condition() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until(condition) == "here"


def test_deadline_tells_what_was_seen() -> None:
    """The failure names what was waited for and the last thing seen."""
    with pytest.raises(AssertionError, match=r"two peers: not within 0 s; last seen: \[\]"):
        until(list, 0.0, "two peers")


def test_other_errors_end_the_wait() -> None:
    """An error that is not about "not yet" comes through at once."""
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 // 0)
