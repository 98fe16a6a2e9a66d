"""mirosd, whose wall clock leaps an hour ahead at SIGUSR1 and an hour back at SIGUSR2, as one that NTP sets does."""

import signal
import sys
import time

from mirosd.main import main

LEAP_S = 3600
"""Beyond every bound that is kept on clocks: a remote time may be 60 s ahead."""


class Leaping:
    """The wall clock of this process, from here on."""

    def __init__(self) -> None:
        """Stand in for `time.time`, before anything is made that keeps it."""
        self._real = time.time
        self.offset_s = 0
        time.time = self.now

    def now(self) -> float:
        """Give seconds since the epoch, as this process now believes."""
        return self._real() + self.offset_s


if __name__ == "__main__":
    clock = Leaping()

    def leap(number: int, _frame: object) -> None:
        """Set the clock."""
        clock.offset_s += LEAP_S if number == signal.SIGUSR1 else -LEAP_S

    signal.signal(signal.SIGUSR1, leap)
    signal.signal(signal.SIGUSR2, leap)
    sys.exit(main())
