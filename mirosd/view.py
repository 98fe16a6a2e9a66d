"""What people may see and change through the local API: localapi.verb.DaemonView over the composed daemon."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from mirosd.bridge.bridge import Bridge
from mirosd.bridge.key_desk import KeyDesk
from mirosd.bridge.snooping import Snooping
from mirosd.core.addresses import parse_host
from mirosd.core.interfaces import Prober
from mirosd.core.node_names import find_peer, is_node_id
from mirosd.core.shown import PeerRow
from mirosd.discovery import Discovery
from mirosd.errors import MirosdError
from mirosd.lan_view import Lan
from mirosd.localapi.board import Board
from mirosd.localapi.verb import RowTaker
from mirosd.metrics_view import figures
from mirosd.scouting import scout

WRITTEN_S = 10.0
"""A hosts file is written in milliseconds, unless thousands of processes want it: the seeds' 5 s twice."""


class HostsUnchangedError(MirosdError):
    """The local hosts file could not be written in time; the reason stands in the status."""

    code = "hosts_unchanged"


class PeerStaysError(MirosdError):
    """A peer cannot be forgotten as things are; the text says what keeps it."""

    code = "peer_stays"


class View:
    """Display copies of everything, and the few things that may be asked for. Thread: loop.

    Args:
        prober: for the addresses that people have scouted: it sends our account to any of them.
        lan_off: why the LAN is not searched, "" when it is (lan_view.why_off).
        told: where other hosts are told to reach our broker, as a hosts file writes it.
    """

    def __init__(
        self,
        board: Board,
        discovery: Discovery,
        bridge: Bridge,
        who: dict[str, Any],
        *,
        prober: Prober,
        lan_off: str,
        keys: KeyDesk,
        told: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._board, self._discovery, self._bridge, self._who = board, discovery, bridge, who
        self._prober, self._told = prober, told
        self.keys = keys
        self.lan = Lan(board, discovery, lan_off)
        self._started_s = time.monotonic()
        self.sessions: Callable[[], list[dict[str, Any]]] = list
        self.is_stopping = False

    @property
    def snoop(self) -> Snooping:
        """The charts of all hosts, watched."""
        return self._bridge.snooping

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
                "state": error.code if error else ("connected" if bridge.is_connected else "connecting"),
                "detail": str(error) if error else "",
                "user": bridge.own_broker.user,
                "tls": bool(bridge.own_broker.tls),
                "told": list(self._told()),
            },
            "clients": len(sessions),
            "subscriptions": bridge.inbound.subscriptions.connected,
            "producer_sets": bridge.producer_sets(),
            "counters": dict(sorted(self._board.counters.items())),
        }

    def metrics(self) -> dict[str, Any]:
        """The result of `metrics`: the status, and the figures beside it."""
        subscriptions = self._bridge.inbound.subscriptions.all()
        charts = self._discovery.charts
        return {**self.status(), **figures(self._board.measures, subscriptions, charts, self.sessions())}

    def peers(self) -> list[dict[str, Any]]:
        """The peers table, sorted."""
        now_s = time.monotonic()
        return [
            _peer(row, now_s) for row in sorted(self._board.peers, key=lambda row: (row.name, row.address, row.node))
        ]

    def next_change(self) -> asyncio.Event:
        """What is set when something that is shown here changes next."""
        return self._board.next_change()

    async def forget_peer(self, node: str) -> dict[str, Any]:
        """Let go of a peer, and wait until it is off the table."""
        row = find_peer(node, self._board.peers)
        who = row.name or row.node
        listed = {*self._board.listed_hosts, *self._board.local_hosts}.intersection(row.address.split(", "))
        if listed:
            host = min(listed)
            raise PeerStaysError(f"{who} is a listed host: first take it off the list (`mirosctl hosts remove {host}`)")
        self._discovery.forget(row.node)
        if not await self._board.wait_until(lambda: all(one.node != row.node for one in self._board.peers), WRITTEN_S):
            raise PeerStaysError(f"{who} is still in the peers table; the daemon's log may tell why")
        return {"node": row.node, "name": row.name}

    async def allow_peer(self, node: str) -> dict[str, Any]:
        """Take a peer; one that is off the table can be named by its whole id alone."""
        if is_node_id(node.lower()):
            node = node.lower()
            name = next((row.name for row in self._board.peers if row.node == node), "")
        else:
            row = find_peer(node, self._board.peers)
            node, name = row.node, row.name
        self._discovery.allow(node)
        return {"node": node, "name": name}

    async def scout(self, address: str, row: RowTaker) -> dict[str, Any]:
        """Scout one address."""
        return await scout(self._prober, address, row)

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
        listed, local = self._discovery.man_net.lists.paths
        rows = [{"host": host, "source": "file", "file": listed} for host in self._board.listed_hosts]
        rows += [{"host": host, "source": "local", "file": local} for host in self._board.local_hosts]
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
        "incarnation": row.incarnation,
        "flaps": row.flaps,
        "since_s": None if row.since_s is None else round(max(0.0, now_s - row.since_s), 1),
        "previous": [{"address": address, "age_s": round(max(0.0, now_s - at_s), 1)} for address, at_s in row.previous],
        "clock_ahead_s": None if row.clock_ahead_s is None else round(row.clock_ahead_s, 3),
        "stages": [stage._asdict() for stage in row.stages],
    }
