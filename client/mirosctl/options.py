"""What every command takes: --json and --socket, before or after the command's name."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from mirosd_client.control import ControlConnection
from mirosd_client.printable import printable_deep

UNENDING_S = 365 * 86_400.0
"""How long a watched daemon may have nothing to say; one that ends is noticed at once."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Options:
    """What was asked for on the command line, wherever it stood."""

    as_json: bool = False
    socket: str | None = None

    def ask(
        self, verb: str, args: dict[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Give the rows and the result of one question, printable.

        Args:
            timeout_s: how long the daemon may be silent before it answers; None: as for every question.
        """
        with ControlConnection(self.socket) as connection:
            rows, result = connection.ask(verb, args, timeout_s)
        return printable_deep(rows), printable_deep(result)

    def stream(
        self, verb: str, args: dict[str, Any] | None = None, *, timeout_s: float
    ) -> Generator[dict[str, Any], None, dict[str, Any]]:
        """Give each row of an answer as it comes, printable; the generator's own value is the result.

        Args:
            timeout_s: the longest silence of the daemon.
        """
        with ControlConnection(self.socket) as connection:
            answer = connection.stream(verb, args, timeout_s)
            while True:
                try:
                    row = next(answer)
                except StopIteration as end:
                    return printable_deep(end.value)  # type: ignore[no-any-return]
                yield printable_deep(row)

    def watch(self, verb: str) -> Iterator[dict[str, Any]]:
        """Give the rows of an answer that has no end, each as it comes, printable."""
        return self.stream(verb, timeout_s=UNENDING_S)


def common_options(command: F) -> F:
    """Give the command the options that all have; it gets them as its first argument, an Options."""
    for decorate in (
        click.option("--socket", metavar="PATH", expose_value=False, callback=_remember, help="The daemon's socket."),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print one JSON object with a schema.",
        ),
    ):
        command = decorate(command)
    return command


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    options = context.ensure_object(Options)
    if value:  # what stands before the command's name holds unless it is given again behind it
        setattr(options, str(parameter.name), value)
