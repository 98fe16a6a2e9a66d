"""What a client counts, and what each number means."""

from collections.abc import Iterable, Mapping

from mirosd_client.intake import Intake
from mirosd_client.window import Window

COUNTERS = {
    "accepted": "events that transmit() took, and records of lines for people; each is always in one of the next seven",
    "waiting": "in the window; or its time is over, and the daemon that has it safe has yet to say what became of it",
    "settled": "every broker it was owed to has answered; or its time is over, and the daemon that had it counted it",
    "expired": "its time to live was over, and no daemon had it safe, or the one that had is gone without a word",
    "uninsured": "let go of, safe, to make room: lost only if the daemon is killed before it is settled",
    "evicted": 'let go of, not safe, to make room (on_full="drop_oldest")',
    "snoop_dropped": "a record of lines for people, let go of before a daemon had it: to make room, or too old",
    "no_key": "let go of when a daemon was there, whose host has no key of its network",
    "refused": "not accepted: there was no room, or this host has no mesh key",
    "snoop_refused": "a line for people, not accepted: too many waited to be made, its part of the window was full, "
    "this host has no key of its network, or the client closed",
    "unroutable": "of the settled: no broker had a queue for it",
    "duplicates": "arrived again, and was dropped",
    "undecodable": "arrived, and was no record, or its payload could not be decoded",
    "no_deserializer": "arrived with a content type that nobody here reads",
    "not_addressed": "arrived, and another chart was meant; not for this one to handle",
    "internal_signal": "arrived with the name of a signal of miros' own",
    "bad_signal_name": "arrived with a name of which no event is made",
    "too_many_signal_names": "arrived with a new name, and this process has learned as many as it may",
    "callback_failed": "a callback raised an exception; it is in the log",
    "snoop_unshown": "a line for people that arrived, and the terminal was too slow for it, or gone",
    "clock_skew": "deliveries whose clock was more than a minute ahead; taken, but that clock is not followed",
}
"""By name. All are there from the start, and but for `waiting` none falls."""


def read_counters(
    counts: Mapping[str, int], window: Window, intakes: Iterable[Intake], lines_refused: int, now_s: float
) -> dict[str, int]:
    """Give the numbers of COUNTERS.

    Args:
        counts: what was counted by name.
        lines_refused: by the feed.
    """
    with window.lock:
        window.expire(now_s)
        counters = dict.fromkeys(COUNTERS, 0) | dict(counts)
        counters["accepted"], counters["waiting"] = window.last_sequence, len(window) + len(window.overdue)
        for name in ("settled", "expired", "uninsured", "evicted", "snoop_dropped", "no_key", "refused"):
            counters[name] = getattr(window, name)
        counters["snoop_refused"] += window.snoop_refused + lines_refused
    for intake in intakes:
        counters["duplicates"] += intake.duplicates
        counters["undecodable"] += intake.undecodable
    return counters
