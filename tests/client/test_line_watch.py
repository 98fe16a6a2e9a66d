"""Following what charts do from a program."""

import threading
from typing import Any

import pytest

from mirosd_client.client import Client
from mirosd_client.dial import Dial
from mirosd_client.errors import ClientClosedError, DaemonRefusedError, DaemonUnavailableError
from mirosd_client.line_watch import LineWatch
from mirosd_client.messages import Done, Failed
from mirosd_client.snoop_line import SnoopLine, encode_lines
from mirosd_client.wire import Network
from tests.client.fake_daemon import FakeDaemon, record, until

MOVE = SnoopLine("trace", "archer-1", 1.0, "PING", "a", "b", host="h2", client="aa", number=1, hlc=7, line=1)
BOW = SnoopLine("trace", "bow", 1.0, "PING", "a", "b", host="h2")
ELSEWHERE = SnoopLine("trace", "archer-1", 1.0, "PING", "a", "b", host="h3")
SPIED = SnoopLine("spy", "archer-1", 1.0, text="PING:a", host="h2")
REFUSED = SnoopLine("notice", "archer-1", 1.0, text="spy_unavailable: b is not decorated", host="h2")


WORDS: dict[str, Any] = {"hosts": ["h2"], "charts": ["archer*"], "signals": ["P*"]}
DIAL = Dial(hosts=["h2"], charts=["archer*"], signals=["P*"])


def watching(daemon: FakeDaemon, network: Network = Network.SNOOP_TRACE, dial: Dial = DIAL) -> LineWatch:
    """Give a watch, whose dial the daemon has heard."""
    watch = LineWatch(network, dial, socket=str(daemon.path))
    until(lambda: daemon.link.asks, "the dial")
    return watch


def deliver(daemon: FakeDaemon, *lines: SnoopLine) -> None:
    """Have the watch given a record of lines."""
    daemon.link.deliver(1, 1, record(1, "lines", encode_lines(lines)))


def test_lines_come_as_they_happen(daemon: FakeDaemon) -> None:
    """The dial says what is wanted; of what comes, what was not asked for is left out."""
    with watching(daemon) as watch:
        deliver(daemon, BOW, ELSEWHERE, SPIED, MOVE)

        assert MOVE == next(watch)


def test_the_spy_comes_with_its_refusals(daemon: FakeDaemon) -> None:
    """Why a chart's spy stays off is a line too."""
    with watching(daemon, Network.SNOOP_SPY) as watch:
        deliver(daemon, MOVE, SPIED, REFUSED)

        assert [SPIED, REFUSED] == [next(watch), next(watch)]


def test_it_ends_when_its_time_is_up(daemon: FakeDaemon) -> None:
    """The daemon's word ends the iteration."""
    with LineWatch(Network.SNOOP_TRACE, DIAL, for_s=1.0, socket=str(daemon.path)) as watch:
        daemon.link.say(Done(until(lambda: daemon.link.asks)[0].id))

        assert [] == list(watch)


def test_any_thread_ends_one_that_waits(daemon: FakeDaemon) -> None:
    """`close` lets go of the thread that waits for a line; its loop ends without an error."""
    watch = watching(daemon)
    seen: list[SnoopLine] = []
    thread = threading.Thread(target=lambda: seen.extend(watch))
    thread.start()
    deliver(daemon, MOVE)
    until(lambda: daemon.link.acks, "the line was taken, and the next one is waited for")
    watch.close()
    thread.join(30)

    assert not thread.is_alive()
    assert [MOVE] == seen


def test_a_daemon_that_refuses_is_an_error(daemon: FakeDaemon) -> None:
    """Too many watches are told by the first look, with what to do."""
    with watching(daemon) as watch, pytest.raises(DaemonRefusedError, match="end one of them"):
        daemon.link.say(Failed(daemon.link.asks[0].id, "too_many_watches", "end one of them"))
        next(watch)


def test_a_daemon_that_goes_is_an_error(daemon: FakeDaemon) -> None:
    """Who follows is told, and makes another watch."""
    with watching(daemon) as watch, pytest.raises(DaemonUnavailableError):
        daemon.link.cut()
        next(watch)


def test_a_client_follows_lines(daemon: FakeDaemon) -> None:
    """Its words are the dial's; a closed one follows nobody."""
    client = Client(str(daemon.path))
    with (
        client.trace("archer*", hosts=["h2"], signals=["P*"], events=True, for_s=60.0),
        client.spy("archer*", hosts=["h2"], signals=["P*"]),
    ):
        until(lambda: len(asked(daemon)) == 2, "both dials")
    client.close()

    trace, spy = sorted(asked(daemon), key=lambda args: args["network"], reverse=True)
    assert {"network": "snoop_trace", **WORDS, "events": True, "for_s": 60.0} == trace
    assert {"network": "snoop_spy", **WORDS, "events": False, "for_s": 86_400.0} == spy
    with pytest.raises(ClientClosedError):
        client.spy()


def asked(daemon: FakeDaemon) -> list[dict[str, Any]]:
    """Give the dials that all connections have asked for."""
    return [ask.args for link in daemon.links for ask in link.asks]
