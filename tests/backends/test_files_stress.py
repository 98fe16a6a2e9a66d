"""The files under stress: a crowd of processes, killed ones among them, and disks that take nothing more."""

import json
import signal
import subprocess
import sys

import pytest

from mirosd.backends import files
from tests.backends import files_crowd

READS = 100_000
SECONDS = 420.0
"""The crowd needs some 10 s of a processor, and on one that others use as well it takes far longer: it may."""


@pytest.mark.timeout(480)
def test_a_crowd_reads_whole_files_whoever_is_killed(tmp_path):
    """20 readers, 180 writers, a third of them killed: every read parses, every survivor ends, the last file stays."""
    path = tmp_path / "lan_cache.json"
    path.write_text(files_crowd.lan_cache_text(["count-1"], [], time_out_in_minutes=30))
    command = [sys.executable, "-m", "tests.backends.files_crowd", str(path), str(READS), str(SECONDS), "7"]
    came_of_it = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(came_of_it)

    assert came_of_it["reads"] >= READS
    assert (0, 66, 134, 134) == tuple(came_of_it[key] for key in ("bad", "killed", "survivors", "ended_well"))
    assert came_of_it["writes"] > 0
    assert files_crowd.is_whole(path.read_text())
    files.write_file(path, "{}")
    assert "{}" == path.read_text()


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from mirosd.backends import files

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Path if sys.argv[2] == "replace" else os if sys.argv[2] != "_sync_directory" else files, sys.argv[2], die)
files.write_file(Path(sys.argv[1]), "new")
"""


@pytest.mark.parametrize(
    ("step", "left"), [("fchmod", "old"), ("fsync", "old"), ("replace", "old"), ("_sync_directory", "new")]
)
def test_a_writer_killed_at_any_step_leaves_a_whole_file_and_no_lock(tmp_path, step, left):
    """The old text or the new one; the next writer is let in, and takes away what the dead one left (D58, D62)."""
    path = tmp_path / "f"
    path.write_text("old")
    ended = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path), step])
    assert (-signal.SIGKILL, left) == (ended.returncode, path.read_text())
    files.write_file(path, "next")

    assert "next" == path.read_text()
    assert {"f", "f.lock"} == {left.name for left in tmp_path.iterdir()}
