"""A search for an input that a parser does not survive: what is kept is mutated, and the parser watched while it runs.

Coverage guides it where atheris is installed (guided.py); else the dice do, and shape-keeping changes.
"""

import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import Target

MAX_RUN_S = 1.0
"""Seconds of this process's own time that one input may take, however busy the machine is."""


class TooSlowError(Exception):
    """A parser was still at it when its time was over."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input, and what came of it."""

    target: str
    data: bytes
    what: str


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError within when the time is over. For the main thread."""

    def stop(*_signal: object) -> None:
        raise TooSlowError(f"more than {seconds:g} s of this process's time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check(target: Target, data: bytes, max_run_s: float = MAX_RUN_S) -> Finding | None:
    """Give what is wrong with how a parser takes `data`, None when nothing is."""
    try:
        with limited(max_run_s):
            target.run(data)
    except Exception:  # any is a finding: the target has taken the parser's own
        return Finding(target.name, data, traceback.format_exc())
    return None


class Search:
    """Mutates a target's corpus for ever.

    Args:
        clock: monotonic seconds.

    Attributes:
        runs: how many inputs there were.
    """

    def __init__(self, target: Target, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._dice, self._clock = target, random.Random(seed), clock
        self._pool = list(target.corpus().values())
        self._mutator = Mutator(target.words, target.max_bytes, self._dice)
        self.runs = 0

    def findings(self, seconds: float, least_runs: int = 0) -> Iterator[Finding]:
        """Search for so long, and for so many inputs however slow the machine is; which come next, the seed decides."""
        until_s, until_run = self._clock() + seconds, self.runs + least_runs
        while self._clock() < until_s or self.runs < until_run:
            if (finding := self.step()) is not None:
                yield finding

    def step(self) -> Finding | None:
        """Try one input more."""
        self.runs += 1
        data = self._mutator.mutate(self._dice.choice(self._pool), self._pool)
        return check(self._target, data)
