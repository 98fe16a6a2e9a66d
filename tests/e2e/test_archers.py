"""Twelve horse archers on three hosts, whose battle is seen from any of them."""

import json
from collections.abc import Iterator
from itertools import permutations

import pytest

from tests.e2e.stage import Stage, staged
from tests.e2e.watching import Drawing, Tool
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Program
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

UNITS = {"h1": "Batu", "h2": "Jebe", "h3": "Tolui"}
EACH = 4
ARCHERS = {f"{name}-{number}": host for host, name in UNITS.items() for number in range(1, EACH + 1)}
GLOBS = [f"{name}-*" for name in UNITS.values()]
STATES = {
    *("advance", "circle_and_fire", "skirmish", "waiting_to_lure"),
    *("feigned_retreat", "marshal", "waiting_to_advance"),
}


@pytest.fixture
def battle(lan: Lan, brokers: dict[str, Broker]) -> Iterator[Stage]:
    """Give three hosts that have found each other, with four archers on each, twenty times faster than life."""
    with staged(lan, brokers) as stage:
        for host in UNITS:
            stage.daemon(host, [other for other in UNITS if other != host]).start()
        for host in UNITS:
            stage.wait_alive(host, len(UNITS) - 1)
        programs = [
            Program(
                *(stage.lan[host], ROOT / "examples" / "horse_archer.py", "--archers", str(EACH), "--name", name),
                *("--speed", "20", "--seed", str(seed), "--seconds", "600", "--show", "nothing"),
            )
            for seed, (host, name) in enumerate(UNITS.items())
        ]
        try:
            for program in programs:
                program.start()
            yield stage
            assert [0] * len(programs) == [program.stop() for program in programs]
        finally:
            for program in programs:
                program.close()
                print(f"--- {program.name} of {program.host.name}\n{program.log()[-2000:]}")


def test_a_battle_is_told_from_one_place(battle: Stage) -> None:
    """Who is where and does what, the daemons' own charts too; and who made whom do it, over every pair of hosts."""
    h1, h2 = battle.daemons["h1"], battle.daemons["h2"]
    until(lambda: len(h1.ask("charts", *GLOBS)["charts"]) == len(ARCHERS), 60, "all archers in the list")
    rows = h1.ask("charts")["charts"]
    archers = {row["chart"]: row for row in rows if row["chart"] in ARCHERS}
    own = {(row["host"], row["chart"]) for row in rows if row["program"] == "mirosd"}

    assert ARCHERS == {name: row["host"] for name, row in archers.items()}
    assert {row["state"] for row in archers.values()} <= STATES
    assert all(row["is_running"] and row["handled"] for row in archers.values())
    assert {"archer.#"} == {row["receives"] for row in archers.values()}
    assert set(UNITS) == {host for host, _chart in own}
    assert 1 == len({len([chart for host, chart in own if host == name]) for name in UNITS}), own
    assert all(row["state"] for row in rows if row["program"] == "mirosd")

    viewer = Tool(h2.host, "trace", "--sequence", *GLOBS)
    watch = Tool(h2.host, "charts", "--watch", "--json", *GLOBS)
    try:
        viewer.start()
        watch.start()
        until(lambda: _crossed(viewer) >= set(permutations(UNITS, 2)), 120, "arrows from every host to every other")
        until(lambda: len(_states_seen(watch)) >= 3, 120, "a battle that goes on")
        assert (0, 0) == (viewer.interrupt(), watch.interrupt())
    finally:
        for tool in (viewer, watch):
            tool.close()
            print(f"--- mirosctl {tool.name}\n{tool.log()[-4000:]}")

    drawing = Drawing(viewer.log())
    assert {f"{host}/{name}" for name, host in ARCHERS.items()} == set(drawing.names)
    assert drawing.states <= STATES


def _crossed(viewer: Tool) -> set[tuple[str, str]]:
    """Give the pairs of hosts between which an arrow was drawn."""
    arrows = Drawing(viewer.log()).arrows
    pairs = {(arrow.sender.partition("/")[0], arrow.receiver.partition("/")[0]) for arrow in arrows}
    return {(sender, receiver) for sender, receiver in pairs if sender != receiver}


def _states_seen(watch: Tool) -> set[str]:
    """Give the states in which archers were at some look."""
    looks = [json.loads(text) for text in watch.log().splitlines() if text.startswith("{") and text.endswith("}")]
    return {row["state"] for look in looks for row in look["charts"]}
