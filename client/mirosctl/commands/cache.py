"""mirosctl cache: what was found on the LAN and is kept for the next start."""

from itertools import zip_longest
from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.output import duration, show_json, show_pairs, show_table

BEGUN_S = 40.0
"""The daemon gives up after 30 s."""


@click.group()
@common_options
def cache() -> None:
    """Show and flush the LAN cache, which spares the next start a search.

    \b
    mirosctl cache show
    mirosctl cache flush
    """


@cache.command()
@common_options
@click.pass_obj
def show(options: Options) -> None:
    """Show the cached addresses, how old they are, and when they expire."""
    _, result = options.ask("cache_show")
    if options.as_json:
        show_json("cache", result)
        return
    show_pairs(_pairs(result))
    if result["addresses"] or result["amqp_urls"]:
        click.echo()
        rows = zip_longest(result["addresses"], result["amqp_urls"], fillvalue="-")
        show_table(("ADDRESS", "BROKER"), [*rows])


@cache.command()
@common_options
@click.pass_obj
def flush(options: Options) -> None:
    """Empty the cache and search the LAN anew; returns when the search has begun. No peer is disturbed."""
    _, result = options.ask("cache_flush", timeout_s=BEGUN_S)
    if options.as_json:
        show_json("cache_flush", result)
    else:
        click.echo("flushed; the search has begun (`mirosctl recce` shows one as it goes)")


def _pairs(result: dict[str, Any]) -> list[tuple[str, str]]:
    age_s, expires_s = result["age_s"], result["expires_s"]
    if age_s is None:
        return [("cache", "not read yet")]
    minutes = result["time_out_in_minutes"]
    return [
        ("cache", f"{len(result['addresses'])} address{'' if len(result['addresses']) == 1 else 'es'}"),
        ("age", duration(age_s)),
        ("expires", f"in {duration(expires_s)}" if expires_s else "now: the LAN is searched at the next start"),
        ("kept for", f"{minutes:g} min" if minutes else "not at all (time_out_in_minutes is 0)"),
        *([("problem", result["problem"])] if result["problem"] else []),
    ]
