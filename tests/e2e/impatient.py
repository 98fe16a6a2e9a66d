"""mirosd, as `mirosd.main`, that takes back after two seconds what a program does not take; else it is a minute."""

from mirosd.bridge import handover
from mirosd.main import main

handover.STUCK_S, handover.STUCK_POLL_S = 2.0, 0.5

if __name__ == "__main__":
    main()
