"""The verbs about the hosts that people list."""

from typing import Annotated

import msgspec

from mirosd.localapi.rights import Rights
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb

MAX_HOST_CHARS = 300  # a DNS name has at most 253, a port and brackets beside it

HostText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_HOST_CHARS)]


class HostArguments(msgspec.Struct, forbid_unknown_fields=True):
    """A host as hosts files write it."""

    host: HostText


async def _list(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    for host in view.hosts():
        await row(host)
    return {}


async def _add(view: DaemonView, args: HostArguments, _row: RowTaker) -> Display:
    await view.add_host(args.host)
    return {}


async def _remove(view: DaemonView, args: HostArguments, _row: RowTaker) -> Display:
    await view.remove_host(args.host)
    return {}


async def _reload(view: DaemonView, _: NoArguments, _row: RowTaker) -> Display:
    await view.reload_hosts()
    return {}


HOST_VERBS: dict[str, Verb] = {
    "hosts_list": Verb(Rights.READ, NoArguments, _list),
    "hosts_add": Verb(Rights.OPERATE, HostArguments, _add),
    "hosts_remove": Verb(Rights.OPERATE, HostArguments, _remove),
    "hosts_reload": Verb(Rights.OPERATE, NoArguments, _reload),
}
