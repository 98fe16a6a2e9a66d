"""The verb for monitoring: everything in figures, at one moment."""

from mirosd.localapi.rights import Rights
from mirosd.localapi.verb import DaemonView, Display, NoArguments, RowTaker, Verb

PEER_FIELDS = ("node", "name", "address", "state", "rtt_ms", "last_seen_s", "clock_ahead_s")
"""What monitoring wants of a peer; how it was scouted is for `peers`."""


async def _metrics(view: DaemonView, _: NoArguments, row: RowTaker) -> Display:
    figures = view.metrics()  # first: the peers are sent one by one, and meanwhile things go on
    for peer in view.peers():
        await row({field: peer.get(field) for field in PEER_FIELDS})
    return figures


METRICS_VERBS: dict[str, Verb] = {"metrics": Verb(Rights.READ, NoArguments, _metrics)}
