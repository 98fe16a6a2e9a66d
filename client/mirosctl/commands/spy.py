"""mirosctl spy: what the charts of all hosts do, each step that miros makes for them."""

from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.snoop_options import Wanted, snoop_options
from mirosctl.snooping import snoop
from mirosd_client.wire import Network


@click.command(short_help="Show each step of charts on all hosts.")
@snoop_options
@common_options
@click.pass_obj
def spy(options: Options, /, **words: Any) -> None:
    """Show miros' spy lines of all charts on all hosts, or of each CHART (a name, or a glob of names), until Ctrl-C.

    It needs all states of a chart to be decorated (@spy_on); one that has others is named, and goes on unwatched.

    \b
    mirosctl spy 'archer*' --host h2 --for 60s
    mirosctl spy archer-1 --signal 'ENTRY_SIGNAL' --json
    mirosctl spy archer-1 --since 10m --for 0s
    """
    snoop(options, Network.SNOOP_SPY, Wanted(**words))
