"""A thread that may make hardly any system call: the kernel ends the process at any other (seccomp).

Run as a program it is a client whose thread transmits under that rule (test_transmit_calls.py).

    python -m tests.client.sandbox SOCKET EVENTS [spoil]
"""

import ctypes
import os
import platform
import socket
import struct
import sys
import threading
import time

from mirosd_client.client import Client

NUMBERS = {
    "x86_64": (0xC000003E, 44, {"mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "madvise": 28, "futex": 202}),
    "aarch64": (
        0xC00000B7,
        206,
        {"mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "madvise": 233, "futex": 98},
    ),
}
"""Of an architecture: its name in the kernel, `sendto`, and what the interpreter may do: memory, and its own lock."""

LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06  # classic BPF
NUMBER_AT, ARCHITECTURE_AT, FLAGS_AT = 0, 4, 40  # in what the filter sees: flags are the fourth argument
KILL, ALLOW = 0x80000000, 0x7FFF0000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def is_possible() -> bool:
    """Whether there is a filter for this machine."""
    return sys.platform == "linux" and platform.machine() in NUMBERS


def confine() -> None:
    """Let this thread do nothing any more but compute, and send what needs no waiting.

    Raises:
        OSError: the kernel has no such filter.
    """
    architecture, send_to, allowed = NUMBERS[platform.machine()]
    steps = [(LOAD, 0, 0, ARCHITECTURE_AT), (JUMP_EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL)]
    steps += [(LOAD, 0, 0, NUMBER_AT)]
    for number in allowed.values():
        steps += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    steps += [(JUMP_EQUAL, 1, 0, send_to), (RETURN, 0, 0, KILL), (LOAD, 0, 0, FLAGS_AT)]
    steps += [(JUMP_SET, 0, 1, socket.MSG_DONTWAIT), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, KILL)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
        raise OSError(ctypes.get_errno(), "seccomp")


def main() -> None:
    """Transmit EVENTS to a daemon that is stopped meanwhile, whose socket is full, from a confined thread."""
    path, events, *spoil = sys.argv[1:]
    client = Client(path)
    assert client.wait_connected(30)
    print("connected", flush=True)
    sys.stdin.readline()  # until the daemon is stopped
    while client.counters()["waiting"] * 1000 < 2_000_000:
        client.transmit("FILL", "x" * 1000)
    while not client._session.window.has_unsent:  # what the socket took is on its way
        client.transmit("FILL", "x" * 1000)
    client.transmit("WARM", "x" * 100, receipt=True)
    accepted: list[bool] = []
    is_done = threading.Event()

    def transmit() -> None:
        confine()
        for number in range(int(events)):
            accepted.append(bool(client.transmit("PING", "x" * 100, receipt=number % 10 == 0)))  # type: ignore[call-overload]
            if spoil:
                time.sleep(0)
        is_done.set()
        threading.Event().wait()  # a thread that ended would need more

    threading.Thread(target=transmit, daemon=True).start()
    is_done.wait(30)
    print(sum(accepted), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
