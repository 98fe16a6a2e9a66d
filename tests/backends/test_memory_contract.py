"""The broker contract, kept by the broker in memory."""

import pytest

from tests.backends.broker_contract import (  # noqa: F401 -- pytest finds the classes here
    TestConfirms,
    TestRefusals,
    TestReplies,
    TestThroughput,
)
from tests.backends.broker_loss_contract import TestAlarm, TestLoss  # noqa: F401 -- the same
from tests.backends.broker_queue_contract import TestConsumers, TestQueues  # noqa: F401 -- the same
from tests.backends.memory_rig import MemoryRig


@pytest.fixture
def rig() -> MemoryRig:
    """Give an empty broker."""
    return MemoryRig()
