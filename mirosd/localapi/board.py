"""What people may see of the daemon: copies that charts and the bridge pin up here.

Nothing is decided from the board; `mirosctl wait` waits for what stands on it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

from mirosd.core.measures import Measures
from mirosd.core.shown import LanCache, PeerRow, Recce


class Board:
    """Peers, manual hosts, the LAN and its cache, why the daemon is degraded, and what was counted (shown.Board).

    Thread: any may write; reading is the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.peers: tuple[PeerRow, ...] = ()
        self.listed_hosts: tuple[str, ...] = ()
        self.local_hosts: tuple[str, ...] = ()
        self.recce = Recce(0, "", (), is_complete=False)
        self.lan_cache: LanCache | None = None
        self.reasons: dict[str, str] = {}
        self.counters: Counter[str] = Counter()
        self.measures = Measures(time.time)
        self._changed = asyncio.Event()

    def show_peers(self, rows: Sequence[PeerRow]) -> None:
        """Replace the peers table."""
        self._call(self._set_peers, tuple(rows))

    def show_hosts(self, listed: Sequence[str], local: Sequence[str]) -> None:
        """Replace the manual hosts."""
        self._call(self._set_hosts, tuple(listed), tuple(local))

    def show_recce(self, recce: Recce) -> None:
        """Replace what was seen of the LAN."""
        self._call(self._set_recce, recce)

    def show_lan_cache(self, cache: LanCache) -> None:
        """Replace the LAN cache."""
        self._call(self._set_lan_cache, cache)

    def raise_reason(self, code: str, detail: str) -> None:
        """The daemon is degraded by `code`."""
        self._call(self._set_reason, code, detail)

    def clear_reason(self, code: str) -> None:
        """`code` no longer holds."""
        self._call(self._set_reason, code, None)

    def count(self, counter: str, amount: int = 1) -> None:
        """Add to a counter."""
        self._call(self._add, counter, amount)

    def changed(self) -> None:
        """Something else that people wait for has changed. Thread: loop."""
        self._changed.set()
        self._changed = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Give what is set when something changes next. Thread: loop."""
        return self._changed

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition()` holds, looked at after each change; False when `timeout_s` is over."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    def _call(self, function: Callable[..., None], *args: object) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            function(*args)
        elif not self._loop.is_closed():  # a chart's last words after the loop has ended reach nobody
            self._loop.call_soon_threadsafe(function, *args)

    def _set_peers(self, rows: tuple[PeerRow, ...]) -> None:
        self.peers = rows
        self.changed()

    def _set_hosts(self, listed: tuple[str, ...], local: tuple[str, ...]) -> None:
        self.listed_hosts, self.local_hosts = listed, local
        self.changed()

    def _set_recce(self, recce: Recce) -> None:
        self.recce = recce
        self.changed()

    def _set_lan_cache(self, cache: LanCache) -> None:
        self.lan_cache = cache
        self.changed()

    def _set_reason(self, code: str, detail: str | None) -> None:
        before = dict(self.reasons)
        if detail is None:
            self.reasons.pop(code, None)
        else:
            self.reasons[code] = detail
        if self.reasons != before:
            self.changed()

    def _add(self, counter: str, amount: int) -> None:
        self.counters[counter] += amount
