"""What a program sees of the client: policies, errors, callbacks, questions, closing."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mirosd_client.client import Client
from mirosd_client.default_client import default_client
from mirosd_client.errors import (
    ClientClosedError,
    DaemonRefusedError,
    DaemonUnavailableError,
    LocalProtocolError,
    NotPermittedError,
    PayloadTooLarge,
    UnregisteredTypeError,
    WindowFullError,
)
from mirosd_client.messages import Failed, Row
from mirosd_client.shell import Event
from mirosd_client.shell.reactor import Reactor
from mirosd_client.wire import Network
from tests.client.fake_daemon import FakeDaemon, record, until

ROOT = Path(__file__).parents[2]


def test_an_event_or_a_name_may_be_transmitted(daemon: FakeDaemon, client: Client) -> None:
    """Both ways give the same record; the network may be named."""
    client.transmit("PING", [1])
    client.transmit(Event(signal="PING", payload=[1]))
    client.transmit("PING", [1], network="snoop_trace")
    until(lambda: len(daemon.link.records) == 3)

    assert {(r.signal, r.payload) for r in daemon.link.records} == {("PING", b"[1]")}
    assert [events.network for events in daemon.link.events][-1] is Network.SNOOP_TRACE
    assert daemon.link.events[0].routing_key == "empty"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"signal": "PING", "payload": object()}, UnregisteredTypeError),
        ({"signal": "PING", "payload": "x" * 300_000}, PayloadTooLarge),
        ({"signal": "not a name"}, LocalProtocolError),
        ({"signal": ""}, LocalProtocolError),
        ({"signal": "x" * 129}, LocalProtocolError),
        ({"signal": "PING\n"}, LocalProtocolError),
        ({"signal": "PING", "routing_key": "k" * 256}, LocalProtocolError),
    ],
)
def test_what_cannot_cross_is_refused_in_the_senders_thread(
    client: Client, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """The sender hears of it at once, and nothing is accepted."""
    with pytest.raises(error):
        client.transmit(**arguments)

    assert client.counters()["accepted"] == 0


def without_mesh_key(daemon: FakeDaemon) -> FakeDaemon:
    """Have the daemon say that its host has the key of traces alone."""
    whole = daemon.welcome
    daemon.welcome = lambda link: replace(whole(link), networks=("snoop_trace",))  # type: ignore[method-assign]
    return daemon


def test_a_host_without_the_mesh_key_refuses_events_and_says_why(
    daemon: FakeDaemon, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the policy: they are counted, and people are told once which key it is. Lines go as ever."""
    client = Client(str(without_mesh_key(daemon).path), on_full="raise", reactor=reactor)
    assert client.wait_connected(30.0)
    results = [client.transmit("PING"), client.transmit("PING"), client.transmit("PING", network="snoop_trace")]
    until(lambda: len(daemon.link.records) == 1)

    assert [False, False, True] == results
    assert client.transmit("PING", receipt=True) is None
    assert (3, 0) == (client.counters()["refused"], client.counters()["no_key"])
    [warning] = [r.message for r in caplog.records if "mesh key" in r.message]
    assert "networks.mesh.key_file" in warning
    client.close(0)


def test_what_was_accepted_before_is_let_go_where_there_is_no_mesh_key(
    socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing waits for ever: events are counted, their receipts lost, and who waits until all is safe is let go."""
    client = Client(str(socket_file), reactor=reactor)
    receipt = client.transmit("PING", receipt=True)
    client.transmit("PING")
    assert receipt is not None
    waiting = threading.Thread(target=client.wait_safe, args=(3600.0,), daemon=True)
    waiting.start()
    with FakeDaemon(socket_file) as daemon:
        without_mesh_key(daemon)
        assert receipt.wait(30.0)
        waiting.join(30.0)

        assert not waiting.is_alive()
        assert ("lost", "no_key") == (receipt.outcome, receipt.lost_here)
        assert (2, 2, 0) == tuple(client.counters()[name] for name in ("accepted", "no_key", "waiting"))
        assert [] == daemon.link.records
        assert 1 == len([r for r in caplog.records if "mesh key" in r.message])
        client.close(0)


def test_a_full_window_refuses_with_one_warning(
    socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused events are counted; people are told once."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=1000)
    results = [client.transmit("PING", "x" * 100) for _ in range(5)]
    client.close(0)

    assert results == [True, True, False, False, False]
    assert client.counters()["refused"] == 3
    assert len([r for r in caplog.records if "refuses more" in r.message]) == 1


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the warnings of a full window."""
    return [record.message for record in caplog.records if "window is full" in record.message]


def test_the_warning_of_a_full_window_says_why(
    socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon is away, and how to start it; or it is there, and slow."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=500)
    until(lambda: "no mirosd answers" in caplog.text)
    assert [client.transmit("PING", "x" * 150) for _ in range(2)] == [True, False]
    with FakeDaemon(socket_file) as daemon:
        assert client.wait_connected(30)
        until(lambda: daemon.link.records)
        daemon.link.settle(1)
        until(lambda: client.counters()["waiting"] == 0)
        assert [client.transmit("PING", "x" * 150) for _ in range(3)] == [True, False, False]
        away, slow = warnings_of(caplog)

        assert "mirosd is away (no mirosd answers; tried" in away
        assert "systemctl start mirosd" in away
        assert "mirosd is connected, and takes events more slowly" in slow
        client.close(0)


def test_a_full_window_is_told_once_until_half_of_it_was_empty(
    daemon: FakeDaemon, socket_file: Path, reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    """A window at its brim is one episode, not one warning for each event that finds no room again."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=2000)
    accepted = sum(client.transmit("PING") for _ in range(20))
    assert accepted < 20
    until(lambda: len(daemon.link.records) == accepted)
    daemon.link.settle(1)
    until(lambda: client.counters()["waiting"] == accepted - 1)
    assert [client.transmit("PING"), client.transmit("PING")] == [True, False]
    assert len(warnings_of(caplog)) == 1

    until(lambda: len(daemon.link.records) == accepted + 1)
    daemon.link.settle(accepted)
    until(lambda: client.counters()["waiting"] == 1)
    assert not all(client.transmit("PING") for _ in range(20))
    assert len(warnings_of(caplog)) == 2
    client.close(0)


def test_a_full_window_may_raise_or_drop_the_oldest(socket_file: Path, reactor: Reactor) -> None:
    """The two other policies, chosen per client."""
    raising = Client(str(socket_file), reactor=reactor, window_bytes=500, on_full="raise")
    raising.transmit("PING")
    with pytest.raises(WindowFullError):
        raising.transmit("PING", "x" * 200)
    dropping = Client(str(socket_file), reactor=reactor, window_bytes=500, on_full="drop_oldest")
    assert all(dropping.transmit("PING") for _ in range(4))

    assert dropping.counters()["evicted"] == 3
    for client in (raising, dropping):
        client.close(0)


def test_a_callback_that_raises_ends_nothing(
    daemon: FakeDaemon, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and counted, and the next event arrives (D35)."""
    got: list[Any] = []

    def callback(event: Any) -> None:
        got.append(event.payload)
        if event.payload == 1:
            raise ZeroDivisionError

    subscription = client.subscribe("#", callback)
    subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(1, payload=b"1"), record(2, payload=b"2"))

    until(lambda: daemon.link.acks)
    assert got == [1, 2]
    assert client.counters()["callback_failed"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_what_a_callback_gets(daemon: FakeDaemon, client: Client) -> None:
    """Signal, payload, source, clock reading and age of each event, on the client's thread."""
    got: list[Any] = []
    threads: set[str] = set()
    subscription = client.subscribe(
        "#", lambda event: (got.append(event), threads.add(threading.current_thread().name))
    )
    subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(1, payload=b'{"$":"tuple","v":[1]}', hlc=5, age_ms=9))

    until(lambda: got)
    assert got == [("PING", (1,), "07" * 16 + ":1", 5, 9)]
    assert threads == {"test reactor"}


def test_what_cannot_be_decoded_is_counted_by_reason(daemon: FakeDaemon, client: Client) -> None:
    """A foreign content type and damaged JSON are two reasons; both are acknowledged."""
    got: list[Any] = []
    subscription = client.subscribe("#", got.append)
    subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(1, content_type="pack"), record(2, payload=b"{"))

    until(lambda: daemon.link.acks)
    assert not got
    assert (client.counters()["no_deserializer"], client.counters()["undecodable"]) == (1, 1)


def test_a_far_future_clock_is_counted_and_not_followed(daemon: FakeDaemon, client: Client) -> None:
    """An event from a host whose clock is an hour ahead arrives, without pulling the own clock along."""
    got: list[Any] = []
    subscription = client.subscribe("#", got.append)
    subscription.wait_bound(30)
    ahead = (int(time.time() * 1000) + 3_600_000) << 16
    daemon.link.deliver(subscription.number, 1, record(1, hlc=ahead))
    until(lambda: got)
    client.transmit("PING")
    until(lambda: daemon.link.records)

    assert client.counters()["clock_skew"] == 1
    assert daemon.link.records[0].hlc < ahead


def test_closing_a_subscription_ends_it(daemon: FakeDaemon, client: Client) -> None:
    """The daemon is told, and what still comes is dropped."""
    got: list[Any] = []
    kept: list[Any] = []
    subscription = client.subscribe("#", got.append)
    other = client.subscribe("#", kept.append)
    assert subscription.wait_bound(30)
    assert other.wait_bound(30)
    subscription.close()
    until(lambda: daemon.link.unsubscribes == [subscription.number])

    daemon.link.deliver(subscription.number, 1, record(1))
    daemon.link.deliver(other.number, 1, record(1))

    until(lambda: kept)
    assert not got
    subscription.close()  # twice is once


def test_a_refused_subscription_says_why(daemon: FakeDaemon, client: Client) -> None:
    """wait_bound raises what the daemon answered."""
    daemon.binds = False
    subscription = client.subscribe("#", print)
    until(lambda: daemon.link.subscribes)
    assert not subscription.wait_bound(0.01)

    daemon.link.say(Failed(subscription.number, "not_permitted", "sudo usermod -aG mirosd you"))

    with pytest.raises(NotPermittedError, match="usermod"):
        subscription.wait_bound(30)
    assert not subscription.is_bound


@pytest.mark.parametrize("end", ["subscription", "client"])
def test_nobody_waits_for_what_was_closed(daemon: FakeDaemon, client: Client, end: str) -> None:
    """wait_bound() without a time ends with False when the subscription, or its client, is closed; and from then on."""
    daemon.binds = False
    subscription = client.subscribe("#", print)
    until(lambda: daemon.link.subscribes)
    waited: list[bool] = []
    waiter = threading.Thread(target=lambda: waited.append(subscription.wait_bound()), daemon=True)
    waiter.start()
    if end == "client":
        client.close(0)
    else:
        subscription.close()
    waiter.join(30)

    assert waited == [False]
    assert subscription.wait_bound() is False
    assert not subscription.is_bound


def test_a_bound_subscription_that_is_closed_is_bound_no_more(daemon: FakeDaemon, client: Client) -> None:
    """Also when the connection is lost afterwards."""
    subscription = client.subscribe("#", print)
    assert subscription.wait_bound(30)
    subscription.close()
    daemon.link.cut()
    daemon.nth(2)

    assert (subscription.is_bound, subscription.wait_bound()) == (False, False)


def test_nobody_waits_for_what_was_refused(daemon: FakeDaemon, client: Client) -> None:
    """wait_bound() without a time raises what the daemon said, also for who waited before, and after a reconnect."""
    daemon.binds = False
    subscription = client.subscribe("#", print)
    until(lambda: daemon.link.subscribes)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            subscription.wait_bound()
        except NotPermittedError as exc:
            errors.append(exc)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    daemon.link.say(Failed(subscription.number, "not_permitted", "the cure"))
    waiter.join(30)
    daemon.link.cut()
    daemon.nth(2)
    wait()

    assert len(errors) == 2


def test_a_question_ends_with_its_client(daemon: FakeDaemon, client: Client) -> None:
    """Who waits for an answer when the client is closed is let go."""
    errors: list[Exception] = []

    def ask() -> None:
        try:
            client.ask("slow", timeout_s=300)
        except ClientClosedError as exc:
            errors.append(exc)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: daemon.link.asks)
    client.close(0)
    thread.join(30)

    assert len(errors) == 1


def test_questions_are_answered_over_the_same_connection(daemon: FakeDaemon, client: Client) -> None:
    """peers() gives rows, status() the result; both at once do not mix."""
    rows = [{"node": "a"}, {"node": "b"}]
    daemon.answers = {"peers": (rows, {}), "status": ([], {"state": "ready"})}
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(client.peers())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert client.status() == {"state": "ready"}
    for thread in threads:
        thread.join(30)

    assert answers == [rows] * 4
    assert len(daemon.links) == 1


def test_a_question_ends_with_the_connection_or_its_time(daemon: FakeDaemon, client: Client) -> None:
    """Nobody waits for an answer that cannot come."""
    client.wait_connected(30)
    with pytest.raises(DaemonUnavailableError, match=r"within 0\.01 s"):
        client.status(timeout_s=0.01)

    errors: list[Exception] = []

    def ask() -> None:
        try:
            client.ask("slow", timeout_s=300)
        except DaemonUnavailableError as exc:
            errors.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: [a for a in daemon.link.asks if a.verb == "slow"])
    daemon.link.say(Row(daemon.link.asks[-1].id, {"half": "an answer"}))
    daemon.link.cut()
    thread.join(30)

    assert len(errors) == 1


def test_a_failed_question_raises_the_daemons_error(daemon: FakeDaemon, client: Client) -> None:
    """The code and the text are the daemon's."""
    threading.Timer(
        0, lambda: until(lambda: daemon.link.asks) and daemon.link.say(Failed(daemon.link.asks[0].id, "bad", "because"))
    ).start()

    with pytest.raises(DaemonRefusedError, match="because") as caught:
        client.ask("x", timeout_s=30)
    assert caught.value.code == "bad"


def test_a_question_without_a_daemon_fails_at_once(client: Client, socket_file: Path) -> None:
    """The error lists what was tried, long before the timeout."""
    before_s = time.monotonic()

    with pytest.raises(DaemonUnavailableError, match=str(socket_file)):
        client.status(timeout_s=30)
    assert time.monotonic() - before_s < 20


def test_a_callback_cannot_ask(daemon: FakeDaemon, client: Client) -> None:
    """It would wait for itself: that is an error, not a hang."""
    errors: list[Exception] = []

    def callback(_: Any) -> None:
        try:
            client.peers()
        except LocalProtocolError as exc:
            errors.append(exc)

    subscription = client.subscribe("#", callback)
    subscription.wait_bound(30)
    daemon.link.deliver(subscription.number, 1, record(1))

    until(lambda: errors)


def test_close_waits_until_everything_is_safe(daemon: FakeDaemon, client: Client) -> None:
    """close() returns when the daemon has reported the last event safe, and the connection is gone."""
    client.transmit("LAST")
    until(lambda: daemon.link.records)
    threading.Timer(0.05, lambda: daemon.link.settle(1)).start()

    client.close(timeout_s=30)

    assert client.counters()["waiting"] == 0
    until(lambda: daemon.link.is_ended)
    with pytest.raises(ClientClosedError):
        client.transmit("LATE")
    with pytest.raises(ClientClosedError):
        client.subscribe("#", print)
    with pytest.raises(ClientClosedError):
        client.status()
    client.close()


def test_close_gives_up_after_its_time(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Without a daemon it says how many events are lost."""
    with client:
        client.transmit("PING")
        client.close(timeout_s=0.01)

    assert "1 accepted events were not safe" in caplog.text


def test_a_callback_may_close_its_client(daemon: FakeDaemon, client: Client) -> None:
    """Closing on the client's own thread waits for nothing: what it would wait for comes on that thread."""
    took_s: list[float] = []

    def close(_: Any) -> None:
        before_s = time.monotonic()
        client.close(timeout_s=20)
        took_s.append(time.monotonic() - before_s)

    subscription = client.subscribe("#", close)
    subscription.wait_bound(30)
    client.transmit("PING")

    daemon.link.deliver(subscription.number, 1, record(1))

    until(lambda: daemon.link.is_ended)
    assert until(lambda: took_s)[0] < 10


def test_all_clients_share_one_thread(daemon: FakeDaemon, reactor: Reactor) -> None:
    """Ten clients with a subscription each cost one thread more than none."""
    before = set(threading.enumerate())
    clients = [Client(str(daemon.path), reactor=reactor) for _ in range(10)]
    for client in clients:
        assert client.subscribe("#", print).wait_bound(30)

    added = {t.name for t in set(threading.enumerate()) - before if t.name != "fake daemon"}
    assert added == {"test reactor"}
    for client in clients:
        client.close()


def run(script: str, socket_file: Path) -> subprocess.CompletedProcess[str]:
    """Run a program against the daemon of this test."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "MIROSD_SOCKET": str(socket_file)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_exit_waits_until_everything_is_safe(daemon: FakeDaemon, socket_file: Path) -> None:
    """A program that transmits and ends at once loses nothing, and says nothing."""
    daemon.settles = True

    done = run(
        "from mirosd_client import Client\nc = Client()\nfor n in range(1000): assert c.transmit('BYE', n)", socket_file
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(daemon.link.records) == 1000


def test_exit_waits_two_seconds_at_most_for_all_clients(socket_file: Path) -> None:
    """Without a daemon three clients together delay the exit by two seconds, and say what is lost."""
    before_s = time.monotonic()
    done = run(
        "from mirosd_client import Client\nimport time\ncs = [Client() for _ in range(3)]\n"
        "for c in cs: c.transmit('BYE')\nprint(time.monotonic())",
        socket_file,
    )
    waited_s = time.monotonic() - float(done.stdout)

    assert done.returncode == 0
    assert before_s < float(done.stdout)
    assert 1.9 <= waited_s < 5
    assert done.stderr.count("were not safe") == 3


RUNNING_TO_THE_LAST = """
import time
from mirosd_client import Event, NetworkedFactory, return_status, signals
chart = NetworkedFactory("busy")
def again(chart, e):
    chart.transmit(Event(signal="BUSY"))
    time.sleep(0.001)
    chart.post_fifo(e)
    return return_status.HANDLED
state = chart.create(state="busy").catch(signal=signals.AGAIN, handler=again).to_method()
chart.nest(state, parent=None)
chart.start_at(state)
chart.post_fifo(Event(signal=signals.AGAIN))
while chart.client.counters()["accepted"] < 10:
    time.sleep(0.001)
"""


def test_a_chart_may_run_to_the_last(daemon: FakeDaemon, socket_file: Path) -> None:
    """A program that ends while its charts transmit ends quietly: no error in any handler."""
    daemon.settles = True

    done = run(RUNNING_TO_THE_LAST, socket_file)

    assert done.returncode == 0
    assert "Error" not in done.stderr
    assert daemon.link.records


FORK = """
import os, sys
from mirosd_client import Client, NetworkedActiveObject
client = Client()
got = []
assert client.subscribe("#", got.append).wait_bound(30)
client.transmit("PARENT")
assert client.wait_safe(30)
child = os.fork()
if child == 0:
    assert client.counters()["accepted"] == 0 and client.counters()["waiting"] == 0
    assert client.transmit("CHILD")
    assert client.wait_safe(30)
    client.close()
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert client.transmit("PARENT")
assert client.wait_safe(30)
print("done")
"""


def test_a_forked_child_is_another_client(daemon: FakeDaemon, socket_file: Path) -> None:
    """It has its own secret, window and connection, no subscription; the parent goes on over its own."""
    daemon.settles = True

    done = run(FORK, socket_file)

    assert (done.stdout, done.stderr) == ("done\n", "")
    parent, child = daemon.links
    assert parent.hello is not None
    assert child.hello is not None
    assert parent.hello.secret != child.hello.secret
    assert [(r.signal, r.sequence) for r in parent.records] == [("PARENT", 1), ("PARENT", 2)]
    assert [(r.signal, r.sequence) for r in child.records] == [("CHILD", 1)]
    assert {r.client for r in child.records} == {child.client}
    assert (len(parent.subscribes), len(child.subscribes)) == (1, 0)


def test_a_child_that_never_transmits_never_connects(daemon: FakeDaemon, socket_file: Path) -> None:
    """Forking costs no connection, and the child's exit waits for nothing."""
    done = run(
        "import os, sys\nfrom mirosd_client import Client\nc = Client()\nassert c.wait_connected(30)\n"
        "if os.fork() == 0: sys.exit(0)\nassert os.wait()[1] == 0\nassert c.wait_connected(0)",
        socket_file,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(daemon.links) == 1


def test_the_default_client_is_one_per_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Charts share it; one that was closed is replaced."""
    caplog.set_level(logging.CRITICAL)
    first, second = str(tmp_path / "a"), str(tmp_path / "b")

    client = default_client(first)

    assert default_client(first) is client
    assert default_client(second) is not client
    client.close(0)
    assert default_client(first) is not client
    for path in (first, second):
        default_client(path).close(0)
