"""One row: programs talk, one of them in a burst, the fault strikes while events are unconfirmed; then the account."""

import time
from typing import NamedTuple

from mirosd_client.control import ControlConnection
from mirosd_client.errors import MirosdError
from tests.faults.bench import Bench, Counts, counted_since
from tests.faults.history import MAYBE, History, violations
from tests.faults.rows import OTHER, SENDER, Row
from tests.lab.waiting import until
from tests.soak.stage import WELL_S

SPEAKERS = (SENDER, OTHER)
PER_S = 500.0  # of each of them
AROUND_S = 1.0
"""How long before and after a fault events are counted that were accepted around it."""

LEAST_UNCONFIRMED = 100
BURSTS = 5
"""A broker may confirm a burst before anybody has looked at it; then there is another."""

LOOK_S = 2.0
COUNTED_S = 10.0
"""For the counters to catch up: what a queue drops, its broker sends to the daemon in its own time."""


class Size(NamedTuple):
    """How many events."""

    burst: int = 6000
    accepted: int = 5000
    """Least number around the fault."""


WHOLE = Size()


class Result(NamedTuple):
    """What a row has shown."""

    name: str
    remark: str = ""
    accepted: int = 0
    """Around the fault."""
    unconfirmed: int = 0
    """At its moment, by the word of the sender's daemon."""
    handled: int = 0
    """By all charts, in the whole experiment."""
    missing: int = 0
    lost: dict[str, int] = {}
    """What was counted of them, by reason."""
    well_after_s: float = 0.0
    """From the fault's end until every chart had handled all that was said."""
    findings: tuple[str, ...] = ()
    perhaps: int = 0
    """Events that a broker was sent and never confirmed: they may be missing, or not (history.MAYBE)."""


def experiment(bench: Bench, name: str, row: Row, size: Size = WHOLE) -> Result:
    """Give the result of one row, on a bench on which all are well."""
    result = Result(name, row.remark)
    try:
        return _experiment(bench, result, row, size)
    except (AssertionError, MirosdError, OSError) as exc:
        return result._replace(findings=(f"no account of it: {exc}",))


def _experiment(bench: Bench, result: Result, row: Row, size: Size) -> Result:
    bench.wait_alive()
    bench.begin()
    before = bench.counts()
    for speaker in SPEAKERS:
        bench.talkers[speaker].do("talk", per_s=PER_S)
    time.sleep(AROUND_S)
    unconfirmed = _burst(bench, size)
    struck_s = time.monotonic()
    with bench.broken(row.fault):
        time.sleep(row.fault.seconds)
    mended_s = time.monotonic()
    time.sleep(AROUND_S)
    findings = []
    try:
        _settle(bench)
    except AssertionError as exc:
        findings.append(f"never well again: {exc}")
    well_after_s = time.monotonic() - mended_s
    history = _account(bench, before)
    accepted = sum(
        struck_s - AROUND_S <= accepted_s <= mended_s + AROUND_S
        for events in history.accepted.values()
        for _, accepted_s in events
    )
    findings += violations(history, row.may_count)
    if accepted < size.accepted:
        findings.append(f"{accepted} events were accepted around it: too few to show anything")
    if unconfirmed < LEAST_UNCONFIRMED:
        findings.append(f"{unconfirmed} events were unconfirmed at its moment: too few to show anything")
    return result._replace(
        accepted=accepted,
        unconfirmed=unconfirmed,
        handled=history.handled,
        missing=history.total_missing,
        lost=history.lost,
        perhaps=history.counted[MAYBE],
        well_after_s=well_after_s,
        findings=tuple(findings),
    )


def _burst(bench: Bench, size: Size) -> int:
    """Let the sender burst, and give how many events are not confirmed as soon as those are enough."""
    with bench.control(SENDER) as daemon:
        for _ in range(BURSTS):
            bench.talkers[SENDER].do("burst", count=size.burst)
            end_s = time.monotonic() + LOOK_S
            while time.monotonic() < end_s:
                unconfirmed = _unconfirmed(daemon)
                if unconfirmed >= LEAST_UNCONFIRMED:
                    return unconfirmed
    return 0


def _unconfirmed(daemon: ControlConnection) -> int:
    rows, _ = daemon.ask("clients")
    return sum(int(row["last_taken"]) - int(row["last_settled"]) for row in rows)


def _settle(bench: Bench) -> None:
    """Return when what was said is settled, and every chart has handled the last word of every other."""
    speakers = [bench.talkers[name] for name in SPEAKERS]
    for speaker in speakers:
        until(lambda speaker=speaker: not speaker.do("rest")["waiting"], WELL_S, f"{speaker.name}'s events settled")  # type: ignore[misc]
    bench.wait_alive()
    last = {speaker.name: speaker.do("last")["last"] for speaker in speakers}

    def is_heard() -> bool:
        for hearer in bench.talkers.values():
            heard = hearer.do("heard")
            waits_for = {who: n for who, n in last.items() if heard.get(who, 0) < n}
            assert not waits_for, f"{hearer.name} has not heard {waits_for}; it has heard {heard}"
        return True

    until(is_heard, WELL_S, "every chart has handled all that was said")


def _account(bench: Bench, before: Counts) -> History:
    """Give the history, with what was counted: at once when that adds up, else when it had time to."""

    def look() -> History:
        reports = {witness.name: witness.do("report") for witness in bench.talkers.values()}
        return History(
            accepted={bench.talkers[name].name: reports[bench.talkers[name].name]["accepted"] for name in SPEAKERS},
            heard={name: report["heard"] for name, report in reports.items()},
            since_s=bench.since_s,
            counted=counted_since(before, bench.counts()),
        )

    history = look()
    end_s = time.monotonic() + COUNTED_S
    while history.total_missing != sum(history.lost.values()) and time.monotonic() < end_s:
        history = look()
    return history
