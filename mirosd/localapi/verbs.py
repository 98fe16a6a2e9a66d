"""What can be asked at the local socket: each verb with the right it needs, its arguments and its answer.

A verb is a coroutine over the daemon's view. It hands over its rows one by one, each
when the client has room for it, and returns the result that ends the answer:

    status                       result {state, reasons [{code, detail}], node, name, system, version,
                                 uptime_s, broker {address, state, detail}, clients, subscriptions, counters}
    peers                        rows as shown.PeerRow, with last_seen_s
    peers_watch                  rows {change: appeared | changed | gone, peer}; first one per peer, then {change:
                                 complete}, then each as it happens, until the client goes away
    clients                      rows {client, program, pid, uid, rights, subscriptions, unsent_bytes, last_taken,
                                 last_safe, last_settled, unroutable, charts [{chart, network, binding_key,
                                 state: bound | pending, unacknowledged}]}
    matching                     args {routing_key}, result {hosts, queues, unanswered [names]}
    hosts_list                   rows {host, source: file | local}
    hosts_add, hosts_remove      args {host}
    hosts_reload
    wait                         args {peers: n | null, timeout_s}, result {ready, missing}
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple, NoReturn, Protocol

import msgspec
import structlog

from mirosd.errors import MirosdError
from mirosd.localapi.peer_changes import peer_changes
from mirosd.localapi.rights import Policy, Rights
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.limits import MAX_ROUTING_KEY_BYTES
from mirosd_client.messages import Ask, DaemonMessage, Done, Failed, Row

MAX_WAIT_S = 86_400  # a day: longer waits are a loop of the caller's
MAX_HOST_CHARS = 300  # a DNS name has at most 253, a port and brackets beside it
SHOWN_VERB_CHARS = 40  # what of an unknown verb is compared and repeated: it can be as long as a frame

_log = structlog.get_logger()

Display = dict[str, Any]
"""A copy made for people: no internal object crosses the socket."""

RowTaker = Callable[[Display], Awaitable[None]]
"""Sends one row, waiting until the client has room."""


class DaemonView(Protocol):
    """What the daemon shows and lets people change. Errors are MirosdErrors with stable codes. Thread: loop."""

    def status(self) -> Display:
        """The result of `status`."""

    def peers(self) -> list[Display]:
        """The peers table, sorted."""

    def next_change(self) -> asyncio.Event:
        """What is set when something that is shown here changes next."""

    def clients(self) -> list[Display]:
        """The connected programs, sorted."""

    async def matching(self, routing_key: str) -> Display:
        """Whom a routing key reaches: the result of `matching`."""

    def hosts(self) -> list[Display]:
        """The manual hosts in force, sorted."""

    async def add_host(self, host: str) -> None:
        """List a host in the state directory's file; returns when it is written."""

    async def remove_host(self, host: str) -> None:
        """Take a host off the state directory's file; returns when it is written."""

    async def reload_hosts(self) -> None:
        """Read the hosts files again and scout what is in them."""

    async def wait_ready(self, peers: int | None, timeout_s: float) -> tuple[bool, str]:
        """Wait until ready, or until `peers` peers are alive both ways: (True, "") or (False, what is missing)."""


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """For verbs that take none."""


class HostArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A host as hosts files write it."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_HOST_CHARS)]


class KeyArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A routing key."""

    routing_key: Annotated[str, msgspec.Meta(max_length=MAX_ROUTING_KEY_BYTES)]


class WaitArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Until when to wait, and for how many peers (None: until ready)."""

    peers: Annotated[int, msgspec.Meta(ge=0)] | None = None
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_S)] = 60.0


async def _status(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    return view.status()


async def _peers(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for peer in view.peers():
        await row(peer)
    return {}


async def _peers_watch(view: DaemonView, _: NoArguments, row: RowTaker) -> NoReturn:
    shown: list[Display] = []
    is_complete = False
    while True:
        change = view.next_change()  # before looking: what happens while rows are sent is not missed
        peers = view.peers()
        for difference in peer_changes(shown, peers):
            await row(difference)
        if not is_complete:
            await row({"change": "complete"})
            is_complete = True
        shown = peers
        await change.wait()


async def _clients(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for client in view.clients():
        await row(client)
    return {}


async def _matching(view: DaemonView, args: KeyArguments, _row: RowTaker) -> Display:
    return await view.matching(args.routing_key)


async def _hosts_list(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for host in view.hosts():
        await row(host)
    return {}


async def _hosts_add(view: DaemonView, args: HostArguments, _row: RowTaker) -> Display:
    await view.add_host(args.host)
    return {}


async def _hosts_remove(view: DaemonView, args: HostArguments, _row: RowTaker) -> Display:
    await view.remove_host(args.host)
    return {}


async def _hosts_reload(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    await view.reload_hosts()
    return {}


async def _wait(view: DaemonView, args: WaitArguments, _row: RowTaker) -> Display:
    ready, missing = await view.wait_ready(args.peers, args.timeout_s)
    return {"ready": ready, "missing": missing}


class Verb(NamedTuple):
    """One line of the table."""

    right: Rights
    arguments: type[msgspec.Struct]
    run: Callable[[DaemonView, Any, RowTaker], Awaitable[Display]]


VERBS: dict[str, Verb] = {
    "status": Verb(Rights.READ, NoArguments, _status),
    "peers": Verb(Rights.READ, NoArguments, _peers),
    "peers_watch": Verb(Rights.READ, NoArguments, _peers_watch),
    "clients": Verb(Rights.READ, NoArguments, _clients),
    "matching": Verb(Rights.TRANSMIT, KeyArguments, _matching),
    "hosts_list": Verb(Rights.READ, NoArguments, _hosts_list),
    "hosts_add": Verb(Rights.OPERATE, HostArguments, _hosts_add),
    "hosts_remove": Verb(Rights.OPERATE, HostArguments, _hosts_remove),
    "hosts_reload": Verb(Rights.OPERATE, NoArguments, _hosts_reload),
    "wait": Verb(Rights.READ, WaitArguments, _wait),
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
    ask: Ask, view: DaemonView, policy: Policy, held: Rights, send: Callable[[DaemonMessage], Awaitable[None]]
) -> None:
    """Run an ask and send its rows and the one Done or Failed that ends them; raises nothing."""

    async def row(display: Display) -> None:
        await send(Row(ask.id, display))

    try:
        verb = find_verb(ask.verb)
        policy.require(verb.right, held, f"`{ask.verb}`")
        await send(Done(ask.id, await verb.run(view, check_arguments(verb, ask.args), row)))
    except MirosdError as exc:
        await send(Failed(ask.id, exc.code, str(exc)))
    except Exception:  # noqa: BLE001 -- a fault of one verb must not end the session, let alone the daemon
        _log.exception("verb_failed", verb=ask.verb[:SHOWN_VERB_CHARS])
        await send(Failed(ask.id, "internal", "the daemon failed to answer this; its log has the reason"))
