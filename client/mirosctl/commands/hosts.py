"""mirosctl hosts: the hosts that people listed, beside those that are found on the LAN."""

import click

from mirosctl.known import complete_hosts
from mirosctl.options import Options, common_options
from mirosctl.output import show_json, show_table
from mirosd_client.printable import printable


@click.group()
@common_options
def hosts() -> None:
    """Show and change the listed hosts.

    \b
    mirosctl hosts list
    mirosctl hosts add 192.168.1.75
    mirosctl hosts remove 192.168.1.75
    """


@hosts.command("list")
@common_options
@click.pass_obj
def list_hosts(options: Options) -> None:
    """List the hosts of the operator's file, and those added here, each with the file that it stands in."""
    rows, _ = options.ask("hosts_list")
    rows.sort(key=lambda row: (row["host"], row["source"]))
    if options.as_json:
        show_json("hosts", {"hosts": rows})
    else:
        show_table(("HOST", "SOURCE", "FILE"), [(row["host"], row["source"], row["file"]) for row in rows])


@hosts.command()
@click.argument("host")
@common_options
@click.pass_obj
def add(options: Options, host: str) -> None:
    """List HOST: a name or an address, with :PORT when it is not the usual one."""
    _change(options, "hosts_add", {"host": host}, "added")


@hosts.command()
@click.argument("host", shell_complete=complete_hosts)
@common_options
@click.pass_obj
def remove(options: Options, host: str) -> None:
    """Take HOST off the list; one that stands in the operator's file is to be removed there."""
    _change(options, "hosts_remove", {"host": host}, "removed")


@hosts.command()
@common_options
@click.pass_obj
def reload(options: Options) -> None:
    """Read the hosts files again and try every host now; an edit is followed without it."""
    _change(options, "hosts_reload", {}, "reloaded")


def _change(options: Options, verb: str, args: dict[str, str], done: str) -> None:
    _, result = options.ask(verb, args)
    if options.as_json:
        show_json(verb, {**args, **result})
    else:
        click.echo(printable(" ".join((done, *args.values()))))
