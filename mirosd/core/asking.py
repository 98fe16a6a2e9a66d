"""The side that asks: which challenges are ours and fresh, and single hosts asked until they answer.

Each datagram has a challenge of its own, so that an answer tells which of them it
answers: who was asked, how long ago, and on behalf of which question.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mirosd.core.probe import CHALLENGE_BYTES

FRESH_S = 5.0
"""As long as an answer counts; the kernel keeps a datagram that waits for ARP up to 3 s."""

CHALLENGES_KEPT = 8192
"""More than a search of 300/s and everybody's questions draw in 5 s."""

ASKED_AT_S = (0.0, 0.2, 0.6, 1.4)
ASKED_FOR_S = 1.5
"""Four times, at growing distances, within 1.5 s: at a loss of 20 % one host in 60 answers none of them."""

MAX_ASKED = 32
"""Hosts asked at a time: if all are dead, 128 datagrams wait for ARP, which leaves the search its 256 of the socket's
512."""

MAX_WAITING = 4096


class Place(NamedTuple):
    """Where a host may be: its address (a link-local one with its zone) and how to get there.

    `ifindex` 0 and `source` "": as the routes say.
    """

    address: str
    ifindex: int = 0
    source: str = ""


class Send(NamedTuple):
    """One probe to be sent now; `question` is what its answers belong to."""

    place: Place
    question: int
    is_for_all: bool = False


class Asked(NamedTuple):
    """A probe that was sent: the address ("" when sent to all), when, and its question."""

    address: str
    at_s: float
    question: int


class Challenges:
    """The challenges drawn within the last 5 s.

    Args:
        random: gives n unpredictable bytes.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._asked: OrderedDict[bytes, Asked] = OrderedDict()

    def draw(self, send: Send, now_s: float) -> bytes:
        """Give 8 bytes for one datagram."""
        while self._asked:
            oldest = next(iter(self._asked.values()))
            if now_s - oldest.at_s <= FRESH_S and len(self._asked) < CHALLENGES_KEPT:
                break
            self._asked.popitem(last=False)
        challenge = self._random(CHALLENGE_BYTES)
        self._asked[challenge] = Asked("" if send.is_for_all else send.place.address, now_s, send.question)
        return challenge

    def asked(self, challenge: bytes, now_s: float) -> Asked | None:
        """Give what a challenge was drawn for; None when it is not ours, or older than 5 s."""
        asked = self._asked.get(challenge)
        return asked if asked is not None and now_s - asked.at_s <= FRESH_S else None


class _Turn(NamedTuple):
    place: Place
    question: int
    began_s: float
    times: int


class Asking:
    """Single hosts, each asked again until it answers, at most four times; 32 of them at a time."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Place, int]] = deque()
        self._turns: dict[str, _Turn] = {}

    def ask(self, places: Iterable[Place], question: int) -> int:
        """Ask these too; who is being asked already is not asked anew. Gives how many there was no room for."""
        known = set(self._turns) | {place.address for place, _ in self._waiting}
        refused = 0
        for place in places:
            if place.address in known:
                continue
            known.add(place.address)
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((place, question))
            else:
                refused += 1
        return refused

    def answered(self, address: str) -> None:
        """Ask `address` no more."""
        self._turns.pop(address, None)

    def due(self, now_s: float) -> list[Send]:
        """Give what is to be sent now."""
        sends: list[Send] = []
        for address, turn in list(self._turns.items()):
            if turn.began_s + ASKED_FOR_S <= now_s:
                del self._turns[address]
            elif turn.times < len(ASKED_AT_S) and turn.began_s + ASKED_AT_S[turn.times] <= now_s:
                self._turns[address] = turn._replace(times=turn.times + 1)
                sends.append(Send(turn.place, turn.question))
        while self._waiting and len(self._turns) < MAX_ASKED:
            place, question = self._waiting.popleft()
            self._turns[place.address] = _Turn(place, question, now_s, 1)
            sends.append(Send(place, question))
        return sends

    def next_s(self) -> float | None:
        """Give when something is due next; None: never."""
        if self._waiting and len(self._turns) < MAX_ASKED:
            return 0.0
        return min(
            (turn.began_s + (*ASKED_AT_S, ASKED_FOR_S)[turn.times] for turn in self._turns.values()), default=None
        )
