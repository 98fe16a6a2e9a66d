"""LanChart and its cache on a real disk, as disks are: files that are missing or wrong, and disks that take nothing."""

import subprocess

import pytest

from mirosd.backends.files import DiskFileStore
from mirosd.charts.cache_file import CacheFileChart
from mirosd.charts.lan import WRITE_AGAIN_S, LanChart
from mirosd.core.cache_document import lan_cache_text, parse_lan_cache
from mirosd.payloads import LanHostFoundPayload, RecceCompletePayload
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import threadless
from tests.charts.fakes import FakeBoard, introduction
from tests.lab.waiting import until

HOST, OTHER = "10.0.0.7", "10.0.0.8"
GOOD = lan_cache_text([HOST], [f"amqp://{HOST}:5672/"], time_out_in_minutes=30)


class Play:
    """The chart and its cache file on the disk; time is the test's, the disk takes its own."""

    def __init__(self, directory):
        self.path = directory / "lan_cache.json"
        self.store, self.board = DiskFileStore(), FakeBoard()
        self.chart = LanChart(str(self.path), board=self.board)
        self.play = threadless(self.chart)
        file = CacheFileChart(str(self.path), self.store, parse=parse_lan_cache, dice=lambda: 0.5)
        threadless(file, self.play.reactor, self.play.bus)
        file.start()
        self.chart.start()

    def wait(self, condition):
        """Until the disk has answered so that it holds."""

        def holds():
            self.play.drain()
            return condition()

        until(holds)

    def find(self, host):
        """A search finds one host and ends."""
        self.publish(Public.LAN_HOST_FOUND, LanHostFoundPayload(host, introduction(host)))
        self.publish(Public.LAN_RECCE_COMPLETE, RecceCompletePayload((host,), "10.0.0.1"))

    def publish(self, signal, payload):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)
        self.play.drain()

    def said(self, signal):
        return [event.payload for event in self.play.published if event.signal == signal]

    @property
    def problem(self):
        return self.board.reasons.get("lan_cache", "")

    @property
    def cached(self):
        return parse_lan_cache(self.path.read_text())["addresses"]


@pytest.fixture
def on_disk():
    """Make plays, and let go of their disks."""
    made = []

    def make(directory):
        made.append(Play(directory))
        return made[-1]

    yield make
    for play in made:
        play.store.close()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own with 64 KiB, the good cache on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    (disk / "lan_cache.json").write_text(GOOD)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, ""),
        ("", ""),
        (GOOD[:30], "line 3 column"),
        ("{", "line 1 column 2"),
        ('{"addresses": [7]}', "line 1 column 2"),
        ("\x00" * 4096, "line 1 column 1"),
        ("[" * 100_000, "line 1 column 1"),
    ],
)
def test_whatever_the_file_holds_a_search_cures_it(on_disk, tmp_path, text, problem):
    """Missing, empty, truncated, wrong, zeros after a power cut: told with its place, and replaced (D60, D61, D68)."""
    if text is not None:
        (tmp_path / "lan_cache.json").write_text(text)
    play = on_disk(tmp_path)
    play.wait(lambda: play.said(Public.RECCE_LAN))
    assert problem in play.problem
    assert bool(problem) == bool(play.problem)
    play.find(HOST)
    play.wait(lambda: play.board.lan_cache.addresses)

    assert ([HOST], "") == (play.cached, play.problem)
    assert (0, 0) == (play.chart.faults, play.chart.dropped)


def test_a_good_file_is_taken(on_disk, tmp_path):
    """And nothing is searched or written."""
    (tmp_path / "lan_cache.json").write_text(GOOD)
    play = on_disk(tmp_path)
    play.wait(lambda: play.said(Public.HOSTS_SIGHTED))

    assert ([], ["lan_cache.json"]) == (play.said(Public.RECCE_LAN), [path.name for path in tmp_path.iterdir()])


def test_a_directory_that_goes_away_is_told_and_its_return_noticed(on_disk, tmp_path):
    """A state directory is not made anew behind its owner's back."""
    home = tmp_path / "home"
    play = on_disk(home)
    play.wait(lambda: play.said(Public.RECCE_LAN))
    play.find(HOST)
    play.wait(lambda: "the directory is not there" in play.problem)
    assert [HOST] == list(play.said(Public.CONNECTION_DISCOVERY)[0].hosts)
    home.mkdir()
    play.play.elapse(WRITE_AGAIN_S)
    play.wait(lambda: not play.problem)

    assert [HOST] == play.cached


@pytest.mark.lab
def test_a_full_disk_loses_no_good_file(on_disk, small_disk):
    """The reason is the system's word; hosts are found as ever; the old cache stays until the new one has room."""
    play = on_disk(small_disk)
    play.wait(lambda: play.said(Public.HOSTS_SIGHTED))
    filling = small_disk / "filling"
    with pytest.raises(OSError, match="No space left"), filling.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    play.find(OTHER)
    play.wait(lambda: "No space left on device" in play.problem)
    assert ([HOST], [OTHER]) == (play.cached, list(play.said(Public.CONNECTION_DISCOVERY)[0].hosts))
    assert GOOD == play.path.read_text()
    filling.unlink()
    play.play.elapse(WRITE_AGAIN_S)
    play.wait(lambda: not play.problem)

    assert [OTHER] == play.cached
    assert {"lan_cache.json", "lan_cache.json.lock"} == {path.name for path in small_disk.iterdir()}


@pytest.mark.lab
def test_a_read_only_disk_is_read_and_told(on_disk, small_disk):
    """Its cache counts; what cannot be written is told until it can."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    play = on_disk(small_disk)
    play.wait(lambda: play.said(Public.HOSTS_SIGHTED))
    assert "" == play.problem
    play.find(OTHER)
    play.wait(lambda: "Read-only file system" in play.problem)
    assert ([HOST], [OTHER]) == (play.cached, list(play.said(Public.CONNECTION_DISCOVERY)[0].hosts))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    play.play.elapse(WRITE_AGAIN_S)
    play.wait(lambda: not play.problem)

    assert [OTHER] == play.cached
