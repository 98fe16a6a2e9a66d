"""The README's code does what the README says."""

import re
from pathlib import Path

import pytest

from tests.e2e.stage import staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Program
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab


def test_the_first_program_works(lan: Lan, brokers: dict[str, Broker], tmp_path: Path) -> None:
    """The README's Python, started on one host and then on another: the first prints that it heard the second."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = tmp_path / "first.py"
    script.write_text(code)
    with staged(lan, brokers) as stage:
        stage.daemon("h1", ["h2"]).start()
        stage.daemon("h2", ["h1"]).start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        first, second = Program(stage.lan["h1"], script), Program(stage.lan["h2"], script)
        try:
            first.start()
            daemon = stage.daemons["h1"]
            until(lambda: daemon.ask("status")["subscriptions"] == 1, what="the first subscribed")
            second.start()
            until(lambda: "h1 heard h2" in first.log(), what="the second heard")

            assert "Traceback" not in first.log() + second.log()
        finally:
            first.close()
            second.close()
