"""What one start of the daemon leaves to the next in a file."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mirosd.backends.files import DiskFileStore
from mirosd.core.delivery_set import DeliverySet, delivery_set_text, parse_delivery_set
from mirosd.state_file import StateFile
from tests.charts.fakes import FakeFileStore

BROKERS: DeliverySet = {"10.0.0.7:5672": ("a" * 32, "b" * 32)}


def test_what_was_written_is_read_by_the_next_start(tmp_path: Path) -> None:
    """Before anything was written, the parser is given an empty text; nothing of it is a warning."""
    files = DiskFileStore()
    file = StateFile(str(tmp_path), "delivery_set.json", files)
    with capture_logs() as logs:
        assert {} == file.read(parse_delivery_set, BROKERS)
        file.write(delivery_set_text(BROKERS))
        files.close()

        assert BROKERS == StateFile(str(tmp_path), "delivery_set.json", files).read(parse_delivery_set, {})
    assert [] == logs


@pytest.mark.parametrize("is_folder", [True, False], ids=["a folder", "not what was written"])
def test_what_cannot_be_read_is_as_good_as_none(tmp_path: Path, is_folder: bool) -> None:
    """The daemon starts with the fallback, and a warning says which file, and why."""
    path = tmp_path / "delivery_set.json"
    if is_folder:
        path.mkdir()
    else:
        path.write_text('{"brokers": [')
    with capture_logs() as logs:
        brokers = StateFile(str(tmp_path), path.name, FakeFileStore()).read(parse_delivery_set, BROKERS)

    assert BROKERS == brokers
    assert [("state_file_not_read", str(path))] == [(log["event"], log["path"]) for log in logs]
    assert ("directory" if is_folder else "line 1") in logs[0]["reason"]


def test_what_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    """It names the file; the daemon goes on."""
    files = FakeFileStore()
    path = str(tmp_path / "replay.json")
    files.busy.add(path)
    with capture_logs() as logs:
        StateFile(str(tmp_path), "replay.json", files).write("{}")

    assert [("state_file_not_written", f"{path} is in use by another process")] == [
        (log["event"], log["reason"]) for log in logs
    ]
