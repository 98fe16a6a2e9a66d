"""What is printed while a host is set up: each thing done as it is done, then what is left to do."""

import click

from mirosctl.host_config import HostConfig
from mirosctl.host_setup import Leftover
from mirosctl.options import Options
from mirosctl.output import show_json

EXIT_UNFINISHED = 1
"""RabbitMQ was asked, and did not do it."""
NEXT = (
    ("systemctl enable --now mirosd", "start it, now and at every boot"),
    ("mirosctl doctor", "what is not as it should be, and what to do"),
    ("usermod -aG mirosd USER", "lets USER run statecharts here, after logging in again"),
    ("mirosctl invite > FILE", "makes another host a member: mirosctl join FILE there"),
)
LOOPBACK_ONLY = (
    "RabbitMQ here listens on loopback alone, so other hosts cannot reach it: in /etc/rabbitmq/rabbitmq.conf write "
    "`listeners.tcp.1 = ADDRESS:5672` with this host's address on the LAN, and 127.0.0.1 as listeners.tcp.2; then "
    "systemctl restart rabbitmq-server"
)
REACHABLE = "other hosts reach this one at TCP 5672 (RabbitMQ) and UDP 27672 (mirosd): let the LAN through to both"


class Report:
    """One run's report, for people or as JSON; `verb` names its schema."""

    def __init__(self, options: Options, verb: str) -> None:
        self._options, self._verb = options, verb
        self._steps: list[dict[str, str]] = []

    def note(self, done: str, what: str) -> None:
        """Tell that something was done, or was there."""
        self._steps.append({"done": done, "what": what})
        if not self._options.as_json:
            click.echo(f"{done:<11} {what}")

    def finish(self, config: HostConfig, leftover: Leftover) -> int:
        """Tell what is left; gives the exit status."""
        if self._options.as_json:
            show_json(
                self._verb,
                {
                    "system": config.system,
                    "steps": self._steps,
                    "by_hand": list(leftover.lines),
                    "reason": leftover.reason,
                    "broker_on_loopback_only": leftover.is_unreachable,
                },
            )
        else:
            self._tell(leftover)
        return EXIT_UNFINISHED if leftover.reason else 0

    def _tell(self, leftover: Leftover) -> None:
        if leftover.reason:
            click.echo(f"\nError: {leftover.reason}", err=True)
            click.echo(f"run `mirosctl {self._verb}` again once RabbitMQ runs, or these lines where it is:", err=True)
        elif leftover.lines:
            click.echo("\nthe accounts, as these lines make them (as root, where RabbitMQ and these files are):")
        for line in leftover.lines:
            click.echo(f"  {line}", err=bool(leftover.reason))
        if leftover.is_unreachable:
            click.echo(f"\n{LOOPBACK_ONLY}")
        click.echo("\nnext:")
        for command, what in NEXT:
            click.echo(f"  {command:<30} # {what}")
        click.echo(REACHABLE)
