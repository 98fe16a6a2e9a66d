"""mirosctl join: an invitation makes this host a member."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from mirosctl import bundle
from mirosctl.host_config import Account, HostConfig
from mirosctl.host_files import HostFiles, require_root
from mirosctl.host_setup import Membership, set_up
from mirosctl.options import Options, common_options
from mirosctl.setup_options import dry_run_option, name_option, passphrase_in, passphrase_option, rabbit_of, root_option
from mirosctl.setup_report import Report


@click.command()
@click.argument("file", type=click.File("rb"))
@passphrase_option
@name_option
@root_option
@dry_run_option
@common_options
@click.pass_context
def join(
    context: click.Context,
    *,
    file: IO[bytes],
    passphrase_file: IO[bytes] | None,
    name: str | None,
    root: Path,
    is_dry_run: bool,
) -> None:
    """Set this host up as a member of the mesh of who wrote FILE (`mirosctl invite`; - is standard input).

    As `mirosctl init`, with the keys, the shared account and the hosts that are in the file. A host that is a member
    of another mesh is left as it is.

    \b
    mirosctl join FILE
    """
    require_root("join")
    report = Report(context.ensure_object(Options), "join")
    now = datetime.now(UTC)
    sealed = bundle.read(file.read(bundle.MAX_FILE_BYTES).decode(errors="replace"))
    sealed.check_time(now)  # before people look for the passphrase
    invitation = sealed.open(_passphrase(passphrase_file), now)
    default = HostConfig().at_vhost(invitation.vhost)
    config = HostConfig(
        system=invitation.system,
        name=name,
        broker_url=default.broker_url,
        peers=Account(invitation.peers_user, default.peers.password_file),
        peers_vhost=invitation.vhost,
    )
    hosts = json.dumps({"hosts": invitation.hosts}, indent=2) + "\n" if invitation.hosts else ""
    member = Membership(config, invitation.keys.named(), invitation.peers_password, hosts)
    files = HostFiles(root, report.note, is_dry_run=is_dry_run)
    rabbit = rabbit_of(root, is_dry_run=is_dry_run)
    context.exit(report.finish(*set_up(member, files, rabbit, report.note)))


def _passphrase(file: IO[bytes] | None) -> str:
    given = passphrase_in(file)
    return str(click.prompt("passphrase", hide_input=True, err=True)).strip() if given is None else given
