"""The state directory: one daemon, one identity, and a count of starts that survives everything."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from mirosd.backends.state_directory import StateDirectory
from mirosd.errors import StartError


def test_a_first_start_draws_a_node(tmp_path: Path) -> None:
    """The directory is made with its parents, for its owner and group, and holds a new node."""
    with StateDirectory(tmp_path / "var" / "mirosd") as state:
        assert state.start == 1
        assert json.loads((state.path / "node.json").read_text()) == {"node": state.node, "start": 1}
        assert len(bytes.fromhex(state.node)) == 16
        assert state.path.stat().st_mode & 0o777 == 0o750
        assert [path.name for path in state.path.iterdir()] == ["node.json"]


def test_later_starts_are_counted_for_the_same_node(tmp_path: Path) -> None:
    """The node stays, and each start has a number of its own, stored before it is known."""
    starts = []
    for _ in range(3):
        with StateDirectory(tmp_path) as state:
            starts.append((state.node, state.start, json.loads((tmp_path / "node.json").read_text())["start"]))

    assert starts == [(starts[0][0], n, n) for n in (1, 2, 3)]


def test_two_directories_are_two_nodes(tmp_path: Path) -> None:
    """Identities are drawn, not derived from the machine."""
    with StateDirectory(tmp_path / "a") as a, StateDirectory(tmp_path / "b") as b:
        assert a.node != b.node


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """The error names the directory and the cure, nothing is counted, and the first one goes on."""
    with StateDirectory(tmp_path):
        with pytest.raises(StartError, match=r"in use by another mirosd; stop that one") as caught:
            StateDirectory(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert json.loads((tmp_path / "node.json").read_text())["start"] == 1

    with StateDirectory(tmp_path) as state:
        assert state.start == 2


def test_a_new_identity_begins_with_its_first_start(tmp_path: Path) -> None:
    """A renewed node is another one, stored at once, in the directory that stays locked; its starts count from one."""
    with StateDirectory(tmp_path):
        pass
    with StateDirectory(tmp_path) as state:
        before = state.node
        state.renew()
        assert (state.node, 1) != (before, state.start)
        assert json.loads((tmp_path / "node.json").read_text()) == {"node": state.node, "start": 1}
        with pytest.raises(StartError):
            StateDirectory(tmp_path)
        renewed = state.node

    assert renewed != before
    with StateDirectory(tmp_path) as state:
        assert (state.node, state.start) == (renewed, 2)


def test_an_identity_that_cannot_be_stored_stays(tmp_path: Path) -> None:
    """Where nothing can be written the old node goes on, and the error says so."""
    with StateDirectory(tmp_path) as state:
        before = state.node, state.start
        (tmp_path / "node.json.new").mkdir()
        with pytest.raises(StartError, match="cannot be used"):
            state.renew()

        assert (state.node, state.start) == before


HOLDER = """
import sys
from mirosd.backends.state_directory import StateDirectory
state = StateDirectory(sys.argv[1])
print(state.start, flush=True)
input()
"""


def test_a_killed_daemon_leaves_no_lock(tmp_path: Path) -> None:
    """The lock ends with its process, and the start it had counted stays counted."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        with pytest.raises(StartError):
            StateDirectory(tmp_path)
        other.kill()

    with StateDirectory(tmp_path) as state:
        assert state.start == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 4000,
        "null",
        "[1]",
        "{}",
        '{"node": "0123456789abcdef0123456789abcdef"}',
        '{"node": "0123456789ABCDEF0123456789abcdef", "start": 1}',
        '{"node": "0123", "start": 1}',
        '{"node": 5, "start": 1}',
        '{"node": "0123456789abcdef0123456789abcdef", "start": 0}',
        '{"node": "0123456789abcdef0123456789abcdef", "start": true}',
        '{"node": "0123456789abcdef0123456789abcdef", "start": 1.5}',
        '{"node": "0123456789abcdef0123456789abcdef", "start": 9223372036854775807}',
        "\xff",
    ],
)
def test_junk_is_never_a_new_identity(tmp_path: Path, content: str) -> None:
    """A node.json that is not ours stops the start, says what to do, and stays as it is."""
    file = tmp_path / "node.json"
    file.write_bytes(content.encode("latin-1"))

    with pytest.raises(StartError, match=r"node.json is not what mirosd wrote there; put the file back"):
        StateDirectory(tmp_path)

    assert file.read_bytes() == content.encode("latin-1")


def test_what_a_later_version_wrote_stays(tmp_path: Path) -> None:
    """Counting a start takes nothing out of the file, and a half-written one from a power cut does not matter."""
    node = "0123456789abcdef0123456789abcdef"
    (tmp_path / "node.json").write_text(json.dumps({"node": node, "start": 7, "more": [1]}))
    (tmp_path / "node.json.new").write_text('{"node": "ffff')
    with StateDirectory(tmp_path) as state:
        assert (state.node, state.start) == (node, 8)

    assert json.loads((tmp_path / "node.json").read_text()) == {"node": node, "start": 8, "more": [1]}


def test_the_next_start_counts_on_from_where_others_know_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another start may have been later than the one in the file; that it cannot be stored changes nothing."""
    with StateDirectory(tmp_path) as state:
        node = state.node
        state.skip_to(57)
        assert 1 == state.start
    with StateDirectory(tmp_path) as state:
        assert (node, 58) == (state.node, state.start)
        monkeypatch.setattr("os.replace", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        state.skip_to(99)
    monkeypatch.undo()

    with StateDirectory(tmp_path) as state:
        assert (node, 59) == (state.node, state.start)


def test_the_file_is_replaced_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the old file or the new one: written, synced, renamed, and the directory synced."""
    steps: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noting_replace(*args: Any, **kwargs: Any) -> None:
        steps.append("replace")
        replace(*args, **kwargs)

    def noting_fsync(fd: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    monkeypatch.setattr("os.replace", noting_replace)
    monkeypatch.setattr("os.fsync", noting_fsync)
    with StateDirectory(tmp_path):
        pass

    assert steps == ["sync node.json.new", "replace", f"sync {tmp_path.name}"]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.EACCES, "make it for the user that runs mirosd: install -d -m 0750 -o USER "),
        (errno.ENOSPC, "free some space there"),
        (errno.EROFS, "mount its file system for writing"),
    ],
)
def test_a_place_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, cure: str
) -> None:
    """With what to do about it: a disk that is full is not made better by another owner."""
    monkeypatch.setattr(os, "replace", Mock(side_effect=OSError(code, os.strerror(code))))
    with pytest.raises(StartError) as caught:
        StateDirectory(tmp_path)

    assert f"{tmp_path} cannot be used ({os.strerror(code)}); {cure}" in str(caught.value)
    assert str(caught.value).endswith("or set state_dir to another one")


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """Where the directory should be, or one above it."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(StartError, match=r"cannot be used \(.+\); move the file .+ away"):
            StateDirectory(path)
