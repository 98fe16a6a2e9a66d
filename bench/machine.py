"""What the figures were measured on."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from tests.lab.broker import Broker

PACKAGES = ("miros", "pika", "cryptography", "msgspec")


def describe(broker: Broker) -> dict[str, str]:
    """Give the machine: cores, kernel, versions, load of others at the beginning."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "rabbitmq": broker.call("rabbit_misc:version().").strip('"'),
        **{name: version(name) for name in PACKAGES},
        "load_before": f"{os.getloadavg()[0]:.2f}",
        "brokers": "one scheduler each, files in RAM",
    }
