"""The command line: `python -m tests.faults [--only NAME] [--json FILE] [--logs FOLDER]`, on the lab."""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.experiment import Result, experiment
from tests.faults.report import render, results
from tests.faults.rows import ROWS, Row
from tests.lab.machines import Machines
from tests.soak.run import keep_logs


def main() -> int:
    """Give the exit status: 0 if every fault cost nothing that it may not cost, 1 if not, 2 if there is no such."""
    parser = argparse.ArgumentParser(prog="faults", description="each fault, and what became of every event")
    parser.add_argument("--only", default="", metavar="NAME", help="faults whose name contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="copy the logs here when a fault fails")
    arguments = parser.parse_args()
    rows = {name: row for name, row in ROWS.items() if arguments.only in name}
    if not rows:
        parser.error(f"no fault's name contains {arguments.only!r}; they are: {', '.join(ROWS)}")
    began_s = time.monotonic()
    shown = []
    with closing(Machines()) as machines:
        for result in _results(machines, rows, arguments.logs):
            shown.append(result)
            told = "; ".join(result.findings) or "ok"
            print(f"{time.monotonic() - began_s:6.1f} s  {result.name}: {told}", flush=True)
    print(f"\n{render(shown)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results(shown), indent=2) + "\n")
    return 1 if any(result.findings for result in shown) else 0


def _results(machines: Machines, rows: Mapping[str, Row], logs: Path | None) -> Iterator[Result]:
    """Give the result of each row; hosts go on from row to row while all is well and settings are the same."""
    bench: Bench | None = None
    for name, row in rows.items():
        if bench is not None and bench.settings != row.settings:
            bench.close()
            bench = None
        if bench is None:
            machines.clean()
            bench = Bench(machines.lan, machines.brokers, row.settings)
            bench.start()
        result = experiment(bench, name, row)
        yield result
        if result.findings:
            if logs is not None:
                keep_logs(bench, logs / re.sub(r"\W+", "-", name))
            bench.close()
            bench = None
    if bench is not None:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
