"""The faults of the bench, each with what it may cost. What may cost nothing may not lose a single event."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mirosd_client.limits import MAX_FRAME_BYTES
from tests.soak.faults import LONGER, Fault

SENDER, OTHER, RECEIVER = "h1", "h2", "h3"
"""The programs of the first two talk, and all three hear; the burst is the first one's."""

SHORT_LIVED: Mapping[str, Any] = {"delivery": {"ttl_s": 8.0}}
"""So that an outage outlives events within seconds."""

SMALL_QUEUES: Mapping[str, Any] = {"delivery": {"queue_bytes": MAX_FRAME_BYTES, "prefetch": 1}}
"""The least that can be set: so that a chart falls behind by more within seconds."""


class Row(NamedTuple):
    """One experiment."""

    fault: Fault
    may_count: frozenset[str] = frozenset()
    """Losses that the promise leaves open here; they have to add up to what is missing all the same."""
    settings: Mapping[str, Any] = {}
    """Of every daemon, beside the lab's."""
    remark: str = ""


ROWS = {
    "sender's daemon killed": Row(Fault("daemon killed", SENDER)),
    "receiver's daemon killed": Row(Fault("daemon killed", RECEIVER)),
    "both daemons killed": Row(Fault("daemons killed", SENDER, RECEIVER)),
    "sender's daemon paused 3 s": Row(Fault("daemon paused", SENDER, seconds=3)),
    "receiver's daemon paused 3 s": Row(Fault("daemon paused", RECEIVER, seconds=3)),
    "sender's daemon restarted": Row(Fault("daemon stopped", SENDER)),
    "receiver's daemon restarted": Row(Fault("daemon stopped", RECEIVER)),
    "sender's broker killed": Row(Fault("broker killed", SENDER)),
    "receiver's broker killed": Row(Fault("broker killed", RECEIVER)),
    "sender's broker restarted": Row(Fault("broker stopped", SENDER)),
    "receiver's broker restarted": Row(Fault("broker stopped", RECEIVER)),
    "receiver's broker hangs 3 s": Row(Fault("broker paused", RECEIVER, seconds=3)),
    "sender's broker in alarm 5 s": Row(Fault("broker in alarm", SENDER, seconds=5)),
    "receiver's broker in alarm 5 s": Row(Fault("broker in alarm", RECEIVER, seconds=5)),
    "link down 3 s": Row(Fault("link down", RECEIVER, seconds=3)),
    "link down 20 s": Row(Fault("link down", RECEIVER, seconds=20)),
    "partition of two 5 s": Row(Fault("partition", SENDER, RECEIVER, seconds=5)),
    "nothing to the receiver 5 s": Row(Fault("one way", SENDER, RECEIVER, seconds=5)),
    "nothing from the receiver 5 s": Row(Fault("one way", RECEIVER, SENDER, seconds=5)),
    "10 % of frames lost 5 s": Row(Fault("frames lost", seconds=5, percent=10)),
    "100 ms longer cable 5 s": Row(Fault("long cable", RECEIVER, seconds=5)),
    "sender without descriptors 5 s": Row(Fault("no descriptors", SENDER, RECEIVER, seconds=5)),
    "receiver without descriptors 5 s": Row(Fault("no descriptors", RECEIVER, RECEIVER, seconds=5)),
    "sender's clock leaps an hour": Row(Fault("clock leaps", SENDER, seconds=2)),
    "receiver's clock leaps an hour": Row(Fault("clock leaps", RECEIVER, seconds=2)),
    "chart that raises": Row(Fault("chart raises", RECEIVER, seconds=2)),
    "hearing program killed": Row(
        Fault("program killed", RECEIVER), remark="what the killed program had in hand is not promised"
    ),
    "dead address listed": Row(Fault("hosts file edited", SENDER, LONGER, seconds=3)),
    "slow chart": Row(Fault("chart slow", RECEIVER, seconds=5), frozenset({"overflow_in_queue"}), SMALL_QUEUES),
    "peer dead for longer than events live": Row(
        Fault("host dead", RECEIVER, seconds=12), frozenset({"expired", "expired_in_queue"}), SHORT_LIVED
    ),
}
