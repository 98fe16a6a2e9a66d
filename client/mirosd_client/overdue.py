"""The events that a daemon had safe when their time was over: what became of them, it alone knows.

They are not kept, since nobody delivers them any more. But the window knows only how far the daemon had come, not
whether it lived until their time was over: so it has them counted, when the daemon says that they are settled, or
when the connection ends before it has.
"""

from collections import deque


class Overdue:
    """Sequence numbers. Pure, without a lock: as the window, of which it is a part."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int]] = deque()  # (first, last): rising, and mostly one for however many events

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._runs)

    def add(self, sequence: int) -> None:
        """The time of an event is over; its number is higher than all before."""
        first = sequence
        if self._runs and self._runs[-1][1] == sequence - 1:
            first, _ = self._runs.pop()
        self._runs.append((first, sequence))

    def settle(self, settled: int) -> int:
        """The daemon says that all up to `settled` are; gives how many that are."""
        before = len(self)
        while self._runs and self._runs[0][0] <= settled:
            _, last = self._runs.popleft()
            if last > settled:
                self._runs.appendleft((settled + 1, last))
        return before - len(self)

    def lose(self) -> int:
        """The daemon is gone, without a word of them; gives how many there were."""
        count = len(self)
        self._runs.clear()
        return count
