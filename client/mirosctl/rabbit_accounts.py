"""The two accounts of a host at its RabbitMQ, made by `rabbitmqctl`, or the lines that make them by hand.

A password goes to rabbitmqctl on its standard input: command lines are for all to read in /proc.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

from mirosctl.broker_rights import OWN, PEERS, BrokerRights
from mirosctl.host_config import LOOPBACK, HostConfig
from mirosctl.host_files import Note
from mirosd_client.errors import MirosdError

DEADLINE_S = 180.0
"""Each call starts an Erlang machine: 0.7 s, many times that on a small computer that has just booted."""


class RabbitError(MirosdError):
    """rabbitmqctl could not do it; the text has its own words."""

    code = "rabbitmq"


class Wanted(NamedTuple):
    """One account as it is to be."""

    user: str
    password_file: str
    rights: BrokerRights


def wanted(config: HostConfig) -> tuple[Wanted, Wanted]:
    """Give the two accounts that a configuration names."""
    own, peers = config.broker, config.peers
    return Wanted(own.user, own.password_file, OWN), Wanted(peers.user, peers.password_file, PEERS)


def lines_by_hand(config: HostConfig) -> list[str]:
    """Give the shell lines that make the accounts where rabbitmqctl is; no password stands in them."""
    lines = [] if config.vhost == "/" else [shlex.join(["rabbitmqctl", "add_vhost", config.vhost])]
    for account in wanted(config):
        lines += [
            f"{shlex.join(['rabbitmqctl', 'add_user', account.user])} < {shlex.quote(account.password_file)}",
            shlex.join(["rabbitmqctl", "set_permissions", "-p", config.vhost, account.user, *account.rights]),
        ]
    return lines


class Rabbit:
    """The RabbitMQ of this host, as its `rabbitmqctl` shows it; all of it is what an administrator may do."""

    def __init__(self, program: str) -> None:
        self._program = program

    @classmethod
    def found(cls) -> "Rabbit | None":
        """Give the one of this host, None where there is no rabbitmqctl."""
        program = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        return cls(program) if program else None

    def is_on_loopback_only(self) -> bool:
        """Tell whether no other host can reach its AMQP port; RabbitError when the broker does not run."""
        listeners = self._ask("status").get("listeners", [])
        interfaces = [one["interface"].strip("[]") for one in listeners if one["protocol"].startswith("amqp")]
        return all(interface in LOOPBACK for interface in interfaces)

    def ensure(self, vhost: str, accounts: Iterable[tuple[Wanted, str]], note: Note) -> None:
        """Have the accounts with these passwords, these rights in one virtual host, and no tag.

        Raises:
            RabbitError: the broker does not run, or refuses.
        """
        if vhost != "/" and {"name": vhost} not in self._ask("list_vhosts"):
            self._run("add_vhost", vhost)
            note("made", f"RabbitMQ virtual host {vhost}")
        tags = {row["user"]: row["tags"] for row in self._ask("list_users")}
        for account, password in accounts:
            is_new = account.user not in tags
            self._run("add_user" if is_new else "change_password", account.user, given=password)
            if tags.get(account.user):
                self._run("set_user_tags", account.user)
            self._run("set_permissions", "-p", vhost, account.user, *account.rights)
            note("made" if is_new else "set", f"RabbitMQ account {account.user}, with what mirosd needs and no more")

    def _ask(self, command: str) -> Any:
        answer = self._run(command, "--formatter", "json")
        try:
            return json.loads(answer)
        except ValueError as exc:
            raise RabbitError(f"rabbitmqctl {command} answered what is not JSON: {answer[:200]}") from exc

    def _run(self, *words: str, given: str = "") -> str:
        """Give what rabbitmqctl prints; `given` is its standard input."""
        try:
            ended = subprocess.run(
                [self._program, "--quiet", *words],
                input=f"{given}\n",
                capture_output=True,
                text=True,
                check=False,
                timeout=DEADLINE_S,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise RabbitError(f"rabbitmqctl {words[0]} did not end: {type(exc).__name__}") from exc
        if ended.returncode:
            said = next((line.strip() for line in ended.stderr.splitlines() if line.strip()), "no reason given")
            raise RabbitError(f"rabbitmqctl {words[0]} failed: {said}")
        return ended.stdout
