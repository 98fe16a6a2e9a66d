"""What happened to every event: told by the simulation, judged by the oracle. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

Event = tuple[str, int]
"""Its program's client id (hex) and its sequence number."""


class Chart(NamedTuple):
    """A chart that hears: whose, where, what."""

    name: str
    program: str
    """Client id, hex."""
    host: str
    broker: str
    number: int
    binding_key: str


class Accepted(NamedTuple):
    """An event that `transmit` took."""

    at_s: float
    chart: int
    """Number of the chart that sent it."""
    routing_key: str
    owed: frozenset[str]
    """The brokers of others that its daemon knew then."""
    due_here: frozenset[str]
    """The charts of its own host that were subscribed then."""


@dataclass
class Taking:
    """What one broker did with the copies of one event."""

    due: frozenset[str]
    """The charts subscribed there, at the first copy, whose binding key matches."""
    copies: int = 0
    unrouted: int = 0
    """Copies that no queue was bound for."""


@dataclass
class History:
    """One run. A place is a broker (its host) or a chart (its name)."""

    charts: dict[str, Chart] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    """The host of each program."""
    accepted: dict[Event, Accepted] = field(default_factory=dict)
    taken: dict[tuple[Event, str], Taking] = field(default_factory=dict)
    handled: dict[str, list[Event]] = field(default_factory=dict)
    """By chart, in the order of handling."""
    named: dict[tuple[Event, str], set[str]] = field(default_factory=dict)
    """Why an event may be missing at a place: the counters that counted it there."""
    let_go: dict[str, int] = field(default_factory=dict)
    """By program: accepted events that its window let go of before they were settled, by its own counters."""
    unroutable: dict[str, int] = field(default_factory=dict)
    """By program: what it was told."""
    settled: dict[str, int] = field(default_factory=dict)
    """By program: the sequence number up to which it was told so."""
    killed: set[str] = field(default_factory=set)
    """Programs."""
    retired: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a host let go of a broker, the last time."""
    restarted: set[str] = field(default_factory=set)
    """Hosts whose daemon was not the same all the time."""
    miscounted: list[str] = field(default_factory=list)
    """Counts that did not fit what they were about."""
    faults: list[str] = field(default_factory=list)
    """What went wrong in the code under test that nothing was to go wrong in: exceptions, no rest."""
    counters: Counter[str] = field(default_factory=Counter)
    """Of all daemons together, for people."""

    def name(self, event: Event, place: str, counter: str) -> None:
        """An event was counted as lost at a place."""
        self.named.setdefault((event, place), set()).add(counter)
