"""The reactor with its real thread: order, wake-ups, sockets, failures, stop, fork."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirosd_client.shell.reactor import Reactor, default_reactor
from tests.lab.waiting import until


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor of its own, stopped afterwards."""
    made = Reactor(name="reactor-under-test")
    yield made
    assert made.stop(30)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reactor-under-test"]


def in_turn(reactor, fn):
    """What `fn` gives, called on the reactor's thread."""
    answer, done = [], threading.Event()
    reactor.call(lambda: (answer.append(fn()), done.set()))
    assert done.wait(30)
    return answer[0]


def test_its_thread_starts_with_the_first_use(reactor):
    """An unused reactor costs nothing; a used one has one daemon thread."""
    assert threads() == []
    assert in_turn(reactor, reactor.in_thread)
    assert not reactor.in_thread()
    assert [thread.daemon for thread in threads()] == [True]


def test_calls_of_each_thread_keep_their_order(reactor):
    """Four threads make 2,000 calls each; none is lost, none overtakes another of its thread."""
    made = []

    def caller(who):
        for n in range(2000):
            reactor.call(lambda n=n: made.append((who, n)))

    callers = [threading.Thread(target=caller, args=(who,)) for who in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    until(lambda: len(made) == 8000)

    assert all([n for who, n in made if who == caller] == list(range(2000)) for caller in range(4))


def test_a_sleeping_reactor_is_rung_once(reactor):
    """Calls made while it is awake ring no bell: one byte stands for all of them."""
    rings = []
    inside, go_on = threading.Event(), threading.Event()
    reactor.call(lambda: (inside.set(), go_on.wait(30)))
    assert inside.wait(30)
    ring = reactor._ring
    reactor._ring = lambda: (rings.append(1), ring())
    for _ in range(100):
        reactor.call(lambda: None)
    go_on.set()
    in_turn(reactor, lambda: None)

    assert len(rings) <= 2  # one for the hundred, one for the last


def test_with_nothing_due_it_sleeps(reactor):
    """It waits without a timeout when there are no timers, and no longer than until the next when there are."""
    assert in_turn(reactor, reactor._until_due_s) is None
    reactor.after(60.0, lambda: None)

    assert 59 < in_turn(reactor, reactor._until_due_s) <= 60


def test_a_nearer_timer_wakes_it(reactor):
    """A timer that comes before the one it sleeps for is called in its time; a cancelled one never."""
    called = []
    reactor.after(60.0, lambda: called.append("far"))
    reactor.after(0.02, lambda: called.append("cancelled")).cancel()
    reactor.after(0.03, lambda: called.append("near"))
    until(lambda: called)

    assert called == ["near"]


def test_periodic_timers_repeat_until_cancelled(reactor):
    """A periodic timer may end itself."""
    called, timers = [], []

    def tick():
        called.append(reactor.now())
        if len(called) == 5:
            timers[0].cancel()

    reactor.call(lambda: timers.append(reactor.after(0.001, tick, every_s=0.001)))  # there, before the first tick
    until(lambda: len(called) == 5)
    in_turn(reactor, lambda: None)

    assert timers[0].fn is None
    assert len(called) == 5


def test_a_callback_that_raises_is_counted_and_logged(reactor, caplog):
    """Neither a call nor a timer nor a socket's callback can end the thread."""
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def wrong():
            ours.recv(1)
            raise ValueError("wrong")

        reactor.call(lambda: 1 / 0)
        reactor.after(0.0, lambda: 1 / 0)
        reactor.call(lambda: reactor.watch(ours, on_readable=wrong))
        theirs.send(b"x")
        until(lambda: reactor.failures == 3)
        in_turn(reactor, lambda: reactor.unwatch(ours))

    assert len(threads()) == 1
    assert "a callback of the reactor-under-test thread failed" in caplog.text


def test_sockets_are_served_while_watched(reactor):
    """Bytes call back; writability only while wanted; nothing after the end of the watch."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        read, written = [], []

        def on_writable():
            written.append(1)
            reactor.set_writable(ours, False)

        in_turn(
            reactor, lambda: reactor.watch(ours, on_readable=lambda: read.append(ours.recv(9)), on_writable=on_writable)
        )
        theirs.send(b"one")
        until(lambda: read == [b"one"])
        assert written == []

        in_turn(reactor, lambda: reactor.set_writable(ours, True))
        until(lambda: written == [1])

        in_turn(reactor, lambda: reactor.unwatch(ours))
        theirs.send(b"two")
        in_turn(reactor, lambda: None)
        assert read == [b"one"]


def test_a_watch_for_writing_alone(reactor):
    """A socket that is only to be written, as while connecting."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        written = threading.Event()
        reactor.call(lambda: reactor.watch(ours, on_writable=lambda: (written.set(), reactor.unwatch(ours))))
        reactor.call(lambda: reactor.set_writable(ours, True))

        assert written.wait(30)


def test_a_watch_ended_by_another_callback_of_the_same_turn(reactor):
    """Two sockets are ready at once; the first callback ends the other's watch, which is then not called."""
    first, second = socket.socketpair(), socket.socketpair()
    called = []

    def on_readable(mine, others):
        called.append(mine.recv(1))
        reactor.unwatch(others)

    def watch_both():
        for (mine, _), (others, _) in ((first, second), (second, first)):
            reactor.watch(mine, on_readable=lambda mine=mine, others=others: on_readable(mine, others))
        for _, far in (first, second):
            far.send(b"x")

    in_turn(reactor, watch_both)
    until(lambda: called)
    in_turn(reactor, lambda: [reactor.unwatch(mine) for mine, _ in (first, second)])
    for end in (*first, *second):
        end.close()

    assert len(called) == 1


def test_an_interest_in_writing_ended_in_the_same_turn(reactor):
    """A socket is ready both ways; its reader ends the wish to write, so its writer is not called."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        read, written = [], []

        def on_readable():
            read.append(ours.recv(1))
            reactor.set_writable(ours, False)

        def watch():
            reactor.watch(ours, on_readable=on_readable, on_writable=lambda: written.append(1))
            reactor.set_writable(ours, True)
            theirs.send(b"x")

        in_turn(reactor, watch)
        until(lambda: read)
        in_turn(reactor, lambda: reactor.unwatch(ours))

    assert written == []


def test_calls_that_call_again_leave_room_for_timers(reactor):
    """A call made in a call waits for the next turn."""
    done = threading.Event()

    def again():
        if not done.is_set():
            reactor.call(again)

    reactor.call(again)
    reactor.after(0.01, done.set)

    assert done.wait(30)


def test_sockets_are_for_its_own_thread(reactor):
    """Watching from elsewhere would race with the selector."""
    in_turn(reactor, lambda: None)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError, match="call"):
        reactor.watch(ours, on_readable=lambda: None)


def test_stop_ends_it_for_good():
    """The thread and its descriptors are gone, later use raises, a second stop is no harm."""
    reactor = Reactor(name="reactor-under-test")
    in_turn(reactor, lambda: None)
    before = len(list(Path("/proc/self/fd").iterdir()))

    assert reactor.stop(30)
    assert threads() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 3  # the selector and the bell's two ends
    with pytest.raises(RuntimeError, match="stopped"):
        reactor.call(print)
    assert reactor.stop()


def test_stop_tells_when_a_callback_holds_the_thread():
    """It waits no longer than it was told; from its own thread it cannot wait at all."""
    reactor = Reactor(name="reactor-under-test")
    inside, go_on, from_inside = threading.Event(), threading.Event(), []
    reactor.call(lambda: (inside.set(), go_on.wait(30), from_inside.append(reactor.stop(30))))
    assert inside.wait(30)

    assert not reactor.stop(0.01)
    go_on.set()
    until(lambda: not threads())
    assert from_inside == [False]


def test_an_unused_reactor_stops_at_once():
    """There is nothing to end."""
    assert Reactor().stop()


def test_the_process_has_one_reactor():
    """All charts and connections share it."""
    assert default_reactor() is default_reactor()


def test_a_forked_child_begins_anew():
    """The child has none of the parent's timers and sockets, its hooks are called, and it works; so does the parent."""
    program = """
        import os, socket, sys, threading
        from mirosd_client.shell.reactor import Reactor
        reactor, log, ours = Reactor(), [], socket.socketpair()
        def turn(fn):
            done, answer = threading.Event(), []
            reactor.call(lambda: (answer.append(fn()), done.set()))
            assert done.wait(30)
            return answer[0]
        reactor.at_fork(lambda: log.append("hook"))
        turn(lambda: reactor.watch(ours[0], on_readable=lambda: log.append(ours[0].recv(9).decode())))
        reactor.after(60.0, print)
        child = os.fork()
        if not child:
            clean = reactor._timers.next_due_s() is None and not reactor._watches
            log.append("in thread" if turn(reactor.in_thread) else "lost")
            os._exit(0 if clean and log == ["hook", "in thread"] else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        ours[1].send(b"bytes")
        turn(lambda: None)
        while not log: turn(lambda: None)
        print(log, reactor._timers.next_due_s() is not None, reactor.stop(30))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.splitlines() == ["0", "['bytes'] True True"], done.stderr
