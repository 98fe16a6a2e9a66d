"""The events of a process that were accepted and are not settled yet.

The window is what makes the promise outlive the daemon: it keeps every event until
the daemon reports it settled, and hands all of them over again after a reconnect. It
is pure (no clock, no socket) and holds no lock of its own: whoever calls anything here
holds `lock`. Every operation is O(1) per event.

    accept -> [unsent] -> take_batch -> [sent] -> settle -> gone
                  ^------- rewind ---------'

Instrumentation (the snoop networks) has half of it at most, and gives way to events.

Sequence numbers rise through sent and then unsent, so what is safe, expired or to be
evicted is always at the left end.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from mirosd_client.errors import WindowFullError
from mirosd_client.limits import EVENT_TTL_S, MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.record import with_age
from mirosd_client.wire import Network

OnFull = Literal["refuse", "drop_oldest", "raise"]

WINDOW_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 256
"""What Python needs around a record (tuple, bytes object, numbers), measured; without it small events cost
five times the bound."""


class Entry(NamedTuple):
    """One accepted event. `accepted_s` is monotonic; the age in `record` is still 0."""

    sequence: int
    network: Network
    routing_key: str
    record: bytes
    accepted_s: float


class Batch(NamedTuple):
    """A run of records with one network and routing key: the body of an EVENTS frame."""

    network: Network
    routing_key: str
    records: bytes


class Window:
    """Accepted events of one process, oldest first."""

    def __init__(self, window_bytes: int = WINDOW_BYTES, ttl_s: float = EVENT_TTL_S) -> None:
        self.lock = threading.Lock()
        self.last_sequence = 0
        self.safe = 0
        self.uninsured = self.expired = self.evicted = self.refused = self.snoop_dropped = 0
        self._window_bytes = window_bytes
        self._ttl_s = ttl_s
        self._held_bytes = 0
        self._last_sent = 0
        self._sent: deque[Entry] = deque()
        self._unsent: deque[Entry] = deque()

    def accept(
        self,
        network: Network,
        routing_key: str,
        make_record: Callable[[int], bytes],
        now_s: float,
        on_full: OnFull = "refuse",
    ) -> bool:
        """Keep an event; False when there is no room for it and the policy is to refuse, or it is instrumentation.

        Args:
            make_record: gives the encoded record (age 0) for the sequence number it is to have.

        Raises:
            WindowFullError: there is no room and the policy is to raise.
        """
        sequence = self.last_sequence + 1
        record = make_record(sequence)
        size = len(record) + ENTRY_BYTES
        self.expire(now_s)
        if network is not Network.MESH and 2 * (self._held_bytes + size) > self._window_bytes:
            self.snoop_dropped += 1
            return False
        if self._held_bytes + size > self._window_bytes and not self._make_room(size, on_full):
            self.refused += 1
            if on_full == "raise":
                raise WindowFullError(f"{self._held_bytes} bytes of events are waiting for the daemon")
            return False
        self.last_sequence = sequence
        self._unsent.append(Entry(sequence, network, routing_key, record, now_s))
        self._held_bytes += size
        return True

    def take_batch(self, now_s: float) -> Batch | None:
        """Give the oldest unsent events that fit one body, with their age in them; None when all are sent."""
        self.expire(now_s)
        if not self._unsent:
            return None
        first = self._unsent[0]
        records: list[bytes] = []
        size = 0
        while self._unsent and len(records) < MAX_RECORDS:
            entry = self._unsent[0]
            size += len(entry.record)
            if entry.network != first.network or entry.routing_key != first.routing_key:
                break
            if records and size > MAX_BODY_BYTES:
                break
            age_ms = int((now_s - entry.accepted_s) * 1000)
            records.append(with_age(entry.record, age_ms) if age_ms > 0 else entry.record)
            self._sent.append(self._unsent.popleft())
        self._last_sent = max(self._last_sent, self._sent[-1].sequence)
        return Batch(first.network, first.routing_key, b"".join(records))

    def settle(self, safe: int, settled: int) -> None:
        """Learn how far events have come; numbers beyond what was ever sent mean nothing."""
        self.safe = max(self.safe, min(safe, self._last_sent))
        done = min(settled, self._last_sent)
        while (oldest := self._oldest()) is not None and oldest.sequence <= done:
            self._drop_oldest()

    def rewind(self) -> None:
        """Make every event unsent again, and none safe: another daemon must hear of all of them."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
        oldest = self._oldest()
        self.safe = oldest.sequence - 1 if oldest is not None else self.last_sequence

    def expire(self, now_s: float) -> None:
        """Let go of events whose time to live is over; those that are safe are the daemon's to count."""
        while (oldest := self._oldest()) is not None and now_s - oldest.accepted_s > self._ttl_s:
            if oldest.network is not Network.MESH:
                self.snoop_dropped += oldest.sequence > self.safe
            elif oldest.sequence > self.safe:
                self.expired += 1
            self._drop_oldest()

    @property
    def unsent(self) -> int:
        """Events that no daemon has been given on this connection."""
        return len(self._unsent)

    @property
    def unsafe(self) -> int:
        """Events that would be lost if this process ended now."""
        newest = self._unsent[-1] if self._unsent else self._sent[-1] if self._sent else None
        return 0 if newest is None else max(0, newest.sequence - max(self.safe, self._front() - 1))

    def __len__(self) -> int:
        return len(self._sent) + len(self._unsent)

    def _make_room(self, size: int, on_full: OnFull) -> bool:
        while self._held_bytes + size > self._window_bytes and (oldest := self._oldest()) is not None:
            if oldest.network is not Network.MESH:
                self.snoop_dropped += oldest.sequence > self.safe
            elif oldest.sequence <= self.safe:
                self.uninsured += 1
            elif on_full == "drop_oldest":
                self.evicted += 1
            else:
                return False
            self._drop_oldest()
        return self._held_bytes + size <= self._window_bytes

    def _oldest(self) -> Entry | None:
        return self._sent[0] if self._sent else self._unsent[0] if self._unsent else None

    def _front(self) -> int:
        oldest = self._oldest()
        return oldest.sequence if oldest is not None else self.last_sequence + 1

    def _drop_oldest(self) -> None:
        entry = (self._sent or self._unsent).popleft()
        self._held_bytes -= len(entry.record) + ENTRY_BYTES
