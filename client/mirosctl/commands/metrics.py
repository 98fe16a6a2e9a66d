"""mirosctl metrics: all figures of the daemon, for Prometheus."""

import contextlib
import secrets
from pathlib import Path

import click

from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosd_client.errors import DaemonUnavailableError


@click.command()
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to FILE, whole or not at all.",
)
@common_options
@click.pass_obj
def metrics(options: Options, output: Path | None) -> None:
    """Print the daemon's counters, durations, peers, brokers and queues in Prometheus' text format.

    With --output they go to a file of node_exporter's textfile collector, whose name ends in .prom. Where no daemon is
    running, the file says so (mirosd_up 0), and the exit status is 3.

    \b
    mirosctl metrics
    mirosctl metrics --output /var/lib/prometheus/node-exporter/mirosd.prom
    """
    if options.as_json and output:
        raise click.UsageError("--output writes Prometheus' text format: leave out --json")
    from mirosctl.metrics_text import Exposition  # noqa: PLC0415 -- prometheus_client takes 150 ms, also of --help

    try:
        peers, figures = options.ask("metrics")
    except DaemonUnavailableError:
        if output:
            _replace(output, Exposition(None).text())
        raise
    if options.as_json:
        show_json("metrics", {**figures, "peers": peers})
    elif output:
        _replace(output, Exposition(figures, peers).text())
    else:
        click.echo(Exposition(figures, peers).text(), nl=False)


def _replace(path: Path, text: str) -> None:
    """Write a file in one step: a scrape sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # not .prom: nobody scrapes it
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):  # it is not there, or goes the way of the error
            draft.unlink()
        raise click.ClickException(f"{path} cannot be written: {exc.strerror}") from exc
