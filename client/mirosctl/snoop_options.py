"""What `mirosctl trace` and `mirosctl spy` are asked for on the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import click

from mirosctl.durations import duration
from mirosctl.known import complete_charts, complete_peers
from mirosd_client.dial import MAX_PATTERNS, Dial

MAX_GLOB_CHARS = 128
"""As a dial takes (dial.py)."""
MAX_WATCH_S = 86_400.0
"""As long as a daemon holds a watch."""
MAX_SINCE_S = 86_400.0
"""Recorders hold minutes to hours; more than this is a slip of the hand."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Wanted:
    """What is to be shown: `for_s` None goes on until Ctrl-C, 0 shows only what was; `path` is a recording's."""

    charts: tuple[str, ...]
    hosts: tuple[str, ...]
    signals: tuple[str, ...]
    for_s: float | None
    since_s: float | None
    events: bool
    no_color: bool
    sequence: bool
    mermaid: bool
    path: str | None

    @property
    def dial(self) -> Dial:
        """What programs are to send: a diagram has arrows, which are events."""
        has_events = self.events or self.sequence or self.mermaid
        return Dial(list(self.hosts), list(self.charts), list(self.signals), has_events)

    def check(self, *, as_json: bool) -> None:
        """Raise UsageError for options that contradict each other."""
        if as_json + self.sequence + self.mermaid > 1:
            raise click.UsageError("--json, --sequence and --mermaid are three ways to show it: choose one")
        if self.path is not None and (self.for_s, self.since_s) != (None, None):
            raise click.UsageError("--from shows all of a recording; --for and --since are for what is live")
        if self.for_s == 0 and not self.since_s:
            raise click.UsageError("--for 0s shows only what was: say how far back with --since")


def globs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Give an option's globs, as its callback: such as a dial takes."""
    if len(given) > MAX_PATTERNS or any(not 0 < len(glob) <= MAX_GLOB_CHARS for glob in given):
        raise click.BadParameter(f"at most {MAX_PATTERNS} of 1 to {MAX_GLOB_CHARS} characters each")
    if not all(glob.isprintable() for glob in given):
        raise click.BadParameter("a name, or a glob of names: no name has control characters")
    return given


def snoop_options(command: F) -> F:
    """Give the command the options of Wanted, by their names there."""
    option = partial(click.option, metavar="GLOB", multiple=True, callback=globs)
    for decorate in (
        click.option("--from", "path", metavar="FILE", help="Show a recording of `mirosctl record`."),
        click.option("--mermaid", is_flag=True, help="Write a sequence diagram for documents."),
        click.option("--sequence", is_flag=True, help="Draw a sequence diagram, growing live."),
        click.option("--no-color", is_flag=True, help="Print without colours, as into a pipe."),
        click.option("--events", is_flag=True, help="Show events too that moved nothing, or were sent, by their ids."),
        click.option("--since", "since_s", metavar="TIME", callback=duration(MAX_SINCE_S), help="First, what was."),
        click.option(
            "--for",
            "for_s",
            metavar="TIME",
            callback=duration(MAX_WATCH_S),
            help="How long: 60s, 10m; 0s: only --since.",
        ),
        option("--signal", "signals", help="Only what these signals do."),
        option(
            "--host", "hosts", shell_complete=complete_peers, help="Only these hosts: names, or node ids' beginnings."
        ),
        click.argument("charts", metavar="[CHART]...", nargs=-1, callback=globs, shell_complete=complete_charts),
    ):
        command = decorate(command)
    return command
