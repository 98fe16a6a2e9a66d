"""mirosctl status: the daemon, its broker and its programs, and what to do when something is wrong."""

from typing import Any

import click

from mirosctl.cures import cure
from mirosctl.options import Options, common_options
from mirosctl.output import duration, show_json, show_pairs
from mirosd_client.errors import DaemonUnavailableError

EXIT_DEGRADED = 5
EXIT_STATUS = {"ready": 0, "degraded": EXIT_DEGRADED, "starting": 1, "stopping": 1}
EXIT_NOT_RUNNING = 3


@click.command()
@click.option("--quiet", "-q", is_flag=True, help="Print nothing: the exit status says it.")
@common_options
@click.pass_context
def status(context: click.Context, quiet: bool) -> None:
    """Show how the daemon of this host is.

    Exit status 0: ready; 5: degraded; 1: starting or stopping; 3: not running.
    """
    options = context.ensure_object(Options)
    try:
        _, result = options.ask("status")
    except DaemonUnavailableError:
        if quiet:
            context.exit(EXIT_NOT_RUNNING)
        raise
    if not quiet:
        _show(options, result)
    context.exit(EXIT_STATUS[result["state"]])


def _show(options: Options, result: dict[str, Any]) -> None:
    reasons: list[dict[str, str]] = sorted(result.pop("reasons", []), key=lambda reason: reason["code"])
    if options.as_json:
        codes = [reason["code"] for reason in reasons]
        show_json("status", {**result, "reasons": codes, "details": {r["code"]: r.get("detail", "") for r in reasons}})
    else:
        show_pairs(_pairs(result))
        for text, advice in _problems(result, reasons).items():
            click.echo(f"\n{text}" + (f"\n  {advice}" if advice else ""))


def _pairs(result: dict[str, Any]) -> list[tuple[str, str]]:
    broker = result.get("broker", {})
    counters = result.get("counters", {})
    return [
        ("host", f"{result['name']} (node {result['node']})"),
        ("system", str(result["system"])),
        *((("networks", ", ".join(result["networks"])),) if "networks" in result else ()),
        ("state", str(result["state"])),
        ("version", f"{result['version']}, up {duration(result['uptime_s'])}"),
        ("broker", " ".join(str(broker[key]) for key in ("address", "state", "detail") if broker.get(key))),
        *_alarms(result),
        ("clients", f"{result.get('clients', 0)} with {result.get('subscriptions', 0)} subscriptions"),
        *((name, str(counters[name])) for name in sorted(counters) if counters[name]),
    ]


def _alarms(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Give each broker of another host that takes no messages: why, for how long, and what waits for it here."""
    return [
        (
            "blocked",
            f"broker {each['broker']} for {duration(alarm['for_s'])}: {alarm['reason']}; "
            f"{each['pending_bytes']} bytes wait for it",
        )
        for each in result.get("producer_sets", [])
        if (alarm := each.get("alarm")) and not each["is_own"]
    ]


def _problems(result: dict[str, Any], reasons: list[dict[str, str]]) -> dict[str, str]:
    """Give what is wrong, each with its cure; the broker's own state when no reason says the same."""
    problems = {}
    for reason in reasons:
        code, detail = reason["code"], reason.get("detail", "")
        problems[f"{code}: {detail}" if detail else code] = cure(code) or cure(detail.partition(":")[0])
    state = str(result.get("broker", {}).get("state", ""))
    if cure(state) not in ("", *problems.values()):
        problems[f"broker: {state}"] = cure(state)
    return problems
