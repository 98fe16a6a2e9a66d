"""A thousand runs of random faults lose nothing, double nothing and reorder nothing; and each can be seen again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import KINDS
from tests.simulation.run import run
from tests.simulation.scenario import draw

ROOT = Path(__file__).parents[2]
SEEDS = 1000
BUSY = (3, 7, 120)
"""Seeds with some of all: restarts, a long outage, thirty hosts."""


def _simulate(*arguments: str, hash_seed: str = "0") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(1800)  # three minutes on a machine that has nothing else to do
def test_nothing_is_lost_doubled_or_reordered() -> None:
    """No seed of a thousand has a violation: each event is handled once, in order, or one counter names it."""
    done = _simulate("--seeds", str(SEEDS))

    assert 0 == done.returncode, done.stdout + done.stderr
    print(done.stdout)


def test_a_seed_gives_the_same_trace_again() -> None:
    """A failing seed replays exactly: in this process, and in others whose strings hash otherwise."""
    here = [run(seed).digest for seed in BUSY]
    again = [run(seed).digest for seed in BUSY]
    there = [_simulate("--seed", str(seed), hash_seed="77").stdout for seed in BUSY]

    assert here == again
    assert [True] * len(BUSY) == [digest in shown for digest, shown in zip(here, there, strict=True)]


def test_seeds_differ() -> None:
    """Another seed is another run."""
    assert len(BUSY) == len({run(seed).digest for seed in BUSY})


def test_a_violation_says_how_to_see_it_again() -> None:
    """What is told of a seed with a violation names the seed, and the command that shows it."""
    done = _simulate("--first", "3", "--seeds", "1", "--mutant", "no_deduplication")

    assert 1 == done.returncode
    assert "seed 3:" in done.stdout
    assert "python -m tests.simulation --seed 3 --trace" in done.stdout


def test_seeds_draw_all_that_is_promised() -> None:
    """A thousand seeds have 2 to 50 hosts, every kind of fault, shared brokers, tight bounds and long outages."""
    drawn = [draw(seed) for seed in range(SEEDS)]
    sizes = {len(each.brokers) for each in drawn}
    kinds = {fault.kind for each in drawn for fault in each.faults}

    assert (2, 50) == (min(sizes), max(sizes))
    assert sorted(KINDS) == sorted(kinds)
    assert any(host != broker for each in drawn for host, broker in each.brokers.items())
    assert any(fault.for_s > 60 for each in drawn for fault in each.faults)
    assert len({each.settings.pending_bytes for each in drawn}) > 1
