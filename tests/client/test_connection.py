"""The client and its daemon over a real socket: hello, order, settling, reconnects, bad daemons."""

import logging
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from mirosd_client.client import Client
from mirosd_client.errors import DaemonRefusedError
from mirosd_client.limits import MAX_RECORDS
from mirosd_client.messages import Closing, Done, Unroutable, Welcome
from mirosd_client.secret import client_id
from mirosd_client.shell.reactor import Reactor
from mirosd_client.wire import FrameType, encode_delivery, encode_frame, encode_settled
from tests.client.fake_daemon import FakeDaemon, record, until
from tests.client.stoppable_daemon import stoppable


def sequences(daemon: FakeDaemon) -> list[int]:
    return [r.sequence for r in daemon.link.records]


def test_the_hello_shows_the_secret_that_the_client_id_follows_from(daemon: FakeDaemon, client: Client) -> None:
    """The first frame names version, secret, program and pid."""
    assert client.wait_connected(30)

    hello = daemon.link.hello
    assert hello is not None
    assert hello.versions == [1]
    assert hello.pid == os.getpid()
    assert len(bytes.fromhex(hello.secret)) == 32
    assert daemon.link.client == client_id(bytes.fromhex(hello.secret))


def test_events_arrive_in_the_order_they_were_transmitted(daemon: FakeDaemon, client: Client) -> None:
    """Sequence numbers rise without a gap, each event with its payload, key and source."""
    client.wait_connected(30)
    for number in range(300):
        assert client.transmit("PING", {"n": number}, routing_key="a.b" if number < 290 else "c")

    until(lambda: len(daemon.link.records) == 300)

    assert sequences(daemon) == list(range(1, 301))
    first = daemon.link.records[0]
    assert (first.signal, first.payload, first.content_type) == ("PING", b'{"n":0}', "json")
    assert first.source == (daemon.link.client, 0)
    assert first.hlc < daemon.link.records[1].hlc
    assert {events.routing_key for events in daemon.link.events} == {"a.b", "c"}


def test_a_burst_travels_in_few_frames(socket_file: Path, reactor: Reactor) -> None:
    """What gathers while nobody listens goes in full bodies, not one by one."""
    with FakeDaemon(socket_file, welcomes=False) as daemon:
        client = Client(str(socket_file), reactor=reactor)
        for _ in range(10 * MAX_RECORDS):
            client.transmit("PING")
        daemon.link.say(daemon.welcome(daemon.link))

        until(lambda: len(daemon.link.records) == 10 * MAX_RECORDS)

        assert len(daemon.link.events) == 10
        client.close(0)


def test_a_flood_gives_way_to_what_comes_in(socket_file: Path, reactor: Reactor) -> None:
    """More than is written at one go arrives whole and in order."""
    with FakeDaemon(socket_file, welcomes=False) as daemon:
        client = Client(str(socket_file), reactor=reactor)
        for number in range(1500):
            client.transmit("PING", "x" * 1000 + str(number))
        daemon.link.say(daemon.welcome(daemon.link))

        until(lambda: len(daemon.link.records) == 1500)

        assert sequences(daemon) == list(range(1, 1501))
        client.close(0)


def test_a_connection_that_breaks_while_it_is_written_to_is_replaced(
    daemon: FakeDaemon, client: Client, reactor: Reactor
) -> None:
    """The event that met the broken socket arrives over the next one."""
    assert client.wait_connected(30)

    def break_and_write() -> None:
        daemon.links[0].cut()
        client.transmit("PING")
        client._session.connection.flush()

    reactor.call(break_and_write)

    assert until(lambda: daemon.nth(2).records)[0].signal == "PING"
    assert not daemon.links[0].records


def test_a_refusal_that_comes_while_it_writes_is_told(
    daemon: FakeDaemon, client: Client, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken pipe says that the daemon has hung up; what it said before it did says why."""
    assert client.wait_connected(30)

    def be_refused_and_write() -> None:
        daemon.links[0].say(Closing("not_permitted", "the cure"))
        daemon.links[0].cut()
        client.transmit("PING")
        client._session.connection.flush()

    reactor.call(be_refused_and_write)

    assert until(lambda: daemon.nth(2).records)[0].signal == "PING"
    assert ["the cure"] == [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_settled_events_leave_the_window(daemon: FakeDaemon, client: Client) -> None:
    """The daemon's two numbers end the waiting and empty the window; its third is counted over connections."""
    for _ in range(3):
        client.transmit("PING")
    until(lambda: len(daemon.link.records) == 3)
    assert not client.wait_safe(0.01)

    daemon.link.settle(safe=3, settled=2, unroutable=2)

    assert client.wait_safe(30)
    until(lambda: client.counters()["waiting"] == 1)
    assert client.counters()["accepted"] == 3
    daemon.link.cut()
    until(lambda: daemon.nth(2).records)
    daemon.link.settle(safe=3, unroutable=1)
    until(lambda: client.counters()["unroutable"] == 3)


def test_a_key_that_nobody_is_bound_to_is_one_warning(
    daemon: FakeDaemon, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """What the daemon says of a key stands in the program's own log, made printable."""
    client.transmit("PING", routing_key="archer\x1b")
    until(lambda: daemon.link.records)

    with caplog.at_level(logging.WARNING, "mirosd_client"):
        daemon.link.say(Unroutable("archer\x1b"))
        until(lambda: caplog.records)

    assert ["nobody is bound to 'archer\\x1b' on any host"] == [line.getMessage() for line in caplog.records]


def test_after_a_reconnect_everything_unsettled_comes_again(daemon: FakeDaemon, client: Client) -> None:
    """The replay begins with the oldest unsettled event; what was accepted meanwhile follows it (D33)."""
    for _ in range(5):
        client.transmit("PING")
    until(lambda: len(daemon.link.records) == 5)
    daemon.link.settle(safe=4, settled=2)
    until(lambda: client.counters()["waiting"] == 3)

    daemon.link.cut()
    until(lambda: daemon.links[0].is_ended)
    client.transmit("PING")

    until(lambda: len(daemon.nth(2).records) == 4)
    assert sequences(daemon) == [3, 4, 5, 6]
    assert daemon.link.hello == daemon.links[0].hello, "the same process is the same client"
    assert not client.wait_safe(0), "what was safe with the lost daemon is not safe with this one"


def test_a_program_may_start_before_the_daemon(
    socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """Events wait; one warning, not one per attempt, says what was tried and how to start a daemon."""
    client = Client(str(socket_file), reactor=reactor)
    assert client.transmit("EARLY")
    until(lambda: client._session.connection._attempts >= 4, "four attempts")
    warnings = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert str(socket_file) in warnings[0]
    assert "systemctl start mirosd" in warnings[0]

    with FakeDaemon(socket_file) as daemon:
        until(lambda: daemon.link.records)
        assert daemon.link.records[0].signal == "EARLY"
        assert daemon.link.records[0].age_ms > 0
        client.close(0)


def test_subscriptions_are_made_again_after_a_reconnect(daemon: FakeDaemon, client: Client) -> None:
    """The binding is asked for again, and counts as bound only once it is confirmed again."""
    got: list[str] = []
    subscription = client.subscribe("a.#", lambda event: got.append(event.signal), chart="watcher")
    assert subscription.wait_bound(30)
    daemon.binds = False

    daemon.link.cut()
    until(lambda: daemon.nth(2).subscribes)

    assert daemon.link.subscribes == daemon.links[0].subscribes
    assert daemon.link.subscribes[0].chart == "watcher"
    assert not subscription.is_bound
    daemon.link.deliver(subscription.number, 1, record(1))
    until(lambda: got == ["PING"])


def test_deliveries_are_acknowledged_cumulatively_and_repeats_left_out(daemon: FakeDaemon, client: Client) -> None:
    """Once everything of a delivery was passed on its tag is acknowledged, also when all of it was a repeat."""
    got: list[int] = []
    subscription = client.subscribe("#", lambda event: got.append(event.payload))
    assert subscription.wait_bound(30)
    for tag in (1, 2, 3):
        daemon.link.deliver(subscription.number, tag, record(tag, payload=b"%d" % tag))
    until(lambda: daemon.link.acks and daemon.link.acks[-1].tag == 3)

    daemon.link.cut()
    until(lambda: daemon.nth(2).subscribes)
    daemon.link.deliver(subscription.number, 1, record(2, payload=b"2"), record(3, payload=b"3"))
    daemon.link.deliver(subscription.number, 2, record(3, payload=b"3"), record(4, payload=b"4"))

    until(lambda: daemon.link.acks and daemon.link.acks[-1].tag == 2)
    assert got == [1, 2, 3, 4]
    assert client.counters()["duplicates"] == 3


BAD_BYTES = {
    "junk": b"\xff" * 64,
    "frame too large": b"\x7f\xff\xff\xff\x01",
    "unknown frame type": b"\x00\x00\x00\x00\x63",
    "junk message": encode_frame(FrameType.MESSAGE, b"{nonsense"),
    "short settled": encode_frame(FrameType.SETTLED, b"\x00"),
    "a frame only clients send": encode_frame(FrameType.ACK, b"\x00" * 10),
    "short delivery": encode_frame(FrameType.DELIVERY, b"\x00"),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bad_bytes_from_the_daemon_end_that_connection_only(daemon: FakeDaemon, client: Client, name: str) -> None:
    """The client connects anew, with its events and subscriptions, and counts nothing as done."""
    got: list[int] = []
    subscription = client.subscribe("#", lambda event: got.append(event.payload))
    assert subscription.wait_bound(30)
    client.transmit("PING")
    until(lambda: daemon.link.records)

    daemon.link.socket.sendall(BAD_BYTES[name])

    until(lambda: daemon.nth(2).records and daemon.nth(2).subscribes)
    assert sequences(daemon) == [1]
    daemon.link.deliver(subscription.number, 1, record(1, payload=b"7"))
    until(lambda: got == [7])


def test_poison_in_a_delivery_ends_no_connection(daemon: FakeDaemon, client: Client) -> None:
    """What another host's program wrote wrongly is counted and acknowledged; all others' events arrive, once."""
    got: list[int] = []
    subscription = client.subscribe("#", lambda event: got.append(event.payload))
    assert subscription.wait_bound(30)
    link = daemon.link
    no_text = record(2, "POISON").replace(b"json", b"\xff\xff\xff\xff")
    no_json = record(3, "POISON", b"{nonsense")

    link.deliver(subscription.number, 1, record(1, payload=b"1"), no_text, no_json, record(4, payload=b"4"))
    link.deliver(subscription.number, 2, record(5, payload=b"5"), b"\xff" * 99)
    link.deliver(subscription.number, 3, record(6, payload=b"6"))

    until(lambda: link.acks and link.acks[-1].tag == 3)
    assert got == [1, 4, 5, 6]
    assert client.counters()["undecodable"] == 3
    assert len(daemon.links) == 1
    subscription.close()
    until(lambda: link.unsubscribes)
    assert client.counters()["undecodable"] == 3


def test_events_before_the_welcome_are_an_error(socket_file: Path, reactor: Reactor) -> None:
    """A daemon that settles before it welcomes is left, again and again, ever more slowly."""
    with FakeDaemon(socket_file, welcomes=False) as daemon:
        started_s = time.monotonic()
        client = Client(str(socket_file), reactor=reactor)
        for attempt in range(1, 5):
            daemon.nth(attempt).socket.sendall(encode_settled(1, 1, 0))
        daemon.nth(5)

        assert time.monotonic() - started_s >= 0.5 * (0.05 + 0.1 + 0.2 + 0.4)
        client.close(0)


def test_another_version_is_a_clear_error_and_no_storm(
    socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """The client says why, once, tells whoever asks, and leaves the daemon alone for a minute (D44)."""
    with FakeDaemon(socket_file) as daemon:
        daemon.first_words = Closing("version", "this daemon speaks 7, you 1: upgrade mirosd-client")
        client = Client(str(socket_file), reactor=reactor)
        until(lambda: daemon.links and daemon.links[0].is_ended)

        with pytest.raises(DaemonRefusedError, match="upgrade mirosd-client") as caught:
            client.status(timeout_s=30)

        assert caught.value.code == "version"
        assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == [
            "this daemon speaks 7, you 1: upgrade mirosd-client"
        ]
        retry = client._session.connection._retry
        assert retry is not None
        assert len(daemon.links) == 1
        assert reactor._timers.next_due_s() - reactor.now() > 50  # type: ignore[operator]
        client.close(0)


def test_a_welcome_in_another_version_or_for_another_client_is_refused(socket_file: Path, reactor: Reactor) -> None:
    """What the daemon chose is checked."""
    with FakeDaemon(socket_file) as daemon:
        daemon.first_words = Welcome(2, "n", "h1", "default", "c", "9", [])
        client = Client(str(socket_file), reactor=reactor)
        until(lambda: daemon.links and daemon.links[0].is_ended)
        assert not client.wait_connected(0)
        client.close(0)

        daemon.first_words = Welcome(1, "n", "h1", "default", "00" * 16, "9", [])
        client = Client(str(socket_file), reactor=reactor)
        until(lambda: len(daemon.links) == 2 and daemon.links[1].is_ended)
        assert not client.wait_connected(0)
        client.close(0)


def test_a_stopping_daemon_is_taken_at_its_word(daemon: FakeDaemon, client: Client) -> None:
    """Closing ends the connection; the client comes back when there is a daemon again."""
    client.wait_connected(30)

    daemon.link.say(Closing("stopping", "mirosd is stopping"))

    until(lambda: daemon.nth(2).hello)
    assert client.wait_connected(30)


def test_a_stopped_daemon_blocks_no_transmit(socket_file: Path, reactor: Reactor) -> None:
    """While a daemon is SIGSTOPped, far more than its socket holds is accepted at once, and arrives later."""
    with stoppable(socket_file) as daemon:
        client = Client(str(socket_file), reactor=reactor)
        assert client.wait_connected(30)
        os.kill(daemon.pid, signal.SIGSTOP)

        slowest_s = 0.0
        for _ in range(5000):
            before_s = time.monotonic()
            assert client.transmit("PING", "x" * 300)
            slowest_s = max(slowest_s, time.monotonic() - before_s)

        assert client.counters()["waiting"] == 5000
        assert slowest_s < 5, "a transmit that waited for the daemon would have waited for ever"
        os.kill(daemon.pid, signal.SIGCONT)
        assert client.wait_safe(30)
        client.close()


def test_an_idle_connection_wakes_nobody(daemon: FakeDaemon, client: Client, reactor: Reactor) -> None:
    """Connected and idle, the client has no timer, so its thread sleeps without a timeout."""
    client.wait_connected(30)
    assert client.wait_safe(30)

    assert reactor._timers.next_due_s() is None


def test_answers_nobody_waits_for_are_ignored(daemon: FakeDaemon, client: Client) -> None:
    """A Done for no question, and a delivery for a subscription that has ended, harm nothing."""
    client.wait_connected(30)
    daemon.link.say(Done(4711))
    daemon.link.deliver(9, 1, record(1))
    daemon.answers["status"] = ([], {"state": "ready"})

    assert client.status() == {"state": "ready"}
    assert len(daemon.links) == 1


def test_a_path_too_long_for_a_socket_is_reported_like_an_absent_daemon(
    reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit of 107 bytes is the kernel's; the warning names the path."""
    client = Client("/tmp/" + "x" * 200, reactor=reactor)

    until(lambda: "xxx" in caplog.text)
    client.close(0)


def test_half_frames_are_put_together(daemon: FakeDaemon, client: Client) -> None:
    """A delivery that comes byte by byte is one delivery."""
    got: list[int] = []
    subscription = client.subscribe("#", lambda event: got.append(event.payload))
    assert subscription.wait_bound(30)
    daemon.link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    for byte in encode_delivery(subscription.number, 1, 0, False, record(1, payload=b"5")):
        daemon.link.socket.sendall(bytes([byte]))

    until(lambda: got == [5])
