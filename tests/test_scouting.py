"""One address scouted because somebody asks."""

import asyncio
import threading
from typing import Any

import pytest

from mirosd.charts.scout import DEADLINE_S
from mirosd.core.addresses import AddressError
from mirosd.payloads import Introduction, StageReport
from mirosd.scouting import scout
from tests.backends.virtual_time import run_virtually
from tests.charts.fakes import FakeProber

TCP, AUTH, KEY = (StageReport(stage, "ok", "", 1.0) for stage in ("tcp", "auth", "key"))
REFUSED = StageReport("auth", "auth", "refused", 1.0)
WHO = Introduction("ab" * 16, "h2", 7, "0.1.0", ("mesh",), 0.5)


class Asking:
    """A scouting under way, and the rows that it has shown."""

    def __init__(self, address: str = "10.0.0.7") -> None:
        self.prober = FakeProber()
        self.rows: list[dict[str, Any]] = []
        self.task = asyncio.ensure_future(scout(self.prober, address, self._row))

    async def _row(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    async def probe(self) -> Any:
        while not self.prober.probes:
            await asyncio.sleep(0)
        return self.prober.probes[0]

    async def shown(self, count: int) -> list[str]:
        while len(self.rows) < count:
            await asyncio.sleep(0)
        return [row["stage"] for row in self.rows]


def test_a_proof_shows_each_stage_once_and_who_it_is() -> None:
    """The stages of the connection when it stands, the others behind the challenge; the probe is let go."""

    async def play() -> None:
        asking = Asking("10.0.0.7:5672")
        probe = await asking.probe()
        probe.connected((TCP, AUTH))
        assert ["tcp", "auth"] == await asking.shown(2)
        while "challenge" not in probe.asked:
            await asyncio.sleep(0)
        probe.complete("", WHO, (TCP, AUTH, KEY))
        peer = {"node": "ab" * 16, "name": "h2", "start": 7, "version": "0.1.0", "networks": ("mesh",)}

        assert {"address": "10.0.0.7:5672", "code": "", "peer": peer} == await asking.task
        assert [TCP._asdict(), AUTH._asdict(), KEY._asdict()] == asking.rows
        assert ["connect", "challenge", "abandon"] == probe.asked

    run_virtually(play())


def test_a_failure_shows_the_stages_until_then() -> None:
    """With the code of the one that failed, and nobody; nothing is challenged."""

    async def play() -> None:
        asking = Asking()
        probe = await asking.probe()
        probe.complete("auth", None, (TCP, REFUSED))

        assert {"address": "10.0.0.7", "code": "auth", "peer": None} == await asking.task
        assert [TCP._asdict(), REFUSED._asdict()] == asking.rows
        assert ["connect", "abandon"] == probe.asked

    run_virtually(play())


def test_answers_may_come_from_another_thread() -> None:
    """As those of a real probe's backend may."""

    async def play() -> None:
        asking = Asking()
        probe = await asking.probe()
        thread = threading.Thread(target=lambda: probe.complete("auth", None, (REFUSED,)))
        thread.start()

        assert "auth" == (await asking.task)["code"]
        thread.join()

    asyncio.run(play())


def test_a_probe_that_never_answers_is_lost_in_the_end() -> None:
    """After the time that a scout's chart gives it, on the loop's own clock."""

    async def play() -> None:
        began_s = asyncio.get_running_loop().time()
        asking = Asking()

        assert "lost" == (await asking.task)["code"]
        assert DEADLINE_S == pytest.approx(asyncio.get_running_loop().time() - began_s)
        assert [("daemon", "lost")] == [(row["stage"], row["code"]) for row in asking.rows]
        assert ["connect", "abandon"] == asking.prober.probes[0].asked

    run_virtually(play())


def test_who_does_not_wait_for_the_answer_leaves_no_probe() -> None:
    """A client that goes away takes its question back."""

    async def play() -> None:
        asking = Asking()
        probe = await asking.probe()
        asking.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking.task

        assert ["connect", "abandon"] == probe.asked

    run_virtually(play())


@pytest.mark.parametrize("address", ["amqp://u:p@h/", "h h", "1.2.3"])
def test_what_is_no_address_is_not_probed(address: str) -> None:
    """It says what is allowed, before anything is sent."""

    async def play() -> None:
        asking = Asking(address)
        with pytest.raises(AddressError):
            await asking.task

        assert [] == asking.prober.probes

    run_virtually(play())


def test_an_address_has_one_spelling() -> None:
    """As hosts files and the peers table have it."""

    async def play() -> None:
        asking = Asking(" MY_Host.Local. ")
        probe = await asking.probe()
        probe.complete("resolve")

        assert "my_host.local" == probe.host == (await asking.task)["address"]

    run_virtually(play())
