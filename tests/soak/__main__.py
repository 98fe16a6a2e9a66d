"""The command line: `python -m tests.soak [--minutes N] [--seed N] [--json FILE] [--logs FOLDER]`, on the lab."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.machines import Machines
from tests.soak.faults import Fault, sequence
from tests.soak.report import render, results
from tests.soak.run import keep_logs, soak
from tests.soak.stage import staged


def main() -> int:
    """Give the exit status: 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="soak", description="trouble for a while, and what is left of it")
    parser.add_argument("--minutes", type=float, default=10.0, help="of faults; starting and resting take two more")
    parser.add_argument("--seed", type=int, default=1, help="decides the sequence of faults")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="copy the logs of daemons and brokers here")
    arguments = parser.parse_args()
    began_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {text}", flush=True)

    machines = Machines()
    with staged(machines.lan, machines.brokers) as stage:
        tell(f"three hosts see each other; seed {arguments.seed}")
        outcome = soak(stage, _lasting(sequence(arguments.seed), arguments.minutes), tell)
        if arguments.logs:
            keep_logs(stage, arguments.logs)
    machines.close()
    print(f"\n{render(arguments.seed, arguments.minutes, outcome)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results(arguments.seed, arguments.minutes, outcome), indent=2) + "\n")
    return 1 if outcome.findings else 0


def _lasting(faults: Iterator[Fault], minutes: float) -> Iterator[Fault]:
    end_s = time.monotonic() + minutes * 60
    for fault in faults:
        if time.monotonic() >= end_s:
            return
        yield fault


if __name__ == "__main__":
    sys.exit(main())
