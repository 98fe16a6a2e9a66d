"""The verbs for who wants to see charts: hold a dial on every host, and have what is on record sent."""

import asyncio
from typing import Annotated

import msgspec

from mirosd.localapi.verb import DaemonView, Display, RowTaker, Verb
from mirosd_client.dial import Dial, Patterns, SnoopNetwork
from mirosd_client.messages import Recall, RecallWhat

MAX_WATCH_S = 86_400  # a day: nobody looks for longer, and who has forgotten it costs all hosts something

Seconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_WATCH_S)]


class DialArguments(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A network, and what of it: the fields of a Dial."""

    network: SnoopNetwork
    hosts: Patterns = []
    charts: Patterns = []
    signals: Patterns = []
    events: bool = False

    @property
    def dial(self) -> Dial:
        """The same as the dial that travels."""
        return Dial(self.hosts, self.charts, self.signals, self.events)


class WatchArguments(DialArguments, forbid_unknown_fields=True, kw_only=True):
    """For how long to watch, in seconds."""

    for_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_WATCH_S)]


class RecallArguments(DialArguments, forbid_unknown_fields=True, kw_only=True):
    """The recall's id, which the viewer has drawn; what is recalled, and from how long ago in seconds."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    what: RecallWhat
    since_s: Seconds = 0.0


async def _watch(view: DaemonView, args: WatchArguments, row: RowTaker) -> Display:
    shown: dict[str, Display] = {}
    with view.snoop.hold(args.network, args.dial):
        try:
            async with asyncio.timeout(args.for_s):
                while True:
                    change = view.snoop.next_change()  # before looking: what happens while rows are sent is not missed
                    for host in view.snoop.hosts(args.network, args.dial):
                        if shown.get(host["node"]) != host:
                            shown[host["node"]] = host
                            await row(host)
                    await change.wait()
        except TimeoutError:
            return {}


async def _recall(view: DaemonView, args: RecallArguments, row: RowTaker) -> Display:
    hosts = await view.snoop.recall(Recall(args.id, args.what, args.network, args.dial, args.since_s))
    for host in hosts:
        await row(host)
    return {"sources": sum(host["sources"] for host in hosts)}


SNOOP_VERBS: dict[str, Verb] = {
    "watch": Verb(None, WatchArguments, _watch),
    "recall": Verb(None, RecallArguments, _recall),
}
