"""One distinct broker: what it is owed, oldest first, whatever happens to the connection.

What is pending belongs to the broker, not to a connection: a new connection begins
with the oldest unconfirmed body, after the old one was aborted. So what is published
to one broker is either new or a repeat from an earlier point, which is what makes
de-duplication by highest sequence number exact.

A restart of the daemon is the exception, and takes nothing that was promised: programs
hand over again what is not settled, and an event that this broker was not owed any more
(`overflow`), or not yet (it joined later), may follow newer ones. It is dropped as a repeat.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from mirosd.bridge.body import Body, Verdict
from mirosd.core.broker import Link, Outcome
from mirosd.core.shown import Board

MAX_IN_FLIGHT = 256
"""Bodies published and not yet confirmed: 16 MiB and 65,536 events at the most; enough to keep a broker
busy over a link of 100 ms, and little enough that a lost connection repeats seconds, not minutes."""

HIGH_WATER_BYTES = 8 * 1024 * 1024
"""Bytes owed to a broker that does confirm: above, or above half of the lane's bound, clients are not read; below half
of that again."""

PROGRESS_S = 1.0
"""A broker that has confirmed nothing for this long holds nobody back: its absence may delay no one."""

STALLED_S = 5.0
"""A broker that is connected and has confirmed nothing for this long hangs: what it owes is as safe as if it were away,
so that it fills nobody's window. As long as peers may be silent; a disk that syncs slowly takes a second."""

EXPIRY_STEP_S = 0.25
"""The least time between two looks at what has expired, each of which goes through all that waits: with a look for each
of 500 bodies a second, of which 25,000 wait, the daemon did nothing else (measured)."""

BODY_BYTES = 512
"""What Python needs around a body that is owed, measured (533 with one record): without it small bodies take four
times the bound."""


class _Debt:
    """A body owed to this lane's broker; `unsafe` while the broker takes bodies.

    `was_sent` once it was lost with a connection before it was confirmed: the broker may have it.
    """

    __slots__ = ("body", "sent_s", "unsafe", "was_sent")

    def __init__(self, body: Body, unsafe: bool) -> None:
        self.body, self.unsafe = body, unsafe
        self.was_sent = False
        self.sent_s = 0.0  # when it was published last

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        return len(self.body.sealed) + BODY_BYTES


class Lane:
    """The bodies owed to one broker. Thread: loop.

    Args:
        name: for people and logs.
        max_bytes: bound of what is pending, with what Python needs for it, half of it at most
            unconfirmed; beyond it the oldest body that waits is dropped for this broker
            alone, counted `overflow`.
        on_relief: called when the lane no longer holds senders back.
    """

    def __init__(self, name: str, *, max_bytes: int, board: Board, on_relief: Callable[[], None]) -> None:
        self.name = name
        self.pending_bytes = 0
        self._max_bytes, self._board, self._on_relief = max_bytes, board, on_relief
        self._high_bytes = min(HIGH_WATER_BYTES, max_bytes // 2)
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._is_blocked = self._is_stalled = False
        self._waiting: deque[_Debt] = deque()
        self._in_flight: dict[int, _Debt] = {}
        self._in_flight_bytes = 0
        self._next_tag = 0
        self._progress_s = self._loop.time()
        self._look: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Connected, and the broker reads."""
        return self._link is not None and not self._is_blocked

    @property
    def is_idle(self) -> bool:
        """Nothing is owed."""
        return not self._waiting and not self._in_flight

    @property
    def oldest(self) -> Body | None:
        """The oldest body that is owed; None when none is."""
        debt = next(iter(self._in_flight.values()), self._waiting[0] if self._waiting else None)
        return None if debt is None else debt.body

    def holds_back(self, *, is_holding: bool) -> bool:
        """Tell whether senders should wait (go on waiting, if they are) for this broker."""
        is_confirming = self._loop.time() - self._progress_s < PROGRESS_S
        bound = self._high_bytes // 2 if is_holding else self._high_bytes
        return self.is_open and is_confirming and self.pending_bytes > bound

    def owe(self, body: Body) -> None:
        """Owe one more body to the broker."""
        is_unsafe = self.is_open and not self._is_stalled
        body.owe(is_connected=is_unsafe)
        if self.is_idle:
            self._progress_s = self._loop.time()
        debt = _Debt(body, is_unsafe)
        self._waiting.append(debt)
        self.pending_bytes += debt.size
        self._publish()
        while self.pending_bytes > self._max_bytes and self._waiting:
            self._give_up(self._waiting.popleft(), "overflow")
        self._watch()

    def flush(self) -> None:
        """Send now what was published."""
        if self._link is not None:
            self._link.flush()

    def opened(self, link: Link) -> None:
        """A connection is there: publish what is owed, oldest first."""
        self._link, self._is_blocked = link, link.is_blocked
        self._board.measures.opened["mesh"] += 1
        self._resume()

    def lost(self) -> None:
        """The connection is gone: what was not confirmed is owed again, before everything newer."""
        self._link = None
        for debt in self._in_flight.values():
            debt.was_sent = True
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._set_safe()
        self._looked()

    def blocked(self, is_blocked: bool) -> None:
        """The broker stopped or resumed reading (an alarm there)."""
        self._is_blocked = is_blocked
        if is_blocked:
            self._set_safe()
        else:
            self._resume()

    def close(self) -> None:
        """Owe nothing any more: the last peer behind this broker is gone."""
        self._link = None
        for debt in (*self._in_flight.values(), *self._waiting):
            self._give_up(debt, "forgotten")
        self._in_flight.clear()
        self._waiting.clear()
        self._stop_watching()

    def stop(self) -> int:
        """The daemon stops: give how many events were owed. None is counted: programs hand them to the next start."""
        self._link = None
        events = sum(debt.body.count for debt in (*self._in_flight.values(), *self._waiting))
        self._in_flight.clear()
        self._waiting.clear()
        self._stop_watching()
        return events

    def dissolve(self) -> None:
        """Owe nothing any more: another lane owes the same to this broker. Only before any connection."""
        for debt in self._waiting:
            debt.body.answered("dissolved", was_unsafe=debt.unsafe)
        self._waiting.clear()
        self.pending_bytes = 0
        self._stop_watching()

    def _resume(self) -> None:
        self._progress_s, self._is_stalled = self._loop.time(), False
        self._publish()
        self._watch()

    def _publish(self) -> None:
        while self.is_open and self._waiting and self._has_room_for(self._waiting[0]):
            debt = self._waiting.popleft()
            body = debt.body
            now_s = self._loop.time()
            left_ms = int((body.expires_s - now_s) * 1000)
            if left_ms <= 0:
                self._give_up(debt, "expired")
                continue
            tag = self._next_tag = self._next_tag + 1
            debt.sent_s = now_s
            self._in_flight[tag] = debt
            self._in_flight_bytes += debt.size
            assert self._link is not None  # is_open
            self._link.publish(
                body.exchange,
                body.routing_key,
                body.sealed,
                persistent=True,
                mandatory=True,
                expiration_ms=left_ms,
                headers={"records": body.count},
                on_outcome=lambda outcome, tag=tag: self._answered(tag, outcome),  # type: ignore[misc]
            )

    def _answered(self, tag: int, outcome: Outcome) -> None:
        debt = self._in_flight.pop(tag, None)
        if debt is None:  # of a connection that was lost meanwhile
            return
        self._progress_s, self._is_stalled = self._loop.time(), False
        self._board.measures.answer(outcome, debt.body.count, self._progress_s - debt.sent_s)
        was_high = self.pending_bytes >= self._high_bytes // 2
        self.pending_bytes -= debt.size
        self._in_flight_bytes -= debt.size
        is_nacked = outcome is Outcome.NACKED  # not sent again: order is kept, and it is counted
        if is_nacked:
            self._board.count("nacked", debt.body.count)
        verdict: Verdict = "nacked" if is_nacked else "confirmed" if outcome is Outcome.CONFIRMED else "unroutable"
        debt.body.answered(verdict, was_unsafe=debt.unsafe)
        self._publish()
        if was_high and self.pending_bytes < self._high_bytes // 2:
            self._on_relief()

    def _has_room_for(self, debt: _Debt) -> bool:
        """What is unconfirmed cannot be dropped: it has half of the bound, or is a single body."""
        is_small = self._in_flight_bytes + debt.size <= self._max_bytes // 2
        return not self._in_flight or (is_small and len(self._in_flight) < MAX_IN_FLIGHT)

    def _give_up(self, debt: _Debt, verdict: Verdict) -> None:
        self.pending_bytes -= debt.size
        self._board.count("unconfirmed" if debt.was_sent else verdict, debt.body.count)
        debt.body.answered(verdict, was_unsafe=debt.unsafe)

    def _set_safe(self) -> None:
        for debt in (*self._in_flight.values(), *self._waiting):
            if debt.unsafe:
                debt.unsafe = False
                debt.body.set_safe()
        self._on_relief()

    def _watch(self) -> None:
        """Look again when the oldest body that waits expires, or the broker may have stalled."""
        if self._look is None and not self.is_idle:
            left_s = self._waiting[0].body.expires_s - self._loop.time() if self._waiting else STALLED_S
            self._look = self._loop.call_later(max(min(left_s, STALLED_S), EXPIRY_STEP_S), self._looked)

    def _looked(self) -> None:
        self._stop_watching()
        now_s = self._loop.time()
        expired = [debt for debt in self._waiting if debt.body.expires_s <= now_s]
        if expired:  # anywhere: after a restart programs hand over again what they have, each in its turn
            self._waiting = deque(debt for debt in self._waiting if debt.body.expires_s > now_s)
            for debt in expired:
                self._give_up(debt, "expired")
        if self._in_flight and now_s - self._progress_s >= STALLED_S:
            self._is_stalled = True
            self._set_safe()
        self._watch()

    def _stop_watching(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
