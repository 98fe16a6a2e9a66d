"""mirosctl doctor: everything that users get wrong, looked for in order; each fault with its cause and its cure."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

import click

from mirosctl.checks.ailment import Finding
from mirosctl.checks.examination import examine
from mirosctl.checks.machine import ThisMachine
from mirosctl.options import Options, common_options
from mirosctl.output import show_json

EXIT_ILL = 5
COLOURS = {"ok": "green", "warning": "yellow", "fault": "red", "skipped": "bright_black"}
NARROWEST = 60
"""A terminal with fewer columns breaks the lines itself."""


@click.command()
@common_options
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look for what goes wrong in practice, and say what to do about it.

    Works with and without a running daemon, for every user; root, and members of group mirosd-admin, have the LAN
    searched for it, which takes two seconds. Nothing is changed, and nobody is asked who is not a peer already.

    Exit status 0 when nothing is wrong (warnings may be shown), 5 when something is.

    \b
    mirosctl doctor
    sudo mirosctl doctor
    mirosctl doctor --json | jq '.checks[] | select(.level == "fault")'
    """
    options = context.ensure_object(Options)
    found = examine(options.socket, ThisMachine())
    findings = [finding for group in found.values() for finding in group]
    is_healthy = all(finding.level != "fault" for finding in findings)
    if options.as_json:
        checks = [{"check": name, **asdict(finding)} for name, group in found.items() for finding in group]
        show_json("doctor", {"healthy": is_healthy, "checks": checks})
    else:
        width = max(map(len, found))
        for name, group in found.items():
            for finding in group:
                _show(name.ljust(width), finding)
        click.echo(f"\n{_verdict(findings)}")
    if not is_healthy:
        context.exit(EXIT_ILL)


def _show(name: str, finding: Finding) -> None:
    """Print what was found; its cure beneath, and the commands as they can be pasted."""
    head = f"{finding.level:<7}  {name}  "
    lines = _lines(finding, len(head))
    click.echo(click.style(head, fg=COLOURS[finding.level]) + next(lines))
    for line in lines:
        click.echo(" " * len(head) + line)


def _lines(finding: Finding, indent: int) -> Iterator[str]:
    columns = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    for text in (finding.cause, finding.cure and f"-> {finding.cure}"):
        yield from textwrap.wrap(text, columns) if text and columns >= NARROWEST else [text] if text else []
    for command in finding.commands:
        yield f"   {command}"  # never broken: it is pasted


def _verdict(findings: list[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in ("fault", "warning")}
    told = [f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items() if count]
    return ", ".join(told) or "nothing is wrong"
