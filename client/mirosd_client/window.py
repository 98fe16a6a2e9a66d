"""The events of a process that were accepted and are not settled yet.

The window is what makes the promise outlive the daemon: it keeps every event until
the daemon reports it settled, and hands all of them over again after a reconnect. It
is pure (no socket; time is given to it) and holds no lock of its own: whoever calls
anything here holds `lock`.

    accept -> [unsent] -> take_batch -> [sent] -> settle -> gone
                  ^------- rewind ---------'

Events are kept in runs, which travel and mostly end as one: what was accepted in
succession for one network and routing key, as much as fits one body. So an event costs
little more here than being put into a list.

Instrumentation (the snoop networks) has half of it at most, spy lines half of that, and gives way to events.

Sequence numbers rise through sent and then unsent, so what is safe, expired or to be
evicted is always at the left end.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mirosd_client.errors import WindowFullError
from mirosd_client.limits import EVENT_TTL_S, MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.on_full import OnFull
from mirosd_client.overdue import Overdue
from mirosd_client.receipt import ReceiptBook
from mirosd_client.record import Heading
from mirosd_client.wire import Network

WINDOW_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 256
"""What Python needs around a record (tuple, bytes, numbers), measured. Else small events take five times the bound."""

SNOOP_PARTS = {Network.SNOOP_TRACE: 2, Network.SNOOP_SPY: 4}
"""What part of the window each may fill, one in so many: there are more spy lines, and they are worth less."""

_MESH = Network.MESH  # a member of an enum is looked up slowly, and accept() is called for each event

Entry = tuple[Heading, int, bytes, float]
"""An accepted event: heading, hybrid logical clock, data (extension, payload), when it was accepted (monotonic s)."""


class Line(NamedTuple):
    """Where events of one kind go, and what their records begin with; made once for each kind."""

    network: Network
    routing_key: str
    heading: Heading


class Batch(NamedTuple):
    """Records with one network and routing key: the body of an EVENTS frame."""

    network: Network
    routing_key: str
    records: bytes


class _Run:
    """Events with successive sequence numbers that go the same way; never empty once it is in the window."""

    __slots__ = ("entries", "first", "network", "routing_key", "size")

    def __init__(self, network: Network, routing_key: str, first: int) -> None:
        self.network, self.routing_key = network, routing_key
        self.first = first
        self.size = 0  # bytes of the records
        self.entries: list[Entry] = []

    @property
    def last(self) -> int:
        """The last sequence number."""
        return self.first + len(self.entries) - 1

    def records(self, now_s: float) -> list[bytes]:
        """Give the encoded records, with their age."""
        return [
            heading.record(sequence, hlc, int((now_s - accepted_s) * 1000), data)
            for sequence, (heading, hlc, data, accepted_s) in enumerate(self.entries, self.first)
        ]


class Window:
    """Accepted events of one process, oldest first.

    Args:
        read_hlc: reads the process's hybrid logical clock (hlc.py).
        window_bytes: bound of what is kept.
        ttl_s: how long an event is kept at most.
    """

    def __init__(
        self, read_hlc: Callable[[], int], window_bytes: int = WINDOW_BYTES, ttl_s: float = EVENT_TTL_S
    ) -> None:
        self.lock = threading.Lock()
        self.last_sequence = self.last_hlc = 0
        self.safe = 0
        self.settled = self.uninsured = self.expired = self.evicted = 0  # in the end one of these,
        self.snoop_dropped = self.no_key = 0  # or of these
        self.refused = self.snoop_refused = 0
        self.keyless: frozenset[Network] = frozenset()
        self.is_told_full = False
        self.receipts = ReceiptBook()
        self.overdue = Overdue()
        self._read_hlc = read_hlc
        self._window_bytes = window_bytes
        self._ttl_s = ttl_s
        self._held_bytes = 0
        self._expires_s = 0.0  # nothing expires before
        self._last_sent = 0
        self._sent: deque[_Run] = deque()
        self._unsent: deque[_Run] = deque()

    def accept(self, line: Line, data: bytes, now_s: float, on_full: OnFull = "refuse") -> bool:
        """Keep an event; False when there is no room for it and the policy is to refuse, or it is instrumentation.

        False too, whatever the policy, when its network is barred. An event that is kept has the number
        `last_sequence` and the clock reading `last_hlc`. `data` is its extension and its payload.

        `now_s` never goes back.

        Raises:
            WindowFullError: there is no room and the policy is to raise.
        """
        network, routing_key, heading = line
        if self.keyless and network in self.keyless:
            if network is Network.MESH:
                self.refused += 1
            else:
                self.snoop_refused += 1
            return False
        if now_s > self._expires_s:
            self.expire(now_s)
        record_bytes = heading.size + len(data)
        held_bytes = self._held_bytes + record_bytes + ENTRY_BYTES
        if network is not _MESH and SNOOP_PARTS[network] * held_bytes > self._window_bytes:
            self.snoop_refused += 1
            return False
        if held_bytes > self._window_bytes:
            if not self._make_room(record_bytes + ENTRY_BYTES, on_full):
                self.refused += 1
                if on_full == "raise":
                    raise WindowFullError(f"{self._held_bytes} bytes of events are waiting for the daemon")
                return False
            held_bytes = self._held_bytes + record_bytes + ENTRY_BYTES
        self.last_sequence += 1
        run = self._unsent[-1] if self._unsent else None
        if (
            run is None
            or run.routing_key != routing_key
            or run.network is not network
            or len(run.entries) >= MAX_RECORDS
            or run.size + record_bytes > MAX_BODY_BYTES
        ):
            run = _Run(network, routing_key, self.last_sequence)
            self._unsent.append(run)
        self.last_hlc = hlc = self._read_hlc()
        run.entries.append((heading, hlc, data, now_s))
        run.size += record_bytes
        self._held_bytes = held_bytes
        return True

    def take_batch(self, now_s: float) -> Batch | None:
        """Give the oldest unsent events that fit one body, with their age in them; None when all are sent."""
        self.expire(now_s)
        if not self._unsent:
            return None
        first = self._unsent[0]
        records: list[bytes] = []
        size = 0
        while self._unsent:
            run = self._unsent[0]
            size += run.size
            if run is not first and (
                run.routing_key != first.routing_key
                or run.network is not first.network
                or len(records) + len(run.entries) > MAX_RECORDS
                or size > MAX_BODY_BYTES
            ):
                break
            records += run.records(now_s)
            self._sent.append(self._unsent.popleft())
        self._last_sent = max(self._last_sent, self._sent[-1].last)
        return Batch(first.network, first.routing_key, b"".join(records))

    def bar(self, keyless: frozenset[Network]) -> int:
        """The host has no keys of these networks: take nothing for them, and let go of what waits, all of it unsent.

        Those that were barred before and are not among them are open again. Gives how many events it lets go of, lines
        for people not counted.
        """
        events = 0
        self.keyless = keyless
        runs, self._unsent = self._unsent, deque()
        for run in runs:
            if run.network not in keyless:
                self._unsent.append(run)
                continue
            self.no_key += len(run.entries)
            events += len(run.entries) * (run.network is Network.MESH)
            self._held_bytes -= run.size + len(run.entries) * ENTRY_BYTES
            for sequence in range(run.first, run.last + 1):
                self.receipts.let_go(sequence, "no_key")
        return events

    def settle(self, safe: int, settled: int) -> None:
        """Learn how far events have come; numbers beyond what was ever sent mean nothing."""
        self.safe = max(self.safe, min(safe, self._last_sent))
        done = min(settled, self._last_sent)
        self.settled += self.overdue.settle(done)
        while (oldest := self._oldest()) is not None and oldest.first <= done:
            count = min(len(oldest.entries), done - oldest.first + 1)
            self.settled += count
            self._drop(count)

    def rewind(self) -> None:
        """Make every event unsent again, and none safe: the daemon may be gone, another must hear of all of them."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
        self.safe = self.front - 1
        self.expired += self.overdue.lose()

    def take_asks(self) -> list[int]:
        """Give the numbers of events that are not unsent any more and have receipts, to be asked about at once."""
        return self.receipts.ask(self._unsent[0].first if self._unsent else self.last_sequence + 1)

    def expire(self, now_s: float) -> None:
        """Let go of events whose time to live is over: what became of those that are safe, the daemon says."""
        while (oldest := self._oldest()) is not None and now_s - oldest.entries[0][-1] > self._ttl_s:
            is_safe = oldest.first <= self.safe
            if oldest.network is not Network.MESH:
                self.settled += is_safe
                self.snoop_dropped += not is_safe
            elif is_safe:
                self.overdue.add(oldest.first)
            else:
                self.expired += 1
                self.receipts.let_go(oldest.first, "expired")
            self._drop(1)
        self._expires_s = (now_s if oldest is None else oldest.entries[0][-1]) + self._ttl_s

    @property
    def has_unsent(self) -> bool:
        """True while there are events that no daemon has been given on this connection."""
        return bool(self._unsent)

    @property
    def unsafe(self) -> int:
        """Events that would be lost if this process ended now."""
        newest = self._unsent[-1] if self._unsent else self._sent[-1] if self._sent else None
        return 0 if newest is None else max(0, newest.last - max(self.safe, self.front - 1))

    def __len__(self) -> int:
        return sum(len(run.entries) for runs in (self._sent, self._unsent) for run in runs)

    def _make_room(self, size: int, on_full: OnFull) -> bool:
        while self._held_bytes + size > self._window_bytes and (oldest := self._oldest()) is not None:
            is_safe = oldest.first <= self.safe
            if oldest.network is not Network.MESH:
                self.settled += is_safe  # the daemon has it; nothing more is promised for it
                self.snoop_dropped += not is_safe
            elif is_safe:
                self.uninsured += 1
            elif on_full == "drop_oldest":
                self.evicted += 1
                self.receipts.let_go(oldest.first, "evicted")
            else:
                return False
            self._drop(1)
        return self._held_bytes + size <= self._window_bytes

    @property
    def front(self) -> int:
        """The sequence number of the oldest event, or of the next one."""
        oldest = self._oldest()
        return oldest.first if oldest is not None else self.last_sequence + 1

    def _oldest(self) -> _Run | None:
        return self._sent[0] if self._sent else self._unsent[0] if self._unsent else None

    def _drop(self, count: int) -> None:
        """Let go of the oldest `count` events, all of one run."""
        runs = self._sent or self._unsent
        run = runs[0]
        size = run.size
        if count == len(run.entries):
            runs.popleft()
        else:
            size = sum(heading.size + len(data) for heading, _, data, _ in run.entries[:count])
            del run.entries[:count]
            run.first += count
            run.size -= size
        self._held_bytes -= size + count * ENTRY_BYTES
        if 2 * self._held_bytes < self._window_bytes:
            self.is_told_full = False
