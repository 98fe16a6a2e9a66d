"""The terminal: lines in order, boundedly, on a thread of their own."""

import os
import threading

from mirosd_client.terminal import MAX_REMEMBERED, TERMINAL, Terminal
from tests.client.fake_daemon import until


def test_lines_are_shown_in_order_by_one_thread() -> None:
    """The thread begins with the first of them."""
    terminal = Terminal()
    shown: list[tuple[int, str]] = []
    assert terminal.flush(0)

    for n in range(100):
        assert terminal.show(lambda n=n: shown.append((n, threading.current_thread().name)))  # type: ignore[misc]

    assert terminal.flush(30)
    assert shown == [(n, "mirosd-terminal") for n in range(100)]


def test_a_terminal_that_stands_still_takes_no_more_than_its_bound() -> None:
    """Whoever has a line to show is told at once, and not held up."""
    terminal = Terminal(max_waiting=2)
    gate, stands = threading.Event(), threading.Event()
    terminal.show(lambda: (stands.set(), gate.wait(30)))
    assert stands.wait(30)

    assert [terminal.show(int) for _ in range(3)] == [True, True, False]
    assert not terminal.flush(0)
    gate.set()
    until(lambda: terminal.flush(30))


def test_the_same_line_is_first_once_and_old_ones_are_forgotten() -> None:
    """What is remembered is bounded."""
    terminal = Terminal()

    assert [terminal.is_first(n) for n in (1, 1, 2)] == [True, False, True]
    assert all(terminal.is_first(("many", n)) for n in range(MAX_REMEMBERED))
    assert terminal.is_first(1)


def test_a_forked_child_shows_its_own_lines() -> None:
    """The parent's thread is not there, and what waited for it is the parent's."""
    TERMINAL.show(int)
    child = os.fork()
    if not child:
        shown: list[int] = []
        try:
            TERMINAL.show(lambda: shown.append(1))
            TERMINAL.flush(30)
        finally:
            os._exit(shown != [1])

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
