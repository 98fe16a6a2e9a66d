"""What was kept of each parser's inputs, and some mutations of it; `make fuzz` goes on from there."""

import gc
import random
import sys
import time
from collections.abc import Iterator

import pytest

from tests.fuzz.mutation import Mutator
from tests.fuzz.search import Search, check
from tests.fuzz.targets import CLIENT, TARGETS, Target
from tests.properties import EXAMPLES, USUAL_EXAMPLES

SECONDS = 20 * EXAMPLES / USUAL_EXAMPLES
"""Of each parser, wherever all examples are asked for; `make fuzz MINUTES=10` goes on, by other dice."""
RUNS = EXAMPLES + 400
"""Of a parser that costs little, at least: what a busy machine makes in that time is less than what it is to find."""
SEED = 1


@pytest.fixture(autouse=True)
def quiet_heap() -> Iterator[None]:
    """Have what other tests left in memory not looked through in the time that an input has."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_is_survived(name: str) -> None:
    """Each input that was worth something once: a value, or the parser's own error."""
    target = TARGETS[name]
    findings = {kept: finding.what for kept, data in target.corpus().items() if (finding := check(target, data))}

    assert {} == findings


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_of_it_is_survived(name: str) -> None:
    """The same inputs in the same order each time, so that a finding comes again; how many, the time decides."""
    search = Search(TARGETS[name], SEED)
    finding = next(search.findings(SECONDS, RUNS // TARGETS[name].cost), None)

    assert finding is None, f"input {search.runs} of seed {SEED}: {finding.data!r}\n{finding.what}"


def test_mutations_come_past_the_first_check() -> None:
    """Of those of a good frame of records, some are read as records and some are not: the dice are not too wild."""
    target = TARGETS["local_frames"]
    mutator = Mutator(target.words, target.max_bytes, random.Random(1))
    kept = list(target.corpus().values())
    mutated = [mutator.mutate(target.corpus()["events"], kept) for _ in range(500)]

    assert 50 < sum(CLIENT in data and data[:1] == target.corpus()["events"][:1] for data in mutated) < 500
    assert len(mutated) - 25 < len(set(mutated))


@pytest.mark.parametrize(("seconds", "least_runs", "runs"), [(5, 0, 5), (5, 3, 5), (5, 8, 8), (0, 2, 2)])
def test_a_search_lasts_its_time_and_makes_its_runs(seconds: float, least_runs: int, runs: int) -> None:
    """The longer of the two ends it, here by a clock that goes on by a second with each input."""
    search = Search(TARGETS["probe_datagrams"], SEED, clock=lambda: search.runs)

    assert [] == list(search.findings(seconds, least_runs))
    assert runs == search.runs


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
