"""One chart's part in a snoop network: what its program shows of it, and what it sees of others.

Enabled, a chart shows its lines to every host where somebody watches, and has the lines
of all others shown, as in the ancestor. Its own lines are shown at once, not after a
round trip; the feed sends them (snoop_feed.py), in a thread of its own.

Watching other hosts needs a right that a program may not have. It then sees its own lines
alone, and subscription.py's one warning says what would permit more.
"""

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from mirosd_client.client import Client
from mirosd_client.errors import RemoteProtocolError
from mirosd_client.fault import as_fault
from mirosd_client.record import Record
from mirosd_client.snoop_line import BLUE, PURPLE, SnoopLine, decode_lines, line_text, terminal_text
from mirosd_client.subscription import Subscription
from mirosd_client.terminal import TERMINAL
from mirosd_client.wire import NETWORKS, Network

log = logging.getLogger("mirosd_client.snoop")

OnSnoop = Callable[[Any, Any, Any, str], object]
"""Called with (None, None, Seen, text of the line)."""

_NAMES = {network: name for name, network in NETWORKS.items()}
SHOWN_KINDS = frozenset({"trace", "spy", "scribble"})
"""Others are for tools."""


class Seen(NamedTuple):
    """A line with the record that brought it; None for one of the viewer's own."""

    line: SnoopLine
    record: Record | None


class SnoopNet:
    """A chart on one snoop network. Any thread may call it.

    Args:
        chart: its name and number.
        on_message_callback: called for each line, own ones included, in the terminal's thread; None
            prints it, in colour. May be exchanged at any time.

    Attributes:
        routing_key: of all lines.
        enabled: whether lines are shown, here and where somebody watches, and those of others, once started, received.
        started: whether the chart's networks run.
    """

    def __init__(
        self, network: Network, client: Client, chart: tuple[str, int], on_message_callback: OnSnoop | None = None
    ) -> None:
        self.routing_key = _NAMES[network].replace("_", ".")
        self.enabled = False
        self.started = False
        self.on_message_callback: OnSnoop = on_message_callback or self.print_coloured
        self._network = network
        self._client = client
        self._chart = chart
        self._lock = threading.Lock()
        self._subscription: Subscription | None = None

    def enable(self) -> None:
        """Show, and receive once started."""
        self._follow(enabled=True)
        self.tell_feed()

    def disable(self) -> None:
        """End all of it."""
        self._follow(enabled=False)
        self.tell_feed()

    def tell_feed(self) -> None:
        """Say whether lines are to be sent."""
        self._client.feed.enable(self._chart[1], self._network, self.enabled)

    def start(self) -> None:
        """The chart's networks run."""
        self._follow(started=True)

    def stop(self) -> None:
        """They do not."""
        self._follow(started=False)

    def show(self, line: SnoopLine) -> None:
        """Show a line of this chart's own here, if enabled. Never blocks, and raises nothing."""
        if self.enabled:
            self._show(Seen(line, None))

    def print_coloured(self, ch: Any, method: Any, seen: Seen, text: str) -> None:
        """Print a line as the ancestor does: the own name blue, others' purple."""
        self._print(seen, BLUE if seen.record is None else PURPLE)

    def print_plain(self, ch: Any, method: Any, seen: Seen, text: str) -> None:
        """Print a line without colour."""
        self._print(seen, "")

    def _print(self, seen: Seen, hue: str) -> None:
        """Print it once, however many charts of this program see it."""
        record = seen.record
        if record is not None and (
            record.client == self._client.id  # a neighbour in this program, which prints its own
            or not TERMINAL.is_first((self._network, record.source, record.sequence, seen.line))
        ):
            return
        try:
            print(terminal_text(seen.line, self._network, hue), flush=True)
        except (OSError, ValueError):  # nobody reads it any more, or it is closed
            self._client.count("snoop_unshown")

    def _follow(self, *, enabled: bool | None = None, started: bool | None = None) -> None:
        """Take note, and subscribe or end the subscription as it follows from that."""
        with self._lock:
            self.enabled = self.enabled if enabled is None else enabled
            self.started = self.started if started is None else started
            is_wanted = self.enabled and self.started
            if is_wanted and self._subscription is None:
                self._subscription = self._client.open_subscription(
                    self.routing_key, self._take, network=_NAMES[self._network], chart=self._chart
                )
            elif not is_wanted and self._subscription is not None:
                self._subscription.close()
                self._subscription = None

    def _take(self, record: Record) -> None:
        try:
            lines = decode_lines(record.payload)
        except RemoteProtocolError:
            self._client.count("undecodable")
            return
        is_from_here = record.client == self._client.id
        for line in lines:
            is_own = is_from_here and line.number == self._chart[1]  # shown by now
            if line.kind in SHOWN_KINDS and not is_own:
                self._show(Seen(line, record))

    def _show(self, seen: Seen) -> None:
        if not TERMINAL.show(functools.partial(self._call_back, seen)):
            self._client.count("snoop_unshown")

    def _call_back(self, seen: Seen) -> None:
        try:
            self.on_message_callback(None, None, seen, line_text(seen.line, self._network))
        except (Exception, SystemExit) as error:  # the program's own override may raise anything
            self._client.count("callback_failed")
            name = self._chart[0]
            log.exception("%s: the callback for a line of %s failed", name, self.routing_key, exc_info=as_fault(error))
