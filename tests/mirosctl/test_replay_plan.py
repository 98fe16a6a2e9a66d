"""What a replay does, before anything is sent."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirosctl.recording import RecordedEvent, Recording
from mirosctl.replay_plan import MAX_NAMED, UnclearChartError, address, concrete_key, plan, the_one
from mirosd.core.topic import topic_matches
from mirosd_client.chart_row import ChartRow
from mirosd_client.event_id import Addressee
from mirosd_client.snoop_line import SnoopLine

A, B, C = "aa" * 16, "bb" * 16, "cc" * 16


def line(time_s: float, hlc: int, event: str, *, chart: str = "archer", host: str = "h2", client: str = B) -> SnoopLine:
    """Give the line of a step."""
    return SnoopLine("event", chart, time_s, "GO", host=host, client=client, number=1, hlc=hlc, event=event)


def event(sequence: int, signal: str = "GO") -> RecordedEvent:
    """Give an event."""
    return RecordedEvent(f"{A}-1-{sequence}", sequence, signal, "json", b"7")


def row(chart: str = "archer", client: str = C, number: int = 1, **fields: object) -> ChartRow:
    """Give a chart that runs."""
    return ChartRow(**{"host": "h2", "receives": "a.b", **fields}, chart=chart, client=client, number=number)  # type: ignore[arg-type]


def test_the_events_that_a_chart_handled_are_sent_as_it_handled_them() -> None:
    """In its order, with its pauses, each once, and no other's; a clock that was set back makes no pause."""
    lines = [
        line(100.0, 1, f"{A}-1-3"),
        line(100.5, 2, f"{A}-1-1"),
        line(99.0, 3, f"{A}-1-2"),
        line(99.5, 4, f"{A}-1-1"),
        line(98.0, 5, f"{A}-1-4", chart="other", client=C),
        line(101.0, 6, ""),
        SnoopLine("send", "archer", 101.0, "GO", host="h2", client=B, number=1, hlc=7, event=f"{B}-1-1"),
        line(99.75, 8, f"{A}-1-5"),
    ]
    planned = plan(Recording(lines, [event(number) for number in range(1, 6)]), "archer")

    assert [(0.0, event(3)), (0.5, event(1)), (0.5, event(2)), (1.25, event(5))] == planned.steps
    assert (0, 0) == (planned.missing, planned.nameless)


def test_what_cannot_be_sent_is_counted() -> None:
    """Events of before the recording, and those with names that are none."""
    lines = [line(1.0, 1, f"{A}-1-1"), line(2.0, 2, f"{A}-1-2"), line(3.0, 3, f"{A}-1-3")]
    planned = plan(Recording(lines, [event(2, "no signal"), event(3)]), "archer")

    assert ([(0.0, event(3))], 1, 1) == tuple(planned)


CHARTS = [row(), row(client=B, host="h3"), row("archer-1", A), row("archer", C, 2), row("lead")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("lead", 4), ("h3/archer", 1), ("archer-1", 2), ("cccccccc-2", 3), (f"{C}-2", 3), (f"{B}-1", 1), ("h2/lead", 4)],
)
def test_a_chart_is_meant_by_its_name_host_or_id(name: str, meant: int) -> None:
    """As short as it is clear."""
    assert CHARTS[meant] == the_one(name, CHARTS, "here")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("archer", "3 charts here are named archer: say which of h2/archer (cccccccc-1), h2/archer (cccccccc-2), h3/"),
        ("h2/archer", "2 charts here are named h2/archer: say which of h2/archer (cccccccc-1), h2/archer (cccccccc-2)"),
        ("cccc-2", "no chart here is named cccc-2: there is h2/archer (cccccccc-1), "),
        ("cccccccc-12", "no chart here is named cccccccc-12"),
        ("arch*", "no chart here is named arch*"),
        ("-1", "no chart here is named -1"),
    ],
)
def test_an_unclear_name_is_told_with_those_that_there_are(name: str, why: str) -> None:
    """An event to the wrong chart could do harm: none is guessed."""
    with pytest.raises(UnclearChartError) as caught:
        the_one(name, CHARTS, "here")
    assert str(caught.value).startswith(why)


def test_a_mesh_of_many_charts_does_not_fill_the_screen() -> None:
    """Only some are listed; and none when there is none."""
    with pytest.raises(UnclearChartError) as caught:
        the_one("x", [row(f"c{number}") for number in range(100)], "here")
    assert str(caught.value).count("cccccccc-1") == MAX_NAMED
    with pytest.raises(UnclearChartError, match="there is none at all"):
        plan(Recording([], []), "archer")


@pytest.mark.parametrize(
    "wrong", [{"receives": ""}, {"is_running": False}, {"client": "zz" * 16}, {"client": B[1:]}, {"number": 70_000}]
)
def test_a_chart_without_an_address_gets_nothing(wrong: dict[str, object]) -> None:
    """One that hears nothing, or whose row makes no sense, whoever sent it."""
    assert (Addressee(bytes.fromhex(C), 1), "a.b") == address(row())
    with pytest.raises(UnclearChartError, match="h2/archer"):
        address(row(**wrong))  # type: ignore[arg-type]


@example("#")
@example("#.")
@given(st.lists(st.sampled_from(["*", "#", "a", "archer", ""]), max_size=9).map(".".join).filter(bool))
def test_a_routing_key_is_one_that_the_binding_matches(binding_key: str) -> None:
    """By the rules of the broker; it is not longer than allowed either, and never empty."""
    key = concrete_key(binding_key)

    assert topic_matches(binding_key, key)
    assert 0 < len(key) <= len(binding_key)
    assert not {"*", "#"} & set(key)
