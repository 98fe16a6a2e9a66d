"""What people may see and change through the local API: localapi.verbs.DaemonView over the composed daemon."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from mirosd.bridge.bridge import Bridge
from mirosd.core.addresses import parse_host
from mirosd.core.shown import PeerRow
from mirosd.discovery import Discovery
from mirosd.errors import MirosdError
from mirosd.localapi.board import Board

WRITTEN_S = 10.0
"""A hosts file is written in milliseconds, unless thousands of processes want it: the seeds' 5 s twice."""


class HostsUnchangedError(MirosdError):
    """The local hosts file could not be written in time; the reason stands in the status."""

    code = "hosts_unchanged"


class View:
    """Display copies of everything, and the few things that may be asked for. Thread: loop."""

    def __init__(self, board: Board, discovery: Discovery, bridge: Bridge, who: dict[str, str]) -> None:
        self._board, self._discovery, self._bridge, self._who = board, discovery, bridge, who
        self._started_s = time.monotonic()
        self.sessions: Callable[[], list[dict[str, Any]]] = list
        self.is_stopping = False

    @property
    def reasons(self) -> dict[str, str]:
        """Why the daemon is degraded: code and detail."""
        return dict(sorted(self._board.reasons.items()))

    @property
    def state(self) -> str:
        """`starting`, `ready`, `degraded` or `stopping`."""
        if self.is_stopping:
            return "stopping"
        if self._board.reasons:
            return "degraded"
        return "ready" if self._bridge.is_connected else "starting"

    def status(self) -> dict[str, Any]:
        """The result of `status`."""
        bridge = self._bridge
        sessions = self.sessions()
        error = bridge.own_error
        return {
            "state": self.state,
            "reasons": [{"code": code, "detail": detail} for code, detail in self.reasons.items()],
            **self._who,
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "broker": {
                "address": bridge.own_broker.display,
                "state": "connected" if bridge.is_connected else (error.code if error else "connecting"),
                "detail": str(error) if error else "",
            },
            "clients": len(sessions),
            "subscriptions": bridge.inbound.subscriptions.connected,
            "counters": dict(sorted(self._board.counters.items())),
        }

    def peers(self) -> list[dict[str, Any]]:
        """The peers table, sorted."""
        now_s = time.monotonic()
        return [
            _peer(row, now_s) for row in sorted(self._board.peers, key=lambda row: (row.name, row.address, row.node))
        ]

    def next_change(self) -> asyncio.Event:
        """What is set when something that is shown here changes next."""
        return self._board.next_change()

    def clients(self) -> list[dict[str, Any]]:
        """The connected programs, with how far their events have come and what they hear."""
        bridge = self._bridge
        return [
            {
                **row,
                **bridge.outbound.display(row["client"]),
                "charts": bridge.inbound.subscriptions.display(row["client"]),
            }
            for row in self.sessions()
        ]

    async def matching(self, routing_key: str) -> dict[str, Any]:
        """Whom a routing key reaches, by the word of each host."""
        counts = await self._bridge.count_matches(routing_key)
        names = {row.node: row.name for row in self._board.peers}
        return {
            "hosts": sum(bool(count) for count in counts.values()),
            "queues": sum(count or 0 for count in counts.values()),
            "unanswered": sorted(names.get(node, node) for node, count in counts.items() if count is None),
        }

    def hosts(self) -> list[dict[str, Any]]:
        """The manual hosts in force, sorted."""
        rows = [{"host": host, "source": "file"} for host in self._board.listed_hosts]
        rows += [{"host": host, "source": "local"} for host in self._board.local_hosts]
        return sorted(rows, key=lambda row: (row["host"], row["source"]))

    async def add_host(self, host: str) -> None:
        """List a host in the state directory's file."""
        host = str(parse_host(host))
        self._discovery.man_net.add_host(host)
        await self._written(lambda: host in self._board.local_hosts, host)

    async def remove_host(self, host: str) -> None:
        """Take a host off the state directory's file."""
        host = str(parse_host(host))
        if host in self._board.listed_hosts and host not in self._board.local_hosts:
            raise HostsUnchangedError(f"{host} stands in the operator's hosts file: take it out there")
        if host not in self._board.local_hosts:
            raise HostsUnchangedError(f"{host} is not listed; `mirosctl hosts list` shows what is")
        self._discovery.man_net.remove_host(host)
        await self._written(lambda: host not in self._board.local_hosts, host)

    async def reload_hosts(self) -> None:
        """Read the hosts files again."""
        self._discovery.evaluate()

    async def wait_ready(self, peers: int | None, timeout_s: float) -> tuple[bool, str]:
        """Wait until ready, or until `peers` peers are alive both ways."""
        if peers is None:
            is_ready = await self._board.wait_until(lambda: self.state == "ready", timeout_s)
            return is_ready, "" if is_ready else self._why_not_ready()
        enough = await self._board.wait_until(lambda: self._alive() >= peers, timeout_s)
        return enough, "" if enough else self._who_is_missing(peers)

    def _alive(self) -> int:
        return sum(row.state == "alive" for row in self._board.peers)

    def _why_not_ready(self) -> str:
        reasons = "; ".join(f"{code}: {detail}" for code, detail in self.reasons.items())
        return f"the daemon is {self.state}" + (f" ({reasons})" if reasons else "")

    def _who_is_missing(self, peers: int) -> str:
        others = ", ".join(
            f"{row.name or row.address} is {row.state}" + (f" ({row.reason})" if row.reason else "")
            for row in sorted(self._board.peers, key=lambda row: (row.name, row.address))
            if row.state != "alive"
        )
        return f"{self._alive()} of {peers} peers are alive" + (f"; {others}" if others else "; no others are known")

    async def _written(self, condition: Callable[[], bool], host: str) -> None:
        if not await self._board.wait_until(condition, WRITTEN_S):
            reason = self._board.reasons.get("hosts_file", "the file did not change in time")
            raise HostsUnchangedError(f"{host}: {reason}")


def _peer(row: PeerRow, now_s: float) -> dict[str, Any]:
    return {
        "node": row.node,
        "name": row.name,
        "address": row.address,
        "state": row.state,
        "reason": row.reason,
        "sources": list(row.sources),
        "networks": list(row.networks),
        "rtt_ms": None if row.rtt_ms is None else round(row.rtt_ms, 3),
        "last_seen_s": None if row.last_heard_s is None else round(max(0.0, now_s - row.last_heard_s), 1),
        "wire": row.wire,
        "stages": [stage._asdict() for stage in row.stages],
    }
