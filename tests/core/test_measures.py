"""What is measured: where a duration is counted, and what a delivery says of itself."""

import pytest

from mirosd.core.broker import Incoming, Outcome
from mirosd.core.measures import BOUNDS_S, MOST_S, Histogram, Measures
from mirosd_client.hlc import COUNTER_BITS
from mirosd_client.record import Record, encode_record
from mirosd_client.wire import Network

NOW_S = 1_800_000_000.0
MESH, TRACE = Network.MESH, Network.SNOOP_TRACE


def run_of(*ages_s: float) -> bytes:
    """Give records that are so old."""
    clocks = (int((NOW_S - age_s) * 1000) << COUNTER_BITS for age_s in ages_s)
    return b"".join(
        encode_record(Record(b"c" * 16, 1, n, hlc, 0, "json", "S", b"", b"p" * n)) for n, hlc in enumerate(clocks)
    )


def delivered(records: bytes, headers: dict[str, object] | None = None) -> Measures:
    """Give what is measured after one delivery on the mesh."""
    measures = Measures(lambda: NOW_S)
    measures.deliver(MESH, Incoming(1, "k", b"", headers=headers), records)
    return measures


def counted(histogram: Histogram) -> dict[float, int]:
    """Give the buckets in which something is, by their upper bounds."""
    return {bound: count for bound, count in zip((*BOUNDS_S, float("inf")), histogram.counts, strict=True) if count}


@pytest.mark.parametrize(
    ("duration_s", "bound_s"),
    [(0.0, 0.001), (0.001, 0.001), (0.0011, 0.0025), (0.5, 0.5), (0.51, 1.0), (50.0, 50.0), (50.1, float("inf"))],
)
def test_a_duration_is_counted_where_it_is_not_more_than_the_bound(duration_s: float, bound_s: float) -> None:
    """As Prometheus has it: `le` is less than or equal; beyond all bounds there is one more bucket."""
    histogram = Histogram()
    histogram.add(duration_s)

    assert {bound_s: 1} == counted(histogram)
    assert duration_s == histogram.sum_s


def test_answers_are_counted_by_events_and_timed_by_bodies() -> None:
    """A body of 256 events is one duration."""
    measures = Measures(lambda: NOW_S)
    measures.answer(Outcome.CONFIRMED, 256, 0.002)
    measures.answer(Outcome.RETURNED, 3, 0.3)

    assert {Outcome.CONFIRMED: 256, Outcome.RETURNED: 3, Outcome.NACKED: 0} == measures.answers
    assert {0.0025: 1, 0.5: 1} == counted(measures.answer_s[MESH])


def test_a_delivery_has_the_age_of_its_oldest_event() -> None:
    """By the reading of the clock that it was sent with."""
    measures = delivered(run_of(0.2, 0.1))

    assert {0.25: 1} == counted(measures.age_s[MESH])
    assert pytest.approx(0.2) == measures.age_s[MESH].sum_s


@pytest.mark.parametrize(("age_s", "sum_s"), [(-5.0, 0.0), (NOW_S, MOST_S)])
def test_a_wrong_clock_does_not_drown_the_sum(age_s: float, sum_s: float) -> None:
    """What is from the future is no age, what is from another century an hour."""
    assert sum_s == delivered(run_of(age_s)).age_s[MESH].sum_s


@pytest.mark.parametrize(
    ("said", "events"),
    [({"records": 7}, 7), (None, 3), ({}, 3), ({"records": -1}, 3), ({"records": 257}, 3), ({"records": "7"}, 3)],
)
def test_a_delivery_is_counted_by_its_header_if_that_can_be(said: dict[str, object] | None, events: int) -> None:
    """What is not said, or could not be so, is counted in the records."""
    measures = delivered(run_of(1, 1, 1), said)

    assert {MESH: events, TRACE: 0, Network.SNOOP_SPY: 0} == measures.delivered


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\xff" * 45])
def test_what_is_no_record_has_no_age(junk: bytes) -> None:
    """A member may seal anything."""
    measures = delivered(junk)

    assert 0 == measures.delivered[MESH]
    assert {} == counted(measures.age_s[MESH])


def test_a_round_trip_that_cannot_be_counts_as_an_hour() -> None:
    """A peer may say anything of when it heard us."""
    measures = Measures(lambda: NOW_S)
    measures.round_trip(2.0)
    measures.round_trip(1e300)

    assert 0.002 + MOST_S == measures.round_trip_s.sum_s


def test_all_of_it_is_shown() -> None:
    """Each network by its name, each histogram with its bounds; the names are a contract with mirosctl."""
    measures = delivered(run_of(0.2))
    measures.sent[TRACE] += 4
    measures.opened["consume"] += 2
    measures.lag_s.add(0.004)
    shown = measures.display()

    assert {"sent": 0, "delivered": 1} == shown["events"]["mesh"]
    assert {"sent": 4, "delivered": 0} == shown["events"]["snoop_trace"]
    assert {"confirmed": 0, "returned": 0, "nacked": 0} == shown["answers"]
    assert {"mesh": 0, "control": 0, "consume": 2} == shown["connections_opened"]
    assert {"mesh", "snoop_trace", "snoop_spy"} == set(shown["answer"]) == set(shown["delivery_age"])
    assert {"bounds_s": list(BOUNDS_S), "counts": [0, 0, 1] + [0] * 13, "sum_s": 0.004} == shown["loop_lag"]
    assert 0.0 == shown["heartbeat_round_trip"]["sum_s"]
