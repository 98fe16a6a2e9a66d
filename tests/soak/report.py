"""What a run has shown: as a table, and as data."""

import statistics
from typing import Any

from tests.soak.faults import HOSTS
from tests.soak.figures import PER_BROKER, PER_PROCESS, medians_of_thirds
from tests.soak.run import IMMORTAL, Outcome
from tests.soak.stage import Account


def results(seed: int, minutes: float, outcome: Outcome) -> dict[str, Any]:
    """Give all of it as data."""
    return {
        "schema": "soak/1",
        "seed": seed,
        "minutes": minutes,
        "faults": [
            {
                **ordeal.fault._asdict(),
                "lasted_s": round(ordeal.lasted_s, 2),
                "well_after_s": round(ordeal.well_after_s, 2),
                "missing": ordeal.missing,
            }
            for ordeal in outcome.ordeals
        ],
        "before": outcome.before,
        "after": outcome.after,
        "objects": {name: _grown(outcome, name) for name in HOSTS},
        "memory": {
            "host": IMMORTAL,
            "thirds_kb": medians_of_thirds(outcome.judged_kb) if outcome.judged_kb else None,
            "samples": [{"faults": faults, "s": round(s, 1), "kb": kb} for faults, s, kb in outcome.samples],
        },
        "events": _events(outcome)._asdict(),
        "findings": outcome.findings,
    }


def render(seed: int, minutes: float, outcome: Outcome) -> str:
    """Give it as text; the last line is the verdict."""
    lines = [f"seed {seed}, {minutes:g} minutes, {len(outcome.ordeals)} faults", ""]
    lines.append(f"  {'fault':20}{'count':>7}{'well again after, s: median':>30}{'longest':>10}{'events missing':>17}")
    for kind in sorted({ordeal.fault.kind for ordeal in outcome.ordeals}):
        those = [ordeal for ordeal in outcome.ordeals if ordeal.fault.kind == kind]
        took_s = [ordeal.well_after_s for ordeal in those]
        missing = sum(sum(ordeal.missing.values()) for ordeal in those)
        lines.append(f"  {kind:20}{len(those):7}{statistics.median(took_s):30.1f}{max(took_s):10.1f}{missing:17}")
    lines += ["", f"  {'held at rest':20}" + "".join(f"{f'{name} before':>14}{'after':>8}" for name in HOSTS)]
    counted = [figure for figure in (*PER_PROCESS, *PER_BROKER) if figure in outcome.before[HOSTS[0]]]
    for figure in counted:
        cells = [f"{outcome.before[name][figure]:14}{_after(outcome, name, figure):>8}" for name in HOSTS]
        lines.append(f"  {figure:20}" + "".join(cells))
    lines += ["", f"  memory of {IMMORTAL}'s daemon, its own: {_memory(outcome)}"]
    heard, missing, astray = _events(outcome)
    lines.append(f"  events heard {heard}, missing {missing}, twice or out of order {astray}")
    for name in HOSTS:
        grown = ", ".join(f"{kind} {before} -> {after}" for kind, (before, after) in _grown(outcome, name).items())
        lines.append(f"  objects of {name}'s daemon: {grown or 'as many of each class as before'}")
    lines += ["", *(f"  FOUND  {finding}" for finding in outcome.findings)]
    lines.append("FAILED" if outcome.findings else "PASSED")
    return "\n".join(lines)


def _events(outcome: Outcome) -> Account:
    return Account(*(sum(column) for column in zip(*outcome.accounts.values(), strict=True)))


def _after(outcome: Outcome, name: str, figure: str) -> str:
    return str(outcome.after[name][figure]) if name in outcome.after else "?"


def _memory(outcome: Outcome) -> str:
    if not outcome.judged_kb:
        last = f"{outcome.samples[-1][2] / 1024:.1f} MiB" if outcome.samples else "unknown"
        return f"{last} in the end; too few faults to judge its growth"
    first, middle, last_third = medians_of_thirds(outcome.judged_kb)
    figures = " ".join(f"{kb / 1024:.2f}" for kb in (first, middle, last_third))
    return f"{figures} MiB, medians of the thirds after the warm-up ({(last_third / first - 1) * 100:+.1f} %)"


def _grown(outcome: Outcome, name: str) -> dict[str, tuple[int, int]]:
    """Give, by class, how many objects there were and are, where that differs."""
    before, after = outcome.classes_before.get(name, {}), outcome.classes_after.get(name, {})
    return {
        kind: (before.get(kind, 0), after.get(kind, 0))
        for kind in sorted({*before, *after})
        if before.get(kind, 0) != after.get(kind, 0)
    }
