"""What the daemon counts, as metrics."""

import re
from pathlib import Path

import pytest

from mirosctl.counter_texts import CODE_ROWS, CODES, COUNTERS, ROWS, CounterMetric, counter_metric
from tests.test_counters import documented

PAGE = Path(__file__).parents[2] / "docs" / "counters.md"


def test_the_texts_are_those_of_the_page() -> None:
    """Where this fails, copy the rows of docs/counters.md, as they stand there, into counter_texts."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    assert rows == [*ROWS.strip().splitlines(), *CODE_ROWS.strip().splitlines()]


def test_every_family_has_codes() -> None:
    """And nothing else has."""
    assert {name for name in COUNTERS if name.endswith("*")} == set(CODES)
    assert {family: tuple(sorted(set(codes))) for family, codes in CODES.items()} == CODES


def test_every_counter_is_a_metric_of_its_own() -> None:
    """None is left out, and no two are one; each name says what is counted."""
    names = [metric.name for metric in COUNTERS.values()]

    assert documented() == set(COUNTERS)
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not re.fullmatch("mirosd_[a-z_]+(s|refused)", name)] == []


@pytest.mark.parametrize(
    ("counter", "name", "code"),
    [
        ("expired", "mirosd_expired_events", ""),
        ("unopened_forged", "mirosd_unopened_bodies", "forged"),
        ("lan_sent", "mirosd_lan_sent_datagrams", ""),
        ("lan_unknown_key", "mirosd_lan_datagrams", "unknown_key"),
        ("lan_unasked", "mirosd_lan_unasked_addresses", ""),
        ("recalls_refused", "mirosd_recalls_refused", ""),
    ],
)
def test_a_counter_has_its_unit_in_the_name(counter: str, name: str, code: str) -> None:
    """A counter of a family is shown by what the star stands for."""
    metric = counter_metric(counter)

    assert metric is not None
    assert (name, code) == (metric.name, metric.code)


def test_the_text_begins_with_the_unit() -> None:
    """And says when it is counted."""
    expected = CounterMetric("mirosd_lan_sent_datagrams", "datagram: sent in a search of the LAN")

    assert expected == counter_metric("lan_sent")


@pytest.mark.parametrize("counter", ["", "invented", "*", "session"])
def test_what_is_not_in_the_table_is_no_metric_of_it(counter: str) -> None:
    """A newer daemon may count what this mirosctl has not heard of."""
    assert counter_metric(counter) is None
