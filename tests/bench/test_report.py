"""The table of the benchmarks: medians over rounds, ratios within one, goals."""

from typing import Any

from bench.report import TABLE, Goal, render, summary

CLIENT, RAW = "client.events_per_s", "raw.events_per_s"


def lines(*rounds: dict[str, float]) -> dict[str, Any]:
    """Give the summary's lines by their figure and base."""
    return {f"{line['figure']}/{line.get('base', '')}": line for line in summary(rounds)}


def test_a_ratio_is_of_two_figures_of_one_round() -> None:
    """Rounds on a machine that slows down tenfold between them have one ratio, not a mix."""
    found = lines(
        {RAW: 100, CLIENT: 1000, "blocking.events_per_s": 50}, {RAW: 10, CLIENT: 100, "blocking.events_per_s": 5}
    )

    assert {"median": 10, "low": 10, "high": 10} == found[f"{CLIENT}/{RAW}"]["ratio"]
    assert (550, 100, 1000) == tuple(found[f"{CLIENT}/{RAW}"][name] for name in ("median", "low", "high"))


def test_a_goal_for_a_ratio_is_held_against_its_median() -> None:
    """Five times raw pika is the goal of clients: met at five, missed below."""
    for client, is_met in ((500, True), (499, False)):
        found = lines({RAW: 100, CLIENT: client, "blocking.events_per_s": 50})

        assert is_met == found[f"{CLIENT}/{RAW}"]["is_met"]


def test_one_event_lost_in_one_round_misses_the_goal() -> None:
    """The median of five rounds would hide it."""
    found = lines(*({"all.lost": float(lost)} for lost in (0, 0, 7, 0, 0)))

    assert not found["all.lost/"]["is_met"]


def test_a_missed_goal_shows_in_the_table() -> None:
    """The line of a missed goal says so, that of one which is met does not."""
    text = render({"cores": "2"}, [{"all.lost": 1.0, "all.astray": 0.0}])

    assert ["MISSED" in line for line in text.splitlines()[-2:]] == [True, False]


def test_a_ratio_without_its_baseline_is_left_out() -> None:
    """Who measures clients alone (`--only clients`) gets no ratio, and no goal that is held against something else."""
    assert [] == list(lines({CLIENT: 1000}))


def test_every_row_names_what_a_round_measures() -> None:
    """Ways and figures are spelled as rounds.py spells them: a row that is misspelled would just be missing."""
    ways = {"raw", "blocking", "client", "chart", "chart_spied", "alone", "alone_spied", "all", "daemon", "command"}
    ways |= {"unrecorded", "recorded", "watched", "mesh_untraced", "mesh_traced", "traces"}
    ways |= {f"transmit_{state}" for state in ("baseline", "alive", "stopped", "dead")}

    for row in (row for rows in TABLE.values() for row in rows):
        for figure in filter(None, (row.figure, row.base)):
            assert figure.partition(".")[0] in ways, figure


def test_goals_bound_from_above_or_below() -> None:
    """A bound itself is within."""
    assert Goal(at_most=3).is_met(3)
    assert not Goal(at_most=3).is_met(3.1)
    assert Goal(at_least=3).is_met(3)
    assert not Goal(at_least=3).is_met(2.9)
