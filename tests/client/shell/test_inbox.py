"""A chart's queue: exact about what it holds, and about what it could not take."""

import threading

import pytest

from mirosd_client.shell.inbox import Inbox


def test_both_ends():
    """First in, first out; what is put to the front comes first."""
    inbox = Inbox(10)
    for n in (1, 2):
        inbox.append(n)
    inbox.appendleft(0)

    assert [inbox.popleft() for _ in range(len(inbox))] == [0, 1, 2]
    with pytest.raises(IndexError):
        inbox.popleft()


def test_full_it_keeps_what_it_has():
    """What finds no room, at either end, is refused and counted, and overwrites nothing (D36)."""
    inbox = Inbox(2)

    assert [inbox.append(1), inbox.append(2), inbox.append(3), inbox.appendleft(0)] == [True, True, False, False]
    assert list(inbox.deque) == [1, 2]
    assert inbox.dropped == 2


def test_closed_it_takes_nothing_and_lets_its_reader_go():
    """A reader that waits returns; what was queued stays for it."""
    inbox = Inbox(2)
    reader = threading.Thread(target=inbox.wait)
    reader.start()
    inbox.close()
    reader.join(30)

    assert not reader.is_alive()
    assert not inbox.append(1)
    assert inbox.dropped == 1


def test_nothing_is_lost_or_reordered_between_many_writers_and_the_reader():
    """Four threads write 5,000 each to a reader that waits for every one."""
    inbox, read = Inbox(20_000), []

    def write(who):
        for n in range(5000):
            assert inbox.append((who, n))

    def reader():
        while len(read) < 20_000:
            inbox.wait()
            read.append(inbox.popleft())

    workers = [threading.Thread(target=write, args=(who,)) for who in range(4)] + [threading.Thread(target=reader)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert len(read) == 20_000
    assert all([n for who, n in read if who == writer] == list(range(5000)) for writer in range(4))
