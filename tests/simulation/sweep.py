"""Many seeds, on all processors."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Result, run

CHUNK = 4
"""Seeds given to a process at once: a tenth of a second each, so that none is left with much at the end."""

MOST_TOLD = 3
"""Violations of one seed that are told: the others mostly follow from the same fault."""


class Finding(NamedTuple):
    """What a seed showed."""

    seed: int
    violations: list[str]
    counters: Counter[str]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}:", *self.violations[:MOST_TOLD]]
        if len(self.violations) > MOST_TOLD:
            lines.append(f"and {len(self.violations) - MOST_TOLD} more")
        return "\n  ".join([*lines, f"see: python -m tests.simulation --seed {self.seed} --trace"])


def run_with(seed: int, mutant: str | None) -> Result:
    """Give what became of a seed, with a wrong turn in the code."""
    with MUTANTS[mutant].apply() if mutant else nullcontext():
        return run(seed)


def sweep(first: int, count: int, mutant: str | None = None) -> Iterator[Finding]:
    """Give what each of `count` seeds from `first` on showed, in their order."""
    tasks = [(seed, mutant) for seed in range(first, first + count)]
    with multiprocessing.get_context("spawn").Pool(min(os.cpu_count() or 1, count)) as pool:
        yield from pool.imap(_judge, tasks, CHUNK)


def _judge(task: tuple[int, str | None]) -> Finding:
    result = run_with(*task)
    return Finding(task[0], result.violations, result.history.counters)
