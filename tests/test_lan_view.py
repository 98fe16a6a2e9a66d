"""What people see of the LAN and ask of its search, over a discovery that is played by hand."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mirosd.core.addresses import AddressError
from mirosd.core.settings import DiscoverySettings, LanSettings, Settings
from mirosd.core.shown import LanCache, Recce, RecceRow
from mirosd.lan_view import BEGUN_S, Lan, LanOffError, SearchNotBegunError, why_off
from mirosd.localapi.board import Board
from tests.backends.virtual_time import run_virtually

ASKED = RecceRow("10.0.0.7", "alive", "02:00:00:00:00:07", "ab" * 16, "", "", 0.4217)
PROVED = RecceRow("10.0.0.7", "alive", "02:00:00:00:00:07", "ab" * 16, "h2", "proved", 0.4217)
SILENT = RecceRow("10.0.0.8", "dead", "", "", "", "", None)


class FakeDiscovery:
    """Notes what is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def recce(self) -> None:
        self.asked.append("recce")

    def flush_cache(self) -> None:
        self.asked.append("flush")

    def sight(self, addresses: tuple[str, ...]) -> None:
        self.asked.append(addresses)


class Play:
    """A view, what it asked, and the rows that it has shown."""

    def __init__(self, off: str = "") -> None:
        self.board = Board(asyncio.get_running_loop())
        self.discovery = FakeDiscovery()
        self.lan = Lan(self.board, self.discovery, off)  # type: ignore[arg-type]
        self.rows: list[dict[str, Any]] = []
        self.board.show_recce(Recce(3, "private_search", (SILENT,), is_complete=True))

    async def row(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    async def asked(self, count: int) -> None:
        while len(self.discovery.asked) < count:
            await asyncio.sleep(0)

    async def show(self, number: int, state: str, *rows: RecceRow, is_complete: bool = False) -> None:
        """Let the chart show a search, and whoever waits for it see it."""
        self.board.show_recce(Recce(number, state, rows, is_complete=is_complete))
        for _ in range(5):
            await asyncio.sleep(0)


def played(play: Callable[[Play], Awaitable[None]], off: str = "") -> None:
    """Run a play on a clock that goes on by itself when all wait."""

    async def main() -> None:
        await play(Play(off))

    run_virtually(main())


def display(row: RecceRow, took_ms: float | None) -> dict[str, Any]:
    """Give a row as it crosses the socket."""
    fields = {name: getattr(row, name) for name in ("address", "neighbour", "mac", "name", "verdict")}
    return {**fields, "node": row.answer, "took_ms": took_ms}


def test_a_search_is_shown_as_it_goes() -> None:
    """Each address when it is new or otherwise, the state behind what changed; what was before, or stays, is not."""

    async def play(p: Play) -> None:
        asking = asyncio.ensure_future(p.lan.recce([], 30.0, p.row))
        await p.asked(1)
        await p.show(3, "private_search", ASKED)
        assert [] == p.rows
        await p.show(4, "fill_arp_table", ASKED)
        await p.show(4, "fill_arp_table", ASKED)
        await p.show(4, "recce_rabbit_consumers", ASKED, SILENT)
        await p.show(4, "recce_rabbit_consumers", PROVED, SILENT)
        await p.show(4, "private_search", PROVED, SILENT, is_complete=True)

        assert {"number": 4, "is_complete": True, "found": 1} == await asking
        assert [
            {"number": 4, "state": "fill_arp_table"},
            display(ASKED, 0.422),
            {"number": 4, "state": "fill_arp_table"},
            display(SILENT, None),
            {"number": 4, "state": "recce_rabbit_consumers"},
            display(PROVED, 0.422),
            {"number": 4, "state": "recce_rabbit_consumers"},
            {"number": 4, "state": "private_search"},
        ] == p.rows
        assert ["recce"] == p.discovery.asked

    played(play)


def test_a_search_that_is_on_is_waited_for_and_another_follows() -> None:
    """What was begun before the question does not answer it."""

    async def play(p: Play) -> None:
        await p.show(4, "fill_arp_table")
        asking = asyncio.ensure_future(p.lan.recce([], 30.0, p.row))
        await p.asked(1)
        await p.show(4, "private_search", PROVED, is_complete=True)
        assert not asking.done()
        await p.show(5, "private_search", is_complete=True)

        assert {"number": 5, "is_complete": True, "found": 0} == await asking

    played(play)


@pytest.mark.parametrize(("number", "found"), [(3, 0), (4, 1)])
def test_a_search_that_is_not_over_in_time_is_told_as_far_as_it_is(number: int, found: int) -> None:
    """One that has not begun has found nobody."""

    async def play(p: Play) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        asking = asyncio.ensure_future(p.lan.recce([], 2.5, p.row))
        await p.asked(1)
        await p.show(number, "fill_arp_table", PROVED)

        assert {"number": number, "is_complete": False, "found": found} == await asking
        assert 2.5 == pytest.approx(loop.time() - began_s)

    played(play)


def test_a_search_that_follows_at_once_is_told_from_its_beginning() -> None:
    """When nobody saw the end of the one before: every row again, as it sees the LAN anew."""

    async def play(p: Play) -> None:
        asking = asyncio.ensure_future(p.lan.recce([], 30.0, p.row))
        await p.asked(1)
        await p.show(4, "fill_arp_table", ASKED, SILENT)
        await p.show(5, "fill_arp_table", ASKED)
        await p.show(5, "private_search", PROVED, is_complete=True)

        assert {"number": 5, "is_complete": True, "found": 1} == await asking
        assert [
            {"number": 4, "state": "fill_arp_table"},
            display(ASKED, 0.422),
            display(SILENT, None),
            {"number": 4, "state": "fill_arp_table"},
            {"number": 5, "state": "fill_arp_table"},
            display(ASKED, 0.422),
            {"number": 5, "state": "fill_arp_table"},
            display(PROVED, 0.422),
            {"number": 5, "state": "private_search"},
        ] == p.rows

    played(play)


def test_a_host_with_two_addresses_is_found_once() -> None:
    """A row without an answer of its own was proved by a scout that was sent all the same."""
    scouted = [dataclasses.replace(SILENT, address=f"10.0.0.{number}", verdict="proved") for number in (8, 9)]
    rows = (PROVED, dataclasses.replace(PROVED, address="fe80::7%eth0"), *scouted)

    async def play(p: Play) -> None:
        asking = asyncio.ensure_future(p.lan.recce([], 30.0, p.row))
        await p.asked(1)
        await p.show(4, "private_search", *rows, is_complete=True)

        assert 3 == (await asking)["found"]

    played(play)


def test_addresses_are_named_before_the_search() -> None:
    """Each once, in its one spelling."""

    async def play(p: Play) -> None:
        asking = asyncio.ensure_future(p.lan.recce(["10.0.0.9", "10.0.0.7", "10.0.0.9 "], 0.1, p.row))
        await asking

        assert [("10.0.0.9", "10.0.0.7"), "recce"] == p.discovery.asked

    played(play)


def test_what_is_no_address_ends_the_question() -> None:
    """And nothing is searched."""

    async def play(p: Play) -> None:
        with pytest.raises(AddressError):
            await p.lan.recce(["10.0.0.7", "u@h"], 0.1, p.row)

        assert [] == p.discovery.asked

    played(play)


def test_a_client_that_reads_slowly_misses_nothing_that_lasts() -> None:
    """What happens while a row is sent is looked at afterwards."""

    async def play(p: Play) -> None:
        has_room = asyncio.Event()

        async def slow(row: dict[str, Any]) -> None:
            await has_room.wait()
            await p.row(row)

        asking = asyncio.ensure_future(p.lan.recce([], 30.0, slow))
        await p.asked(1)
        await p.show(4, "fill_arp_table", ASKED)
        await p.show(4, "private_search", PROVED, is_complete=True)
        has_room.set()

        assert (await asking)["is_complete"]
        assert {"number": 4, "state": "private_search"} in p.rows
        assert display(PROVED, 0.422) == [row for row in p.rows if "address" in row][-1]

    played(play)


def test_a_cache_is_shown_as_old_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ages go on from when it was read; a URL's user and password are nobody's business."""
    monkeypatch.setattr(time, "monotonic", lambda: 1100.0)
    urls = ("amqp://10.0.0.7:5672/", "amqp://bob:dobbs@10.0.0.8:5672/", "amqp://a:b/c@h@10.0.0.9:5672/")
    cache = LanCache(("10.0.0.7",), urls, 30.0, 60.0, 1740.0, 1000.0, "odd")

    async def play(p: Play) -> None:
        p.board.show_lan_cache(cache)

        assert {
            "addresses": ["10.0.0.7"],
            "amqp_urls": ["amqp://10.0.0.7:5672/", "amqp://10.0.0.8:5672/", "amqp://10.0.0.9:5672/"],
            "time_out_in_minutes": 30.0,
            "age_s": 160.0,
            "expires_s": 1640.0,
            "problem": "odd",
        } == p.lan.cache()
        monkeypatch.setattr(time, "monotonic", lambda: 9000.0)
        assert 0.0 == p.lan.cache()["expires_s"]

    played(play)


def test_a_cache_that_was_not_read_has_no_age() -> None:
    """As in a daemon's first moment."""

    async def play(p: Play) -> None:
        assert (None, None, []) == tuple(p.lan.cache()[name] for name in ("age_s", "expires_s", "addresses"))

    played(play)


def test_a_flush_returns_when_the_search_has_begun() -> None:
    """Not before: who looks at the cache then sees it empty, or what was found anew."""

    async def play(p: Play) -> None:
        asking = asyncio.ensure_future(p.lan.flush_cache())
        await p.asked(1)
        await p.show(3, "private_search")
        assert not asking.done()
        await p.show(4, "fill_arp_table")

        assert {"number": 4} == await asking
        assert ["flush"] == p.discovery.asked

    played(play)


def test_a_flush_that_leads_to_no_search_is_an_error() -> None:
    """In the end, with where to look."""

    async def play(p: Play) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(SearchNotBegunError, match="mirosctl status"):
            await p.lan.flush_cache()

        assert BEGUN_S == pytest.approx(loop.time() - began_s)

    played(play)


def test_where_the_search_is_off_everything_says_what_to_set() -> None:
    """And nothing is asked of discovery."""

    async def play(p: Play) -> None:
        for ask in (lambda: p.lan.recce([], 1.0, p.row), p.lan.flush_cache, as_coroutine(p.lan.cache)):
            with pytest.raises(LanOffError, match="set this"):
                await ask()

        assert [] == p.discovery.asked

    played(play, off="set this")


def as_coroutine(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Give a coroutine function that calls it."""

    async def call() -> Any:
        return function()

    return call


def test_why_the_search_is_off() -> None:
    """By its setting, or because nobody else could be reached; else it is on."""
    off = Settings(discovery=DiscoverySettings(lan=LanSettings(enabled=False)))

    assert "" == why_off(Settings(), is_alone=False)
    assert "`discovery.lan.enabled: true`" in why_off(off, is_alone=False)
    assert "name a RabbitMQ there" in why_off(Settings(), is_alone=True)
