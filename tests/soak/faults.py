"""What befalls the hosts, one after the other. Pure: the seed alone decides, whatever the machine's speed.

Every round brings each kind once, in an order and with details of its own. h1's daemon is never ended, so that
what it holds at the end has grown through all of it.
"""

import random
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

HOSTS = ("h1", "h2", "h3")
MORTAL = ("h2", "h3")
"""Whose daemons may be ended."""

STRUCK_OUT, WRONG, LONGER = "a host struck out", "not JSON", "a dead address more"


class Fault(NamedTuple):
    """One fault: its kind, whom it befalls, and what else there is to say."""

    kind: str
    host: str = ""
    other: str = ""
    """The other side of a partition; how a hosts file is edited."""
    seconds: float = 0.0
    """How long it lasts; 0: what was ended is started again at once."""
    percent: int = 0

    def __str__(self) -> str:
        details = [self.host, self.other, f"{self.percent} %" * (self.percent > 0), f"{self.seconds:g} s"]
        return f"{self.kind}: {', '.join(filter(None, details[: 4 if self.seconds else 3]))}"


def _lasting(dice: random.Random, least_s: float, most_s: float) -> float:
    return round(dice.uniform(least_s, most_s), 1)


def _partition(dice: random.Random) -> Fault:
    host, other = dice.choice(list(permutations(HOSTS, 2)))
    return Fault("partition", host, other, _lasting(dice, 2, 9))


def _edit(dice: random.Random) -> Fault:
    return Fault("hosts file edited", dice.choice(HOSTS), dice.choice((STRUCK_OUT, WRONG, LONGER)), 2.0)


KINDS: dict[str, Callable[[random.Random], Fault]] = {
    "daemon killed": lambda dice: Fault("daemon killed", dice.choice(MORTAL)),
    "daemon stopped": lambda dice: Fault("daemon stopped", dice.choice(MORTAL)),
    # 5 s of silence make a peer failed: some pauses are shorter, some longer
    "daemon paused": lambda dice: Fault("daemon paused", dice.choice(HOSTS), seconds=_lasting(dice, 1, 9)),
    "broker killed": lambda dice: Fault("broker killed", dice.choice(HOSTS)),
    "broker in alarm": lambda dice: Fault("broker in alarm", dice.choice(HOSTS), seconds=_lasting(dice, 1, 8)),
    "link down": lambda dice: Fault("link down", dice.choice(HOSTS), seconds=_lasting(dice, 1, 9)),
    "partition": _partition,
    "frames lost": lambda dice: Fault("frames lost", seconds=_lasting(dice, 3, 8), percent=dice.randint(10, 20)),
    "program killed": lambda dice: Fault("program killed", dice.choice(HOSTS)),
    "hosts file edited": _edit,
}


def sequence(seed: int) -> Iterator[Fault]:
    """Give the faults of a seed, without end."""
    dice = random.Random(seed)
    while True:
        kinds = list(KINDS)
        dice.shuffle(kinds)
        for kind in kinds:
            yield KINDS[kind](dice)
