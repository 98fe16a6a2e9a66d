"""Dials: which hosts, charts and lines they take."""

from typing import Any

import pytest

from mirosd_client.dial import Dial
from mirosd_client.snoop_line import SnoopLine

NODE = "3f9a1c02" * 4


@pytest.mark.parametrize(
    ("hosts", "is_taken"),
    [
        ([], True),
        (["h2"], True),
        (["h?"], True),
        (["H2"], False),
        (["x", "h*"], True),
        (["3f9a"], True),
        (["3F9A1C"], True),
        (["3f9"], False),
        (["9a1c"], False),
        (["h"], False),
    ],
)
def test_a_host_is_meant_by_name_or_by_the_beginning_of_its_id(hosts: list[str], is_taken: bool) -> None:
    """None named means all; three digits of an id are too few."""
    assert is_taken == Dial(hosts=hosts).takes_host("h2", NODE)


LINES = {
    "trace": SnoopLine("trace", "archer-1", 1.0, "WAR", "a", "b"),
    "start": SnoopLine("trace", "archer-1", 1.0, None, "top", "a"),
    "event": SnoopLine("event", "archer-1", 1.0, "WAR"),
    "send": SnoopLine("send", "archer-1", 1.0, "WAR"),
    "spy": SnoopLine("spy", "archer-1", 1.0, text="WAR:a:HOOK"),
    "scribble": SnoopLine("scribble", "archer-1", 1.0, text="WAR"),
}


@pytest.mark.parametrize(
    ("dial", "taken"),
    [
        ({}, {"trace", "start", "spy", "scribble"}),
        ({"events": True}, set(LINES)),
        ({"charts": ["archer*"]}, {"trace", "start", "spy", "scribble"}),
        ({"charts": ["khan", "archer-[12]"], "signals": ["W?R"]}, {"trace", "spy"}),
        ({"signals": ["WAR"], "events": True}, {"trace", "spy", "event", "send"}),
        ({"charts": ["khan"], "events": True}, set()),
        ({"charts": ["Archer*"]}, set()),
        ({"signals": ["PEACE"]}, set()),
    ],
)
def test_a_line_is_taken_by_chart_and_signal(dial: dict[str, Any], taken: set[str]) -> None:
    """What charts send and handle without moving only if that is asked for; a spy line by the signal in its text."""
    assert taken == {name for name, line in LINES.items() if Dial(**dial).takes(line)}
