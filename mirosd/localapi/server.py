"""The local API's server: accepts on a bound socket, and ends all sessions in order when the daemon stops.

The socket is made elsewhere (backends/local_socket.py), with its owner and mode set
before anyone can connect.
"""

import asyncio
import socket
from typing import cast

from mirosd.localapi.desk import Desk
from mirosd.localapi.rights import Policy
from mirosd.localapi.session import Session
from mirosd.localapi.verb import Display


class LocalServer:
    """All local clients. Thread: loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept clients on `listening`, an AF_UNIX stream socket that this server closes at `stop`."""
        listening.setblocking(False)
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Session(self._desk), sock=listening)

    async def stop(self) -> None:
        """Accept no more, say goodbye to each client, and wait until it is sent, CLOSING_GRACE_S at most."""
        if self._server is None:
            return
        self._server.close()
        sessions = self._sessions()
        for session in sessions:
            session.farewell("stopping", "the daemon stops; connect again when it is back")
        await asyncio.gather(*(session.gone for session in sessions))
        await self._server.wait_closed()
        self._server = None

    def enforce(self, policy: Policy) -> None:
        """Have `policy` hold from now on, for those who are connected too."""
        self._desk.policy = policy
        for session in self._sessions():
            session.review()

    def sessions(self) -> list[Display]:
        """Give a row per client that has said hello: client, program, pid, uid, rights, subscriptions, unsent_bytes."""
        rows = [session.display() for session in self._sessions() if session.client]
        return sorted(rows, key=lambda row: (row["uid"], row["pid"], row["client"]))

    def _sessions(self) -> list[Session]:
        return [cast(Session, member) for member in self._desk.census.members()]
