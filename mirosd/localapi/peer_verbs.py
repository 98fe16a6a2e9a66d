"""The verbs about peers: the table, each change of it, and what is done about one of them."""

from typing import Annotated, NoReturn

import msgspec

from mirosd.localapi.peer_changes import peer_changes
from mirosd.localapi.rights import Rights
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb

MAX_NODE_CHARS = 300  # names are people's; an id has 32


class NodeArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A peer's name, or the beginning of its node id."""

    node: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NODE_CHARS)]


async def _peers(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for peer in view.peers():
        await row(peer)
    return {}


async def _watch(view: DaemonView, _: NoArguments, row: RowTaker) -> NoReturn:
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


async def _forget(view: DaemonView, args: NodeArguments, _row: RowTaker) -> Display:
    return await view.forget_peer(args.node)


async def _allow(view: DaemonView, args: NodeArguments, _row: RowTaker) -> Display:
    return await view.allow_peer(args.node)


PEER_VERBS: dict[str, Verb] = {
    "peers": Verb(Rights.READ, NoArguments, _peers),
    "peers_watch": Verb(Rights.READ, NoArguments, _watch),
    "peers_forget": Verb(Rights.OPERATE, NodeArguments, _forget),
    "peers_allow": Verb(Rights.OPERATE, NodeArguments, _allow),
}
