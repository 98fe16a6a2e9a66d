"""The snoop networks' way out: trace and spy lines, to the brokers where they are watched, as far as these keep up.

Instrumentation is worth having now or not at all: bodies are transient, nothing is
sent again, and what a broker has not confirmed is bounded. The mesh goes before it,
on a connection of its own; traces go before spy lines, of which there are more, and
what happens now before what is recalled.
"""

from collections.abc import Callable, Collection, Mapping

from mirosd.bridge.producer_set import ProducerSet
from mirosd.core.envelope import Envelope
from mirosd.core.shown import Board
from mirosd.names import NETWORK_NAMES, SystemNames
from mirosd_client.limits import MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.messages import RECALL_PREFIX
from mirosd_client.wire import Events, Network

MAX_UNCONFIRMED = {Network.SNOOP_TRACE: 256 * 1024, Network.SNOOP_SPY: 128 * 1024}
"""Bytes of instrumentation a broker may owe a confirm for when a body of each network is added: heartbeats never
wait behind more, and spy lines leave traces the other half."""


class SnoopOutbound:
    """Gathers snoop records, seals them once, publishes them. Thread: loop.

    Args:
        targets: gives to which brokers so many records with a routing key go; to none of a network without a key here.
    """

    def __init__(
        self,
        envelopes: Mapping[Network, Envelope],
        names: SystemNames,
        targets: Callable[[Network, str, int], Collection[ProducerSet]],
        board: Board,
    ) -> None:
        self._envelopes, self._names = envelopes, names
        self._targets, self._board = targets, board
        self._open: dict[tuple[Network, str], list[Events]] = {}
        self._counts: dict[tuple[Network, str], int] = {}

    def take(self, events: Events, records: int) -> None:
        """Take a run of records; flush() sends it."""
        key = events.network, events.routing_key
        gathered = self._open.setdefault(key, [])
        size = sum(len(run.records) for run in gathered)
        if gathered and (size + len(events.records) > MAX_BODY_BYTES or self._counts[key] + records > MAX_RECORDS):
            self._publish(key)
            gathered = self._open.setdefault(key, [])
        gathered.append(events)
        self._counts[key] = self._counts.get(key, 0) + records

    def flush(self) -> None:
        """Send what was gathered, traces first."""
        for key in sorted(self._open, key=lambda key: (key[0], key[1].startswith(RECALL_PREFIX), key[1])):
            self._publish(key)

    def _publish(self, key: tuple[Network, str]) -> None:
        network, routing_key = key
        records = b"".join(run.records for run in self._open.pop(key))
        count = self._counts.pop(key)
        targets = self._targets(network, routing_key, count)
        if not targets:
            return
        body = self._envelopes[network].seal_records(records, 0, routing_key)
        measures = self._board.measures
        measures.sent[network] += count
        for producer_set in targets:
            if not producer_set.snoop(
                self._names.exchanges[network],
                routing_key,
                body,
                max_unconfirmed=MAX_UNCONFIRMED[network],
                answer_s=measures.answer_s[network],
            ):
                self._board.count(f"{NETWORK_NAMES[network]}_shed", count)
