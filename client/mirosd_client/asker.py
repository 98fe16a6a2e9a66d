"""What a program can ask its daemon, and wait for; a part of Client."""

from collections.abc import Sequence
from typing import Any

from mirosd_client.dial import Dial
from mirosd_client.errors import ClientClosedError, LocalProtocolError
from mirosd_client.line_watch import LineWatch
from mirosd_client.peer_watch import PeerWatch
from mirosd_client.session import Session
from mirosd_client.shell.reactor import Reactor
from mirosd_client.wire import Network

ASK_S = 10.0
"""How long a question waits for its answer; the daemon answers within milliseconds."""


class Asker:
    """The questions of a client. Any thread may ask."""

    is_closed: bool
    _path: str | None
    _reactor: Reactor

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until the daemon has answered the hello; False when time ran out. LocalProtocolError: as `ask`."""
        is_open = self._started().is_open
        if not is_open.is_set() and self._reactor.in_thread():
            raise LocalProtocolError("a callback runs on the client's thread, which cannot wait for the daemon")
        return is_open.wait(timeout_s)

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

    def trace(
        self,
        *charts: str,
        hosts: Sequence[str] = (),
        signals: Sequence[str] = (),
        events: bool = False,
        for_s: float | None = None,
    ) -> LineWatch:
        """Follow what charts do, here and on all hosts, on a connection of its own: an iterator of SnoopLines.

        Args:
            charts, hosts, signals: globs, of which one of each must match; none takes all.
            events: also what charts send, and what they handle without a move.
            for_s: as in LineWatch, with its errors.
        """
        return self._watch_lines(Network.SNOOP_TRACE, Dial(list(hosts), list(charts), list(signals), events), for_s)

    def spy(
        self, *charts: str, hosts: Sequence[str] = (), signals: Sequence[str] = (), for_s: float | None = None
    ) -> LineWatch:
        """Follow each step that miros' spy sees of charts, as `trace` does; refusals come as lines of kind notice."""
        return self._watch_lines(Network.SNOOP_SPY, Dial(list(hosts), list(charts), list(signals)), for_s)

    def _watch_lines(self, network: Network, dial: Dial, for_s: float | None) -> LineWatch:
        if self.is_closed:
            raise ClientClosedError("this client is closed; it watches nobody")
        return LineWatch(network, dial, for_s=for_s, socket=self._path)

    def status(self, timeout_s: float = ASK_S) -> dict[str, Any]:
        """Give the daemon's status, with the fields of `mirosctl status --json`."""
        return self.ask("status", timeout_s=timeout_s)[1]

    def _started(self) -> Session:
        raise NotImplementedError
