"""From clients to brokers: gather records, seal them once, owe the body to every lane.

Under load one socket read brings many records, and those with one routing key share
a body; an idle client's single event goes at once. This adaptive gathering is what
the ancestor's tempo control was for. A record with another routing key closes the
open body, so that a source is never reordered.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from mirosd.bridge.account import Account
from mirosd.bridge.body import Body, Share
from mirosd.bridge.lane import PROGRESS_S, Lane
from mirosd.core.envelope import Envelope
from mirosd.core.interfaces import ClientSession
from mirosd.core.shown import Board
from mirosd_client.limits import MAX_BODY_BYTES, MAX_RECORDS
from mirosd_client.record import Span, after_sequence
from mirosd_client.wire import Events, Network

FORGET_ACCOUNT_S = 60.0
"""How long a client that went away may come back to its account: as long as its events can be on their way."""

MAX_AWAY = 1024
"""Clients that went away and may come back, 2 KB each: who connects and leaves in a loop is another one each time. One
that is forgotten hands its events over again, and those who had them drop them."""

SETTLED = Body("", "", b"", 0.0, [])
SETTLED.handed_out()
"""Owed by nobody: where snoop records are accounted, which no broker's answer is waited for."""


class Snoop(Protocol):
    """Where snoop records go (snoop.SnoopOutbound)."""

    def take(self, events: Events, records: int) -> None:
        """Take a run of records."""

    def flush(self) -> None:
        """Send what was gathered."""


class Outbound:
    """From clients to lanes; snoop records are handed on. Thread: loop.

    Args:
        envelope: the mesh's; None on a host without its key, where sessions take no events (localapi.session).
        lanes: gives the delivery set, the own broker's lane included.
        owed: gives those of them that a routing key's bodies are owed to.
        ttl_s: life of an event, counted from `transmit()`: records carry their age.
    """

    def __init__(
        self,
        envelope: Envelope | None,
        exchange: str,
        lanes: Callable[[], Iterable[Lane]],
        owed: Callable[[str], list[Lane]],
        snoop: Snoop,
        *,
        ttl_s: float,
        board: Board,
    ) -> None:
        self._envelope, self._exchange, self._lanes, self._owed = envelope, exchange, lanes, owed
        self._snoop, self._ttl_s, self._board = snoop, ttl_s, board
        self._loop = asyncio.get_running_loop()
        self._accounts: dict[str, Account] = {}
        self._away: dict[str, asyncio.TimerHandle] = {}  # who left first comes first
        self._changed: set[Account] = set()
        self._paused: set[ClientSession] = set()
        self._routing_key = ""
        self._records: list[bytes] = []
        self._bytes = 0
        self._count = 0
        self._expires_s = 0.0
        self._entries: list[tuple[Account, int, int]] = []  # account, last sequence, records

    def attached(self, session: ClientSession) -> None:
        """A client connected, for the first time or again."""
        if session.client in self._away:
            self._away.pop(session.client).cancel()
        account = self._accounts.get(session.client)
        if account is None:
            account = self._accounts[session.client] = Account(
                session.client, self._note_change, self._note_unroutable, self._loop.time
            )
        account.attach(session)

    def detached(self, session: ClientSession) -> None:
        """A client's connection ended."""
        self._paused.discard(session)
        account = self._accounts.get(session.client)
        if account is not None and account.session is session:
            account.detach()
            self._away[session.client] = self._loop.call_later(FORGET_ACCOUNT_S, self._forget, session.client)
            if len(self._away) > MAX_AWAY:
                self._forget(next(iter(self._away)))

    def events(self, session: ClientSession, events: Events, span: Span) -> None:
        """Take a run of records into the open body; flush() sends it."""
        account = self._accounts[session.client]
        records, count = events.records, span.records
        if span.first_sequence <= account.highest:
            records, count = after_sequence(records, account.highest)
            if not count:
                return
        account.highest = span.last_sequence
        if events.network is not Network.MESH:
            self._snoop.take(events._replace(records=records), count)
            account.entered(span.last_sequence, SETTLED)
            self._note_change(account)
            return
        is_full = self._bytes + len(records) > MAX_BODY_BYTES or self._count + count > MAX_RECORDS
        if self._records and (is_full or events.routing_key != self._routing_key):
            self._close_body()
        if not self._records:  # the oldest record decides for all of the body: they are milliseconds apart
            self._expires_s = self._loop.time() + self._ttl_s - span.age_ms / 1000
        self._routing_key = events.routing_key
        self._records.append(records)
        self._bytes += len(records)
        self._count += count
        self._entries.append((account, span.last_sequence, count))
        if any(lane.holds_back(is_holding=False) for lane in self._lanes()):
            self._pause(session)

    def follow(self, session: ClientSession, sequences: Iterable[int]) -> None:
        """A client wants to know what becomes of events that it is about to hand over."""
        self._accounts[session.client].follow(sequences)

    def flush(self) -> None:
        """Send what was gathered."""
        if self._records:
            self._close_body()
            for lane in self._lanes():
                lane.flush()
        self._snoop.flush()

    def relieved(self) -> None:
        """A lane may no longer hold senders back: if none does, read them again."""
        if self._paused and not any(lane.holds_back(is_holding=True) for lane in self._lanes()):
            for session in self._paused:
                session.resume()
            self._paused.clear()

    def _pause(self, session: ClientSession) -> None:
        session.pause()
        if not self._paused:
            self._loop.call_later(PROGRESS_S, self._look_again)
        self._paused.add(session)

    def _look_again(self) -> None:
        """A lane whose broker stopped confirming tells nobody: look."""
        self.relieved()
        if self._paused:
            self._loop.call_later(PROGRESS_S, self._look_again)

    def display(self, client: str) -> dict[str, int]:
        """Give what people may see of a client's events (account.py)."""
        return self._accounts[client].display()

    @property
    def is_idle(self) -> bool:
        """True when nothing that clients handed over is on its way."""
        return all(account.is_empty for account in self._accounts.values())

    def _close_body(self) -> None:
        assert self._envelope is not None  # else nothing came here
        sealed = self._envelope.seal_records(b"".join(self._records), 0, self._routing_key)
        self._board.measures.sent[Network.MESH] += self._count
        shares = [Share(account, count) for account, _, count in self._entries]
        body = Body(self._exchange, self._routing_key, sealed, self._expires_s, shares)
        for account, sequence, _ in self._entries:
            account.entered(sequence, body)
        self._records, self._entries, self._bytes, self._count = [], [], 0, 0
        lanes = self._owed(self._routing_key)
        for lane in lanes:
            lane.owe(body)
        body.handed_out()

    def _note_change(self, account: Account) -> None:
        if not self._changed:
            self._loop.call_soon(self._report)
        self._changed.add(account)

    def _report(self) -> None:
        changed, self._changed = self._changed, set()
        for account in changed:
            account.report()

    def _note_unroutable(self, count: int) -> None:
        self._board.count("unroutable", count)

    def _forget(self, client: str) -> None:
        self._away.pop(client).cancel()
        del self._accounts[client]
