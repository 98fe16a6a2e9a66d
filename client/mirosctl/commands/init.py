"""mirosctl init: this host becomes the first of a mesh, or what is missing on it is made."""

from dataclasses import replace
from pathlib import Path

import click

from mirosctl.host_config import check_system, check_vhost
from mirosctl.host_files import HostFiles, require_root
from mirosctl.host_setup import Membership, current, set_up
from mirosctl.options import Options, common_options
from mirosctl.setup_options import checked, dry_run_option, name_option, rabbit_of, root_option
from mirosctl.setup_report import Report


@click.command()
@click.option("--system", callback=checked(check_system), help="Label of the mesh: other systems do not hear it.")
@name_option
@click.option("--vhost", callback=checked(check_vhost), help="RabbitMQ's virtual host, made if it is missing; else /.")
@root_option
@dry_run_option
@common_options
@click.pass_context
def init(
    context: click.Context, *, system: str | None, name: str | None, vhost: str | None, root: Path, is_dry_run: bool
) -> None:
    """Set this host up as the first of a mesh; for those that follow there is `mirosctl join`.

    Makes what is missing and changes nothing that is there: the user and groups, keys and passwords of its own
    (0640 root:mirosd), /etc/mirosd/config.yaml, and two accounts at this host's RabbitMQ with the rights that mirosd
    needs and no more. With --root, RabbitMQ is not touched: the lines for its accounts are printed.

    \b
    mirosctl init
    mirosctl init --system workshop --name kitchen
    """
    require_root("init")
    report = Report(context.ensure_object(Options), "init")
    files = HostFiles(root, report.note, is_dry_run=is_dry_run)
    config = current(files)
    config = replace(config, system=system or config.system, name=name or config.name)
    if vhost is not None and vhost != config.peers_vhost:
        config = config.at_vhost(vhost)
    rabbit = rabbit_of(root, is_dry_run=is_dry_run)
    context.exit(report.finish(*set_up(Membership(config), files, rabbit, report.note)))
