"""Which events one client wants to know the end of, and what became of the latest of them.

    ask -> [asked] -> entered -> [in a body] -> settled -> [told]

What was told is kept for a while: a connection may end before the client has read it,
and then it asks again. It never waits for more than MAX_RECEIPTS, so what it has not
read is among the latest of that many.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from mirosd.bridge.body import Body
from mirosd_client.limits import MAX_RECEIPTS
from mirosd_client.messages import Fate

UNKNOWN = Fate([], is_known=False)


class Receipts:
    """The events of one client that are followed. Thread: loop.

    Args:
        tell: tells the client, if it is connected.
    """

    def __init__(self, tell: Callable[[Fate], None]) -> None:
        self._tell = tell
        self._asked: deque[int] = deque()
        self._in_bodies: set[int] = set()
        self._told: OrderedDict[int, Fate] = OrderedDict()

    def attached(self) -> None:
        """The client is connected anew: it asks again for what it has not been told."""
        self._asked.clear()

    def ask(self, sequences: Iterable[int], highest: int) -> None:
        """Follow events; those up to `highest` were handed over before."""
        for sequence in sequences:
            if sequence > highest:
                self._asked.append(sequence)
            elif sequence not in self._in_bodies:
                told = self._told.get(sequence, UNKNOWN)
                self._tell(replace(told, sequences=[sequence]))

    def entered(self, sequence: int, body: Body) -> None:
        """Records up to `sequence` went into `body`."""
        if self._asked and self._asked[0] <= sequence:
            sequences = []
            while self._asked and self._asked[0] <= sequence:
                sequences.append(self._asked.popleft())
            self._in_bodies.update(sequences)
            body.follow(self, sequences)

    def settled(self, fate: Fate) -> None:
        """Every broker has answered for the events of a body."""
        self._in_bodies.difference_update(fate.sequences)
        self._told.update(dict.fromkeys(fate.sequences, fate))
        while len(self._told) > MAX_RECEIPTS:
            self._told.popitem(last=False)
        self._tell(fate)
