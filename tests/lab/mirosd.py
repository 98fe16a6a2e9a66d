"""mirosd on a host of the lab, and the statechart programs that use it."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.broker import PASSWORD, PEERS_PASSWORD, PEERS_USER, USER, Broker
from tests.lab.namespaces import Host
from tests.lab.process import Process
from tests.lab.waiting import until

ROOT = Path(__file__).parents[2]
MESH_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
"""One key for all daemons of a run: they are one mesh unless a test gives another `key`."""


class Daemon(Process):
    """The mirosd of a host, at a broker, with settings of its own laid over the lab's."""

    MODULE = "mirosd.main"
    """What is run; it takes mirosd's arguments."""

    def __init__(
        self,
        host: Host,
        broker: Broker | str,
        *,
        hosts: Sequence[str] = (),
        key: str = MESH_KEY,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the host's configuration, with an empty state directory; nothing runs before `start`.

        Args:
            broker: the host's broker, or an AMQP URL ("memory://" too).
            hosts: addresses of peers, as the hosts file lists them.
            key: the mesh key, urlsafe base64.
            settings: merged over the lab's, section by section.
        """
        super().__init__(host, "mirosd")
        state = host.directory / "state"
        shutil.rmtree(state, ignore_errors=True)
        self.config_path = host.directory / "config.yaml"
        self.hosts_path = host.directory / "hosts.json"
        self.write_hosts(hosts)
        for other in host.directory.glob("*.key"):
            other.unlink()  # of an earlier daemon: one beside the mesh key would count
        key_path = host.directory / "mesh.key"
        key_path.touch(mode=0o600)
        key_path.write_text(key + "\n")
        own: dict[str, Any] = {
            "system": "default",
            "name": host.name,
            "state_dir": str(state),
            "socket": {"path": str(host.socket), "group": None},
            "broker": {
                "url": broker if isinstance(broker, str) else broker.url(),
                "user": USER,
                "password": PASSWORD,
            },
            "peers": {"user": PEERS_USER, "password": PEERS_PASSWORD},
            "networks": {"mesh": {"key_file": str(key_path)}},
            "discovery": {"hosts_file": str(self.hosts_path), "lan": {"enabled": False}},
            "log": {"format": "json"},
        }
        self.config_path.write_text(yaml.safe_dump(_merged(own, settings or {})))
        self.config_path.chmod(0o600)

    def write_hosts(self, hosts: Sequence[str]) -> None:
        """Replace the hosts file, in one step, as an editor does."""
        draft = self.hosts_path.with_suffix(".draft")
        draft.write_text(json.dumps({"hosts": list(hosts)}))
        draft.replace(self.hosts_path)

    def start(self) -> None:
        """Start the daemon and return at once."""
        self.launch([sys.executable, "-m", self.MODULE, "--config", str(self.config_path)], _environment(self.host))

    def wait_ready(self, deadline_s: float = 30.0) -> None:
        """Return when `mirosctl status` says ready; AssertionError with the log when not, or when it ended."""
        try:
            until(self._is_ready, deadline_s, f"mirosd of {self.host.name} ready")
        except (AssertionError, RuntimeError) as exc:
            raise AssertionError(f"{exc}\n{self.log()[-4000:]}") from None

    def ctl(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `mirosctl` with these arguments against this daemon."""
        return self.host.run(
            [sys.executable, "-c", "from mirosctl.main import main; main()", *arguments],
            env=os.environ | _environment(self.host),
            check=check,
        )

    def ask(self, *arguments: str) -> dict[str, Any]:
        """Give the object that `mirosctl ARGUMENTS --json` prints; AssertionError when it has none to print."""
        run = self.ctl(*arguments, "--json", check=False)
        assert run.stdout, run.stderr
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    def peers(self) -> dict[str, str]:
        """Give the state of each peer by its name."""
        return {peer["name"]: peer["state"] for peer in self.ask("peers")["peers"]}

    def _is_ready(self) -> bool:
        if not self.is_running:
            raise RuntimeError(f"mirosd of {self.host.name} ended")
        answer = self.ctl("status", "--json", check=False)
        return answer.returncode == 0 and json.loads(answer.stdout)["state"] == "ready"


class Program(Process):
    """A statechart program on a host; what it prints is its log."""

    def __init__(self, host: Host, script: Path, *arguments: str) -> None:
        """Describe the program `script` with its arguments."""
        super().__init__(host, script.stem)
        self.argv = [sys.executable, str(script), *arguments]

    def start(self) -> None:
        """Start the program and return at once."""
        self.launch(self.argv, _environment(self.host))


def _environment(host: Host) -> dict[str, str]:
    return {
        "MIROSD_SOCKET": str(host.socket),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
        "PYTHONUNBUFFERED": "1",  # what it prints is there when it is looked at
    }


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
