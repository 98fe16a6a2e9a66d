"""What `import mirosd_client` offers, and what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import mirosd_client

ROOT = Path(__file__).parents[2]


def imported(code: str) -> set[str]:
    """Give the modules that a fresh interpreter has imported after `code`."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("module", ["wire", "messages", "record", "control", "socket_path", "codec", "window"])
def test_the_protocol_does_not_load_miros(module: str) -> None:
    """A tool that only speaks to the daemon starts quickly."""
    names = imported(f"import mirosd_client.{module}")

    assert f"mirosd_client.{module}" in names
    assert not {name for name in names if name.split(".")[0] == "miros" or name.startswith("mirosd_client.shell")}


def test_every_public_name_is_there() -> None:
    """Each name of the list loads, and other names do not exist."""
    for name in mirosd_client.__all__:
        assert getattr(mirosd_client, name) is not None
        assert name in dir(mirosd_client)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mirosd_client.nonsense
