"""mirosctl invite: a file that makes the next host a member."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import click

from mirosctl import bundle, host_setup
from mirosctl.durations import duration
from mirosctl.host_config import NETWORKS, check_host
from mirosctl.host_files import HostFiles, require_root
from mirosctl.invited import invitation_of
from mirosctl.options import common_options
from mirosctl.setup_options import checked, passphrase_in, passphrase_option, root_option

MAX_VALID_S = 30 * 86_400.0
"""An invitation that lies about for longer is better made anew."""


@click.command()
@click.option(
    "--valid", "valid_s", callback=duration(MAX_VALID_S), default="1h", show_default=True, help="For how long."
)
@click.option(
    "--networks",
    multiple=True,
    type=click.Choice(NETWORKS),
    help="Give the keys of these alone, again for each; else of all that this host has.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    callback=checked(check_host),
    help="An address to list there, where the LAN does not find this host.",
)
@passphrase_option
@root_option
@common_options
def invite(
    *,
    valid_s: float,
    networks: tuple[str, ...],
    hosts: tuple[str, ...],
    passphrase_file: IO[bytes] | None,
    root: Path,
) -> None:
    """Print an invitation, and its passphrase on standard error; tell that by another way than the file.

    In it are the system's name, the networks' keys, the account that hosts share, and the listed hosts. Who has both
    the file and the passphrase is a member, so neither is for others. The passphrase is made up, unless a file has
    one. A host that was invited with `--networks snoop_trace` sees traces, and neither sends nor gets events.

    \b
    mirosctl invite > FILE
    mirosctl invite --valid 2d --host 192.168.1.75 > FILE
    """
    require_root("invite")
    files = HostFiles(root, lambda _done, _what: None)
    config = host_setup.current(files)
    invitation = invitation_of(config, files, networks, hosts)
    given = passphrase_in(passphrase_file)
    passphrase = bundle.draw_passphrase() if given is None else given
    expires = datetime.now(UTC) + timedelta(seconds=valid_s)
    text = bundle.seal(invitation, passphrase, expires)
    click.echo(text, nl=False)
    networks_given = ", ".join(invitation.keys.named())
    click.echo(f"for a member of {invitation.system} ({networks_given}), until {expires:%F %H:%M} UTC", err=True)
    if config.has_tls:
        click.echo("TLS is not in it: set broker.url, peers.tls and tls there as they are here", err=True)
    if given is None:
        click.echo(f"passphrase: {passphrase}", err=True)
