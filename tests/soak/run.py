"""At rest, trouble for a while, at rest again; and what was found."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mirosd.bridge.outbound import FORGET_ACCOUNT_S
from mirosd_client.limits import EVENT_TTL_S
from tests.lab.waiting import until
from tests.soak import figures
from tests.soak.faults import HOSTS, KINDS, Fault
from tests.soak.figures import Figures
from tests.soak.stage import Account, Accounts, Stage

QUIET_S = FORGET_ACCOUNT_S + 2
"""How long a daemon remembers a client that went away, as the soak itself is one; until then a timer runs for each."""
REST_S = QUIET_S + 15
"""For all to be at rest."""

STEADY_LOOKS = 3
SAMPLE_S = 1.0
IMMORTAL = "h1"
"""Whose daemon lives through everything: its memory is what is watched."""

WARM_UP_FAULTS = len(KINDS)
"""Each kind once: what it makes a daemon load or cache for good is no leak."""
JUDGED_FAULTS = 3 * len(KINDS)
"""After the warm-up; with fewer, a third of the run is no measure of the next."""
MOST_GROWTH = 1.05

MAY_EXPIRE_S = EVENT_TTL_S - 5.0
"""A fault that lasts longer, as when a busy machine takes a minute to start a broker, outlives the events that wait for
its end: they expire, as is promised. After all others none may be missing."""

Classes = dict[str, Figures]


class Ordeal(NamedTuple):
    """A fault that all came through."""

    fault: Fault
    lasted_s: float
    """From its beginning until all was well."""
    well_after_s: float
    """From its end until then."""
    missing: dict[str, int]
    """Events that one program was to hear of another and did not: "h1.1 of h2.1": how many."""


@dataclass
class Outcome:
    """What a run has shown so far."""

    ordeals: list[Ordeal] = field(default_factory=list)
    before: dict[str, Figures] = field(default_factory=dict)
    after: dict[str, Figures] = field(default_factory=dict)
    classes_before: Classes = field(default_factory=dict)
    classes_after: Classes = field(default_factory=dict)
    samples: list[tuple[int, float, int]] = field(default_factory=list)
    """The immortal daemon's memory: faults so far, seconds, KiB of its own."""
    accounts: Accounts = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    @property
    def judged_kb(self) -> list[int]:
        """The samples after the warm-up; empty when there were too few faults to judge by."""
        if len(self.ordeals) < WARM_UP_FAULTS + JUDGED_FAULTS:
            return []
        return [kb for faults, _, kb in self.samples if faults >= WARM_UP_FAULTS]


def soak(stage: Stage, faults: Iterable[Fault], tell: Callable[[str], None], *, counts_timers: bool = True) -> Outcome:
    """Give what became of a stage on which all are well, after these faults.

    Args:
        counts_timers: compare them too, which takes a minute's quiet before and after.
    """
    outcome = Outcome()
    if counts_timers:
        tell(f"{QUIET_S:g} s of quiet")
        time.sleep(QUIET_S)
    outcome.before, outcome.classes_before = _at_rest(stage, counts_timers), stage.classes()
    tell("at rest")
    stage.talk()
    stage.wait_talking()
    with _Sampler(stage, outcome):
        for fault in faults:
            try:
                _endure(stage, fault, outcome)
            except AssertionError as exc:
                outcome.findings.append(f"never well after {fault}: {exc}")
                tell(outcome.findings[-1])
                break
            _, _, well_after_s, missing = outcome.ordeals[-1]
            lost = f"; missing: {told(missing)}" if missing else ""
            tell(f"{len(outcome.ordeals):3}. {fault}; well again after {well_after_s:.1f} s{lost}")
    for name, waiting in stage.rest().items():
        if waiting:
            outcome.findings.append(f"{waiting} events of {name}'s program were never settled")
    tell("silent; waiting for rest")
    _compare(stage, outcome, counts_timers)
    outcome.findings += [*growth(outcome), *_errors(stage)]
    return outcome


def _endure(stage: Stage, fault: Fault, outcome: Outcome) -> None:
    began_s = time.monotonic()
    stage.befall(fault)
    ended_s = time.monotonic()
    stage.wait_alive()
    stage.wait_talking()
    well_s = time.monotonic()
    before, outcome.accounts = outcome.accounts, stage.accounts()
    missing, astray = {}, 0
    for (hearer, sender), account in outcome.accounts.items():
        known = before.get((hearer, sender), Account())
        astray += account.astray - known.astray
        if account.missing > known.missing:
            missing[f"{hearer} of {sender}"] = account.missing - known.missing
    outcome.ordeals.append(Ordeal(fault, well_s - began_s, well_s - ended_s, missing))
    if missing and well_s - began_s < MAY_EXPIRE_S:
        outcome.findings.append(f"events are missing after {fault}: {told(missing)}")
    if astray:
        outcome.findings.append(f"{astray} events came twice or out of order after {fault}")


def told(missing: dict[str, int]) -> str:
    """Give who missed how many of whose events, as text."""
    return ", ".join(f"{count} {who}" for who, count in missing.items())


def _compare(stage: Stage, outcome: Outcome, counts_timers: bool) -> None:
    def is_as_before() -> bool:
        outcome.after = _figures(stage, counts_timers)
        return outcome.after == outcome.before

    try:
        until(is_as_before, REST_S, "all holds what it held before")
    except AssertionError:
        outcome.findings += differences(outcome)
    outcome.classes_after = stage.classes()


def _figures(stage: Stage, counts_timers: bool) -> dict[str, Figures]:
    return {
        name: {what: count for what, count in held.items() if counts_timers or what != "timers"}
        for name, held in stage.figures().items()
    }


def _at_rest(stage: Stage, counts_timers: bool) -> dict[str, Figures]:
    looks: list[dict[str, Figures]] = []

    def is_steady() -> bool:
        looks.append(_figures(stage, counts_timers))
        return len(looks) >= STEADY_LOOKS and all(look == looks[-1] for look in looks[-STEADY_LOOKS:])

    until(is_steady, REST_S, "all at rest")
    return looks[-1]


def differences(outcome: Outcome) -> Iterable[str]:
    """Give what is held at rest that was not held before, or no longer; a timer that is over is no loss."""
    for name in HOSTS:
        for figure, before in outcome.before[name].items():
            after = outcome.after[name][figure]
            if after > before or (after < before and figure != "timers"):
                yield f"{name}: {before} {figure} before, {after} after"


def growth(outcome: Outcome) -> Iterable[str]:
    """Give by how much the immortal daemon's memory grew, if that is too much."""
    judged = outcome.judged_kb
    if judged:
        first, _, last = figures.medians_of_thirds(judged)
        if last > first * MOST_GROWTH:
            yield f"{IMMORTAL}: its memory grew from {first / 1024:.1f} to {last / 1024:.1f} MiB"


def _errors(stage: Stage) -> Iterable[str]:
    for name, daemon in stage.daemons.items():
        lines = [line for line in daemon.log().splitlines() if is_error(line)]
        if lines:
            yield f"{name}: {len(lines)} errors in its log, the first: {lines[0][:500]}"


def is_error(line: str) -> bool:
    """Tell whether a line of a daemon's log should not be there."""
    try:
        entry = json.loads(line)
    except ValueError:
        return True
    return entry["level"] in {"error", "critical"}


class _Sampler(threading.Thread):
    """Reads the immortal daemon's memory once a second."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        super().__init__(daemon=True)
        self._pid, self._outcome = stage.daemons[IMMORTAL].pid, outcome
        self._is_over = threading.Event()

    def run(self) -> None:
        began_s = time.monotonic()
        while not self._is_over.wait(SAMPLE_S):
            sample = len(self._outcome.ordeals), time.monotonic() - began_s, figures.own_kb(self._pid)
            self._outcome.samples.append(sample)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self.join()


def keep_logs(stage: Stage, folder: Path) -> None:
    """Copy what daemons, brokers and programs have logged, for who looks for a cause."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [process.log_path for process in (*stage.daemons.values(), *stage.brokers.values())]
    for path in (*paths, *(talker.log_path for talker in stage.talkers.values())):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
