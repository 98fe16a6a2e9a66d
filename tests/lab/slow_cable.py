"""A cable that is long: what goes in at one end comes out at the other after a while. Kernels may lack netem.

    python -m tests.lab.slow_cable DELAY_S LEFT RIGHT

The ends are two TAP interfaces of the network namespace that this runs in; they go when it ends. It says "laid" once
they are there. (TAPs, and no packet sockets on a veth: only for a TAP does the kernel complete checksums.)
"""

import fcntl
import os
import selectors
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
MAX_FRAME_BYTES = 65536


def tap(name: str) -> int:
    """Give the descriptor of a new TAP interface."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


def carry(left: int, right: int, delay_s: float) -> None:
    """Carry frames both ways, for ever."""
    selector = selectors.DefaultSelector()
    selector.register(left, selectors.EVENT_READ, right)
    selector.register(right, selectors.EVENT_READ, left)
    under_way: deque[tuple[float, int, bytes]] = deque()  # due at, where to, frame: all take equally long
    while True:
        pause_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for key, _ in selector.select(pause_s):
            under_way.append((time.monotonic() + delay_s, key.data, os.read(key.fd, MAX_FRAME_BYTES)))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, frame = under_way.popleft()
            try:
                os.write(end, frame)
            except OSError:
                pass  # the interface is down, or its queue full: a cable loses what it cannot carry


def main() -> None:
    """Lay the cable."""
    delay_s, left, right = float(sys.argv[1]), tap(sys.argv[2]), tap(sys.argv[3])
    print("laid", flush=True)
    carry(left, right, delay_s)


if __name__ == "__main__":
    main()
