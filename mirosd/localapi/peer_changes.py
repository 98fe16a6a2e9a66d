"""What of the peers table is worth telling to somebody who watches it."""

from collections.abc import Sequence
from typing import Any

RESTLESS = frozenset({"rtt_ms", "last_seen_s", "since_s", "previous", "clock_ahead_s", "stages"})
"""Time, a heartbeat or a scouting moves these: they come along with a change, and are none."""


def peer_changes(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give a row {change: gone | appeared | changed, peer} for each peer that differs, those that are gone first.

    A peer is the same while its node is; before a node is known, while its address is.
    """
    old, new = ({row["node"] or row["address"]: row for row in rows} for rows in (before, after))
    changes = [{"change": "gone", "peer": row} for key, row in old.items() if key not in new]
    for key, row in new.items():
        if key not in old:
            changes.append({"change": "appeared", "peer": row})
        elif _lasting(old[key]) != _lasting(row):
            changes.append({"change": "changed", "peer": row})
    return changes


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in RESTLESS}
