"""Where output goes: to somebody who has had enough of it, or reads other letters; to nobody at all; to a full disk."""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNWRITABLE = {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}
"""Of a write to standard output. That nobody reads it any more (EPIPE) is no error worth a word: click ends with 1."""


def prepare() -> None:
    """Have outputs that take any text: also where the caller has closed one, or its language lacks a letter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 -- for the rest of it
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def let_go() -> None:
    """Have what is left in the buffer of stdout go nowhere: Python would try once more at the end, and say so."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: what stands in for it in tests is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def watching() -> Iterator[None]:
    """Run a watch: it ends by Ctrl-C, and when its reader has had enough (`| head`), and neither is an error."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        let_go()


def has_reader() -> bool:
    """Tell whether anybody can still read stdout: a watch that nobody sees costs every host something."""
    poll = select.poll()
    try:
        poll.register(sys.stdout, 0)
    except ValueError:  # no file at all
        return True
    return not poll.poll(0)
