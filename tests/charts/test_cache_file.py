"""CacheFileChart: many may ask, the file is opened once at a time, and a wrong file ends nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosd.charts.cache_file import CacheFileChart, file_access_waiting, file_accessed, file_read, file_write
from mirosd.core.cache_document import hosts_text, parse_hosts, parse_lan_cache
from mirosd.payloads import CacheReadPayload, CacheWritePayload
from mirosd.signals import Public
from mirosd_client.shell import Event
from mirosd_client.shell.testing import check_structure, threadless
from tests.charts.fakes import FakeFileStore

PATH = "/etc/mirosd/hosts.json"


class Play:
    """A cache file chart on a fake disk, in the hands of a test."""

    def __init__(self, files=None, path=PATH, *, beside=None, **arguments):
        self.files = files or FakeFileStore(locks_reads=True)
        self.chart = CacheFileChart(path, self.files, **({"dice": lambda: 0.5} | arguments))
        self.play = threadless(self.chart, *((beside.play.reactor, beside.play.bus) if beside else ()))
        self.chart.start()
        self.play.drain()

    def publish(self, signal, payload=None):
        self.play.bus.publish(Event(signal=signal, payload=payload), 1000)

    def read(self, file_name=None):
        self.publish(Public.CACHE_FILE_READ, file_name)
        self.play.drain()

    def write(self, text, file_name=PATH):
        self.publish(Public.CACHE_FILE_WRITE, CacheWritePayload(text, file_name))
        self.play.drain()

    @property
    def caches(self):
        return [event.payload for event in self.play.published if event.signal == Public.CACHE]

    @property
    def reads(self):
        return self.play.moves.count(("file_read", "file_access_waiting", "file_read"))

    @property
    def dicts(self):
        return [cache.dict for cache in self.caches]


def test_structure():
    """Every state names its parent, and swallows nothing it does not know."""
    chart = CacheFileChart(PATH, FakeFileStore())
    check_structure(chart, [file_access_waiting, file_accessed, file_read, file_write])


def test_a_read_is_the_seeds_trace():
    """CACHE_FILE_READ becomes file_read, the answer ends the access, CACHE carries the file."""
    play = Play(parse=parse_lan_cache)
    play.files.put(PATH, '{"addresses": ["10.0.0.7"], "time_out_in_minutes": 30}')
    play.read()

    assert [
        (None, "top", "file_access_waiting"),
        ("file_read", "file_access_waiting", "file_read"),
        ("read_successful", "file_read", "file_access_waiting"),
    ] == play.play.moves
    (cache,) = play.caches
    assert ({"addresses": ["10.0.0.7"], "amqp_urls": [], "time_out_in_minutes": 30}, 1_000_000.0, False, PATH, "") == (
        cache.dict,
        cache.last_modified,
        cache.expired,
        cache.file_name,
        cache.problem,
    )
    assert "1970" in cache.created_at


def test_a_write_is_the_seeds_trace_and_publishes_nothing():
    """CACHE_FILE_WRITE becomes file_write; who wants to see the file asks."""
    play = Play()
    play.write('{"a": 1}')

    assert [
        (None, "top", "file_access_waiting"),
        ("file_write", "file_access_waiting", "file_write"),
        ("write_successful", "file_write", "file_access_waiting"),
    ] == play.play.moves
    assert [(PATH, '{"a": 1}')] == play.files.writes
    assert [] == play.caches


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_missing_or_empty_file_is_an_empty_document(text):
    """The chart runs on without a file (D60, D68)."""
    play = Play(parse=parse_hosts)
    if text is not None:
        play.files.put(PATH, text)
    play.read()

    assert [{"hosts": []}] == play.dicts
    assert "" == play.caches[0].problem


def test_a_cache_that_is_too_old_says_so():
    """`expired` is age against the file's own time-out."""
    play = Play(parse=parse_lan_cache)
    play.files.put(PATH, '{"time_out_in_minutes": 30}')
    play.files.now_s += 1799
    play.read()
    play.files.now_s += 2
    play.read()

    assert [False, True] == [cache.expired for cache in play.caches]


def test_a_wrong_file_is_published_as_a_problem_with_its_place():
    """Nobody's chart dies of it (D60), and the next good text is read as ever."""
    play = Play(parse=parse_hosts)
    play.files.put(PATH, '{"hosts": [\n "10.0.0.7"\n "10.0.0.8"]}')
    play.read()
    play.files.put(PATH, '{"hosts": ["10.0.0.7"]}')
    play.read()

    assert (
        CacheReadPayload({}, 0.0, "", True, PATH, f"{PATH} line 3 column 2: Expecting ',' delimiter")
        == (play.caches[0])
    )
    assert [{}, {"hosts": ["10.0.0.7"]}] == play.dicts


def test_two_charts_read_what_is_addressed_to_them():
    """A file's name reaches one chart, no name reaches all (D25); files of one name in two directories are two."""
    one = Play()
    other = Play(one.files, "/var/lib/mirosd/hosts.json", beside=one)
    one.read(PATH)
    assert [PATH] == [cache.file_name for cache in one.caches]

    one.read()
    assert [PATH, PATH, other.chart.file_path] == sorted(cache.file_name for cache in one.caches)

    one.write("{}", other.chart.file_path)
    assert [(other.chart.file_path, "{}")] == one.files.writes


def test_a_busy_file_is_tried_again_after_a_growing_random_time():
    """Half of 1.1, 1.3, 1.54 s with these dice; then it is read once (D58, D66)."""
    play = Play()
    play.files.put(PATH, "{}")
    play.files.busy.add(PATH)
    play.read()
    for tries, due_s in enumerate((0.5505, 1.2010, 1.9715), start=1):
        play.play.elapse(due_s - 0.001 - play.play.reactor.now())
        assert tries == play.reads
        play.play.elapse(0.002)
        assert tries + 1 == play.reads
    play.files.busy.clear()
    play.play.elapse(5.0)

    assert [{}] == play.dicts
    tries = len(play.play.moves)
    play.play.elapse(60.0)
    assert tries == len(play.play.moves)


def test_a_file_that_stays_busy_for_days_ends_nothing():
    """Far more retries than miros has timers for; never more than 5 s apart (D66)."""
    play = Play()
    play.files.busy.add(PATH)
    play.read()
    play.play.elapse(3600.0)
    assert play.reads > 1000

    play.files.busy.clear()
    play.play.elapse(5.0)
    assert [{}] == play.dicts


def test_asking_again_while_it_is_busy_starts_no_second_chain_of_retries():
    """A hundred askers wait for one timer, and are answered by one CACHE."""
    play = Play(dice=random.Random(1).random)
    play.files.busy.add(PATH)
    for _ in range(100):
        play.read()
    play.play.elapse(3.0)
    assert play.reads < 10

    play.files.busy.clear()
    play.play.elapse(5.0)
    assert [{}] == play.dicts


def test_two_writes_in_a_row_are_both_made_in_order():
    """The first is not lost, the second is what stays (D63)."""
    play = Play(FakeFileStore(is_held=True, locks_reads=True))
    play.write("1")
    play.write("2")
    for _ in range(2):
        play.files.serve()
        play.play.drain()

    assert [(PATH, "1"), (PATH, "2")] == play.files.writes


def test_of_several_texts_that_wait_the_last_is_written():
    """While the file is busy a newer text takes the place of an older one, never the other way round."""
    play = Play(FakeFileStore(is_held=True, locks_reads=True))
    play.files.busy.add(PATH)
    play.write("1")
    play.write("2")
    play.files.serve()
    play.play.drain()
    play.write("3")
    play.files.busy.clear()
    play.play.elapse(10.0)
    play.files.serve()
    play.play.elapse(10.0)
    play.files.serve()
    play.play.drain()

    assert [(PATH, "3")] == play.files.writes


def test_a_read_after_a_write_sees_it():
    """Also when the file was busy in between."""
    play = Play()
    play.files.put(PATH, '{"old": 1}')
    play.files.busy.add(PATH)
    play.write('{"new": 1}')
    play.read()
    play.files.busy.clear()
    play.play.elapse(5.0)

    assert [{"new": 1}] == play.dicts


def test_a_read_asked_for_during_a_read_is_made_after_it():
    """What the file became meanwhile is not missed."""
    play = Play(FakeFileStore(is_held=True, locks_reads=True))
    play.files.put(PATH, '{"n": 1}')
    play.read()
    play.files.serve()
    play.read()
    play.files.put(PATH, '{"n": 2}')
    play.files.serve()
    play.play.drain()

    assert [{"n": 1}, {"n": 2}] == play.dicts


@pytest.mark.parametrize("ask", [Play.read, lambda play: play.write("{}")])
def test_a_failing_disk_is_a_problem_not_an_end(ask):
    """The system's words reach whoever listens; the next attempt is free."""
    play = Play()
    play.files.broken[PATH] = "No space left on device"
    ask(play)
    play.files.broken.clear()
    play.play.elapse(60.0)
    play.read()

    assert [f"{PATH}: No space left on device", ""] == [cache.problem for cache in play.caches]


def test_who_reads_after_a_failed_write_hears_of_the_failure():
    """One answer, and it is the problem: not the old text as if all were well."""
    play = Play()
    play.files.put(PATH, '{"old": 1}')
    play.files.broken[PATH] = "Read-only file system"
    play.publish(Public.CACHE_FILE_WRITE, CacheWritePayload("{}", PATH))
    play.publish(Public.CACHE_FILE_READ, PATH)
    play.play.drain()

    assert [f"{PATH}: Read-only file system"] == [cache.problem for cache in play.caches]


@pytest.mark.parametrize("file_name", [None, PATH])
def test_destroy_leaves_the_file_alone(file_name):
    """Nothing is read, written or waited for any more (D64); another file's name does nothing."""
    play = Play()
    play.publish(Public.CACHE_FILE_DESTROY, "/other")
    play.files.busy.add(PATH)
    play.write("{}")
    assert len(play.play.moves) == 3

    play.publish(Public.CACHE_FILE_DESTROY, file_name)
    play.files.busy.clear()
    play.play.drain()
    assert {} == play.chart._timed
    play.play.elapse(60.0)
    play.read()
    play.play.elapse(60.0)
    assert ([], [], 3) == (play.files.writes, play.caches, len(play.play.moves))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["read", "write", "busy", "free", "break", "mend", "serve", "wait"])))
def test_any_order_of_events_ends_with_the_last_text_and_one_answer_to_the_last_read(steps):
    """Whatever was busy or broken: in the end the file holds the last text, and who asked has read it."""
    play = Play(FakeFileStore(is_held=True, locks_reads=True), parse=parse_hosts)
    for n, step in enumerate(steps):
        match step:
            case "read":
                play.read()
            case "write":
                play.write(hosts_text([f"h{n}"]))
            case "busy":
                play.files.busy.add(PATH)
            case "free":
                play.files.busy.clear()
            case "break":
                play.files.broken[PATH] = "disk"
            case "mend":
                play.files.broken.clear()
            case "serve":
                play.files.serve(1)
            case "wait":
                play.play.elapse(1.0)
        play.play.drain()
    play.files.busy.clear()
    play.files.broken.clear()

    def settle():
        for _ in range(4):
            play.files.serve()
            play.play.elapse(6.0)

    settle()
    play.write(hosts_text(["last"]))
    play.read()
    settle()

    assert "file_access_waiting" == play.play.state
    assert {"hosts": ["last"]} == play.dicts[-1]
    texts = [text for _, text in play.files.writes]
    numbers = [int(parse_hosts(text)["hosts"][0][1:]) for text in texts[:-1]]
    assert sorted(set(numbers)) == numbers
