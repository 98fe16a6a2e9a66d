"""Following the peers table from a program."""

import threading
from pathlib import Path

import pytest

from mirosd_client.client import Client
from mirosd_client.errors import ClientClosedError, DaemonRefusedError, DaemonUnavailableError
from mirosd_client.messages import Failed, Row
from mirosd_client.peer_watch import PeerWatch
from tests.client.fake_daemon import FakeDaemon, until

APPEARED = {"change": "appeared", "peer": {"node": "a", "state": "alive"}}
COMPLETE = {"change": "complete"}
GONE = {"change": "gone", "peer": {"node": "a", "state": "left"}}


def tell(daemon: FakeDaemon, *rows: dict[str, object]) -> None:
    """Answer the newest watch with these rows."""
    number = until(lambda: daemon.link.asks, "the question")[-1].id
    for row in rows:
        daemon.link.say(Row(number, row))


def test_changes_come_as_they_happen(daemon: FakeDaemon) -> None:
    """Who is there, that this is all, and then each change when the daemon tells it (D44)."""
    with PeerWatch(str(daemon.path), program="my program") as watch:
        tell(daemon, APPEARED, COMPLETE)
        assert [next(watch), next(watch)] == [APPEARED, COMPLETE]
        tell(daemon, GONE)
        assert next(watch) == GONE
        assert daemon.link.asks[0].verb == "peers_watch"
        assert daemon.link.hello is not None
        assert daemon.link.hello.program == "my program"


def test_any_thread_ends_a_watch_that_waits(daemon: FakeDaemon) -> None:
    """`close` lets go of the thread that waits for a change; its loop ends without an error."""
    watch = PeerWatch(str(daemon.path))
    seen: list[dict[str, object]] = []
    is_waiting = threading.Event()

    def follow() -> None:
        for change in watch:
            seen.append(change)
            is_waiting.set()

    thread = threading.Thread(target=follow)
    thread.start()
    tell(daemon, COMPLETE)
    assert is_waiting.wait(30)
    watch.close()
    thread.join(30)

    assert not thread.is_alive()
    assert seen == [COMPLETE]
    assert until(lambda: daemon.link.is_ended, "the connection ended")


def test_a_watch_may_be_closed_inside_its_loop(daemon: FakeDaemon) -> None:
    """That is its last turn, and closing again does nothing."""
    watch = PeerWatch(str(daemon.path))
    tell(daemon, COMPLETE, GONE)
    seen = []
    for change in watch:
        seen.append(change)
        watch.close()
    watch.close()

    assert seen == [COMPLETE]


def test_a_daemon_that_goes_is_an_error_once(daemon: FakeDaemon) -> None:
    """The loop ends with DaemonUnavailableError; the same watch tells nothing more."""
    watch = PeerWatch(str(daemon.path))
    tell(daemon, APPEARED)
    assert next(watch) == APPEARED
    daemon.link.cut()

    with pytest.raises(DaemonUnavailableError):
        next(watch)
    assert list(watch) == []
    watch.close()


def test_a_refusal_is_the_daemons_word(daemon: FakeDaemon) -> None:
    """Its code and text, as of any question."""
    with PeerWatch(str(daemon.path)) as watch:
        thread = threading.Thread(
            target=lambda: daemon.link.say(Failed(until(lambda: daemon.link.asks)[0].id, "unknown_verb", "upgrade"))
        )
        thread.start()
        with pytest.raises(DaemonRefusedError, match="upgrade"):
            next(watch)
        thread.join()


def test_a_client_follows_its_own_daemon(client: Client, daemon: FakeDaemon, socket_file: Path) -> None:
    """On a second connection, so that a program's own one is not held up; a closed client follows nobody."""
    assert client.wait_connected(30)
    with client.watch_peers() as watch:
        assert until(lambda: len(daemon.links) == 2, "a second connection")
        thread = threading.Thread(target=lambda: tell(daemon, COMPLETE))
        thread.start()
        assert next(watch) == COMPLETE
        thread.join()
    client.close(timeout_s=0)

    with pytest.raises(ClientClosedError):
        client.watch_peers()
