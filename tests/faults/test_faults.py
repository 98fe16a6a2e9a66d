"""The fault bench's machinery, and a few of its faults; `make faults` is all of them."""

from collections.abc import Iterator

import pytest

from tests.faults.bench import Bench, counted_since
from tests.faults.experiment import Result, Size, experiment
from tests.faults.report import render, results
from tests.faults.rows import ROWS
from tests.lab.machines import Machines

FEW = Size(burst=1500, accepted=1000)
"""Enough to have a hundred of them unconfirmed."""

PATIENT = {"delivery": {"ttl_s": 600.0, "queue_expires_s": 700.0}}
"""On a slow machine a broker may take longer to start than events live; that is not what is shown here."""

SELECTED = ("both daemons killed", "receiver's broker killed", "nothing to the receiver 5 s", "hearing program killed")
"""A daemon, a broker, the network and a program."""


@pytest.fixture(scope="module")
def bench(machines: Machines) -> Iterator[Bench]:
    """Three hosts that see each other, put back in order with the module."""
    machines.clean()
    bench = Bench(machines.lan, machines.brokers, PATIENT)
    try:
        bench.start()
        yield bench
    finally:
        bench.close()
        machines.clean()


@pytest.mark.lab
@pytest.mark.timeout(400)  # longer than all that a failing row waits for, so that it tells what it found
@pytest.mark.parametrize("name", SELECTED)
def test_a_fault_costs_nothing(bench: Bench, name: str) -> None:
    """Each event that was accepted around the fault is handled once, and in order, by every chart but its own."""
    result = experiment(bench, name, ROWS[name], FEW)
    print(render([result]))

    assert () == result.findings
    assert (0, {}) == (result.missing, result.lost)


def test_every_fault_is_told_apart() -> None:
    """There are faults enough, no two are the same, and who may lose something says what."""
    assert len(ROWS) >= 15
    assert len(ROWS) == len({row.fault for row in ROWS.values()})
    assert {"slow chart", "peer dead for longer than events live"} == {
        name for name, row in ROWS.items() if row.may_count
    }


def test_counted_since() -> None:
    """What came to a counter, whoever counts; a daemon that was started again begins at nothing."""
    before = {("mirosd 7", "expired"): 2, ("mirosd 8", "expired"): 5, ("h1.1", "refused"): 1}
    after = {("mirosd 7", "expired"): 3, ("mirosd 9", "expired"): 4, ("h1.1", "refused"): 1, ("h1.1", "new"): 1}

    assert {"expired": 5, "refused": 0, "new": 1} == counted_since(before, after)


def test_the_report_tells_what_was_found() -> None:
    """A fault's figures stand in the table, its findings below; one failed fault fails the run."""
    good = Result("link down", "only a remark", 5000, 150, 9000, 3, {"expired": 3}, 1.25)
    bad = good._replace(name="daemon killed", remark="", findings=("2 events are missing",))

    passed, failed = render([good]), render([good, bad])
    assert ["link", "down", "5000", "150", "9000", "3", "expired", "3", "1.2", "s"] == passed.splitlines()[1].split()
    assert passed.endswith("  link down: only a remark\n\nPASSED: 1 faults")
    assert failed.endswith("  FOUND  daemon killed: 2 events are missing\n\nFAILED: 1 of 2 faults")
    assert {"expired": 3} == results([good, bad])["rows"][0]["lost"]
