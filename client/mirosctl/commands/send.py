"""mirosctl send: one event, as any program sends it, and whom it reached.

Each daemon says how many queues of its own programs the routing key matches, as brokers
do not tell; that no broker at all had a queue is the brokers' own word.
"""

from typing import Any

import click
import msgspec

from mirosctl.options import Options, common_options
from mirosctl.output import show_json
from mirosd_client.control import ControlConnection
from mirosd_client.errors import LocalProtocolError
from mirosd_client.limits import EVENT_TTL_S
from mirosd_client.messages import Fate
from mirosd_client.printable import printable, printable_deep
from mirosd_client.routing_key import checked_key
from mirosd_client.signal_name import is_sane
from mirosd_client.wire import DEFAULT_ROUTING_KEY

LOSSES = (
    ("expired_at", "expired", "stayed away until the event's time was over"),
    ("overflowed_at", "overflow", "could not be owed more"),
    ("nacked_at", "nacked", "refused the event"),
    ("forgotten_at", "forgotten", "was given up"),
)
"""Why a broker does not get an event: what is printed, as the daemon tells it, for people."""


def _signal(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not is_sane(name):
        raise click.BadParameter(f"no receiver makes an event of a signal named {name!a}")
    return name


def _payload(_context: click.Context, _parameter: click.Parameter, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise click.BadParameter(f"not JSON: {exc}") from exc


def _routing_key(_context: click.Context, _parameter: click.Parameter, key: str) -> str:
    try:
        return checked_key(key)
    except LocalProtocolError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command()
@click.argument("signal", callback=_signal)
@click.option("--payload", metavar="JSON", default="null", callback=_payload, help="What the event carries.")
@click.option("--key", default=DEFAULT_ROUTING_KEY, show_default=True, callback=_routing_key, help="Its routing key.")
@common_options
@click.pass_obj
def send(options: Options, signal: str, payload: Any, key: str) -> None:
    """Transmit one event, and say how many queues on how many hosts matched its routing key.

    That nobody hears it is a warning and not a failure: exit status 0, as for any sender.
    """
    with ControlConnection(options.socket) as connection:
        fate = connection.transmit(signal, payload, key)
        _, matched = connection.ask("matching", {"routing_key": key})
    if options.as_json:
        show_json("send", printable_deep({**matched, "accepted": True, **_progress(fate)}))
    else:
        click.echo(_whom(matched))
    if fate is None:
        click.echo(f"warning: a broker is away; it gets the event if it is back within {EVENT_TTL_S:g} s", err=True)
    elif fate.outcome == "unheard":
        click.echo(printable(f"warning: nobody is bound to {key} on any host"), err=True)
    elif losses := _losses(fate):
        click.echo(f"warning: {losses}", err=True)


def _whom(matched: dict[str, Any]) -> str:
    queues, hosts, unanswered = matched["queues"], matched["hosts"], matched["unanswered"]
    text = f"matched {queues} queue{'' if queues == 1 else 's'} on {hosts} host{'' if hosts == 1 else 's'}"
    return printable(text + (f"; no answer from {', '.join(unanswered)}" if unanswered else ""))


def _progress(fate: Fate | None) -> dict[str, Any]:
    """Give what became of the event; the numbers are of brokers."""
    told = fate or Fate([])
    return {
        "settled": fate is not None,
        "unroutable": fate is not None and fate.outcome == "unheard",
        "outcome": fate.outcome if fate is not None else "",
        "confirmed_by": told.confirmed,
        "unroutable_at": told.unroutable,
        **{name: getattr(told, told_as) for name, told_as, _ in LOSSES},
    }


def _losses(fate: Fate) -> str:
    """Say at how many brokers it was lost, and why; "" for nowhere."""
    lost = [(getattr(fate, name), why) for _, name, why in LOSSES]
    return ", ".join(f"{count} broker{'' if count == 1 else 's'} {why}" for count, why in lost if count)
