"""mirosctl(1): every command with its help and options, as click knows them."""

import inspect
from collections.abc import Iterator

import click

from manual.roff import Page
from mirosctl.main import main as mirosctl

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "Failed."),
    ("2", "Wrong usage."),
    ("3", "No daemon is running; the message says how to start it."),
    ("4", "Not permitted; the message says what would permit it."),
    ("5", "Something is degraded; `status` and `doctor` alone."),
)
VERBATIM = "\b"
"""Click's mark before a paragraph whose lines stand as they are."""


def command_page() -> Page:
    """Give the page."""
    page = Page("mirosctl", 1, "ask the mirosd of this host")
    page.heading("SYNOPSIS")
    page.paragraph("`mirosctl` COMMAND [OPTIONS] [ARGUMENTS]")
    page.heading("DESCRIPTION")
    page.paragraph(
        "mirosctl asks `mirosd`, the daemon that carries statecharts' events between hosts, through its Unix socket, "
        "and prints what it says. Lists are sorted. What comes from other hosts is printed with control characters "
        "replaced."
    )
    page.heading("OPTIONS")
    page.paragraph("Every command takes these, before or behind its name; `--version` has no command.")
    with click.Context(mirosctl, info_name="mirosctl", **mirosctl.context_settings) as context:
        for term, text in _options(context):
            page.item(term, [text])
        page.heading("COMMANDS")
        for inner in commands(context):
            _add(page, inner)
    page.heading("EXIT STATUS")
    for term, text in EXIT_STATUS:
        page.item(term, [text])
    page.heading("ENVIRONMENT")
    page.item("MIROSD_SOCKET", ["The daemon's socket, where `--socket` does not name one."])
    page.see_also(("mirosd", 8), ("mirosd.yaml", 5))
    return page


def commands(context: click.Context) -> Iterator[click.Context]:
    """Give a context for each command, those within a command behind it."""
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                inner = click.Context(command, info_name=name, parent=context)
                yield inner
                yield from commands(inner)


def _add(page: Page, context: click.Context) -> None:
    usage = " ".join(context.command.collect_usage_pieces(context))
    page.subheading(f"{context.command_path} {usage}")
    for paragraph in inspect.cleandoc(context.command.help or "").split("\n\n"):
        if paragraph.startswith(VERBATIM):
            page.literal(paragraph.removeprefix(VERBATIM).strip("\n"))
        else:
            page.paragraph(paragraph)
    common = set(_options(context.find_root()))
    for option in _options(context):
        if option not in common:
            page.item(option[0], [option[1]])


def _options(context: click.Context) -> list[tuple[str, str]]:
    """Give each option as its usage and its help; an argument's name stands in the usage line, and needs no more."""
    records = (parameter.get_help_record(context) for parameter in context.command.get_params(context))
    return [record for record in records if record and record[1]]
