"""What wakes a thread that waits in a selector."""

import socket

from mirosd_client.shell.send_now import send_now


class Bell:
    """A pair of sockets: one end becomes readable when the other is rung. `fileno()` is for a selector.

    Nobody closes it: it goes with the last thread that knows it, so that no thread can ring
    a descriptor that is somebody else's by then.
    """

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._near.fileno()

    def ring(self) -> None:
        """Make it readable. Any thread may call it; costs no more than a system call."""
        try:
            send_now(self._far, b"!")
        except OSError:
            pass  # full of unread rings: it is readable

    def hush(self) -> None:
        """Make it unreadable, however often it was rung. It must be readable."""
        self._near.recv(4096)

    def __del__(self) -> None:
        self._near.close()
        self._far.close()
