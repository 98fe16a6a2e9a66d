"""What the daemon measures of itself, for `mirosctl metrics`: how many events go which way, and how long things take.

Plain counts, kept from the daemon's start. A body of events costs some additions and one bisect, under 1 us, and an
event by itself nothing (docs/monitoring.md has what was measured).
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Literal, get_args

from mirosd.core.broker import Incoming, Outcome
from mirosd.names import NETWORK_NAMES
from mirosd_client.hlc import wall_time_s
from mirosd_client.record import HEADER_BYTES, count_records, first_hlc
from mirosd_client.wire import Network

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0)
"""Upper bounds of the buckets, seconds: from what the loop's clock tells apart (1 ms) to the life of an event."""

MOST_S = 3600.0
"""What other hosts' clocks have a part in counts as an hour at most: a wrong one must not drown the sum."""

LinkKind = Literal["mesh", "control", "consume"]
"""What a connection to a broker is for; "consume" are those to our own."""


class Histogram:
    """How many durations there were up to each of BOUNDS_S, and their sum.

    Attributes:
        counts: by the first bound that is not less, each for itself; one more for what is beyond all.
        sum_s: of all, seconds.
    """

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    def display(self) -> dict[str, Any]:
        """Give {bounds_s, counts, sum_s}, as the attributes say."""
        return {"bounds_s": list(BOUNDS_S), "counts": list(self.counts), "sum_s": round(self.sum_s, 6)}


class Measures:
    """Thread: loop.

    Args:
        wall_s: seconds since the epoch, as the programs of this host have it.

    Attributes:
        sent: events of this host's programs that were sealed, by network; lines count by the record that they are in.
        delivered: events that were given to programs, by network, each subscription for itself, repeats too.
        answers: events by what a broker said to them, each broker for itself.
        opened: connections to brokers that were opened, for the first time or again.
        answer_s: from publishing a body to the broker's answer, by network.
        age_s: of a body's oldest event as it is given to a program, by network; by the clock of the host that sent it.
        round_trip_s: of heartbeats, to peers and back. They carry whole milliseconds.
        lag_s: how late the loop came to the heartbeats of each second, and to the watchdog's rounds.
    """

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self.sent = dict.fromkeys(Network, 0)
        self.delivered = dict.fromkeys(Network, 0)
        self.answers = dict.fromkeys(Outcome, 0)
        self.opened: dict[LinkKind, int] = dict.fromkeys(get_args(LinkKind), 0)
        self.answer_s = {network: Histogram() for network in Network}
        self.age_s = {network: Histogram() for network in Network}
        self.round_trip_s = Histogram()
        self.lag_s = Histogram()

    def answer(self, outcome: Outcome, events: int, took_s: float) -> None:
        """A broker has answered to a body of the mesh, `took_s` after it was published."""
        self.answers[outcome] += events
        self.answer_s[Network.MESH].add(took_s)

    def deliver(self, network: Network, incoming: Incoming, records: bytes) -> None:
        """A body's records were given to a program."""
        self.delivered[network] += incoming.records or count_records(records)
        if len(records) >= HEADER_BYTES:
            age_s = self._wall_s() - wall_time_s(first_hlc(records))
            self.age_s[network].add(min(max(age_s, 0.0), MOST_S))

    def round_trip(self, took_ms: float) -> None:
        """A peer's heartbeat has answered one of ours."""
        self.round_trip_s.add(min(took_ms / 1000, MOST_S))

    def display(self) -> dict[str, Any]:
        """Give what `metrics` shows of it (localapi.verbs)."""
        names = NETWORK_NAMES.items()
        return {
            "events": {
                name: {"sent": self.sent[network], "delivered": self.delivered[network]} for network, name in names
            },
            "answers": {outcome.value: events for outcome, events in self.answers.items()},
            "connections_opened": dict(self.opened),
            "answer": {name: self.answer_s[network].display() for network, name in names},
            "delivery_age": {name: self.age_s[network].display() for network, name in names},
            "heartbeat_round_trip": self.round_trip_s.display(),
            "loop_lag": self.lag_s.display(),
        }
