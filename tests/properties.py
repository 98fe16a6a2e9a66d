"""The settings of every property test: as many examples as CI asks for, the same ones each time."""

import os

from hypothesis import HealthCheck, settings

USUAL_EXAMPLES = 20_000
EXAMPLES = int(os.environ.get("MIROSD_EXAMPLES", USUAL_EXAMPLES))

TOTAL = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""For codecs: any bytes give a value or the one error class."""
