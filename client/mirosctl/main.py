"""The `mirosctl` command: its verbs, and what each error means for a script.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 not permitted, 5 degraded (status).
"""

import contextlib
import io
import sys
from importlib import import_module
from typing import Any

import click

from mirosctl.options import common_options
from mirosctl.streams import UNWRITABLE, let_go, prepare
from mirosd_client.errors import DaemonUnavailableError, LocalProtocolError, MirosdError, NotPermittedError
from mirosd_client.printable import printable, without_account

VERBS = (
    *("cache", "charts", "clients", "completion", "doctor", "hosts", "init", "invite", "join", "keys", "metrics"),
    *("peers", "recce", "record", "replay", "scout", "send", "spy", "status", "trace", "wait", "why"),
)
"""Each is a module of `commands` with a command of its name, loaded when it is asked for: all take 40 ms."""
EXIT_FAILED = 1
EXIT_STATUS: dict[type[MirosdError], int] = {LocalProtocolError: 2, DaemonUnavailableError: 3, NotPermittedError: 4}


class Mirosctl(click.Group):
    """The group of all verbs: the one place where errors of the daemon and the socket end."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the verbs' names."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give the verb of a name, None when there is none."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"mirosctl.commands.{cmd_name}"), cmd_name)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line, whatever became of what it prints to."""
        prepare()
        try:
            return super().main(*args, **kwargs)
        except OSError as exc:
            if exc.errno not in UNWRITABLE:
                raise
            let_go()
            _complain(f"the output cannot be written: {exc.strerror or exc}")
            sys.exit(EXIT_FAILED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. No error repeats a password, though somebody gives a broker's URL where none is wanted."""
        try:
            return super().invoke(ctx)
        except click.ClickException as exc:
            shown = io.StringIO()
            exc.show(shown)
            with contextlib.suppress(OSError):
                click.echo(without_account(shown.getvalue()), nl=False, err=True)
            ctx.exit(exc.exit_code)
        except MirosdError as exc:
            _complain(str(exc))
            ctx.exit(next((status for kind, status in EXIT_STATUS.items() if isinstance(exc, kind)), EXIT_FAILED))


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):  # where nobody can be told, the exit status tells
        click.echo(f"Error: {printable(without_account(text))}", err=True)


@click.group(cls=Mirosctl, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mirosd-client", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Ask the mirosd of this host."""
