"""Sending on a non-blocking socket without letting go of the interpreter's lock.

`socket.send` lets go of that lock for the length of the system call, which is right where
a call may block. This one takes microseconds, and of two busy threads the other takes the
lock and keeps it for a whole switch interval (5 ms): a chart that wakes the client's thread
waited that long in `transmit`, and so did the client's thread after every write.

Where the C library cannot be called in this way (no ctypes, no POSIX), it is `socket.send`.
"""

import os
import socket
from collections.abc import Callable

MAX_BYTES = 128 * 1024
"""Sent in one call at most: the kernel copies that in some 30 us."""


def _make() -> Callable[[socket.socket, bytes], int]:
    try:
        import ctypes  # noqa: PLC0415 -- an interpreter may lack it

        send = ctypes.PyDLL(None, use_errno=True).send
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    except (ImportError, AttributeError, OSError, TypeError):
        return socket.socket.send
    send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    send.restype = ctypes.c_ssize_t

    def send_now(sock: socket.socket, data: bytes) -> int:
        """Send what fits of `data` at once, at most MAX_BYTES; gives how many bytes that were.

        The caller must know that the socket stays open meanwhile: the kernel finds it by its number.

        Raises:
            BlockingIOError: nothing fits.
            OSError: as `socket.send`.
        """
        sent: int = send(sock.fileno(), data, min(len(data), MAX_BYTES), flags)
        if sent < 0:  # never for a signal: a call that does not wait is not interrupted
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))  # Python makes it the class that goes with the number
        return sent

    return send_now


send_now = _make()
