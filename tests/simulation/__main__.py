"""The command line: `python -m tests.simulation [--seeds N] [--first N] [--seed N] [--trace] [--mutant NAME]`."""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Result
from tests.simulation.sweep import run_with, sweep


def main() -> int:
    """Give the exit status: 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="simulation", description="many hosts, random faults, and every event's fate")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--trace", action="store_true", help="show all that happened (with --seed)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with this wrong turn in the code")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _show(run_with(arguments.seed, arguments.mutant), is_traced=arguments.trace)
    began_s, counters, found = time.monotonic(), Counter[str](), 0
    for finding in sweep(arguments.first, arguments.seeds, arguments.mutant):
        counters += finding.counters
        if finding.violations:
            found += 1
            print(finding, flush=True)
    print(f"{arguments.seeds} seeds in {time.monotonic() - began_s:.0f} s, {found} with violations")
    print(f"counted by the daemons: {dict(sorted(counters.items()))}")
    return 1 if found else 0


def _show(result: Result, *, is_traced: bool) -> int:
    if is_traced:
        print(result.scenario)
        print("\n".join(result.trace))
    print(
        f"seed {result.scenario.seed}, trace {result.digest}, counted {dict(sorted(result.history.counters.items()))}"
    )
    print("\n".join(result.violations) or "no violation")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
