"""How long it has been quiet, counted only while we could have heard anything.

While our own broker is blocked, stuck or gone, the silence of others proves nothing. So the
lives of peers are measured by a clock of its own, which stands still meanwhile. When our
broker brings messages again, who was heard until then has a fresh while to be heard anew:
`resumed_s` is where that while begins.
"""

DEAFNESS = {
    "blocked": "our own broker is in alarm (memory or disk) and takes no messages, so nobody can be heard",
    "silent": "our own broker brings back none of our own messages, so nobody can be heard",
}
"""Why nothing is heard, for people, by what the bridge says. That the broker is gone, it tells by itself."""


class Hearing:
    """The clock. Real times are seconds of the monotonic clock, which is an argument."""

    def __init__(self) -> None:
        self.resumed_s = float("-inf")  # on this clock
        self._deaf_s = 0.0  # in all, before now
        self._stopped_s: float | None = None  # real

    @property
    def is_deaf(self) -> bool:
        """The clock stands still."""
        return self._stopped_s is not None

    def now_s(self, real_s: float) -> float:
        """Give this clock's time."""
        return (real_s if self._stopped_s is None else self._stopped_s) - self._deaf_s

    def stop(self, real_s: float) -> None:
        """Nothing can be heard from now on."""
        if self._stopped_s is None:
            self._stopped_s = real_s

    def resume(self, real_s: float) -> None:
        """Others can be heard again."""
        if self._stopped_s is not None:
            self.resumed_s = self.now_s(real_s)
            self._deaf_s += real_s - self._stopped_s
            self._stopped_s = None
