"""What a client counts, and what each number means."""

COUNTERS = {
    "accepted": "events that transmit() took, and lines for people; each is always in one of the next six",
    "waiting": "in the window",
    "settled": "every broker it was owed to has answered; or its time is over, and the daemon that had it counts it",
    "expired": "its time to live was over before a daemon had it safe",
    "uninsured": "let go of, safe, to make room: lost only if the daemon is killed before it is settled",
    "evicted": 'let go of, not safe, to make room (on_full="drop_oldest")',
    "snoop_dropped": "a line for people, let go of before a daemon had it: to make room, or too old",
    "refused": "not accepted: there was no room",
    "snoop_refused": "a line for people, not accepted: its part of the window was full, or the client closed",
    "unroutable": "of the settled: no broker had a queue for it",
    "duplicates": "arrived again, and was dropped",
    "undecodable": "arrived, and was no record, or its payload could not be decoded",
    "no_deserializer": "arrived with a content type that nobody here reads",
    "internal_signal": "arrived with the name of a signal of miros' own",
    "bad_signal_name": "arrived with a name of which no event is made",
    "too_many_signal_names": "arrived with a new name, and this process has learned as many as it may",
    "callback_failed": "a callback raised an exception; it is in the log",
    "snoop_unshown": "a line for people that arrived, and the terminal was too slow for it, or gone",
    "clock_skew": "deliveries whose clock was more than a minute ahead; taken, but that clock is not followed",
}
"""By name. All are there from the start, and but for `waiting` none falls."""
