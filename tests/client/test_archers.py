"""The horse archers of the examples: one of them in the hands of a test, and the program as a user runs it."""

import fnmatch
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mirosd_client.client import Client
from mirosd_client.shell.testing import ManualReactor, Threadless, check_structure, threadless
from tests.client.fake_daemon import FakeDaemon, until

ROOT = Path(__file__).parents[2]
CIRCLING_S = 6 * 41  # a shot each sixth second, until of 60 arrows 19 are left


class LowDice:
    """Dice that show the lowest number: few arrows at a time, short waits, and every shot that may be is made."""

    def randint(self, low: int, high: int) -> int:
        return low

    def random(self) -> float:
        return 0.0


class Field:
    """An archer on its own, what it yells kept."""

    def __init__(self, archer: Any) -> None:
        self.archer = archer
        self.yells: list[str] = []
        archer.transmit = self._hear
        self.play: Threadless[Any] = threadless(archer, ManualReactor())
        self.play.start_at(archer.battle)

    def _hear(self, event: Any) -> bool:
        assert event.payload == self.archer.name
        self.yells.append(event.signal_name)
        return True

    def bring_to(self, state: str) -> None:
        """Have it go the shortest way to a state, with time standing still where it can."""
        tell, elapse = self.play.tell, self.play.elapse
        match state:
            case "circle_and_fire":
                elapse(3)
            case "skirmish":
                tell("Skirmish_War_Cry")
            case "waiting_to_lure":
                tell("Skirmish_War_Cry")
                tell("Ammunition_Low")
            case "feigned_retreat":
                tell("Retreat_War_Cry")
            case "marshal" | "waiting_to_advance":
                tell("Retreat_War_Cry")
                for other in self.archer.others:  # they follow; who does not counts as dead
                    tell("Other_Retreat_War_Cry", other)
                tell("Out_Of_Arrows")
                elapse(60 * (state == "waiting_to_advance"))
        assert state == self.play.state


Make = Callable[..., Field]


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give `horse_archer`, imported as its own program imports what it needs."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    yield import_module("horse_archer")
    for name in ("horse_archer", "other_archer", "running"):
        del sys.modules[name]


@pytest.fixture
def enter(modules: Any, client: Client) -> Iterator[Make]:
    """Put archers on the field, which leave it with the test."""
    made: list[Field] = []

    def enter_one(state: str = "advance", dice: Any = None, *others: str) -> Field:
        field = Field(modules.HorseArcher("Batu", dice=dice or LowDice(), client=client))
        made.append(field)
        for other in others:
            field.play.tell("Other_Arrival_On_Field", other)
        field.bring_to(state)
        return field

    yield enter_one
    for field in made:
        field.archer.stop()


def test_an_archer_alone_goes_through_the_whole_tactic(enter: Make) -> None:
    """Advance, circle, skirmish, wait, feign a retreat, marshal, wait, advance again; and it tells of each turn."""
    field = enter()
    field.play.elapse(3 + CIRCLING_S + 10 + 10 + 9 + 60)  # the last: to shoot 9 arrows, to take new ones

    assert [
        (None, "top", "advance"),
        ("Close_Enough_For_Circle", "advance", "circle_and_fire"),
        ("Skirmish_War_Cry", "circle_and_fire", "skirmish"),
        ("Retreat_Ready_War_Cry", "skirmish", "waiting_to_lure"),
        ("Retreat_War_Cry", "waiting_to_lure", "feigned_retreat"),
        ("Out_Of_Arrows", "feigned_retreat", "marshal"),
        ("Ready", "marshal", "waiting_to_advance"),
        ("Advance_War_Cry", "waiting_to_advance", "advance"),
    ] == field.play.moves
    assert [
        "Other_Arrival_On_Field",
        "Other_Advance_War_Cry",
        "Other_Skirmish_War_Cry",
        "Other_Retreat_Ready_War_Cry",
        "Other_Retreat_War_Cry",
        "Other_Ready_War_Cry",
        "Other_Advance_War_Cry",
    ] == field.yells
    assert 60 == field.archer.arrows


@pytest.mark.parametrize("seed", range(5))
def test_a_round_is_over_within_twenty_seconds_at_speed_20(modules: Any, client: Client, seed: int) -> None:
    """Whatever the dice show, a lone archer rides at the enemy for the second time by then."""
    field = Field(modules.HorseArcher("Batu", 20, random.Random(seed), client=client))
    field.play.elapse(20)
    field.archer.stop()

    assert 2 <= field.yells.count("Other_Advance_War_Cry")


@pytest.mark.parametrize("state", ["advance", "circle_and_fire", "marshal", "waiting_to_advance"])
def test_the_first_to_skirmish_takes_the_others_along(enter: Make, state: str) -> None:
    """It follows, tells so once, and does not answer those who follow likewise."""
    field = enter(state, None, "Jochi", "Tolui")
    del field.yells[:]
    field.play.tell("Other_Skirmish_War_Cry", "Jochi")
    field.play.tell("Other_Skirmish_War_Cry", "Tolui")
    field.play.tell("Skirmish_War_Cry")

    assert ("skirmish", ["Other_Skirmish_War_Cry"]) == (field.play.state, field.yells)


@pytest.mark.parametrize(
    ("state", "cries"),
    [
        ("advance", ("Other_Advance_War_Cry", "Advance_War_Cry")),
        ("circle_and_fire", ("Other_Advance_War_Cry", "Advance_War_Cry")),
        ("skirmish", ("Other_Skirmish_War_Cry", "Skirmish_War_Cry")),
        ("waiting_to_lure", ("Other_Skirmish_War_Cry", "Ammunition_Low", "Retreat_Ready_War_Cry")),
        ("feigned_retreat", ("Other_Retreat_War_Cry", "Retreat_War_Cry")),
    ],
)
def test_a_cry_for_what_it_does_already_changes_nothing(enter: Make, state: str, cries: tuple[str, ...]) -> None:
    """Or all of them would yell for ever."""
    field = enter(state)
    del field.yells[:]
    for cry in cries:
        field.play.tell(cry, "Jochi")

    assert (state, []) == (field.play.state, field.yells)


@pytest.mark.parametrize(
    ("cry", "state"), [("Advance", "advance"), ("Skirmish", "skirmish"), ("Retreat", "feigned_retreat")]
)
def test_a_seniors_word_is_obeyed_from_every_state(enter: Make, cry: str, state: str) -> None:
    """As if it were the archer's own idea."""
    for start in ("skirmish", "feigned_retreat", "marshal", "waiting_to_advance"):
        field = enter(start, None, "Jochi")
        field.play.tell(f"Senior_{cry}_War_Cry")

        assert state == field.play.state


def test_a_lured_officer_ends_the_skirmish_at_once(enter: Make) -> None:
    """Before the arrows are low; and what else would have ended it later is taken back."""
    field = enter("waiting_to_lure", None, "Jochi")
    field.play.tell("Officer_Lured")
    field.play.elapse(1)
    assert "feigned_retreat" == field.play.state
    field.play.tell("Out_Of_Arrows")
    field.play.elapse(45)  # past the 30 s after which it would have called the retreat

    assert "marshal" == field.play.state


def test_there_is_one_clock_however_often_the_tactic_begins(enter: Make) -> None:
    """What entry sets, exit takes back."""
    field = enter()
    for _ in range(3):
        field.play.tell("Reset_Tactic")
    field.play.elapse(3)
    field.play.elapse(6)

    assert ("circle_and_fire", 59) == (field.play.state, field.archer.arrows)


def test_it_waits_for_those_who_are_alive(enter: Make) -> None:
    """The last one's word sends it on; who had arrived and never was heard to be ready is waited for too."""
    field = enter("waiting_to_advance", None, "Jochi", "Tolui")
    field.archer.others["Tolui"].dispatch(_event("Advance_War_Cry"))  # rode on without it: it counts as dead
    assert field.archer.others["Tolui"].is_dead
    field.play.elapse(100)
    assert "waiting_to_advance" == field.play.state

    field.play.tell("Other_Ready_War_Cry", "Jochi")

    assert ("Advance_War_Cry", "waiting_to_advance", "advance") == field.play.moves[-1]
    assert not field.archer.others["Jochi"].is_waiting


def test_it_does_not_wait_for_ever(enter: Make) -> None:
    """After 130 s it rides; who was not ready counts as dead, until it is heard again."""
    field = enter("waiting_to_advance", None, "Jochi")
    field.play.elapse(129)
    assert "waiting_to_advance" == field.play.state
    field.play.elapse(1)
    assert "advance" == field.play.state
    jochi = field.archer.others["Jochi"]
    assert jochi.is_dead

    field.play.tell("Other_Advance_War_Cry", "Jochi")

    assert (False, False) == (jochi.is_dead, jochi.is_waiting)


@pytest.mark.parametrize(("readies", "seconds"), [(("Jochi", "Tolui"), 10), (("Jochi",), 30)])
def test_a_retreat_comes_sooner_when_all_wait_for_it(enter: Make, readies: tuple[str, ...], seconds: int) -> None:
    """After 10 s, else after 30."""
    field = enter("skirmish", None, "Jochi", "Tolui")
    for ready in readies:
        field.play.tell("Other_Retreat_Ready_War_Cry", ready)
    field.play.tell("Ammunition_Low")
    field.play.elapse(seconds - 1)
    assert "waiting_to_lure" == field.play.state
    field.play.elapse(1)

    assert "feigned_retreat" == field.play.state


def test_whoever_yells_is_known(enter: Make) -> None:
    """By its arrival, or by the first thing that is heard of it."""
    field = enter("advance", None, "Jochi")
    field.play.tell("Other_Ready_War_Cry", "Tolui")

    assert {"Jochi": False, "Tolui": True} == {name: other.is_waiting for name, other in field.archer.others.items()}


def test_its_states_are_sound(enter: Make) -> None:
    """Each leaves to the next outer one what it does not know."""
    archer = enter().archer

    check_structure(archer, [blueprint.to_method() for blueprint in archer.states.values()])


def test_the_program_fights_and_ends_cleanly(daemon: FakeDaemon) -> None:
    """Two archers of one program are heard on keys of their own, follow another one, and end when they are told to."""
    daemon.settles = True
    with subprocess.Popen(
        [
            *(sys.executable, "-W", "error", "examples/horse_archer.py", "--archers", "2"),
            *("--speed", "1000", "--seed", "3", "--show", "nothing"),
        ],
        env={**os.environ, "MIROSD_SOCKET": str(daemon.path)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            link = daemon.link
            until(
                lambda: {"Other_Ready_War_Cry"} <= {record.signal for record in link.records}, "a round of the battle"
            )
            keys = {events.routing_key for events in link.events}
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()

    assert (0, "", "") == (running.returncode, out, err)
    assert 2 == len(keys)
    assert all(re.fullmatch(r"archer\.[A-Z][a-z]+\.[0-9a-f]{5}", key) for key in keys)
    assert {"archer.#"} == {subscribe.binding_key for subscribe in link.subscribes}


def _event(name: str) -> Any:
    from mirosd_client import Event, signals

    return Event(signal=getattr(signals, name))


def test_the_readme_looks_at_archers_that_are_there(modules: Any) -> None:
    """The charts that its commands name are those of the program, started as it says."""
    text = (ROOT / "README.md").read_text()
    units = re.findall(r"`(Jebe|Tolui)`|horse_archer\.py --name (\w+)", text)
    there = [name for unit in units for name in modules.new_names(4, "".join(unit), random)]
    named = ["".join(words) for words in re.findall(r"mirosctl (?:trace|spy) '(.+?)'|--to (\S+)", text)]

    assert 12 == len(there)
    assert 3 == len(named)
    assert [] == [glob for glob in named if not fnmatch.filter(there, glob)]
