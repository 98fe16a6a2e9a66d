"""The verbs about the networks' keys: told by id, and never by value."""

from typing import Annotated, Literal

import msgspec

from mirosd.localapi.rights import Rights
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb

KeyNetwork = Literal["mesh", "snoop_trace", "snoop_spy", "system"]


class RotateArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A network; `force`: do not wait for hosts that do not answer."""

    network: KeyNetwork
    force: bool = False


class ReplaceArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A network, and its new key as a key file holds it."""

    network: KeyNetwork
    key: Annotated[str, msgspec.Meta(max_length=4096)]


async def _list(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for shown in view.keys.rows():
        await row(shown)
    return {}


async def _rotate(view: DaemonView, args: RotateArguments, _row: RowTaker) -> Display:
    return await view.keys.rotate(args.network, is_forced=args.force)


async def _replace(view: DaemonView, args: ReplaceArguments, _row: RowTaker) -> Display:
    return await view.keys.replace(args.network, args.key)


KEY_VERBS: dict[str, Verb] = {
    "keys_list": Verb(Rights.READ, NoArguments, _list),
    "keys_rotate": Verb(Rights.OPERATE, RotateArguments, _rotate),
    "keys_replace": Verb(Rights.OPERATE, ReplaceArguments, _replace),
}
