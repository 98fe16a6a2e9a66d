import grp
import os
import socket
import stat
from pathlib import Path

import filelock
import pytest

from mirosd.backends.local_socket import MAX_PATH_BYTES, BoundSocket, bind, group_id, peer_credentials, user_id
from mirosd.errors import StartError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket of a test goes."""
    return tmp_path / "run" / "mirosd.sock"


def make(path: Path, mode: int = 0o660, group: str | None = None) -> BoundSocket:
    return bind(path, mode=mode, group=group)


def leave_stale(path: Path) -> None:
    """A socket file as a killed daemon leaves it."""
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def test_a_socket_is_made_with_its_directory_and_mode(path: Path) -> None:
    """The directory is 0755 and the file has the mode asked for, whatever the umask; clients can connect."""
    before = os.umask(0o077)
    try:
        bound = make(path, mode=0o666)
    finally:
        os.umask(before)
    with bound.listening, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))

        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


@needs_root
def test_a_socket_is_given_to_its_group(path: Path) -> None:
    """The file belongs to the group by name."""
    with make(path, group="daemon").listening:
        assert group_id("daemon") == path.stat().st_gid


def test_a_socket_that_has_its_group_is_not_given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's sandbox refuses the very call; a daemon that runs in the group needs none."""

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with make(path, group=grp.getgrgid(os.getegid()).gr_name).listening:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@needs_root
def test_a_missing_group_stops_a_service(path: Path) -> None:
    """Root is told to make the group: a socket of another group would let the wrong people in."""
    with pytest.raises(StartError, match="groupadd --system no-such-group"):
        make(path, group="no-such-group")

    assert not path.exists(), "a file that nobody listens on"


def test_a_missing_group_makes_a_users_socket_private(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root goes on without the group, alone at the socket."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with make(path, group="no-such-group").listening:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_stale_socket_is_taken_over(path: Path) -> None:
    """A file that nobody listens on is replaced."""
    leave_stale(path)
    with make(path).listening, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_live_socket_is_left_alone(path: Path) -> None:
    """A second daemon refuses to start, names the first by pid, and the first goes on listening."""
    with make(path).listening:
        with pytest.raises(StartError, match=rf"already \(pid {os.getpid()}\)"):
            make(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_busy_socket_is_alive(path: Path) -> None:
    """A listener whose backlog is full is no stale one."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(StartError, match="busy daemon"):
            make(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_deleted(path: Path, kind: str) -> None:
    """A file, a directory or a link at the socket's place stays, and the text says so."""
    path.parent.mkdir()
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        leave_stale(path.parent / "other")
        path.symlink_to(path.parent / "other")
    before = path.lstat()
    with pytest.raises(StartError, match="is not a socket"):
        make(path)

    assert before.st_ino == path.lstat().st_ino


def test_two_daemons_do_not_start_in_the_same_moment(path: Path) -> None:
    """While another holds the lock, a start is refused instead of stealing its socket."""
    path.parent.mkdir()
    with (
        filelock.FileLock(f"{path}.lock", timeout=0),
        pytest.raises(StartError, match="starting"),
    ):
        make(path)


def test_the_longest_path_fits_and_no_longer(tmp_path: Path) -> None:
    """107 bytes can be bound; 108 are refused by name of the setting."""
    room = MAX_PATH_BYTES - len(os.fsencode(tmp_path)) - 1
    with make(tmp_path / ("s" * room)).listening:
        pass
    with pytest.raises(StartError, match=r"socket\.path"):
        make(tmp_path / ("s" * (room + 1)))


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The system's reason reaches the operator, with a way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot make the socket .*socket\.path"):
        make(tmp_path / "file" / "mirosd.sock")


def test_only_our_own_file_is_removed(path: Path) -> None:
    """At an orderly stop the file goes if it is ours; another daemon's stays; a missing one is no error."""
    bound = make(path)
    with bound.listening:
        bound.remove()
        assert not path.exists()
        bound.remove()
        leave_stale(path)
        bound.remove()
        assert path.exists()


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    """Pid, uid, gid and the supplementary groups are the process's own."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        seen = peer_credentials(ours)

    assert (os.getpid(), os.getuid(), os.getgid()) == (seen.pid, seen.uid, seen.gid)
    assert frozenset(os.getgroups()) == seen.groups


def test_a_group_that_is_not_there_has_no_id() -> None:
    """A missing group is None, root's is 0."""
    assert group_id("no-such-group") is None
    assert group_id("root") == 0


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("root", 0),
        ("no-such-name", None),
        ("23456", 23456),
        ("4294967294", 0xFFFFFFFE),
        ("4294967295", None),
        ("²", None),
    ],
)
def test_a_number_that_is_no_name_stands_for_itself(name: str, number: int | None) -> None:
    """Of groups and users alike; the number that means none to the kernel is none."""
    assert number == group_id(name)
    assert number == user_id(name)
