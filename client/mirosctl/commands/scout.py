"""mirosctl scout: every stage of reaching one address, and what to do about the one that fails."""

from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosctl.stages import stage_lines

EXIT_NOT_PROVED = 1
SILENCE_S = 30.0
"""A probe has 10 s to connect and 10 s for its challenge."""


@click.command()
@click.argument("address")
@common_options
@click.pass_context
def scout(context: click.Context, address: str) -> None:
    """Scout ADDRESS now, and show each stage; exit status 1 when no mirosd of this system proves itself.

    The account for peers (peers.user) is sent to the broker there, as if ADDRESS were listed. Nothing else
    follows: list it with `mirosctl hosts add` to keep it.

    \b
    mirosctl scout 192.168.1.75
    mirosctl scout my_host.local:5673
    mirosctl scout "[fe80::1%eth0]"
    """
    options = context.ensure_object(Options)
    answer = options.stream("scout", {"address": address}, timeout_s=SILENCE_S)
    stages: list[dict[str, Any]] = []
    while True:
        try:
            stage = next(answer)
        except StopIteration as end:
            result: dict[str, Any] = end.value
            break
        stages.append(stage | {"cure": cure(stage["code"])})
        if not options.as_json:
            for line in stage_lines(stage):
                click.echo(line)
    is_proved = not result["code"]
    if options.as_json:
        show_json("scout", {**result, "proved": is_proved, "cure": cure(result["code"]), "stages": stages})
    else:
        click.echo(_verdict(result))
    if not is_proved:
        context.exit(EXIT_NOT_PROVED)


def _verdict(result: dict[str, Any]) -> str:
    who = result["peer"]
    if who is None:
        return f"{result['address']} is not proved: {result['code']}"
    return (
        f"{result['address']} is {who['name']} (node {who['node']}), mirosd {who['version']}, "
        f"start {who['start']}, member of {', '.join(who['networks']) or 'no network'}"
    )
