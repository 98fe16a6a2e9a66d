"""What did not arrive: each program numbers the lines that it sends live, so a viewer knows what it has not had."""

from mirosd_client.event_id import SHOWN_CLIENT_DIGITS
from mirosd_client.snoop_line import SnoopLine
from mirosd_client.wire import Network

TOLD_EVERY_S = 1.0
"""A mesh that sheds lines sheds them all the time; one warning a second for each program can be read."""


class Gaps:
    """The numbers of live lines as they came, by program and network. For one thread."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Network], int] = {}
        self._missing: dict[tuple[str, str], int] = {}
        self._told_s: float | None = None

    def take(self, line: SnoopLine, network: Network) -> None:
        """Note a line in the order of its coming; what was sent before the first one was not for us."""
        if not line.line:
            return
        source = line.client, network
        last = self._last.get(source)
        if last is not None and line.line > last + 1:
            missed = line.host, line.client
            self._missing[missed] = self._missing.get(missed, 0) + line.line - last - 1
        self._last[source] = max(line.line, last or 0)

    def tell(self, now_s: float, *, is_last: bool = False) -> list[str]:
        """Give a warning for each program with lines missing that were not told yet, once a second at most."""
        is_early = self._told_s is not None and now_s - self._told_s < TOLD_EVERY_S and not is_last
        if is_early or not self._missing:
            return []
        self._told_s = now_s
        told = [
            f"{count} line{'' if count == 1 else 's'} of {host or 'a host'} (client {client[:SHOWN_CLIENT_DIGITS]}) "
            "did not arrive"
            for (host, client), count in sorted(self._missing.items())
        ]
        self._missing.clear()
        return told
