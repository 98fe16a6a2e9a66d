"""The soak's machinery, and a short one; `make soak` is the long one."""

import asyncio
from itertools import islice

import pytest

from tests.lab.broker import Broker
from tests.lab.namespaces import Lan
from tests.soak.faults import HOSTS, KINDS, LONGER, Fault, sequence
from tests.soak.figures import PER_BROKER, PER_PROCESS, least, medians_of_thirds
from tests.soak.observed import census
from tests.soak.report import render, results
from tests.soak.run import (
    JUDGED_FAULTS,
    WARM_UP_FAULTS,
    Ordeal,
    Outcome,
    differences,
    growth,
    is_error,
    soak,
)
from tests.soak.stage import Account, staged
from tests.soak.talker import take

SHORT = (
    Fault("daemon killed", "h2"),
    Fault("broker killed", "h3"),
    Fault("program killed", "h1"),
    Fault("hosts file edited", "h1", LONGER, 1.0),
)


@pytest.mark.lab
@pytest.mark.timeout(400)  # longer than all that a failing run waits for, so that it tells what it found
def test_nothing_is_left_of_a_little_trouble(lan: Lan, brokers: dict[str, Broker]) -> None:
    """After four faults all hold what they held before, and every program hears every other."""
    with staged(lan, brokers) as stage:
        outcome = soak(stage, SHORT, print, counts_timers=False)
    print(render(1, 0, outcome))

    assert [] == outcome.findings
    assert list(SHORT) == [ordeal.fault for ordeal in outcome.ordeals]
    assert set(outcome.after) == set(HOSTS)
    assert all({*PER_PROCESS, *PER_BROKER} - {"timers"} == held.keys() for held in outcome.after.values())


def test_the_seed_alone_decides() -> None:
    """The same seed gives the same faults, another one others."""
    first, again, other = (list(islice(sequence(seed), 50)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(20))
def test_every_round_brings_each_kind_and_spares_one_daemon(seed: int) -> None:
    """Each kind of fault once a round, and h1's daemon lives through all of it."""
    ahead = sequence(seed)
    for _ in range(5):
        faults = list(islice(ahead, len(KINDS)))

        assert sorted(KINDS) == sorted(fault.kind for fault in faults)
        assert "h1" not in {fault.host for fault in faults if fault.kind in {"daemon killed", "daemon stopped"}}
        assert all(fault.other != fault.host for fault in faults if fault.kind == "partition")


def test_a_fault_tells_what_it_is() -> None:
    """Its kind, and of its details those that it has."""
    assert "partition: h1, h2, 2.5 s" == str(Fault("partition", "h1", "h2", 2.5))
    assert "frames lost: 15 %, 3 s" == str(Fault("frames lost", seconds=3.0, percent=15))
    assert "broker killed: h1" == str(Fault("broker killed", "h1"))


def test_what_is_heard_is_accounted_for() -> None:
    """Counted, with what was left out between two events, and what came again or late; not what was said before."""
    heard: dict[str, list[int]] = {}
    for number in (7, 8, 11, 10, 12):
        take(heard, "h2.1", number)

    assert {"h2.1": [12, 5, 2, 1]} == heard


def test_the_census_sees_timers_tasks_and_objects() -> None:
    """A pending timer, a task and an object of ours count; a cancelled timer and a done task do not."""

    async def counted() -> None:
        loop = asyncio.get_running_loop()
        before = census()
        timers = [loop.call_later(60, print), loop.call_later(60, print)]
        timers[1].cancel()
        tasks = [loop.create_task(asyncio.sleep(60)), loop.create_task(asyncio.sleep(0))]
        await tasks[1]
        after = census()

        assert before["timers"] + 2 == after["timers"], "one of call_later, one of sleep"
        assert before["tasks"] + 1 == after["tasks"]
        assert before["classes"].get("asyncio.events.TimerHandle", 0) < after["classes"]["asyncio.events.TimerHandle"]
        tasks[0].cancel()
        timers[0].cancel()

    asyncio.run(counted())


def test_the_least_of_several_looks() -> None:
    """What was not there at one look does not count."""
    assert {"a": 1, "b": 0} == least([{"a": 3}, {"a": 1, "b": 2}])


def test_medians_of_thirds() -> None:
    """Of the first, the middle and the last part of the samples."""
    assert (2, 6, 11) == medians_of_thirds([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12][:11])


def grown(last_kb: int, faults: int = WARM_UP_FAULTS + JUDGED_FAULTS) -> Outcome:
    """Give an outcome whose memory was 90,000 KiB while warming up, then 10,000, and `last_kb` in the end."""
    outcome = Outcome(ordeals=[Ordeal(Fault("broker killed", "h1"), 2.0, 1.0, {})] * faults)
    outcome.samples = [(number, float(number), 90_000) for number in range(WARM_UP_FAULTS)]
    judged = [10_000] * (JUDGED_FAULTS - JUDGED_FAULTS // 3) + [last_kb] * (JUDGED_FAULTS // 3)
    outcome.samples += [(WARM_UP_FAULTS + number, 99.0, kb) for number, kb in enumerate(judged)]
    return outcome


@pytest.mark.parametrize(("last_kb", "is_told"), [(10_000, False), (10_500, False), (10_501, True)])
def test_memory_may_grow_by_a_twentieth(last_kb: int, is_told: bool) -> None:
    """From the first third after the warm-up to the last one."""
    assert is_told == bool(list(growth(grown(last_kb))))


def test_few_faults_judge_no_memory() -> None:
    """A run that is hardly longer than the warm-up says nothing of growth."""
    assert [] == list(growth(grown(20_000, faults=WARM_UP_FAULTS + JUDGED_FAULTS - 1)))


def held(**figures: int) -> dict[str, dict[str, int]]:
    """Give the same figures of every host, but those that are given of h2."""
    usual = dict.fromkeys((*PER_PROCESS, *PER_BROKER), 5)
    return {name: usual | (figures if name == "h2" else {}) for name in HOSTS}


def test_the_report_tells_what_differs() -> None:
    """One descriptor too many is a finding, stands in the table and fails the run; without it the run passes."""
    outcome = Outcome(before=held(), after=held(descriptors=6))
    outcome.ordeals = [Ordeal(Fault("daemon killed", "h2"), 2.0, 1.25, {"h1.1 of h2.1": 3})]
    outcome.accounts = {("h1.1", "h2.1"): Account(100, 3, 0), ("h2.1", "h1.1"): Account(50, 0, 1)}
    outcome.findings = list(differences(outcome))

    assert ["h2: 5 descriptors before, 6 after"] == outcome.findings
    told = render(7, 10, outcome)
    assert told.startswith("seed 7, 10 minutes, 1 faults\n")
    assert "events heard 150, missing 3, twice or out of order 1" in told
    assert "FOUND  h2: 5 descriptors before, 6 after\nFAILED" in told
    assert {"heard": 150, "missing": 3, "astray": 1} == results(7, 10, outcome)["events"]

    outcome.after = held(timers=4)
    outcome.findings = list(differences(outcome))
    assert render(7, 10, outcome).endswith("\nPASSED")


def test_errors_in_a_log() -> None:
    """A traceback and an error of ours are errors; a warning, and what pika makes of a lost connection, are not."""
    assert is_error("Traceback (most recent call last):")
    assert is_error('{"event": "bridge_task_failed", "level": "error"}')
    assert is_error('{"event": "Unexpected frame", "level": "error", "logger": "pika.channel"}')
    assert not is_error('{"event": "state_changed", "level": "info"}')
