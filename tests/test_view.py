"""What people may see and change, over a board that is filled by hand."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mirosd.core.node_names import NodeUnknownError
from mirosd.core.shown import PeerRow
from mirosd.localapi.board import Board
from mirosd.payloads import StageReport
from mirosd.view import WRITTEN_S, PeerStaysError, View
from tests.backends.virtual_time import run_virtually
from tests.charts.fakes import FakeProber

NODE = "ab" * 16
STAGE = StageReport("tcp", "ok", "10.0.0.7:5672", 0.5)


def peer(name: str = "h2", node: str = NODE, **fields: Any) -> PeerRow:
    facts: dict[str, Any] = {"address": "10.0.0.7, 10.0.0.8:5673", "state": "alive", "reason": "", "sources": ("lan",)}
    return PeerRow(node, name, networks=("mesh",), rtt_ms=1.23456, last_heard_s=999.0, **facts | fields)


class Play:
    """A view over a fake discovery that notes what it is asked."""

    def __init__(self) -> None:
        self.board = Board(asyncio.get_running_loop())
        self.asked: list[tuple[str, str]] = []
        discovery = SimpleNamespace(
            forget=lambda node: self.asked.append(("forget", node)),
            allow=lambda node: self.asked.append(("allow", node)),
            man_net=SimpleNamespace(lists=SimpleNamespace(paths=("/etc/hosts.json", "/var/hosts.json"))),
        )
        self.prober = FakeProber()
        options: Any = {"keys": None, "prober": self.prober, "lan_off": "off"}
        self.view = View(self.board, discovery, None, {}, **options)  # type: ignore[arg-type]


def played(play: Callable[[Play], Awaitable[None]]) -> None:
    """Run a play on a clock that goes on by itself when all wait."""

    async def main() -> None:
        await play(Play())

    run_virtually(main())


def test_a_peer_is_shown_with_all_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times as ages, what is not known as None; the names are a contract."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    known = peer(
        clock_ahead_s=1.23456, incarnation=7, flaps=2, since_s=940.0, previous=(("10.0.0.5", 400.0),), stages=(STAGE,)
    )

    async def play(p: Play) -> None:
        p.board.show_peers([known, peer("h1", "cd" * 16)])
        first, second = p.view.peers()

        assert {
            "node": NODE,
            "name": "h2",
            "address": "10.0.0.7, 10.0.0.8:5673",
            "state": "alive",
            "reason": "",
            "sources": ["lan"],
            "networks": ["mesh"],
            "rtt_ms": 1.235,
            "last_seen_s": 1.0,
            "wire": "2",
            "incarnation": 7,
            "flaps": 2,
            "since_s": 60.0,
            "previous": [{"address": "10.0.0.5", "age_s": 600.0}],
            "clock_ahead_s": 1.235,
            "stages": [{"stage": "tcp", "code": "ok", "detail": "10.0.0.7:5672", "took_ms": 0.5}],
        } == second
        assert ("h1", None, []) == (first["name"], first["since_s"], first["previous"])

    played(play)


def test_a_peer_is_forgotten_when_it_is_off_the_table() -> None:
    """Not before; it is named by the beginning of its id here."""

    async def play(p: Play) -> None:
        p.board.show_peers([peer()])
        asking = asyncio.ensure_future(p.view.forget_peer("abab"))
        while not p.asked:
            await asyncio.sleep(0)
        p.board.show_peers([peer(state="left")])
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        p.board.show_peers([])

        assert {"node": NODE, "name": "h2"} == await asking
        assert [("forget", NODE)] == p.asked

    played(play)


def test_a_peer_that_stays_is_an_error() -> None:
    """In the end, rather than a wrong word."""

    async def play(p: Play) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        p.board.show_peers([peer()])
        with pytest.raises(PeerStaysError, match="h2 is still in the peers table"):
            await p.view.forget_peer("h2")

        assert WRITTEN_S == pytest.approx(loop.time() - began_s)

    played(play)


@pytest.mark.parametrize(("listed", "local"), [(("10.0.0.8:5673",), ()), ((), ("10.0.0.7",))])
def test_a_listed_peer_is_not_forgotten(listed: tuple[str, ...], local: tuple[str, ...]) -> None:
    """It would be back at once: what to do first is said, and nothing is asked."""

    async def play(p: Play) -> None:
        p.board.show_peers([peer()])
        p.board.show_hosts(listed, local)
        with pytest.raises(PeerStaysError, match=f"`mirosctl hosts remove {(listed or local)[0]}`"):
            await p.view.forget_peer("h2")

        assert [] == p.asked

    played(play)


def test_one_is_allowed_by_its_name_or_by_a_whole_id() -> None:
    """A whole id means itself, on the table or not: who was forgotten is on no table."""

    async def play(p: Play) -> None:
        p.board.show_peers([peer()])

        assert {"node": NODE, "name": "h2"} == await p.view.allow_peer("h2")
        assert {"node": NODE, "name": "h2"} == await p.view.allow_peer(NODE.upper())
        assert {"node": "cd" * 16, "name": ""} == await p.view.allow_peer("cd" * 16)
        with pytest.raises(NodeUnknownError):
            await p.view.allow_peer("cdcd")
        assert [("allow", NODE), ("allow", NODE), ("allow", "cd" * 16)] == p.asked

    played(play)


def test_nobody_unknown_is_forgotten() -> None:
    """Nothing is asked."""

    async def play(p: Play) -> None:
        with pytest.raises(NodeUnknownError):
            await p.view.forget_peer("h2")

        assert [] == p.asked

    played(play)


def test_hosts_are_shown_with_their_file() -> None:
    """Sorted; one may stand in both."""

    async def play(p: Play) -> None:
        p.board.show_hosts(("b", "a"), ("a",))

        assert [
            {"host": "a", "source": "file", "file": "/etc/hosts.json"},
            {"host": "a", "source": "local", "file": "/var/hosts.json"},
            {"host": "b", "source": "file", "file": "/etc/hosts.json"},
        ] == p.view.hosts()

    played(play)


def test_an_address_is_scouted_by_the_prober_for_people() -> None:
    """Its rows and its result go to who asked."""

    async def play(p: Play) -> None:
        rows = []

        async def take(row: dict[str, Any]) -> None:
            rows.append(row)

        asking = asyncio.ensure_future(p.view.scout("10.0.0.7", take))
        while not p.prober.probes:
            await asyncio.sleep(0)
        p.prober.probes[0].complete("tcp(silent)", None, (STAGE,))

        assert {"address": "10.0.0.7", "code": "tcp(silent)", "peer": None} == await asking
        assert [STAGE._asdict()] == rows

    played(play)
