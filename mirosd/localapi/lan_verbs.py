"""The verbs about finding hosts: the search of the LAN, its cache, and the scouting of one address."""

from typing import Annotated

import msgspec

from mirosd.localapi.host_verbs import HostText
from mirosd.localapi.rights import Rights
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb

MAX_ADDRESSES = 1024  # as many as one network of the LAN may have to be swept
MAX_RECCE_S = 600.0  # a /22 takes 13 s, a scout 10


class RecceArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Addresses to ask besides what the daemon sees of the LAN itself, and how long to watch the search."""

    addresses: Annotated[list[HostText], msgspec.Meta(max_length=MAX_ADDRESSES)] = []
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_RECCE_S)] = 30.0


class AddressArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A host as hosts files write it."""

    address: HostText


async def _recce(view: DaemonView, args: RecceArguments, row: RowTaker) -> Display:
    return await view.lan.recce(args.addresses, args.timeout_s, row)


async def _scout(view: DaemonView, args: AddressArguments, row: RowTaker) -> Display:
    return await view.scout(args.address, row)


async def _cache_show(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    return view.lan.cache()


async def _cache_flush(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    return await view.lan.flush_cache()


LAN_VERBS: dict[str, Verb] = {
    "recce": Verb(Rights.OPERATE, RecceArguments, _recce),
    "scout": Verb(Rights.OPERATE, AddressArguments, _scout),
    "cache_show": Verb(Rights.READ, NoArguments, _cache_show),
    "cache_flush": Verb(Rights.OPERATE, NoArguments, _cache_flush),
}
