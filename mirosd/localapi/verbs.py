"""What can be asked at the local socket: the table of all verbs, and how one is run.

status                       result {state, reasons [{code, detail}], node, name, system, version,
                             uptime_s, broker {address, state, detail, user, tls, told}, clients,
                             subscriptions, counters, lan {port, off}, renewed: "" | why this node drew a new id}
peers                        rows as shown.PeerRow, with last_seen_s
peers_watch                  rows {change: appeared | changed | gone, peer}; first one per peer, then {change:
                             complete}, then each as it happens, until the client goes away
peers_forget, peers_allow    args {node: name or beginning of an id}, result {node, name}
recce                        args {addresses, timeout_s}, rows {state} and {address, neighbour, mac, node, name,
                             verdict, took_ms}, each again when it changes; result {number, is_complete, found}
scout                        args {address}, rows {stage, code, detail, took_ms}, result {address, code,
                             peer {node, name, start, version, networks} | null}
cache_show                   result {addresses, amqp_urls, time_out_in_minutes, age_s, expires_s, problem}
cache_flush                  result {number}: the search that has begun
clients                      rows {client, program, pid, uid, rights, subscriptions, unsent_bytes, last_taken,
                             last_safe, last_settled, unroutable, charts [{chart, network, binding_key,
                             state: bound | pending, unacknowledged}]}
matching                     args {routing_key}, result {hosts, queues, unanswered [names]}
hosts_list                   rows {host, source: file | local, file}
hosts_add, hosts_remove      args {host}
hosts_reload
watch                        args {network, hosts, charts, signals, events, for_s}: holds the dial for so long; rows
                             {host, node, remote: trace | spy | off, accepts}, one per host that the dial takes, this
                             one first, again when it changes; result {}
recall                       args {id, what: history | charts, network, hosts, charts, signals, events, since_s}, rows
                             {host, node, sources, refused: "" | policy | no_key | busy | unanswered}, result
                             {sources}
keys_list                    rows {network, follows: network | "", keys [{id, state: in_use | accepted, since_s, lacking
                             [{node, name, why}]}]}, then {node, name, takes, keys {network: [ids]}, seen_s, is_alive}
                             of each host seen within a day, this one first
keys_rotate                  args {network, force}, result {network, id, state: in_use | accepted, lacking [{node,
                             name, why}], cut_off [names]}
keys_replace                 args {network, key}, result {network, id, retired [ids], restart_needed}
wait                         args {peers: n | null, timeout_s}, result {ready, missing}
metrics                      rows {node, name, address, state, rtt_ms, last_seen_s, clock_ahead_s}, one per peer; result
                             as of status, with events, answers, connections_opened, histograms (core.measures),
                             queues, charts and programs (metrics_view)
"""

import difflib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
import structlog

from mirosd.errors import MirosdError
from mirosd.localapi.host_verbs import HOST_VERBS
from mirosd.localapi.key_verbs import KEY_VERBS
from mirosd.localapi.lan_verbs import LAN_VERBS
from mirosd.localapi.metrics_verbs import METRICS_VERBS
from mirosd.localapi.peer_verbs import PEER_VERBS
from mirosd.localapi.rights import Grant, Policy, Rights
from mirosd.localapi.snoop_verbs import SNOOP_VERBS
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb
from mirosd_client.errors import DaemonRefusedError, LocalProtocolError
from mirosd_client.limits import MAX_ROUTING_KEY_BYTES
from mirosd_client.messages import Ask, DaemonMessage, Done, Failed, Row

MAX_WAIT_S = 86_400  # a day: longer waits are a loop of the caller's
SHOWN_VERB_CHARS = 40  # what of an unknown verb is compared and repeated: it can be as long as a frame

_log = structlog.get_logger()


class KeyArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A routing key."""

    routing_key: Annotated[str, msgspec.Meta(max_length=MAX_ROUTING_KEY_BYTES)]


class WaitArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Until when to wait, and for how many peers (None: until ready)."""

    peers: Annotated[int, msgspec.Meta(ge=0)] | None = None
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_S)] = 60.0


async def _status(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    return view.status()


async def _clients(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for client in view.clients():
        await row(client)
    return {}


async def _matching(view: DaemonView, args: KeyArguments, _row: RowTaker) -> Display:
    return await view.matching(args.routing_key)


async def _wait(view: DaemonView, args: WaitArguments, _row: RowTaker) -> Display:
    ready, missing = await view.wait_ready(args.peers, args.timeout_s)
    return {"ready": ready, "missing": missing}


VERBS: dict[str, Verb] = {
    "status": Verb(Rights.READ, NoArguments, _status),
    "clients": Verb(Rights.READ, NoArguments, _clients),
    "matching": Verb(Rights.TRANSMIT, KeyArguments, _matching),
    "wait": Verb(Rights.READ, WaitArguments, _wait),
    **PEER_VERBS,
    **LAN_VERBS,
    **HOST_VERBS,
    **SNOOP_VERBS,
    **METRICS_VERBS,
    **KEY_VERBS,
}


def find_verb(name: str) -> Verb:
    """Give the verb called `name`; DaemonRefusedError("unknown_verb") with the nearest name that there is."""
    verb = VERBS.get(name)
    if verb is None:
        shown = name[:SHOWN_VERB_CHARS]
        near = difflib.get_close_matches(shown, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(VERBS))}"
        raise DaemonRefusedError("unknown_verb", f"no verb is called {shown!r}; {hint}")
    return verb


def check_arguments(verb: Verb, args: Display) -> msgspec.Struct:
    """Give the verb's arguments; DaemonRefusedError("bad_arguments") with what is wrong and where."""
    try:
        return msgspec.convert(args, verb.arguments)
    except msgspec.ValidationError as exc:
        raise DaemonRefusedError("bad_arguments", str(exc)) from exc


async def answer(
    ask: Ask, view: DaemonView, policy: Policy, held: Grant, send: Callable[[DaemonMessage], Awaitable[None]]
) -> None:
    """Run an ask and send its rows and the one Done or Failed that ends them; raises nothing."""

    async def row(display: Display) -> None:
        await send(Row(ask.id, display))

    try:
        verb = find_verb(ask.verb)
        if verb.right is not None:
            policy.require(verb.right, held, f"`{ask.verb}`")
        args: Any = check_arguments(verb, ask.args)
        if verb.right is None:
            policy.require_hearing(args.network, held, f"`{ask.verb}`")
        await send(Done(ask.id, await verb.run(view, args, row)))
    except Exception as exc:  # noqa: BLE001 -- a fault of one verb must not end the session, let alone the daemon
        if isinstance(exc, MirosdError) and not isinstance(exc, LocalProtocolError):  # that one would be our own fault
            await send(Failed(ask.id, exc.code, str(exc)))
            return
        _log.exception("verb_failed", verb=ask.verb[:SHOWN_VERB_CHARS])
        await send(Failed(ask.id, "internal", "the daemon failed to answer this; its log has the reason"))
