"""The command line: `python -m tests.fuzz [--minutes N] [--only NAME] [--seed N] [--found FOLDER]`."""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.search import Finding, Search
from tests.fuzz.targets import TARGETS, Target


def main() -> int:
    """Give the exit status: 0 if nothing was found, 2 if there is no such parser."""
    parser = argparse.ArgumentParser(prog="fuzz", description="parsers, and bytes that nobody would write")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each parser")
    parser.add_argument("--only", default="", metavar="NAME", help="parsers whose name contains this")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the dice; default: the time")
    parser.add_argument("--found", type=Path, default=Path(tempfile.gettempdir()) / "mirosd-fuzz", metavar="FOLDER")
    parser.add_argument("--blind", action="store_true", help="without atheris, even where it is installed")
    arguments = parser.parse_args()
    targets = [target for name, target in TARGETS.items() if arguments.only in name]
    if not targets:
        parser.error(f"no parser's name contains {arguments.only!r}; they are: {', '.join(TARGETS)}")
    is_guided = importlib.util.find_spec("atheris") is not None and not arguments.blind
    print(f"seed {arguments.seed}, {'guided by coverage' if is_guided else 'blind'}", flush=True)
    search = _guided if is_guided else _blind
    return max(search(target, arguments.minutes, arguments.seed, arguments.found) for target in targets)


def _guided(target: Target, minutes: float, seed: int, found: Path) -> int:
    print(f"{target.name}:", flush=True)
    argv = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(minutes), str(found / target.name)]
    return min(1, subprocess.run([*argv, str(seed)], check=False).returncode)


def _blind(target: Target, minutes: float, seed: int, found: Path) -> int:
    search = Search(target, seed)
    findings: dict[str, Finding] = {}  # one of each kind, the shortest
    for finding in search.findings(minutes * 60):
        kind = finding.what.strip().splitlines()[-1][:80]
        if kind not in findings or len(finding.data) < len(findings[kind].data):
            findings[kind] = finding
    print(f"{target.name}: {search.runs} inputs, {len(findings)} findings", flush=True)
    for number, finding in enumerate(findings.values()):
        path = found / target.name / f"found-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.data)
        print(f"{path}: {finding.data[:200]!r}\n{finding.what}", flush=True)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
