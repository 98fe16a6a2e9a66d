"""Whether our own broker brings us what others say: each second, what we send to ourselves over it has to come back.

While it does not, the silence of others proves nothing, and nobody is accused of it. A broker in alarm reads from
nobody who publishes, and says so only to those; one that hangs says nothing at all: so it is tried.
"""

from collections.abc import Callable

from mirosd.core.broker import Link
from mirosd.payloads import PeerSign
from mirosd.signals import Private

LATE_S = 2.0
"""A pulse is back within milliseconds. Two missed are none too early: others count as silent after 5 s."""


class Pulse:
    """Thread: loop.

    Args:
        send: publishes to our own control queue over a link.
        post_peer: gives (signal, payload) to the peer chart; any thread may call it.
        clock: monotonic seconds.
    """

    def __init__(
        self, send: Callable[[Link], None], *, post_peer: Callable[[int, PeerSign], None], clock: Callable[[], float]
    ) -> None:
        self._send, self._post_peer, self._clock = send, post_peer, clock
        self._link: Link | None = None
        self._sent_s: float | None = None  # of the first pulse that has not come back
        self._why = ""

    def opened(self, link: Link) -> None:
        """Our own broker is there."""
        self._link, self._sent_s = link, None
        self._tell("")

    def lost(self, code: str) -> None:
        """It is gone."""
        self._link = None
        self._tell(code)

    def beat(self) -> None:
        """A second has passed."""
        link, now_s = self._link, self._clock()
        if link is None:
            return
        if link.is_blocked:  # what it does not read would only pile up
            self._tell("blocked")
            return
        if self._sent_s is None:
            self._sent_s = now_s
        elif now_s - self._sent_s > LATE_S:
            self._tell("silent")
        self._send(link)

    def came_back(self) -> None:
        """A pulse did."""
        self._sent_s = None
        self._tell("")

    def _tell(self, why: str) -> None:
        if bool(why) is not bool(self._why):
            self._post_peer(Private.peer_own_blocked if why else Private.peer_own_free, PeerSign("", detail=why))
        self._why = why
