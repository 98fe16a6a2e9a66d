"""Receipts: what a program learns of each event that it asks about, whatever ends first."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mirosd_client import receipts as receipts_module
from mirosd_client.client import Client
from mirosd_client.errors import LocalProtocolError, TooManyReceiptsError, WindowFullError
from mirosd_client.messages import Fate
from mirosd_client.networked import NetworkedActiveObject
from mirosd_client.receipt import Receipt
from mirosd_client.shell import Event
from mirosd_client.shell.reactor import Reactor
from tests.client.fake_daemon import FakeDaemon, record, until
from tests.client.test_client import run

NUMBERS = ("confirmed_by", "unroutable_at", "expired_at", "overflowed_at", "nacked_at", "forgotten_at")


def followed(client: Client, **arguments: Any) -> Receipt:
    """Transmit an event with a receipt."""
    receipt = client.transmit("PING", receipt=True, **arguments)
    assert receipt is not None
    return receipt


def numbers(receipt: Receipt) -> tuple[int, ...]:
    """Give how many brokers said what."""
    return tuple(getattr(receipt, name) for name in NUMBERS)


@pytest.mark.parametrize(
    ("fate", "expected", "outcome"),
    [
        (Fate([1], confirmed=2, unroutable=1), (2, 1, 0, 0, 0, 0), "delivered"),
        (Fate([1], confirmed=1, overflow=3), (1, 0, 0, 3, 0, 0), "partial"),
        (Fate([1], unroutable=2), (0, 2, 0, 0, 0, 0), "unheard"),
        (Fate([1]), (0, 0, 0, 0, 0, 0), "unheard"),
        (Fate([1], unroutable=1, expired=2), (0, 1, 2, 0, 0, 0), "lost"),
        (Fate([1], nacked=4), (0, 0, 0, 0, 4, 0), "lost"),
        (Fate([1], forgotten=5), (0, 0, 0, 0, 0, 5), "lost"),
        (Fate([1], is_known=False), (0, 0, 0, 0, 0, 0), "unknown"),
    ],
)
def test_a_receipt_says_what_the_daemon_said(
    daemon: FakeDaemon, client: Client, fate: Fate, expected: tuple[int, ...], outcome: str
) -> None:
    """Numbers of brokers, and a word; before that nothing (D44: the ancestor has no delivery status)."""
    receipt = followed(client)

    assert (receipt.is_settled, receipt.outcome, receipt.wait(0.01)) == (False, "", False)
    until(lambda: daemon.link.records)
    daemon.link.say(fate)

    assert receipt.wait(30)
    assert (receipt.is_settled, receipt.outcome, numbers(receipt)) == (True, outcome, expected)
    assert receipt.lost_here == ("" if fate.is_known else "unknown")


def test_only_events_that_want_one_are_asked_about(daemon: FakeDaemon, client: Client) -> None:
    """Before they go, whatever goes with them; the fake daemon insists on that order."""
    receipts = [client.transmit("PING", receipt=n % 3 == 0) for n in range(9)]  # type: ignore[call-overload]
    until(lambda: len(daemon.link.records) == 9)

    assert daemon.link.followed == [1, 4, 7]
    assert [type(receipt) for receipt in receipts] == [Receipt, bool, bool] * 3


def test_receipts_are_settled_each_by_its_own(daemon: FakeDaemon, client: Client) -> None:
    """In any order, several at once; what nobody asked about changes nothing."""
    first, second, third = (followed(client) for _ in range(3))
    until(lambda: len(daemon.link.records) == 3)
    daemon.link.say(Fate([99], confirmed=9))
    daemon.link.say(Fate([1, 3], confirmed=1))

    assert third.wait(30)
    assert first.wait(30)
    assert not second.is_settled
    daemon.link.say(Fate([1, 2], unroutable=1))
    assert second.wait(30)
    assert (first.outcome, second.outcome, third.outcome) == ("delivered", "unheard", "delivered")


def test_a_callback_is_called_once_on_the_clients_thread(daemon: FakeDaemon, client: Client) -> None:
    """Registered before or after it is settled; each once, in order."""
    called: list[tuple[str, str, Receipt]] = []

    def note(name: str) -> Any:
        return lambda receipt: called.append((name, threading.current_thread().name, receipt))

    receipt = followed(client)
    receipt.on_settled(note("a"))
    receipt.on_settled(note("b"))
    until(lambda: daemon.link.records)
    daemon.link.say(Fate([1], confirmed=1))
    until(lambda: len(called) == 2)
    receipt.on_settled(note("c"))
    until(lambda: len(called) == 3)

    assert called == [(name, "test reactor", receipt) for name in "abc"]


def test_a_callback_that_raises_ends_nothing(
    daemon: FakeDaemon, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and counted, and the next one is called."""
    called: list[Receipt] = []
    receipt = followed(client)
    receipt.on_settled(lambda _: 1 / 0)
    receipt.on_settled(called.append)
    until(lambda: daemon.link.records)
    daemon.link.say(Fate([1]))

    until(lambda: called)
    assert client.counters()["callback_failed"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_callback_cannot_wait(daemon: FakeDaemon, client: Client) -> None:
    """It would wait for itself: an error, not a hang; what is settled is no waiting."""
    waiting, settled = followed(client), followed(client)
    until(lambda: len(daemon.link.records) == 2)
    said: list[Any] = []

    def callback(receipt: Receipt) -> None:
        said.append(receipt.wait())
        try:
            waiting.wait()
        except LocalProtocolError as exc:
            said.append(str(exc))

    settled.on_settled(callback)
    daemon.link.say(Fate([2], confirmed=1))

    until(lambda: len(said) == 2)
    assert said[0] is True
    assert "on_settled" in said[1]


def test_a_refused_event_has_no_receipt(socket_file: Path, reactor: Reactor) -> None:
    """None, or what the policy says; and none is left waiting."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=500)
    kept = followed(client)
    assert client.transmit("PING", "x" * 200, receipt=True) is None
    raising = Client(str(socket_file), reactor=reactor, window_bytes=500, on_full="raise")
    with pytest.raises(WindowFullError):
        raising.transmit("PING", "x" * 500, receipt=True)

    assert (client.counters()["refused"], kept.is_settled) == (1, False)
    for each in (client, raising):
        each.close(0)
    assert (kept.outcome, kept.lost_here) == ("unknown", "closed")


def test_receipts_that_wait_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is an error in the sender's thread, and the event is not accepted; without one it is."""
    monkeypatch.setattr(receipts_module, "MAX_RECEIPTS", 3)
    for _ in range(3):
        followed(client)

    with pytest.raises(TooManyReceiptsError, match="3 receipts wait"):
        client.transmit("PING", receipt=True)
    assert client.counters()["accepted"] == 3
    assert client.transmit("PING")


def test_lines_for_people_get_none(client: Client) -> None:
    """Nothing is promised for them: that is said at once."""
    with pytest.raises(LocalProtocolError, match="nothing is promised"):
        client.transmit("PING", network="snoop_trace", receipt=True)
    assert client.counters()["accepted"] == 0


def test_a_receipt_survives_a_reconnect(daemon: FakeDaemon, client: Client) -> None:
    """Each daemon is asked about all that wait, before they are handed over again; so a restarted one knows."""
    receipts = [followed(client) for _ in range(3)]
    until(lambda: len(daemon.link.records) == 3)
    daemon.link.say(Fate([2], confirmed=1))
    assert receipts[1].wait(30)
    daemon.link.cut()
    again = daemon.nth(2)
    until(lambda: len(again.records) == 3)

    assert again.followed == [1, 3]
    again.say(Fate([1, 3], expired=1))
    assert all(receipt.wait(30) for receipt in receipts)
    assert [receipt.outcome for receipt in receipts] == ["lost", "delivered", "lost"]


def test_what_the_same_daemon_settled_meanwhile_is_asked_for(daemon: FakeDaemon, client: Client) -> None:
    """A fate that the lost connection swallowed is asked for, though the event is reported settled at once."""
    receipt = followed(client)
    until(lambda: daemon.link.records)
    daemon.welcomes = False
    daemon.link.cut()
    again = daemon.nth(2)
    again.say(daemon.welcome(again))
    again.settle(1)
    until(lambda: again.followed == [1])
    again.say(Fate([1], confirmed=1))

    assert receipt.wait(30)
    assert receipt.outcome == "delivered"


class MovedClock:
    """The monotonic clock and what a test added."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Read it."""
        return time.monotonic() + self.ahead_s


def test_an_event_that_no_daemon_took_expires_here() -> None:
    """Without a daemon a receipt ends with the event's life, though nobody transmits or asks any more."""
    clock = MovedClock()
    reactor = Reactor(clock, "moved")
    client = Client("/nowhere/mirosd.sock", reactor=reactor)
    receipt = followed(client)
    called: list[str] = []
    receipt.on_settled(lambda r: called.append(r.lost_here))
    clock.ahead_s = 51.0

    assert receipt.wait(30)
    assert (receipt.outcome, receipt.lost_here) == ("lost", "expired")
    until(lambda: called == ["expired"])
    assert (client.counters()["expired"], client.counters()["waiting"]) == (1, 0)
    client.close(0)
    assert reactor.stop()


def test_an_evicted_event_says_so(socket_file: Path, reactor: Reactor) -> None:
    """What the policy drops before any daemon had it is told as that."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=500, on_full="drop_oldest")
    first = followed(client)
    second = followed(client)

    assert first.wait(30)
    assert (first.outcome, first.lost_here, second.is_settled) == ("lost", "evicted", False)
    client.close(0)


def test_what_a_daemon_has_is_the_daemons_to_tell(socket_file: Path, reactor: Reactor) -> None:
    """An event that makes room is settled by the daemon that has it; only if that goes away, nobody can say."""
    with FakeDaemon(socket_file) as daemon:
        client = Client(str(socket_file), reactor=reactor, window_bytes=700, on_full="drop_oldest")
        evicted, uninsured = followed(client), followed(client)
        until(lambda: len(daemon.link.records) == 2)
        client.transmit("PING")
        until(lambda: len(daemon.link.records) == 3)
        daemon.link.settle(safe=2, settled=1)
        daemon.link.say(Fate([1], confirmed=1))

        assert evicted.wait(30)
        assert evicted.outcome == "delivered"
        client.transmit("PING")
        assert not uninsured.wait(3 * receipts_module.LOOK_S)
        daemon.link.cut()
        assert uninsured.wait(30)
        assert (uninsured.outcome, uninsured.lost_here) == ("unknown", "uninsured")
        counters = client.counters()
        assert (counters["evicted"], counters["uninsured"]) == (1, 1)
        client.close(0)


def test_closing_ends_all_receipts(daemon: FakeDaemon, client: Client) -> None:
    """Who waits when the client is closed is let go; callbacks are called."""
    receipt = followed(client)
    called: list[str] = []
    receipt.on_settled(lambda r: called.append(r.lost_here))
    waited: list[bool] = []
    waiter = threading.Thread(target=lambda: waited.append(receipt.wait()), daemon=True)
    waiter.start()
    client.close(0)
    waiter.join(30)

    assert (waited, called) == ([True], ["closed"])
    assert (receipt.outcome, receipt.lost_here) == ("unknown", "closed")


FORK = """
import os
from mirosd_client import Client
client = Client()
receipt = client.transmit("PARENT", receipt=True)
called = []
receipt.on_settled(lambda r: called.append(r.outcome))
child = os.fork()
if child == 0:
    assert receipt.wait() and receipt.lost_here == "forked" and not called
    assert client.transmit("CHILD", receipt=True).wait(30)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert receipt.wait(30)
while not called: pass
print(receipt.outcome, called)
"""


def test_a_forked_childs_receipts_are_its_own(daemon: FakeDaemon, socket_file: Path) -> None:
    """The parent's end in the child at once, without a callback; both sides' own are settled."""
    daemon.settles = True

    done = run(FORK, socket_file)

    assert (done.stdout, done.stderr) == ("delivered ['delivered']\n", "")


def test_a_chart_gets_receipts(daemon: FakeDaemon, client: Client) -> None:
    """The networked chart's transmit, and its nets', give one; without it they give True."""
    daemon.settles = True
    chart = NetworkedActiveObject("c", client=client)
    receipt = chart.transmit(Event(signal="PING"), receipt=True)
    assert receipt is not None
    other = chart.nets.transmit(Event(signal="PING"), receipt=True)
    assert other is not None

    assert receipt.wait(30)
    assert other.wait(30)
    assert chart.transmit(Event(signal="PING")) is True
    assert chart.nets.transmit(Event(signal="PING")) is True


def test_a_program_that_asks_for_none_has_no_timer(daemon: FakeDaemon, client: Client, reactor: Reactor) -> None:
    """The look-out for receipts ends with the last of them."""
    daemon.settles = True
    client.transmit("PING")
    assert client.wait_safe(30)
    assert reactor._timers.next_due_s() is None
    assert followed(client).wait(30)

    until(lambda: reactor._timers.next_due_s() is None)


def test_receipts_come_between_deliveries(daemon: FakeDaemon, client: Client) -> None:
    """They share the connection with what arrives."""
    got: list[Any] = []
    subscription = client.subscribe("#", got.append)
    assert subscription.wait_bound(30)
    receipt = followed(client)
    until(lambda: daemon.link.records)
    daemon.link.deliver(subscription.number, 1, record(1))
    daemon.link.say(Fate([1], confirmed=1))
    daemon.link.deliver(subscription.number, 2, record(2))

    assert receipt.wait(30)
    until(lambda: len(got) == 2)
