"""No key and no password shows anywhere: every secret of a mesh is looked for wherever one might have slipped out."""

import base64
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.e2e.secret_search import SecretSearch, files_in, processes
from tests.e2e.stage import Stage, staged
from tests.lab.broker import PASSWORD, PEERS_PASSWORD, Broker
from tests.lab.certificates import Authority, Certificate
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

ASKED = (
    ("status",),
    ("peers",),
    ("peers", "--why"),
    ("hosts", "list"),
    ("cache", "show"),
    ("clients",),
    ("charts",),
    ("recce",),
    ("keys", "list"),
    ("metrics",),
    ("doctor",),
)
"""What people look at, as tables and as JSON."""

WITH_ADDRESS = (("hosts", "add"), ("hosts", "remove"), ("scout",))
"""What takes an address, and is given one with an account in it."""


@pytest.mark.parametrize(
    "written",
    [
        lambda secret: secret,
        lambda secret: b"user\0" + secret + b"\0",
        lambda secret: base64.b64encode(secret),
        lambda secret: base64.urlsafe_b64encode(b"\0u\0" + secret + b"."),
        lambda secret: base64.b64encode(b"user:" + secret + b"xy"),
        lambda secret: base64.b64encode(b"1" + secret),
        lambda secret: secret.hex().encode(),
        lambda secret: secret.hex().upper().encode(),
        lambda secret: quote(secret).encode(),
        lambda secret: quote(secret, safe="").lower().encode(),
        lambda secret: repr([secret]).encode(),
    ],
    ids=["plain", "sasl", "b64", "b64 +0", "b64 +2", "b64 +1", "hex", "HEX", "percent", "percent all", "repr"],
)
@pytest.mark.parametrize(
    "secret", [b"#/:@%7Qx-_bQ9kd", b"'\"\\ 7Qx-_bQ", bytes(range(220, 252))], ids=["word", "quotes", "key"]
)
def test_a_secret_is_found_however_it_is_written(written: Any, secret: bytes) -> None:
    """In the middle of something else too; and what is not there is not found."""
    search = SecretSearch({"it": secret, "another": b"not there at all"})

    assert ["here: it"] == search.found_in([("here", b"a log line " + written(secret) + b" goes on"), ("there", b"no")])


class Mesh:
    """Two hosts with a key for each network, and accounts and a certificate each: all its secrets are known."""

    def __init__(self, stage: Stage, authority: Authority) -> None:
        self.stage = stage
        self.keys = {name: secrets.token_bytes(32) for name in ("mesh", "snoop_trace", "snoop_spy", "system")}
        self.wrong = secrets.token_urlsafe(12)
        self.certificates = {name: authority.certificate(name, stage.lan[name].address) for name in ("h1", "h2")}
        known = {"password": PASSWORD, "peers password": PEERS_PASSWORD, "wrong password": self.wrong}
        self.secrets = self.keys | {name: text.encode() for name, text in known.items()}
        for name, key in self.keys.items():  # as it is laid down
            self.secrets[f"{name}, text"] = base64.urlsafe_b64encode(key)
        for name, own in self.certificates.items():
            self.secrets[f"private key of {name}"] = own.key_file.read_bytes().splitlines()[1]
        self.search = SecretSearch(self.secrets)

    def daemon(self, name: str, other: str, *, is_in_files: bool) -> Daemon:
        """Describe a host's daemon; its passwords stand in files or in its configuration."""
        folder = self.stage.lan[name].directory / "laid-down"
        folder.mkdir(exist_ok=True)
        mesh_key = base64.urlsafe_b64encode(self.keys["mesh"]).decode()
        daemon = self.stage.daemon(name, [other], broker=self._url(name), key=mesh_key, settings=self._settings(name))
        for network, key in self.keys.items():
            path = daemon.config_path.with_name(f"{network}.key")
            path.touch(mode=0o600)
            path.write_bytes(base64.urlsafe_b64encode(key))
        if is_in_files:
            config = yaml.safe_load(daemon.config_path.read_text())
            for section, password in (("broker", PASSWORD), ("peers", PEERS_PASSWORD)):
                del config[section]["password"]
                file = folder / section
                file.touch(mode=0o600)
                file.write_text(password)
                config[section]["password_file"] = str(file)
            daemon.config_path.write_text(yaml.safe_dump(config))
        return daemon

    def laid_down(self) -> set[str]:
        """Give the files that hold secrets because somebody wrote them there."""
        hosts = [self.stage.lan[name].directory for name in ("h1", "h2")]
        written = [path for host in hosts for path in (host / "config.yaml", *host.glob("*.key"))]
        return {str(path) for path in (*written, *(path for host in hosts for path in host.glob("laid-down/*")))}

    def shown(self) -> Iterator[tuple[str, bytes]]:
        """Give what is on the disks of both hosts but what was laid down and the daemons' own rings of keys."""
        exempt = self.laid_down()
        for name in ("h1", "h2"):
            ring = str(self.stage.lan[name].directory / "state" / "keys" / "ring.json")
            for place, content in files_in(self.stage.lan[name].directory):
                if place not in exempt and place != ring:
                    yield place, content

    def found_where_it_belongs(self) -> bool:
        """Tell whether the search finds all that was laid down, and so would find it elsewhere too."""
        laid_down = self.laid_down() | {str(own.key_file) for own in self.certificates.values()}
        found = {name for path in laid_down for name in self.search.names_in(Path(path).read_bytes())}
        return set(self.secrets) == found

    def _url(self, name: str) -> str:
        return f"amqps://{self.stage.lan[name].address}"

    def _settings(self, name: str) -> dict[str, Any]:
        own: Certificate = self.certificates[name]
        return {
            "log": {"level": "debug"},
            "discovery": {"lan": {"enabled": True}},
            "tls": {"ca_file": str(own.ca_file), "cert_file": str(own.cert_file), "key_file": str(own.key_file)},
        }


@pytest.mark.lab
def test_no_secret_shows(lan: Lan, brokers: dict[str, Broker], tmp_path: Path) -> None:
    """In no log, file, table, answer, traceback, command line or environment, while all that a mesh does is done."""
    with staged(lan, brokers) as stage, ExitStack() as exits:
        mesh = Mesh(stage, Authority(tmp_path / "authority"))
        for name in ("h1", "h2"):
            exits.enter_context(brokers[name].speaking_tls(mesh.certificates[name], is_mutual=True))
        one = mesh.daemon("h1", "h2", is_in_files=True)
        two = mesh.daemon("h2", "h1", is_in_files=False)
        for daemon in (one, two):
            daemon.start()
        stage.wait_alive("h1")
        stage.wait_alive("h2")
        seen: list[tuple[str, bytes]] = [*processes()]
        sender, receiver = stage.actor("h1", "sender"), stage.actor("h2", "receiver")
        assert receiver.do("wait_subscribed")["subscribed"]
        sender.do("send", count=10)
        until(lambda: receiver.numbers("sender") == list(range(1, 11)), what="events cross")
        seen += processes()
        seen += [answer(one, *words, *form) for words in ASKED for form in ((), ("--json",))]
        seen += [answer(one, *words, f"amqp://peers:{PEERS_PASSWORD}@10.77.0.3") for words in WITH_ADDRESS]
        seen += what_a_refused_reload_shows(one)
        seen += what_a_refused_account_shows(two, mesh.wrong)
        os.kill(one.pid, signal.SIGABRT)  # where each thread was goes into the log
        one.wait()
        seen += mesh.shown()

        assert mesh.found_where_it_belongs()
        assert {"h1/mirosd.log", "h2/mirosd.log", "h2/rabbitmq.log", "state/node.json"} <= last_two_names(seen)
        assert [] == mesh.search.found_in(seen)


def answer(daemon: Daemon, *words: str) -> tuple[str, bytes]:
    """Give what a command prints, whatever its exit status."""
    run = daemon.ctl(*words, check=False)
    assert run.stdout or run.stderr, words
    return f"mirosctl {words[0]}", (run.stdout + run.stderr).encode()


def what_a_refused_reload_shows(daemon: Daemon) -> Iterator[tuple[str, bytes]]:
    """Have the daemon read a configuration that is wrong where its passwords stand; its log is looked at later."""
    good = daemon.config_path.read_text()
    url = f"amqp://mirosd:{PASSWORD}@127.0.0.1"
    daemon.config_path.write_text(
        yaml.safe_dump({"broker": {"url": url, "password": [PASSWORD], "user": {PASSWORD: 1}}})
    )
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "reload_refused" in daemon.log(), what="the reload refused")
    daemon.config_path.write_text(good)
    yield from processes()


def what_a_refused_account_shows(daemon: Daemon, wrong: str) -> Iterator[tuple[str, bytes]]:
    """Start the daemon anew with a password that its broker refuses, and look at what it says of it."""
    daemon.stop()
    config = yaml.safe_load(daemon.config_path.read_text())
    config["broker"]["password"] = wrong
    daemon.config_path.write_text(yaml.safe_dump(config))
    daemon.start()
    until(lambda: daemon.ask("status")["broker"]["state"] == "auth", what="the account refused")
    yield answer(daemon, "status")
    yield from processes()


def last_two_names(places: list[tuple[str, bytes]]) -> set[str]:
    """Give the ends of the paths that were looked at."""
    return {"/".join(Path(place).parts[-2:]) for place, _ in places}
