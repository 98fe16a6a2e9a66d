"""The command line: `python -m bench [--rounds N] [--quick] [--only PART] [--json FILE]`, in the lab."""

import argparse
import json
import time
from pathlib import Path

from bench.machine import describe
from bench.report import render, summary
from bench.rounds import PARTS, QUICK, Figures, Scale, measure
from bench.stage import staged

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="bench", description="what an event costs, beside what it costs without us")
    parser.add_argument("--rounds", type=int, default=5, help="each measures everything once")
    parser.add_argument("--quick", action="store_true", help="short measurements: a look, no figures to keep")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this alone; may be given again")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else Scale()
    rounds: list[Figures] = []
    began_s = time.monotonic()

    def tell(part: str) -> None:
        passed_s = time.monotonic() - began_s
        print(f"{passed_s:6.1f} s  round {len(rounds) + 1} of {arguments.rounds}: {part}", flush=True)

    with staged() as stage:
        machine = describe(stage.brokers[0])
        while len(rounds) < arguments.rounds:
            rounds.append(measure(stage, scale, tell, arguments.only or PARTS))
    results = {
        "schema": "bench/1",
        "machine": machine,
        "is_quick": arguments.quick,
        "summary": summary(rounds),
        "rounds": rounds,
    }
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\n{render(machine, rounds)}\n\nfigures: {arguments.json}")


if __name__ == "__main__":
    main()
