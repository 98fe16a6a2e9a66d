"""A host of the lab with files of its own: /etc, /var/lib and /run/mirosd, as two machines have, and a RabbitMQ as it
comes: what `mirosctl init` and `join` find."""

import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.lab.broker import PEERS_USER, USER, Broker
from tests.lab.mirosd import ROOT
from tests.lab.namespaces import Host
from tests.lab.process import Process

SOCKET = "/run/mirosd/mirosd.sock"
MOUNTS = """
mount --bind "$0/etc" /etc
mount --bind "$0/lib" /var/lib
mkdir -p /run/mirosd
mount --bind "$0/run" /run/mirosd
exec "$@"
"""


class OwnFiles(Host):
    """The same host on the network, with other files; programs on its PATH stand in `bin`."""

    def __init__(self, host: Host, broker: Broker) -> None:
        super().__init__(host.name, host.address, host.directory / secrets.token_hex(4), host.namespace)
        self.socket = Path(SOCKET)
        self._host = host
        self.bin = self.directory / "bin"
        for name in ("lib", "run", "bin"):
            (self.directory / name).mkdir()
        host.run(["cp", "--archive", "/etc", str(self.directory / "etc")])
        broker.write_ctl(self.bin / "rabbitmqctl")

    def command(self, argv: Sequence[str]) -> list[str]:
        """Give the command line that runs `argv` with these files."""
        return self._host.command(["sh", "-ec", MOUNTS, str(self.directory), *argv])

    def write(self, path: str, text: str) -> None:
        """Write a file beneath /etc."""
        (self.directory / path.lstrip("/")).write_text(text)

    def secret(self, account: str) -> str:
        """Give the password in /etc/mirosd of "broker" or "peers"."""
        return (self.directory / "etc/mirosd" / f"{account}.password").read_text().strip()

    def ctl(self, *words: str, **options: Any) -> "CompletedProcess[str]":
        """Run mirosctl."""
        return self.run([sys.executable, "-c", "from mirosctl.main import main; main()", *words], **options)

    def run(self, argv: Sequence[str], timeout_s: float = 300.0, **options: Any) -> "CompletedProcess[str]":
        """Run a program with this host's own on its PATH."""
        path = f"{self.bin}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        return super().run(argv, timeout_s, **({"env": environment} | options))


class InstalledDaemon(Process):
    """The daemon with the configuration that lies where people look for it, run as its own user."""

    def __init__(self, host: OwnFiles) -> None:
        super().__init__(host, "mirosd")

    def start(self) -> None:
        """Start it with the directories that systemd makes for it, and return at once."""
        for directory in (self.host.directory / "run", self.host.directory / "lib" / "mirosd"):
            directory.mkdir(exist_ok=True)
            self.host.run(["chown", "mirosd:mirosd", str(directory)])
        become = ["setpriv", "--reuid", "mirosd", "--regid", "mirosd", "--init-groups", "--no-new-privs"]
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}", "PYTHONUNBUFFERED": "1"}
        self.launch([*become, sys.executable, "-m", "mirosd.main"], environment, cwd=Path("/"))


@contextmanager
def virgin(brokers: Sequence[Broker]) -> Iterator[None]:
    """Have brokers without the accounts of the lab meanwhile, as RabbitMQ comes."""
    kept = {broker: broker.directory / "kept.json" for broker in brokers}
    for broker, path in kept.items():
        broker.ctl("export_definitions", str(path))
        assert {"mirosd", "peers"} <= {user["name"] for user in json.loads(path.read_text())["users"]}
        for user in (USER, PEERS_USER):
            broker.call(f'rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"lab">>).')
    try:
        yield
    finally:
        for broker, path in kept.items():
            broker.ctl("import_definitions", str(path))
            path.unlink()
