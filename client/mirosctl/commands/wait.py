"""mirosctl wait: for scripts that need the mesh to be there."""

import time
from typing import Any

import click

from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosd_client.errors import DaemonUnavailableError

EXIT_NOT_READY = 1
RETRY_S = 0.1
"""Between two looks for a daemon that is starting; it needs about a second."""
GRACE_S = 5.0
"""For the answer to come after the daemon's own time is up, on a busy host."""


@click.command()
@click.option("--peers", type=click.IntRange(min=0), help="Wait until this many peers are alive in both directions.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, 86_400), default=60.0, show_default=True, help="Seconds."
)
@common_options
@click.pass_context
def wait(context: click.Context, peers: int | None, timeout_s: float) -> None:
    """Wait until the daemon is ready; exit status 1, and what is missing, when it is not in time."""
    options = context.ensure_object(Options)
    result = _ask(options, peers, timeout_s)
    if options.as_json:
        show_json("wait", {"ready": result["ready"], "missing": result["missing"]})
    elif not result["ready"]:
        click.echo(f"not ready after {timeout_s:g} s: {result['missing']}", err=True)
    if not result["ready"]:
        context.exit(EXIT_NOT_READY)


def _ask(options: Options, peers: int | None, timeout_s: float) -> dict[str, Any]:
    """Give the daemon's answer; a daemon that is not there yet, or goes away, may come back within the time."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        left_s = max(0.0, deadline_s - time.monotonic())
        try:
            _, result = options.ask("wait", {"peers": peers, "timeout_s": left_s}, timeout_s=left_s + GRACE_S)
        except DaemonUnavailableError:
            if not left_s:
                raise
            time.sleep(min(RETRY_S, left_s))
        else:
            return result
