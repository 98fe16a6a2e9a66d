"""A link that takes what is published and answers when the test says so, and what stands around it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mirosd.core.broker import BrokerAddress, Outcome
from mirosd.core.measures import Measures
from mirosd.core.shown import PeerRow
from mirosd_client.messages import Fate, Recall, Watched
from mirosd_client.wire import Events


class RecordingLink:
    """The publishing half of core.broker.Link: bodies in order, outcomes on request."""

    def __init__(self) -> None:
        self.address = BrokerAddress("192.0.2.1")
        self.is_blocked = False
        self.blocked_by = "low on memory"
        self.published: list[bytes] = []
        self.options: list[dict[str, Any]] = []
        self.flushed = 0  # bodies that were published before the last flush
        self._waiting: dict[int, Callable[[Outcome], None]] = {}

    def flush(self) -> None:
        """Note how far it is."""
        self.flushed = len(self.published)

    def publish(self, exchange: str, routing_key: str, body: bytes, **options: Any) -> None:
        """Keep the body; nothing is answered yet."""
        self._waiting[len(self.published)] = options.pop("on_outcome")
        self.published.append(body)
        self.options.append({"exchange": exchange, "routing_key": routing_key, **options})

    def answer(self, *numbers: int, outcome: Outcome = Outcome.CONFIRMED) -> None:
        """Answer the bodies with these numbers (all that wait when there are none)."""
        for number in numbers or tuple(self._waiting):
            self._waiting.pop(number)(outcome)


class CountingBoard:
    """interfaces.Board for the bridge: what was counted."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.measures = Measures(time.time)

    def count(self, counter: str, amount: int = 1) -> None:
        """Add."""
        self.counters[counter] += amount

    def show_peers(self, rows: Sequence[PeerRow]) -> None:
        """Nothing to show here."""

    def show_hosts(self, listed: Sequence[str], local: Sequence[str]) -> None:
        """Nothing to show here."""

    def raise_reason(self, code: str, detail: str) -> None:
        """Nothing to show here."""

    def clear_reason(self, code: str) -> None:
        """Nothing to show here."""


class RecordingSession:
    """interfaces.ClientSession: what the client would have been told."""

    def __init__(self, client_id: bytes = b"C" * 16) -> None:
        self.client_id = client_id
        self.client = client_id.hex()
        self.told: list[tuple[int, int, int]] = []
        self.unheard: list[str] = []
        self.fates: list[Fate] = []
        self.has_charts = False
        self.watchings: list[Watched] = []
        self.recalls: list[Recall] = []
        self.is_paused = False

    def settled(self, safe: int, settled: int, unroutable: int) -> None:
        """Keep the three numbers."""
        self.told.append((safe, settled, unroutable))

    def unroutable(self, routing_key: str) -> None:
        """Keep the key."""
        self.unheard.append(routing_key)

    def fate(self, fate: Fate) -> None:
        """Keep it."""
        self.fates.append(fate)

    def deliver(self, subscription: int, tag: int, held_ms: int, redelivered: bool, records: bytes) -> None:
        """Outbound tests get no deliveries."""
        raise AssertionError("nothing is delivered here")

    def subscribed(self, subscription: int) -> None:
        """Outbound tests subscribe to nothing."""
        raise AssertionError("nothing is subscribed here")

    def refused(self, subscription: int, code: str, message: str) -> None:
        """Outbound tests subscribe to nothing."""
        raise AssertionError("nothing is subscribed here")

    def watched(self, watched: Watched) -> None:
        """Keep it."""
        self.watchings.append(watched)

    def recall(self, recall: Recall) -> None:
        """Keep it."""
        self.recalls.append(recall)

    def pause(self) -> None:
        """Read no more."""
        self.is_paused = True

    def resume(self) -> None:
        """Read again."""
        self.is_paused = False


class RecordingSnoop:
    """outbound.Snoop: what was handed on."""

    def __init__(self) -> None:
        self.taken: list[tuple[Events, int]] = []

    def take(self, events: Events, records: int) -> None:
        """Keep it."""
        self.taken.append((events, records))

    def flush(self) -> None:
        """Nothing is kept back here."""
