"""Events of the benchmarks: their size, and a tally that sees every fault."""

import json
import tempfile
import time
from pathlib import Path

import pytest

from bench.traffic import (
    FIRST_NUMBER,
    MOST_UNDERWAY,
    PAYLOAD_BYTES,
    SHARE_EVERY,
    Arrived,
    Tally,
    payload,
    percentiles,
    send,
)


@pytest.fixture(autouse=True)
def private_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that processes share is this test's alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def arrived(*numbers: int, accepted: int) -> dict[str, float]:
    """Give the figures of a tally that these numbers reached, in this order."""
    tally = Tally(stalled_s=0.0)
    for number in numbers:
        tally.take(payload(FIRST_NUMBER + number))
    return tally.result(accepted)


@pytest.mark.parametrize("now_ns", [1, 9_999_999_999_999, 10_000_000_000_000])
def test_payloads_have_the_size_they_are_said_to_have(now_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload is 150 bytes as JSON, however many digits the clock has."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)

    assert PAYLOAD_BYTES == len(json.dumps(payload(FIRST_NUMBER)))


@pytest.mark.parametrize(
    ("numbers", "lost", "astray"),
    [((0, 1, 2), 0, 0), ((0, 2), 1, 1), ((0, 1), 1, 0), ((0, 1, 1, 2), -1, 1), ((0, 2, 1), 0, 2)],
    ids=["all", "gap", "tail", "double", "reordered"],
)
def test_a_tally_sees_what_is_lost_doubled_or_reordered(numbers: tuple[int, ...], lost: int, astray: int) -> None:
    """Of three accepted events, each way in which they can fail to come once and in order shows."""
    figures = arrived(*numbers, accepted=3)

    assert (lost, astray) == (figures["lost"], figures["astray"])


def test_a_tally_begins_anew_after_its_result() -> None:
    """Two measurements that follow each other do not add up."""
    tally = Tally(stalled_s=0.0)
    for _ in range(2):
        tally.take(payload(FIRST_NUMBER))
        tally.take(payload(FIRST_NUMBER + 1))
        figures = tally.result(2)

        assert (0, 0) == (figures["lost"], figures["astray"])


def test_what_is_refused_is_offered_again() -> None:
    """A sender counts an event once, however often it was refused, and leaves no number out."""
    offered: list[int] = []
    taken: list[int] = []

    def transmit(event: dict[str, int]) -> bool:
        offered.append(event["number"])
        if offered.count(event["number"]) < 2:
            return False
        taken.append(event["number"])
        return True

    accepted = send(transmit, 0, 0.02)

    assert list(range(FIRST_NUMBER, FIRST_NUMBER + accepted)) == taken
    assert 2 * accepted == len(offered)


def test_percentiles_carry_their_unit() -> None:
    """The median of 0 to 100 ms, given in nanoseconds, is 50 ms."""
    figures = percentiles([number * 1_000_000 for number in range(101)], 1e6, "ms")

    assert {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0} == figures


def test_a_sender_waits_for_a_receiver_that_does_not_keep_up() -> None:
    """With too many events under way no more may be sent, until the receiver has told of more."""
    sender, receiver = Arrived(), Arrived()
    receiver.tell(0)

    assert sender.permit(MOST_UNDERWAY - SHARE_EVERY)
    assert not sender.permit(MOST_UNDERWAY + SHARE_EVERY)

    receiver.tell(2 * SHARE_EVERY)

    assert sender.permit(MOST_UNDERWAY + SHARE_EVERY)
    sender.close()
    receiver.close()
