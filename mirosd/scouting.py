"""One address scouted because somebody asks, without anything that would follow for discovery.

Whoever asks names the address, which counts as listing it for this one connection: the
account for peers is sent to it, whatever the clearance of other connections says.
"""

import asyncio
from typing import Any

from mirosd.charts.scout import DEADLINE_S
from mirosd.core.addresses import parse_host
from mirosd.core.interfaces import Prober, ProbeResult
from mirosd.localapi.verb import RowTaker
from mirosd.payloads import StageReport
from mirosd.signals import Private

Heard = asyncio.Queue[tuple[int, Any]]


async def scout(prober: Prober, address: str, row: RowTaker) -> dict[str, Any]:
    """Give the result of the verb `scout`, after a row for each stage as soon as it is known. Thread: loop.

    Raises:
        AddressError: `address` is no host as hosts files write one.
    """
    loop = asyncio.get_running_loop()
    host = str(parse_host(address))
    heard: Heard = asyncio.Queue()

    def hear(signal: int, said: Any) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, (signal, said))

    probe = prober.probe(host, hear)
    shown = 0
    try:
        probe.connect()
        while True:
            signal, said = await _next(heard)
            stages = said if signal == Private.try_to_connect_to_consumer else said.stages
            for stage in stages[shown:]:
                await row(stage._asdict())
            shown = max(shown, len(stages))
            if signal != Private.try_to_connect_to_consumer:
                break
            probe.challenge()
    finally:
        probe.abandon()
    who = said.introduction
    peer = None if who is None else {key: getattr(who, key) for key in ("node", "name", "start", "version", "networks")}
    return {"address": host, "code": said.code, "peer": peer}


async def _next(heard: Heard) -> tuple[int, Any]:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await heard.get()
    except TimeoutError:
        lost = StageReport(
            "daemon", "lost", f"no answer of the probe itself within {DEADLINE_S:g} s", DEADLINE_S * 1000
        )
        return Private.consumer_test_complete, ProbeResult("lost", (lost,))
