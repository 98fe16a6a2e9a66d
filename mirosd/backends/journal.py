"""systemd's journal, written to as itself: an entry is a set of fields, and `journalctl FIELD=VALUE` finds it.

Through standard error a line would be text alone, and all of it of one priority. It goes through
systemd-python, as the messages to the service manager (systemd.py); without the module there is no
journal here, and lines go where they would go anyway.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
from typing import TextIO

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3), by the name of a level."""
PREFIX = "MIROSD_"
"""Of each field of ours, so that none is taken for one of the journal's own."""

SendV = Callable[..., None]


class Journal:
    """Entries into the journal. Thread: any; an entry is one datagram, and what waits for journald waits here too.

    Args:
        send: the module's `sendv`: takes "FIELD=value", any number of them.
        stream: where a line goes that the journal did not take.
    """

    def __init__(self, send: SendV, stream: TextIO) -> None:
        self._send, self._stream = send, stream

    def write(self, *, level: str, message: str, fields: Mapping[str, str]) -> None:
        """Make an entry: `message` is for people, `fields` to be searched for, by their names in small letters."""
        own = (f"{PREFIX}{_field_name(name)}={value}" for name, value in fields.items())
        try:
            self._send(f"MESSAGE={message}", f"PRIORITY={PRIORITIES[level]}", "SYSLOG_IDENTIFIER=mirosd", *own)
        except OSError:  # journald is away: what holds the other end of standard error may still keep it
            with contextlib.suppress(OSError):  # nobody is left to tell
                self._stream.write(f"{prefixed(level, message)}\n")
                self._stream.flush()

    debug = info = warning = error = critical = write  # what structlog asks of a logger, by the level's name


def open_journal(stream: TextIO, environ: Mapping[str, str]) -> Journal | None:
    """Give the journal if it is what `stream` leads to ($JOURNAL_STREAM, systemd.exec(5)), and can be written to."""
    if not leads_to_journal(stream, environ):
        return None
    try:
        send: SendV = importlib.import_module("systemd.journal").sendv
    except ImportError:  # backends/systemd.py warns of it, with the cure
        return None
    return Journal(send, stream)


def leads_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether the journal reads `stream`: programs whose output goes elsewhere inherit the variable too."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream without a file, or closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def prefixed(level: str, text: str) -> str:
    """Give a text for a stream that leads to the journal, with its level before each line (sd-daemon(3))."""
    return "\n".join(f"<{PRIORITIES[level]}>{line}" for line in text.splitlines())


def _field_name(name: str) -> str:
    """Give letters, digits and underscores, as the journal drops every other field."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name).upper()
