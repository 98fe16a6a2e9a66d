"""What people may see of the LAN and ask of its search: localapi.verb.LanView over the discovery charts."""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Any

from mirosd.core.addresses import parse_host
from mirosd.core.settings import Settings
from mirosd.core.shown import Recce, RecceRow
from mirosd.discovery import Discovery
from mirosd.errors import MirosdError
from mirosd.localapi.board import Board
from mirosd.localapi.verb import RowTaker

BEGUN_S = 30.0
"""A search begins at once, or when the one that is on has ended: some seconds, at most a scout's 10."""

PROVED = "proved"
"""The verdict on an address behind which a daemon of this system answered (shown.RecceRow)."""

_USER_INFO = re.compile(r"(?<=://).*@", re.DOTALL)  # also of a password with a slash: nothing behind it has an @


class LanOffError(MirosdError):
    """This host does not search the LAN; the text says what to set."""

    code = "lan_off"


class SearchNotBegunError(MirosdError):
    """A search was asked for and did not begin in time."""

    code = "search_not_begun"


def why_off(settings: Settings, *, is_alone: bool) -> str:
    """Give why the LAN is not searched, and what to do about it; "" when it is searched."""
    if is_alone:
        return "broker.url is memory://, which no other host can reach: name a RabbitMQ there and restart mirosd"
    if not settings.discovery.lan.enabled:
        return "the search of the LAN is off: set `discovery.lan.enabled: true` in the configuration and restart mirosd"
    return ""


class Lan:
    """The search and its cache. Thread: loop.

    Args:
        off: why the LAN is not searched (why_off); "" when it is.
    """

    def __init__(self, board: Board, discovery: Discovery, off: str) -> None:
        self._board, self._discovery, self._off = board, discovery, off

    async def recce(self, addresses: list[str], timeout_s: float, row: RowTaker) -> dict[str, Any]:
        """Search, and show each state and address of the new search as it changes."""
        self._require_on()
        hosts = tuple(dict.fromkeys(str(parse_host(address)) for address in addresses))
        before = self._board.recce.number
        if hosts:
            self._discovery.sight(hosts)
        self._discovery.recce()
        told = _Told(row)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    change = self._board.next_change()  # before looking: what happens while rows are sent is not missed
                    recce = self._board.recce
                    if recce.number > before:
                        await told.tell(recce)
                        if recce.is_complete:
                            break
                    await change.wait()
        except TimeoutError:
            recce = self._board.recce
        is_new = recce.number > before
        return {
            "number": recce.number,
            "is_complete": is_new and recce.is_complete,
            "found": _count_found(recce.rows) if is_new else 0,
        }

    def cache(self) -> dict[str, Any]:
        """The LAN cache, its ages as of now; ages are None while it has not been read."""
        self._require_on()
        cache = self._board.lan_cache
        if cache is None:
            return {
                "addresses": [],
                "amqp_urls": [],
                "time_out_in_minutes": None,
                "age_s": None,
                "expires_s": None,
                "problem": "",
            }
        since_s = time.monotonic() - cache.read_s
        return {
            "addresses": list(cache.addresses),
            "amqp_urls": [_USER_INFO.sub("", url) for url in cache.amqp_urls],
            "time_out_in_minutes": cache.time_out_in_minutes,
            "age_s": round(cache.age_s + since_s, 1),
            "expires_s": round(max(0.0, cache.expires_s - since_s), 1),
            "problem": cache.problem,
        }

    async def flush_cache(self) -> dict[str, Any]:
        """Empty the cache, and wait until the search that follows has begun."""
        self._require_on()
        before = self._board.recce.number
        self._discovery.flush_cache()
        if not await self._board.wait_until(lambda: self._board.recce.number > before, BEGUN_S):
            raise SearchNotBegunError(
                f"the cache is being emptied, and no search has begun within {BEGUN_S:g} s: see `mirosctl status`"
            )
        return {"number": self._board.recce.number}

    def _require_on(self) -> None:
        if self._off:
            raise LanOffError(self._off)


class _Told:
    """What of a search a client has been told: what changed together, and the search's state behind it."""

    def __init__(self, row: RowTaker) -> None:
        self._row = row
        self._search = 0, ""
        self._rows: dict[str, RecceRow] = {}

    async def tell(self, recce: Recce) -> None:
        """Tell what is new."""
        search = recce.number, recce.state
        if recce.number != self._search[0]:
            self._rows.clear()  # another search has followed: it sees the LAN anew
            self._search = search
            await self._tell_state(recce)
        changed = [one for one in recce.rows if self._rows.get(one.address) != one]
        for one in changed:
            self._rows[one.address] = one
            await self._row(_display(one))
        if changed or search != self._search:
            self._search = search
            await self._tell_state(recce)

    async def _tell_state(self, recce: Recce) -> None:
        await self._row({"number": recce.number, "state": recce.state})


def _count_found(rows: Iterable[RecceRow]) -> int:
    """Count the hosts that were proved: one that answers at several addresses is one."""
    return len({row.answer or row.address for row in rows if row.verdict == PROVED})


def _display(row: RecceRow) -> dict[str, Any]:
    return {
        "address": row.address,
        "neighbour": row.neighbour,
        "mac": row.mac,
        "node": row.answer,
        "name": row.name,
        "verdict": row.verdict,
        "took_ms": None if row.took_ms is None else round(row.took_ms, 3),
    }
