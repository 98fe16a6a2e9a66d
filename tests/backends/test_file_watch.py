"""A watched file's changes are told once each, whatever way they were made, and nothing else is."""

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from mirosd.backends import file_watch
from mirosd.backends.file_watch import FileWatch


class Play:
    """A watch of `path` and of a sentinel file, whose being told shows that nothing else was told before.

    What a test does to files it does without letting the loop run, so that it is one edit on any machine.
    """

    def __init__(self, path, sentinel):
        self.path, self.told = str(path), asyncio.Queue()
        self._sentinel = sentinel
        self.watch = FileWatch(asyncio.get_running_loop(), [self.path, str(sentinel)], self.told.put_nowait)

    async def changes(self):
        """How often the path is told of what was done to it, and before what is done to the sentinel next."""
        count = 0
        async with asyncio.timeout(30):
            for _ in range(2):
                await asyncio.sleep(0)  # the loop reads the events that are there
            while self.path in self.watch._timers or not self.told.empty():
                count += await self.told.get() == self.path
            self._sentinel.write_text("now")
            while (path := await self.told.get()) != str(self._sentinel):
                assert self.path == path
                count += 1
        return count

    def close(self):
        self.watch.close()
        self.watch.close()


@pytest.fixture
def play(tmp_path):
    """Makes the play of a path beneath tmp_path/there; the sentinel stands elsewhere."""
    made = []
    (tmp_path / "there").mkdir()

    def make(name="hosts.json", text=None):
        path = tmp_path / "there" / name
        if text is not None:
            path.write_text(text)
        made.append(Play(path, tmp_path / "sentinel"))
        return made[-1], path

    yield make
    for each in made:
        each.close()


def edit_in_place(path):
    path.write_text("two")


def append(path):
    with path.open("a") as file:
        file.write("two")


def replace(path):
    draft = path.with_name("draft")
    draft.write_text("two")
    draft.replace(path)


def edit_as_vim_does(path):
    path.with_name("4913").write_text("")
    path.with_name("4913").unlink()
    path.rename(f"{path}~")
    path.write_text("two")
    path.chmod(0o644)
    path.with_name(path.name + "~").unlink()


def edit_as_sed_does(path):
    draft = path.with_name("sedXYZ")
    draft.write_text("two")
    draft.chmod(0o600)
    draft.replace(path)


def delete(path):
    path.unlink()


def move_away(path):
    path.rename(path.with_name("old"))


def let_others_read(path):
    path.chmod(0o777)


def link_there(path):
    target = path.with_name("target")
    target.write_text("two")
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize(
    "edit",
    [
        edit_in_place,
        append,
        replace,
        edit_as_vim_does,
        edit_as_sed_does,
        delete,
        move_away,
        let_others_read,
        link_there,
    ],
)
async def test_every_kind_of_edit_is_told_once(play, edit):
    """With the path as it was given; and the next one too."""
    watched, path = play(text="one")
    edit(path)
    assert 1 == await watched.changes()

    replace(path)
    assert 1 == await watched.changes()


@pytest.mark.parametrize("create", [edit_in_place, replace, lambda path: path.symlink_to("/dev/null")])
async def test_creation_is_told_once(play, create):
    """Of a file that was not there before."""
    watched, path = play()
    create(path)
    assert 1 == await watched.changes()


async def test_what_does_not_concern_the_file_is_nothing(play):
    """Reading it, other files in its directory, and files of that name elsewhere."""
    watched, path = play(text="one")
    path.read_text()
    path.with_name("other").write_text("two")
    path.with_name("hosts.json.lock").write_text("")
    path.with_name("sub").mkdir()
    (path.parent / "sub" / path.name).write_text("two")
    path.with_name("other").unlink()

    assert 0 == await watched.changes()


async def test_a_line_in_a_neighbours_log_wakes_nobody(play):
    """A file in the same directory that is written to, and not closed, gives no event at all."""
    watched, path = play(text="one")
    with path.with_name("log").open("w") as log:
        await watched.changes()
        watched.watch._inotify.read(timeout=0)
        log.write("line\n")
        log.flush()
        assert [] == watched.watch._inotify.read(timeout=0)
        path.read_text()
        assert [] == watched.watch._inotify.read(timeout=0)


async def test_a_directory_that_comes_later(play):
    """However many of its parents are missing: the nearest that is there is watched, one after the other."""
    watched, path = play("a/b/hosts.json")
    path.parent.mkdir(parents=True)
    path.write_text("one")
    assert 1 == await watched.changes()

    edit_in_place(path)
    assert 1 == await watched.changes()
    shutil.rmtree(path.parents[1])
    assert 1 == await watched.changes()
    path.parents[1].mkdir()
    assert 0 == await watched.changes()
    path.parent.mkdir()
    assert 0 == await watched.changes()
    path.write_text("two")
    assert 1 == await watched.changes()


async def test_a_directory_that_is_replaced(play, tmp_path):
    """As by a package's update: the file in the new one is told, and followed."""
    watched, path = play(text="one")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / path.name).write_text("two")
    path.parent.rename(tmp_path / "old")
    (tmp_path / "new").rename(path.parent)
    assert 1 == await watched.changes()

    watched.watch._inotify.read(timeout=0)
    (tmp_path / "old" / path.name).write_text("three")
    assert [] == watched.watch._inotify.read(timeout=0)
    edit_in_place(path)
    assert 1 == await watched.changes()


async def test_a_directory_further_up_that_is_replaced(play, tmp_path):
    """The way to the file is watched too, but nothing of what else happens on it."""
    watched, path = play("a/b/hosts.json")
    for root in (tmp_path / "there" / "a", tmp_path / "new"):
        (root / "b").mkdir(parents=True)
        (root / "b" / path.name).write_text("one")
    assert 1 == await watched.changes()
    (tmp_path / "there" / "a" / "other").write_text("two")
    (tmp_path / "there" / "other").write_text("two")
    assert [] == watched.watch._inotify.read(timeout=0)

    (tmp_path / "there" / "a").rename(tmp_path / "old")
    (tmp_path / "new").rename(tmp_path / "there" / "a")
    assert 1 == await watched.changes()
    edit_in_place(path)
    assert 1 == await watched.changes()


async def test_a_directory_that_leads_to_one_file_and_holds_another(tmp_path):
    """Both are told, whichever comes first."""
    (tmp_path / "sub").mkdir()
    for names in (("a", "sub/b"), ("sub/b", "a")):
        paths = [str(tmp_path / name) for name in names]
        told = asyncio.Queue()
        watch = FileWatch(asyncio.get_running_loop(), paths, told.put_nowait)
        for path in paths:
            Path(path).write_text("one")
        async with asyncio.timeout(30):
            assert set(paths) == {await told.get(), await told.get()}
        watch.close()


async def test_links_are_followed(play, tmp_path):
    """The file behind a link, the link itself, and a directory's link that is swapped, as for Kubernetes' volumes."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v2").mkdir()
    for version in ("v1", "v2"):
        (tmp_path / version / "hosts.json").write_text(version)
    (tmp_path / "there" / "data").symlink_to("../v1")
    (tmp_path / "there" / "hosts.json").symlink_to("data/hosts.json")
    watched, path = play()
    (tmp_path / "v1" / "hosts.json").write_text("edited")
    assert 1 == await watched.changes()

    (tmp_path / "there" / "draft").symlink_to(tmp_path / "v2")
    (tmp_path / "there" / "draft").rename(tmp_path / "there" / "data")
    assert 1 == await watched.changes()
    (tmp_path / "v1" / "hosts.json").write_text("again")
    assert 0 == await watched.changes()
    (tmp_path / "v2" / "hosts.json").write_text("again")
    assert 1 == await watched.changes()
    path.unlink()
    assert 1 == await watched.changes()


async def test_a_circle_of_links_is_no_file(play, tmp_path):
    """It is watched like a missing one."""
    (tmp_path / "there" / "hosts.json").symlink_to("other")
    (tmp_path / "there" / "other").symlink_to("hosts.json")
    watched, path = play()
    path.with_name("other").unlink()
    path.with_name("other").write_text("one")
    assert 1 == await watched.changes()


async def test_lost_events_are_made_up_for(play):
    """When the kernel's queue overflows every file is told, and watched on."""
    watched, path = play(text="one")
    room = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    others = [path.with_name("a"), path.with_name("b")]
    for other in others:
        other.touch()
    for number in range(room + 100):
        os.utime(others[number % 2])
    replace(path)
    assert 1 == await watched.changes()
    replace(path)
    assert 1 == await watched.changes()


def deadlines(monkeypatch, steps):
    """Do each of `steps` (seconds, action) at its time; give the deadline of the path's telling after each."""

    async def run(watched):
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        at = 0.0
        monkeypatch.setattr(loop, "time", lambda: start_s + at)
        found = []
        for at, action in steps:  # noqa: B007 -- the clock reads it
            action()
            watched.watch._read()
            timer = watched.watch._timers.get(watched.path)
            found.append(None if timer is None else round(timer.when() - start_s, 2))
        return found

    return run


async def test_quiet_is_waited_for_but_not_for_ever(play, monkeypatch):
    """Each edit begins the 100 ms anew, until two seconds are over."""
    watched, path = play(text="one")
    steps = [(number * 0.09, lambda: replace(path)) for number in range(23)]

    expected = [round(min(number * 0.09 + 0.1, 2.0), 2) for number in range(23)]
    assert expected == await deadlines(monkeypatch, steps)(watched)


async def test_a_file_is_read_when_its_writer_is_done(play, monkeypatch):
    """A new file that is open is given a second; its closing is what tells. An open old one tells nothing."""
    watched, path = play()
    files = []
    steps = [
        (0.0, lambda: files.append(path.open("w"))),
        (0.3, lambda: files[0].write("x" * 100_000)),
        (0.4, lambda: files[0].close()),
    ]
    assert [1.0, 1.0, 0.5] == await deadlines(monkeypatch, steps)(watched)

    watched, path = play(text="one")
    steps = [
        (0.0, lambda: files.append(path.open("w"))),
        (0.3, lambda: files[1].write("x" * 100_000)),
        (0.4, lambda: files[1].close()),
    ]
    assert [None, None, 0.5] == await deadlines(monkeypatch, steps)(watched)


async def test_a_new_link_is_complete_at_once(play, monkeypatch):
    """Nobody writes to it, so that 100 ms are enough."""
    watched, path = play()

    assert [0.1] == await deadlines(monkeypatch, [(0.0, lambda: path.symlink_to("/dev/null"))])(watched)


def refuse(number):
    def call(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return call


async def test_without_an_inotify_instance_the_daemon_lives_on(play, monkeypatch, capsys):
    """One warning with the cure, and no word of any edit."""
    monkeypatch.setattr(file_watch, "INotify", refuse(errno.EMFILE))
    told = []
    watch = FileWatch(asyncio.get_running_loop(), ["/nowhere/a", "/nowhere/b"], told.append)
    watch.close()
    watch.close()

    out = capsys.readouterr().out
    assert (1, 1) == (out.count("files_not_watched"), out.count("Too many open files"))
    assert "mirosctl hosts reload" in out


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
async def test_a_directory_that_cannot_be_watched_is_one_warning(play, monkeypatch, capsys, number):
    """Too many watches, or no right to read any directory on the way: the rest goes on."""
    monkeypatch.setattr(file_watch.INotify, "add_watch", refuse(number))
    play(text="one")

    assert 1 == capsys.readouterr().out.count("files_not_watched")


async def test_a_way_that_may_not_be_read_may_be_gone(play, monkeypatch, capsys):
    """Directories on the way need not be readable: no warning, and edits are told."""
    real = file_watch.INotify.add_watch

    def add_watch(self, path, mask):
        if path.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, path, mask)

    monkeypatch.setattr(file_watch.INotify, "add_watch", add_watch)
    watched, path = play("a/b/hosts.json")
    path.parent.mkdir(parents=True)
    assert 0 == await watched.changes()
    edit_in_place(path)

    assert 1 == await watched.changes()
    assert "" == capsys.readouterr().out


async def test_a_directory_that_becomes_readable_is_watched(play, monkeypatch, capsys):
    """Its parent tells: a change of rights is an event there."""
    real = file_watch.INotify.add_watch
    closed = set()

    def add_watch(self, path, mask):
        if str(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, path, mask)

    monkeypatch.setattr(file_watch.INotify, "add_watch", add_watch)
    watched, path = play(text="one")
    closed.add(str(path.parent))
    path.parent.chmod(0o700)  # an event of its own, so that what is watched is found out anew
    assert 0 == await watched.changes()
    closed.clear()
    path.parent.chmod(0o755)
    assert 0 == await watched.changes()
    edit_in_place(path)

    assert 1 == await watched.changes()
    assert 1 == capsys.readouterr().out.count("files_not_watched")


async def test_a_broken_watch_is_given_up_with_one_warning(play, monkeypatch, capsys):
    """The loop is not woken for it again."""
    watched, path = play(text="one")
    monkeypatch.setattr(watched.watch._inotify, "read", refuse(errno.EIO))
    edit_in_place(path)
    async with asyncio.timeout(30):
        while watched.watch._inotify is not None:
            await asyncio.sleep(0)

    assert 1 == capsys.readouterr().out.count("files_not_watched")


@pytest.mark.parametrize("path", ["/", "/proc/1/nothing/at/all", "//there", "/a/../b/./c"])
async def test_any_path_is_borne(path):
    """A wrong setting is told when the file is read, not by an exception here."""
    FileWatch(asyncio.get_running_loop(), [path], print).close()
