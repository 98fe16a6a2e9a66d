"""mirosctl keys: the networks' keys, by id, and who has which."""

import base64
import os
from pathlib import Path
from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.output import duration, show_json, show_table
from mirosd_client.errors import MirosdError

NETWORKS = ("mesh", "snoop_trace", "snoop_spy", "system")
KEY_BYTES = 32
FILE_MODE = 0o640
"""Of root and the daemon's group."""
MAX_FILE_BYTES = 4096
"""A key has 44 characters; whatever is longer is another file."""
ROTATED_S = 60.0
"""A forced rotation waits for 10 s, and the daemon for another 10."""

_network = click.argument("network", type=click.Choice(NETWORKS))


class KeyFileError(MirosdError):
    """A key file cannot be read or made; the text says what to do."""

    code = "key_file"


@click.group()
@common_options
def keys() -> None:
    """Show and renew the keys of the networks. No key is ever shown, only its id.

    \b
    mirosctl keys list
    mirosctl keys rotate mesh
    mirosctl keys generate mesh.key
    mirosctl keys replace mesh --file mesh.key
    """


@keys.command("list")
@common_options
@click.pass_obj
def list_keys(options: Options) -> None:
    """List the keys of this host by id, and which hosts seen within a day have them."""
    rows, _ = options.ask("keys_list")
    networks, hosts = ([row for row in rows if name in row] for name in ("network", "node"))
    if options.as_json:
        show_json("keys", {"networks": networks, "hosts": hosts})
        return
    shown = [cells for network in networks for cells in _cells(network, hosts)]
    show_table(("NETWORK", "KEY", "STATE", "SINCE", "HOSTS"), shown)


@keys.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@common_options
@click.pass_obj
def generate(options: Options, file: Path | None) -> None:
    """Make a key, and print it or write it to FILE, which must be new; no daemon is asked.

    \b
    mirosctl keys generate /etc/mirosd/keys/mesh.key
    """
    key = base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()
    if file is not None:
        _make(file, key)
    if options.as_json:
        show_json("keys_generate", {"file": str(file)} if file is not None else {"key": key})
    else:
        click.echo(f"made {file}" if file is not None else key)


@keys.command(short_help="Have all hosts use a new key of a network.")
@_network
@click.option("--force", is_flag=True, help="Go on without hosts that do not answer; they are named, and cut off.")
@common_options
@click.pass_obj
def rotate(options: Options, network: str, force: bool) -> None:
    """Make a new key of NETWORK, hand it to all hosts, and use it as soon as each has it. No event is lost.

    A host takes it where keys.accept_remote is true there. Every host that was seen within a day is waited for; the
    same command again goes on waiting. It shuts nobody out, since the new key travels sealed with the old one: after a
    theft use `mirosctl keys replace`.

    \b
    mirosctl keys rotate mesh
    mirosctl keys rotate mesh --force
    """
    _, result = options.ask("keys_rotate", {"network": network, "force": force}, timeout_s=ROTATED_S)
    if options.as_json:
        show_json("keys_rotate", result)
        return
    key = f"key {result['id']} of {network}"
    click.echo(f"{key} is in use" if result["state"] == "in_use" else f"{key} is in use once these hosts have it:")
    for host in result["lacking"]:
        click.echo(f"  {host['name'] or host['node']}: {host['why']}")
    if result["cut_off"]:
        click.echo(f"cut off until they are given the key: {', '.join(result['cut_off'])}")
    if result["state"] == "in_use":
        click.echo("this shut nobody out who had the old key; mirosctl keys replace does")


@keys.command(short_help="Use a key of your own from now on, and none that was.")
@_network
@click.option("--file", required=True, type=click.Path(path_type=Path), help="The new key, as generate writes it.")
@common_options
@click.pass_obj
def replace(options: Options, network: str, file: Path) -> None:
    """Have this host use the key in FILE for NETWORK, and retire all others of it at once.

    Do it on every host: until then the hosts with the new key and those with the old one do not understand each other,
    and events between them are lost. After a theft, give the brokers new passwords too.

    \b
    mirosctl keys replace mesh --file new.key
    """
    try:
        with file.open("rb") as source:
            key = source.read(MAX_FILE_BYTES).decode()
    except OSError as exc:
        raise KeyFileError(f"{file} cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise KeyFileError(f"{file} is not text: mirosctl keys generate makes a key") from exc
    _, result = options.ask("keys_replace", {"network": network, "key": key})
    if options.as_json:
        show_json("keys_replace", result)
        return
    retired = ", ".join(result["retired"]) or "none"
    click.echo(f"key {result['id']} of {network} is in use; retired: {retired}")
    if result["restart_needed"]:
        click.echo("this host had no such network: restart mirosd (systemctl restart mirosd)")


def _cells(network: dict[str, Any], hosts: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Give the lines of a network: one for each key, or whose keys it has."""
    name = network["network"]
    if network["follows"]:
        return [(name, f"as {network['follows']}", "", "", "")]
    return [
        (name, key["id"], key["state"].replace("_", " "), duration(key["since_s"]), _who(name, key, hosts))
        for key in network["keys"]
    ]


def _who(network: str, key: dict[str, Any], hosts: list[dict[str, Any]]) -> str:
    members = [host["keys"][network] for host in hosts if network in host["keys"]]
    held = f"{sum(key['id'] in ids for ids in members)} of {len(members)}"
    lacking = "; ".join(f"{host['name'] or host['node']}: {host['why']}" for host in key["lacking"])
    return f"{held} ({lacking})" if lacking else held


def _make(file: Path, key: str) -> None:
    try:
        new = open(file, "x", encoding="ascii", opener=_private)  # noqa: SIM115 -- an error of it leaves no file
    except FileExistsError as exc:
        raise KeyFileError(f"{file} is there already, and is not written over: name another file") from exc
    except OSError as exc:
        raise KeyFileError(f"{file} cannot be made ({exc.strerror})") from exc
    try:
        with new:
            new.write(key + "\n")
    except OSError as exc:
        file.unlink()
        raise KeyFileError(f"{file} cannot be written ({exc.strerror})") from exc


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
