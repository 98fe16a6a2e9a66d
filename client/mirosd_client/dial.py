"""What an operator wants to see of charts: a dial, by glob of host, chart and signal.

Whoever watches says so by dials; they travel to every host, and a line that no dial asks for
is not sent (unless its program has snooping enabled itself, and somebody watches at all).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from mirosd_client.snoop_line import Kind, SnoopLine

MAX_PATTERNS = 16
"""Of one kind in a dial: people write two or three."""
MAX_DIALS = 16
"""That one host may have turned on at a time on a network: they travel in each heartbeat."""

Patterns = Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=MAX_PATTERNS)]
SnoopNetwork = Literal["snoop_trace", "snoop_spy"]


class Dial(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=False):
    """Globs (`*`, `?`, `[abc]`; upper and lower case differ) of which one of each kind must match; none matches all.

    `hosts` are names of hosts or beginnings of node ids, `events` asks for what charts send and handle without moving.
    """

    hosts: Patterns = []
    charts: Patterns = []
    signals: Patterns = []
    events: bool = False

    def takes_host(self, name: str, node: str) -> bool:
        """Tell whether a host is meant, by its name and node id."""
        return not self.hosts or any(
            fnmatchcase(name, pattern) or (len(pattern) >= 4 and node.startswith(pattern.lower()))
            for pattern in self.hosts
        )

    def takes(self, line: SnoopLine) -> bool:
        """Tell whether a line is asked for, whichever host it comes from."""
        return self.asks_for(line.kind, line.chart, line.subject)

    def asks_for(self, kind: Kind, chart: str, subject: str) -> bool:
        """Tell whether lines of a kind, a chart and a subject (SnoopLine.subject) are asked for."""
        if kind in {"event", "send"} and not self.events:
            return False
        return matches(chart, self.charts) and (not self.signals or matches(subject, self.signals))


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name matches one of the globs, or there are none."""
    return _matches(name, tuple(patterns))


@lru_cache(maxsize=4096)
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
