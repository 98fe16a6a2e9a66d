"""What several tests of the shell ask for."""

import pytest

from tests.client.shell.charts import Noting, resting


@pytest.fixture
def chart():
    """A running chart, stopped afterwards."""
    made = Noting()
    made.start_at(resting)
    yield made
    assert made.stop(30)
