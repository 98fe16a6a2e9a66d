"""The simulation bites: ten wrong turns, fixed beforehand, are each noticed."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.sweep import run_with

SEEDS = 200


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.timeout(600)
def test_a_wrong_turn_is_noticed(name: str) -> None:
    """Within 200 seeds the oracle says of each mutant what is wrong with it."""
    symptom = MUTANTS[name].symptom
    caught = next(
        (seed for seed in range(SEEDS) if any(symptom in violation for violation in run_with(seed, name).violations)),
        None,
    )

    assert caught is not None, f"{name}: no violation with {symptom!r} in {SEEDS} seeds"
    print(f"{name}: seed {caught}")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_ends_with_its_context(name: str) -> None:
    """What a mutant changes is as before when it is over: the first seed has no violation."""
    run_with(0, name)

    assert [] == run_with(0, None).violations
