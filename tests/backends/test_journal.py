"""Entries for systemd's journal. That journald takes them is seen in tests/systemd."""

import io
import os
import sys
from pathlib import Path

import pytest

from mirosd.backends.journal import Journal, open_journal


def stream_into(file: Path) -> tuple[io.TextIOWrapper, dict[str, str]]:
    """Give a stream into a file, and the environment by which the manager would call it the journal's."""
    stream = file.open("w")
    found = os.fstat(stream.fileno())
    return stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_an_entry_has_message_priority_and_our_fields() -> None:
    """Each of our fields has our prefix, and a name that the journal accepts; values are as they are."""
    sent: list[tuple[str, ...]] = []
    journal = Journal(lambda *fields: sent.append(fields), io.StringIO())
    journal.write(level="warning", message="peer_changed peer=h2", fields={"peer": "h2", "last-seen.s": "1\n2"})

    assert [
        (
            "MESSAGE=peer_changed peer=h2",
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=mirosd",
            "MIROSD_PEER=h2",
            "MIROSD_LAST_SEEN_S=1\n2",
        )
    ] == sent


def test_each_level_has_its_priority() -> None:
    """What structlog calls a level is what syslog numbers."""
    sent: list[str] = []
    journal = Journal(lambda *fields: sent.append(fields[1]), io.StringIO())
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(journal, level)(level=level, message="m", fields={})

    assert [f"PRIORITY={number}" for number in (7, 6, 4, 3, 2)] == sent


def test_a_journal_that_is_away_loses_no_line() -> None:
    """What journald does not take is written to the stream, with its priority as journald reads it there."""
    stream = io.StringIO()

    def refuse(*_fields: str) -> None:
        raise ConnectionRefusedError

    Journal(refuse, stream).write(level="error", message="chart_stuck\nTraceback", fields={})

    assert "<3>chart_stuck\n<3>Traceback\n" == stream.getvalue()


def test_the_journal_is_where_the_stream_leads(tmp_path: Path) -> None:
    """Only a stream that is the manager's own is taken for it: the variable is inherited, output is redirected."""
    stream, environ = stream_into(tmp_path / "a")
    other, _ = stream_into(tmp_path / "b")
    with stream, other:
        opened = [open_journal(each, environ) is not None for each in (stream, other, io.StringIO())]

        assert [True, False, False] == opened
        assert open_journal(stream, {}) is None


def test_without_the_module_there_is_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines then go to the stream as anywhere else."""
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    stream, environ = stream_into(tmp_path / "a")
    with stream:
        assert open_journal(stream, environ) is None
