"""What the verbs that set hosts up take on their command lines."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import click

from mirosctl.host_config import check_name
from mirosctl.rabbit_accounts import Rabbit

T = TypeVar("T", None, str, tuple[str, ...])
SYSTEM_ROOT = Path("/")
MAX_PASSPHRASE_BYTES = 4096
"""Many times what anybody types; a file without an end has an end here."""


def checked(check: Callable[[str], str]) -> Callable[[click.Context, click.Parameter, T], T]:
    """Give an option's callback that refuses what `check` has an advice for; the option may be one that is repeated."""

    def convert(_context: click.Context, _parameter: click.Parameter, given: T) -> T:
        texts: tuple[str, ...] = (given,) if isinstance(given, str) else given or ()
        for text in texts:
            if advice := check(text):
                raise click.BadParameter(advice)
        return given

    return convert


name_option = click.option(
    "--name", callback=checked(check_name), help="This host's name for people; else its hostname."
)
root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    default="/",
    help="Where the file system of an image is, instead of this host's own.",
)
dry_run_option = click.option("--dry-run", "is_dry_run", is_flag=True, help="Tell what would be done, and do nothing.")
passphrase_option = click.option(
    "--passphrase-file", type=click.File("rb"), help="Take the passphrase from the first line of this file."
)


def rabbit_of(root: Path, *, is_dry_run: bool) -> Rabbit | None:
    """Give the RabbitMQ whose accounts may be made now: this host's, unless it is not this host that is set up."""
    return None if is_dry_run or root != SYSTEM_ROOT else Rabbit.found()


def passphrase_in(file: IO[bytes] | None) -> str | None:
    """Give the first line of a passphrase file, None when there is none; BadParameter when it is no text."""
    try:
        return None if file is None else file.readline(MAX_PASSPHRASE_BYTES).decode().strip()
    except UnicodeDecodeError as exc:
        raise click.BadParameter(
            "its first line is no text: write a passphrase there", param_hint="--passphrase-file"
        ) from exc
