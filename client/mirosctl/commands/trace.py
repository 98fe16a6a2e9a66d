"""mirosctl trace: what the charts of all hosts do, move by move."""

from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.snoop_options import Wanted, snoop_options
from mirosctl.snooping import snoop
from mirosd_client.wire import Network


@click.command(short_help="Show what charts do on all hosts, live or as a diagram.")
@snoop_options
@common_options
@click.pass_obj
def trace(options: Options, /, **words: Any) -> None:
    """Show the moves of all charts on all hosts, or of each CHART (a name, or a glob of names), until Ctrl-C.

    They are in the order of cause and effect, whatever the hosts' clocks say. A chart needs to have enabled nothing:
    it is turned on from here, for as long as this runs. What programs remember comes first with --since.

    \b
    mirosctl trace
    mirosctl trace 'archer*' --host h2 --signal 'Advance*' --for 60s
    mirosctl trace --since 10m --for 0s --json
    mirosctl trace 'archer*' --sequence
    mirosctl trace --since 10m --for 0s --mermaid > battle.mmd
    mirosctl trace --from battle.jsonl --sequence
    """
    snoop(options, Network.SNOOP_TRACE, Wanted(**words))
