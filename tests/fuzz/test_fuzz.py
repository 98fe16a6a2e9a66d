"""What was kept of each parser's inputs, and some mutations of it; `make fuzz` goes on from there."""

import random
import sys
import time

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.search import Search, check
from tests.fuzz.targets import CLIENT, TARGETS, Target
from tests.properties import EXAMPLES

RUNS = EXAMPLES + 400
"""Of a parser that costs little: some twenty seconds."""


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_is_survived(name: str) -> None:
    """Each input that was worth something once: a value, or the parser's own error."""
    target = TARGETS[name]
    findings = {kept: finding.what for kept, data in target.corpus().items() if (finding := check(target, data))}

    assert {} == findings


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_of_it_is_survived(name: str) -> None:
    """The same dice each time, so that it fails for everybody or nobody."""
    search = Search(TARGETS[name], seed=1)
    for _ in range(RUNS // TARGETS[name].cost):
        assert (finding := search.step()) is None, f"{finding.data[:500]!r}\n{finding.what}"


def test_mutations_come_past_the_first_check() -> None:
    """Of those of a good frame of records, some are read as records and some are not: the dice are not too wild."""
    target = TARGETS["local_frames"]
    mutator = Mutator(target.words, target.max_bytes, random.Random(1))
    kept = list(target.corpus().values())
    mutated = [mutator.mutate(target.corpus()["events"], kept) for _ in range(500)]

    assert 50 < sum(CLIENT in data and data[:1] == target.corpus()["events"][:1] for data in mutated) < 500
    assert len(mutated) - 25 < len(set(mutated))


def test_a_fault_is_found() -> None:
    """An exception of another class, and a parser that does not come to an end, are findings with the input."""

    def fails(data: bytes) -> None:
        raise KeyError(data)

    def hangs(data: bytes) -> None:
        while data:
            pass

    good = Target("good", lambda _: None, ())
    assert check(good, b"x") is None
    failed = check(Target("bad", fails, ()), b"x")
    assert failed is not None
    assert (b"x", "KeyError: b'x'") == (failed.data, failed.what.strip().splitlines()[-1])
    began_s = time.process_time()
    hung = check(Target("slow", hangs, ()), b"x")
    assert hung is not None
    assert "TooSlowError" in hung.what
    assert 0.5 < time.process_time() - began_s
    assert sys.exc_info() == (None, None, None)
