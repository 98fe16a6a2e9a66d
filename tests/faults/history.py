"""What was said and heard around a fault, and what is wrong with it. Pure.

Of each event and each chart that was subscribed when it was accepted: it was handled once, or one counter names it.
Counters have no names of events in them: so what they count together has to be what is missing, no more and no less
(but for those that a lost broker never confirmed: nobody can know of these).
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

LOSSES = frozenset(
    {
        "expired",
        "overflow",
        "forgotten",
        "nacked",
        "unroutable",
        "expired_in_queue",
        "overflow_in_queue",
        "dead_lettered",
        "quarantined",
        "uninsured",
        "undecodable",
        "no_deserializer",
        "callback_failed",
    }
)
"""Counters, of daemons and of programs, that name events which somebody does not get. Bodies that do not open are
counted one by one, without their events: nothing of that kind may happen at all."""

MAYBE = "unconfirmed"
"""The counter of events that a broker was sent and never confirmed: they may be missing, or not."""

NEVER = ("refused", "evicted")
"""What a program is told of its window being full of events that are not safe: no fault may bring that about."""


@dataclass
class History:
    """What programs said and heard, and what was counted meanwhile."""

    accepted: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """By speaker: the number of each event in the order of saying, and when it was accepted (monotonic seconds)."""
    heard: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """By hearer and speaker: the numbers of the events that the hearer's chart handled, in that order."""
    since_s: dict[str, float] = field(default_factory=dict)
    """When a hearer's subscription was confirmed, if that was after the first event (monotonic seconds)."""
    counted: Counter[str] = field(default_factory=Counter)
    """Events by counter, over all daemons and programs."""

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each speaker and hearer. They are named alike in one program, whose charts are two."""
        return ((speaker, hearer) for speaker in self.accepted for hearer in self.heard)

    def due(self, speaker: str, hearer: str) -> set[int]:
        """Give the events of a speaker that a hearer's chart was subscribed for.

        Who subscribed later has a right to what was accepted from then on, and to all that follows
        the first event that it did get.
        """
        since_s = self.since_s.get(hearer, 0.0)
        first = min(self.heard[hearer].get(speaker, []), default=math.inf)
        return {number for number, accepted_s in self.accepted[speaker] if accepted_s >= since_s or number >= first}

    def missing(self, speaker: str, hearer: str) -> set[int]:
        """Give the events of a speaker that a hearer's chart was to handle and did not."""
        return self.due(speaker, hearer).difference(self.heard[hearer].get(speaker, []))

    @property
    def total_missing(self) -> int:
        """Events missing, each as often as there are charts that miss it."""
        return sum(len(self.missing(*pair)) for pair in self.pairs)

    @property
    def lost(self) -> dict[str, int]:
        """What counters say is lost, by reason."""
        return {
            name: count
            for name, count in sorted(self.counted.items())
            if count and (name in LOSSES or name.startswith("unopened"))
        }

    @property
    def handled(self) -> int:
        """Events handled, each as often as it was."""
        return sum(len(self.heard[hearer].get(speaker, [])) for speaker, hearer in self.pairs)


def violations(history: History, may_count: Collection[str] = ()) -> list[str]:
    """Give what is wrong, in words; `may_count` are the losses that the promise leaves open here."""
    found = []
    for speaker, hearer in history.pairs:
        heard = history.heard[hearer].get(speaker, [])
        said = {number for number, _ in history.accepted[speaker]}
        for what, numbers in (
            ("that it was never given", sorted(set(heard) - said)),
            ("more than once", sorted(number for number, times in Counter(heard).items() if times > 1)),
            ("out of order", [late for early, late in pairwise(heard) if late < early]),
        ):
            if numbers:
                found.append(f"{hearer} handled {len(numbers)} events of {speaker} {what}: {_ranges(numbers)}")
    for hearer, by_speaker in history.heard.items():
        if nobodies := by_speaker.keys() - history.accepted.keys():
            found.append(f"{hearer} handled events of {', '.join(nobodies)}, who said nothing")
    lost = history.lost
    surely = sum(lost.values())
    if not surely <= history.total_missing <= surely + history.counted[MAYBE]:
        missing = [
            f"{len(each)} of {speaker} at {hearer}: {_ranges(sorted(each))}"
            for speaker, hearer in history.pairs
            if (each := history.missing(speaker, hearer))
        ]
        maybe = f", and perhaps {history.counted[MAYBE]} unconfirmed" if history.counted[MAYBE] else ""
        told = f"{history.total_missing} events are missing ({'; '.join(missing)}), counted are {lost or 'none'}{maybe}"
        found.append(told)
    if unexcused := {name: count for name, count in lost.items() if name not in may_count}:
        found.append(f"counted as lost, which this fault must not cost: {unexcused}")
    found += [f"{history.counted[name]} events were {name}" for name in NEVER if history.counted[name]]
    return found


def _ranges(numbers: list[int], most: int = 5) -> str:
    """Give numbers as text, runs of them as first-last."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:most]]
    return ", ".join(told) + ", ..." * (len(runs) > most)
