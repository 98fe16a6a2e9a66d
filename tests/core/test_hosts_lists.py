"""The manual hosts in force: two files, one list, and edits that wait for what is there."""

from functools import partial

from mirosd.core.cache_document import hosts_text, with_host, without_host
from mirosd.core.hosts_lists import HostsLists
from mirosd.payloads import CacheReadPayload


def read(path, *hosts, problem=""):
    return CacheReadPayload({} if problem else {"hosts": list(hosts)}, 0.0, "", bool(problem), path, problem)


def lists(*files):
    known = HostsLists("/etc/h", "/var/h")
    for file in files:
        known.take(file)
    return known


def test_both_files_must_be_read_or_tried():
    """A wrong file counts as tried; one that nobody has answered for does not."""
    assert [False, False, True] == [
        lists(*files).is_known
        for files in ((), (read("/etc/h", "a"),), (read("/etc/h", "a"), read("/var/h", problem="bad")))
    ]


def test_the_operators_hosts_come_first_and_none_twice():
    """The parts stay apart for `hosts list`."""
    known = lists(read("/var/h", "b", "a"), read("/etc/h", "a", "c"))

    assert ("a", "c", "b") == known.hosts
    assert (("a", "c"), ("b", "a")) == known.parts
    assert ("/etc/h", "/var/h") == known.paths


def test_a_problem_keeps_the_last_good_list_until_it_is_mended():
    """Each file has its own."""
    known = lists(read("/etc/h", "a"), read("/etc/h", problem="/etc/h line 1"), read("/var/h", problem="/var/h full"))
    assert (("a",), "/etc/h line 1; /var/h full") == (known.hosts, known.problem)

    known.take(read("/etc/h"))
    assert ((), "/var/h full") == (known.hosts, known.problem)


def test_edits_are_made_to_what_is_read():
    """All that wait, in order, once; the operator's file is none of theirs."""
    known = lists()
    known.edit(partial(with_host, host="b"))
    known.edit(partial(without_host, host="a"))
    assert known.take(read("/etc/h", "a")) is None
    assert hosts_text(["theirs", "b"]) == known.take(read("/var/h", "a", "theirs"))
    assert known.take(read("/var/h", "theirs", "b")) is None


def test_edits_without_effect_write_nothing():
    """Nor do those whose file is wrong: they are dropped, since what they would change is not known."""
    known = lists()
    known.edit(partial(with_host, host="a"))
    assert known.take(read("/var/h", "a")) is None
    known.edit(partial(with_host, host="b"))
    assert known.take(read("/var/h", problem="bad")) is None
    assert known.take(read("/var/h", "a")) is None
