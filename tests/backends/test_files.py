"""Files: one contract for the real store and the charts' fake, and what only a real disk can do."""

import contextlib
import errno
import os
import queue
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from mirosd.backends.files import MAX_FILE_BYTES, DiskFileStore
from mirosd.core.interfaces import FileContent, FileFailure
from mirosd.signals import Private
from tests.charts.fakes import FakeFileStore

DEADLINE_S = 30.0


class Asker:
    """Asks a store and waits for its answers, in order."""

    def __init__(self, store):
        self.store = store
        self.answers = queue.SimpleQueue()

    def post(self, signal, payload):
        self.answers.put((signal, payload))

    def answer(self):
        return self.answers.get(timeout=DEADLINE_S)

    def read(self, path):
        self.store.read(str(path), self.post)
        return self.answer()

    def write(self, path, text):
        self.store.write(str(path), text, self.post)
        return self.answer()


@contextlib.contextmanager
def lock_of(store, path):
    """Hold the file as another process would."""
    if isinstance(store, FakeFileStore):
        store.busy.add(str(path))
        yield
        store.busy.clear()
    else:
        with FileLock(f"{path}.lock", timeout=0):
            yield


@pytest.fixture
def disk():
    asker = Asker(DiskFileStore())
    yield asker
    asker.store.close()


@pytest.fixture(params=[DiskFileStore, FakeFileStore])
def either(request):
    asker = Asker(request.param())
    yield asker
    asker.store.close()


def failure(answer):
    signal, payload = answer
    assert (Private.file_access_failed, FileFailure) == (signal, type(payload))
    return payload


# --- the contract ---------------------------------------------------------------------


def test_a_missing_file_reads_as_empty(either, tmp_path):
    """No file is no error: its text is empty and it has no times."""
    signal, content = either.read(tmp_path / "hosts.json")

    assert (Private.read_successful, FileContent) == (signal, type(content))
    assert (str(tmp_path / "hosts.json"), "", 0.0, 0.0) == (
        content.path,
        content.text,
        content.modified_s,
        content.changed_s,
    )


def test_what_was_written_is_read(either, tmp_path):
    """The whole text, with times that the reader can compare with its now."""
    assert (Private.write_successful, str(tmp_path / "f")) == either.write(tmp_path / "f", "été\n")
    _, content = either.read(tmp_path / "f")

    assert "été\n" == content.text
    assert 0.0 < content.modified_s <= content.now_s + 1.0


def test_an_empty_file_reads_as_empty(either, tmp_path):
    """Written with nothing, it is there, and empty (D60)."""
    either.write(tmp_path / "f", "")

    assert "" == either.read(tmp_path / "f")[1].text


def test_a_file_that_is_being_written_is_busy_for_writers_and_read_as_it_was(either, tmp_path):
    """Writing a locked file fails at once, and works when it is free; readers are never kept waiting (D58)."""
    either.write(tmp_path / "f", "old")
    with lock_of(either.store, tmp_path / "f"):
        assert "old" == either.read(tmp_path / "f")[1].text
        assert "busy" == failure(either.write(tmp_path / "f", "new")).code

    assert "old" == either.read(tmp_path / "f")[1].text
    assert Private.write_successful == either.write(tmp_path / "f", "new")[0]
    assert "new" == either.read(tmp_path / "f")[1].text


def test_answers_come_in_the_order_of_asking(either, tmp_path):
    """Ten writes and reads in a row: none lost, none overtaken (D63)."""
    for n in range(10):
        either.store.write(str(tmp_path / "f"), str(n), either.post)
        either.store.read(str(tmp_path / "f"), either.post)
    answers = [either.answer() for _ in range(20)]

    assert [str(n) for n in range(10)] == [content.text for _, content in answers[1::2]]
    assert [Private.write_successful] * 10 == [signal for signal, _ in answers[::2]]


def test_after_close_nothing_is_answered(either, tmp_path):
    """What was asked before is done; what is asked later is nobody's."""
    either.store.write(str(tmp_path / "f"), "last", either.post)
    either.store.close()
    either.store.read(str(tmp_path / "f"), either.post)

    assert Private.write_successful == either.answer()[0]
    assert either.answers.empty()


# --- the real disk --------------------------------------------------------------------


def test_only_one_thread_which_ends_with_close(disk, tmp_path):
    """All files share "mirosd-files"; closing joins it, twice is once."""
    before = threading.active_count()
    disk.read(tmp_path / "a")
    disk.read(tmp_path / "b")

    assert before + 1 == threading.active_count()
    assert "mirosd-files" in {thread.name for thread in threading.enumerate()}
    disk.store.close()
    disk.store.close()
    assert "mirosd-files" not in {thread.name for thread in threading.enumerate()}


def test_a_new_file_is_0640_and_an_old_one_keeps_its_mode(disk, tmp_path):
    """The lock is no mode bit: nobody finds a file read-only (D58, D59)."""
    disk.write(tmp_path / "f", "1")
    assert 0o640 == stat.S_IMODE((tmp_path / "f").stat().st_mode)

    (tmp_path / "f").chmod(0o604)
    disk.write(tmp_path / "f", "2")
    assert 0o604 == stat.S_IMODE((tmp_path / "f").stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_old_file_keeps_its_owner(disk, tmp_path):
    """A daemon that runs as root once does not take the file from its user."""
    disk.write(tmp_path / "f", "1")
    os.chown(tmp_path / "f", 1234, 4321)
    disk.write(tmp_path / "f", "2")
    status = (tmp_path / "f").stat()

    assert (1234, 4321, "2") == (status.st_uid, status.st_gid, (tmp_path / "f").read_text())


def test_a_link_stays_a_link(disk, tmp_path):
    """The file that it names is replaced, wherever that is (D62)."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "f")
    disk.write(tmp_path / "link", "text")

    assert (tmp_path / "link").is_symlink()
    assert "text" == (tmp_path / "elsewhere" / "f").read_text()


@pytest.mark.parametrize("function", ["fsync", "replace", "fchmod"])
def test_a_write_that_fails_leaves_the_good_file_and_nothing_else(disk, tmp_path, monkeypatch, function):
    """A full disk at any step: the system's words, the old text, no litter (D62)."""

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk.write(tmp_path / "f", "good")
    monkeypatch.setattr(Path if function == "replace" else os, function, full)
    fault = failure(disk.write(tmp_path / "f", "bad"))
    monkeypatch.undo()

    assert ("system", f"{tmp_path / 'f'}: No space left on device") == (fault.code, fault.message)
    assert "good" == disk.read(tmp_path / "f")[1].text
    assert {"f"} == {path.name for path in tmp_path.iterdir()} - {"f.lock"}


def test_the_temporary_file_of_a_killed_writer_is_taken_over(disk, tmp_path):
    """However often writers are killed, at most one such file exists, and the next write ends it."""
    (tmp_path / ".f.new").write_text("half")
    disk.write(tmp_path / "f", "whole")

    assert "whole" == (tmp_path / "f").read_text()
    assert not (tmp_path / ".f.new").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing/f", "directory is not there"), ("file/f", "irectory is not"), ("nul\0l", "null byte")],
)
def test_a_directory_that_is_not_there_is_said_and_not_made(disk, tmp_path, name, words):
    """A write into nowhere fails in words; a read of a file that is nowhere finds no file."""
    (tmp_path / "file").write_text("")
    disk.read(tmp_path / name)

    assert words in failure(disk.write(tmp_path / name, "x")).message
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_what_is_not_a_file_is_not_read(disk, tmp_path):
    """A directory and a named pipe are refused at once: the pipe has no writer to wait for."""
    os.mkfifo(tmp_path / "pipe")

    assert "not a regular file" in failure(disk.read(tmp_path / "pipe")).message
    assert "irectory" in failure(disk.read(tmp_path)).message


def test_a_huge_file_is_not_read(disk, tmp_path):
    """More than a MiB is not one of ours; a MiB is."""
    (tmp_path / "f").write_bytes(b" " * MAX_FILE_BYTES)
    assert MAX_FILE_BYTES == len(disk.read(tmp_path / "f")[1].text)

    (tmp_path / "f").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    assert "larger than" in failure(disk.read(tmp_path / "f")).message


def test_wrong_bytes_become_replacement_characters(disk, tmp_path):
    """A mark of byte order is nobody's fault; other wrong bytes are for the parser to place."""
    (tmp_path / "f").write_bytes(b'\xef\xbb\xbf{"a": "\xff"}')

    assert '{"a": "\ufffd"}' == disk.read(tmp_path / "f")[1].text


def test_reading_leaves_nothing_behind(disk, tmp_path):
    """The operator's directory may be read-only to the daemon, and is not its to fill with lock files."""
    (tmp_path / "f").write_text("text")
    disk.read(tmp_path / "f")
    disk.read(tmp_path / "missing")

    assert ["f"] == [path.name for path in tmp_path.iterdir()]


WRITER = """
import sys, threading
from mirosd.backends.files import DiskFileStore
store, path, letter = DiskFileStore(), sys.argv[1], sys.argv[2]
done = threading.Event()
left = [100]
def post(signal, payload):
    left[0] -= 1
    if not left[0]: done.set()
for _ in range(100): store.write(path, letter * 10_000, post)
assert done.wait(30)
store.close()
"""


def test_two_processes_never_mix_their_writes(disk, tmp_path):
    """While two processes write a hundred times each, a reader sees only whole texts of one or the other."""
    path = tmp_path / "f"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    texts = set()
    while any(writer.poll() is None for writer in writers):
        signal, content = disk.read(path)
        if signal == Private.read_successful:
            texts.add(content.text)
    assert [0, 0] == [writer.wait(DEADLINE_S) for writer in writers]

    texts.add(disk.read(path)[1].text)
    assert texts <= {"", "a" * 10_000, "b" * 10_000}
    assert {"f", "f.lock"} >= {file.name for file in tmp_path.iterdir()}
