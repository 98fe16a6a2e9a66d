"""A search that coverage guides, by atheris, where that is installed (`pip install atheris`: 35 MB, so no default).

    python -m tests.fuzz.guided TARGET MINUTES FOLDER SEED

Inputs that reached something new are left in FOLDER, and the one that was found there as `found-...`. It is a program
of its own, since atheris never gives its process back.
"""

import importlib
import random
import sys
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")  # whoever checks types may not have it

with atheris.instrument_imports(include=["mirosd", "mirosd_client"]):
    from tests.fuzz.mutation import Mutator
    from tests.fuzz.search import MAX_RUN_S, check
    from tests.fuzz.targets import FOLDER, TARGETS

SLOWED = 10
"""How many times as long code takes that is watched so."""


def main(name: str, minutes: str, folder: str, seed: str) -> None:
    """Search until the time is over, or something is found: then the exit status is not 0."""
    target = TARGETS[name]
    pool = list(target.corpus().values())

    def run(data: bytes) -> None:
        finding = check(target, data, MAX_RUN_S * SLOWED)
        if finding is not None:
            raise AssertionError(finding.what)

    def mutate(data: bytes, max_size: int, dice: int) -> bytes:
        return Mutator(target.words, max_size, random.Random(dice)).mutate(data, pool)

    bounds = [f"-max_total_time={round(float(minutes) * 60)}", f"-max_len={target.max_bytes}", f"-seed={seed}"]
    places = [f"-artifact_prefix={folder}/found-", folder, str(FOLDER / name / "corpus")]
    atheris.Setup([sys.argv[0], *bounds, "-print_final_stats=1", "-verbosity=0", *places], run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    Path(sys.argv[3]).mkdir(parents=True, exist_ok=True)
    main(*sys.argv[1:])
