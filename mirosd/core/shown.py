"""What people may see: display copies that charts and the bridge pin up on a board. Nothing is decided from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mirosd.core.measures import Measures


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One line of the peers table: a display copy, as interfaces.md names its fields.

    `incarnation` counts the node's starts; `flaps` how often it was alive and then was not; `previous` are addresses
    that it has left, the last one first, each with when. Times are seconds on the daemon's monotonic clock;
    `clock_ahead_s` is by how much its wall clock was ahead of ours when it last spoke.
    """

    node: str
    name: str
    address: str
    state: str
    reason: str
    sources: tuple[str, ...]
    networks: tuple[str, ...]
    rtt_ms: float | None
    last_heard_s: float | None
    stages: tuple[Any, ...] = ()
    wire: str = "2"
    incarnation: int = 0
    flaps: int = 0
    since_s: float | None = None  # when its state began
    previous: tuple[tuple[str, float], ...] = ()
    clock_ahead_s: float | None = None


@dataclass(frozen=True, slots=True)
class RecceRow:
    """What one address of the LAN answered, for `mirosctl recce`.

    `neighbour` is as in LanNeighbour.state, `answer` the node that answered our probe or "", `verdict` the scout's
    code: "" while none has been out, "proved", the stage that failed, "no_broker" of who answered that its broker is
    for nobody else, or what LanNeighbour says of an address that is not scouted; `took_ms` the probe's round trip.
    """

    address: str
    neighbour: str
    mac: str
    answer: str
    name: str
    verdict: str
    took_ms: float | None


@dataclass(frozen=True, slots=True)
class Recce:
    """A search of the LAN: its number since the daemon's start, the chart's state, and a row per address."""

    number: int
    state: str
    rows: tuple[RecceRow, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class LanCache:
    """The LAN cache as it is: `age_s` and `expires_s` in seconds from when it was read (`read_s`, monotonic)."""

    addresses: tuple[str, ...]
    amqp_urls: tuple[str, ...]
    time_out_in_minutes: float
    age_s: float
    expires_s: float
    read_s: float
    problem: str = ""


class Board(Protocol):
    """Where charts and the bridge show what people may see. Thread: any, but for `measures`, which are the loop's."""

    measures: Measures

    def show_peers(self, rows: Sequence[PeerRow]) -> None:
        """Replace the peers table."""

    def show_recce(self, recce: "Recce") -> None:
        """Replace what people see of the search of the LAN."""

    def show_lan_cache(self, cache: "LanCache") -> None:
        """Replace what people see of the LAN cache."""

    def show_hosts(self, listed: Sequence[str], local: Sequence[str]) -> None:
        """The manual hosts in force: from the operator's file, and from the state directory."""

    def raise_reason(self, code: str, detail: str) -> None:
        """The daemon is degraded by `code`; again with another detail replaces it."""

    def clear_reason(self, code: str) -> None:
        """`code` no longer holds."""

    def count(self, counter: str, amount: int = 1) -> None:
        """Add to a counter of `mirosctl status`."""
