"""Where tests get the lab from, and the guard that lets no lab test run where a packet could leave."""

import signal
from collections.abc import Iterator

import pytest

from tests.lab.broker import Broker
from tests.lab.isolation import faults, is_inside
from tests.lab.machines import Machines
from tests.lab.namespaces import Lan


def pytest_sessionstart() -> None:
    """Refuse to start on a machine that calls itself private and is not; let programs hear Ctrl-C.

    A shell starts background jobs with SIGINT ignored, and that is inherited: tests
    that interrupt a program would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = faults() if is_inside() else []
    if found:
        pytest.exit("the lab is not private: " + "; ".join(found), returncode=3)


@pytest.hookimpl(trylast=True)  # after -m and -k chose: what is left would run
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse lab tests outside of the lab."""
    if not is_inside() and any(item.get_closest_marker("lab") for item in items):
        raise pytest.UsageError(
            "tests marked `lab` run on a private machine only: `make test`, or "
            "`python -m tests.lab.enter -- python -m pytest ...` as root; without them: -m 'not lab'"
        )


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """The session's LAN and brokers, made on demand and ended with the session."""
    made = Machines()
    yield made
    made.close()


@pytest.fixture
def clean_machines(machines: Machines) -> Iterator[Machines]:
    """The session's machines, put back in order after the test."""
    yield machines
    machines.clean()


@pytest.fixture
def lan(clean_machines: Machines) -> Lan:
    """A faultless LAN of hosts h1, h2 and h3."""
    return clean_machines.lan


@pytest.fixture
def brokers(clean_machines: Machines) -> dict[str, Broker]:
    """A running, virgin broker on each host of the LAN."""
    return clean_machines.brokers


@pytest.fixture
def broker(clean_machines: Machines) -> Broker:
    """A running, virgin broker on loopback of this very process."""
    return clean_machines.local_broker
