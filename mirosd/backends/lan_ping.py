"""The ancestor's broadcast ping, for who sets discovery.lan.ping: where hosts answer it, they become neighbours."""

import asyncio
import logging
from collections.abc import Iterable

from mirosd.core.lan_networks import LanNetwork
from mirosd.logs import LogOnChange

WAIT_S = 1
BOUND_S = 3.0
"""Then it is ended: `ping -c 1 -W 1` is done after one second."""

_changes = LogOnChange()


async def ping(networks: Iterable[LanNetwork]) -> None:
    """Ping each IPv4 network's broadcast address once; never raises. In a sandbox it fails: one warning, no harm."""
    await asyncio.gather(
        *(_ping(f"{one.broadcast}") for one in networks if one.broadcast is not None and one.network.version == 4)
    )


async def _ping(broadcast: str) -> None:
    process = None
    reason = ""
    try:
        process = await asyncio.create_subprocess_exec(
            "ping", "-b", "-c", "1", "-W", f"{WAIT_S}", broadcast,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(BOUND_S):
            _, complaint = await process.communicate()
        if process.returncode not in (0, 1):  # 1: nobody answered, as on every Linux that is set up as usual
            lines = complaint.decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"it ended with {process.returncode}"
    except TimeoutError:  # an OSError too
        reason = f"it took more than {BOUND_S:g} s"
    except OSError as exc:
        reason = f"{exc}"
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
    _changes.log(logging.WARNING if reason else logging.DEBUG, "ping_ended", key=broadcast, value=reason, reason=reason)
