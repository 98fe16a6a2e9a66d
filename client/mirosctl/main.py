"""The `mirosctl` command: its verbs, and what each error means for a script.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 not permitted, 5 degraded (status).
"""

from typing import Any

import click

from mirosctl.commands.cache import cache
from mirosctl.commands.clients import clients
from mirosctl.commands.completion import completion
from mirosctl.commands.hosts import hosts
from mirosctl.commands.peers import peers
from mirosctl.commands.recce import recce
from mirosctl.commands.scout import scout
from mirosctl.commands.send import send
from mirosctl.commands.status import status
from mirosctl.commands.wait import wait
from mirosctl.options import common_options
from mirosd_client.errors import DaemonUnavailableError, MirosdError, NotPermittedError
from mirosd_client.printable import printable

EXIT_FAILED = 1
EXIT_STATUS: dict[type[MirosdError], int] = {DaemonUnavailableError: 3, NotPermittedError: 4}


class Mirosctl(click.Group):
    """The group of all verbs: the one place where errors of the daemon and the socket end."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except MirosdError as exc:
            click.echo(f"Error: {printable(str(exc))}", err=True)
            ctx.exit(next((status for kind, status in EXIT_STATUS.items() if isinstance(exc, kind)), EXIT_FAILED))


@click.group(cls=Mirosctl, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def main() -> None:
    """Ask the mirosd of this host."""


for _command in (cache, clients, completion, hosts, peers, recce, scout, send, status, wait):
    main.add_command(_command)
