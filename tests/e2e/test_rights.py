"""Rules of the configuration, for real users of other groups, taken and given while the daemon runs."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.e2e.stage import staged
from tests.lab.broker import Broker
from tests.lab.mirosd import ROOT, Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

UID, WATCHERS = 23_456, 23_003
TRACES = [{"group": str(WATCHERS), "may": ["read"], "networks": ["snoop_trace"]}]


def as_watcher(daemon: Daemon, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run mirosctl as another user, whose one group is a number that has no name."""
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", f"--groups={WATCHERS}", "--inh-caps=-all"]
    return daemon.host.run(
        [*become, sys.executable, "-c", "from mirosctl.main import main; main()", *arguments],
        env=os.environ
        | {"MIROSD_SOCKET": str(daemon.host.socket), "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


def reload(daemon: Daemon, rules: list[dict[str, Any]]) -> None:
    """Give the daemon other rules."""
    settings = yaml.safe_load(daemon.config_path.read_text()) | {"rights": rules}
    daemon.config_path.write_text(yaml.safe_dump(settings))
    os.kill(daemon.pid, signal.SIGHUP)


def test_a_rule_shows_traces_and_nothing_else(lan: Lan, brokers: dict[str, Broker]) -> None:
    """Given by a reload, for one network; taken by the next one; what is not known is told and harms nothing."""
    with staged(lan, brokers) as stage:
        daemon = stage.daemon("h1", [], settings={"socket": {"mode": "0666"}})
        daemon.start()
        daemon.wait_ready()
        look = ("--for", "0.1s")
        denied = as_watcher(daemon, "trace", *look)

        assert 4 == denied.returncode
        assert "{user: NAME, may: [read], networks: [snoop_trace]}" in denied.stderr
        reload(daemon, [*TRACES, {"user": "no-such-user", "may": ["read"]}])
        until(lambda: as_watcher(daemon, "trace", *look).returncode == 0, what="traces shown")
        assert "rights_name_unknown" in daemon.log()
        assert 0 == as_watcher(daemon, "status").returncode
        assert 4 == as_watcher(daemon, "spy", *look).returncode
        assert 4 == as_watcher(daemon, "hosts", "add", "10.77.0.66").returncode
        assert 4 == as_watcher(daemon, "send", "Anything").returncode
        reload(daemon, [])
        until(lambda: as_watcher(daemon, "status").returncode == 4, what="nothing shown any more")
        assert '"restart_needed_for": []' in daemon.log()
