"""What a program can ask its daemon, and wait for; a part of Client."""

from typing import Any

from mirosd_client.errors import ClientClosedError, LocalProtocolError
from mirosd_client.peer_watch import PeerWatch
from mirosd_client.session import Session
from mirosd_client.shell.reactor import Reactor

ASK_S = 10.0
"""How long a question waits for its answer; the daemon answers within milliseconds."""


class Asker:
    """The questions of a client. Any thread may ask."""

    is_closed: bool
    _path: str | None
    _reactor: Reactor

    def ask(
        self, verb: str, args: dict[str, Any] | None = None, timeout_s: float = ASK_S
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Ask the daemon; gives the rows and the result of its answer.

        Raises:
            DaemonUnavailableError: it is not there, or did not answer in time.
            DaemonRefusedError: it answered with an error (NotPermittedError: what would permit it).
            LocalProtocolError: asked from a callback, which runs on the thread that would hear the answer.
        """
        if self.is_closed:
            raise ClientClosedError("this client is closed; it asks no more")
        if self._reactor.in_thread():
            raise LocalProtocolError("a callback runs on the client's thread, which cannot wait for an answer")
        return self._started().ask(verb, args or {}).wait(timeout_s)

    def peers(self, timeout_s: float = ASK_S) -> list[dict[str, Any]]:
        """Give the peers table: one dict per peer, with the fields of `mirosctl peers --json`."""
        return self.ask("peers", timeout_s=timeout_s)[0]

    def watch_peers(self) -> PeerWatch:
        """Follow the peers table on a connection of its own: an iterator that waits for each change; see PeerWatch."""
        if self.is_closed:
            raise ClientClosedError("this client is closed; it watches nobody")
        return PeerWatch(self._path)

    def status(self, timeout_s: float = ASK_S) -> dict[str, Any]:
        """Give the daemon's status, with the fields of `mirosctl status --json`."""
        return self.ask("status", timeout_s=timeout_s)[1]

    def _started(self) -> Session:
        raise NotImplementedError
