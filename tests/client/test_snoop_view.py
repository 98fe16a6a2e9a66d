"""What a tool is given of all hosts' charts."""

import pytest

from mirosd_client.chart_row import ChartRow, encode_charts
from mirosd_client.dial import Dial
from mirosd_client.errors import DaemonRefusedError, DaemonUnavailableError, SilentDaemonError
from mirosd_client.messages import Done, Failed, Row, Subscribe, recall_key
from mirosd_client.recollection import PATIENCE_S, Recollection
from mirosd_client.snoop_item import (
    Charts,
    Ended,
    Heard,
    HostRecalled,
    HostWatched,
    Item,
    Lines,
    RecallAsked,
    WatchOver,
)
from mirosd_client.snoop_line import End, SnoopLine, encode_end, encode_lines
from mirosd_client.snoop_view import SnoopView
from mirosd_client.wire import Ack, Network
from tests.client.fake_daemon import OTHER, FakeDaemon, record, until

TRACE, SPY = Network.SNOOP_TRACE, Network.SNOOP_SPY
LINE = SnoopLine("trace", "archer", 1.0, "PING", "a", "b", host="h2", client=OTHER.hex(), number=1, hlc=7, line=1)
HERE = {"host": "h1", "node": "ab" * 16, "remote": "trace", "accepts": True}
THERE = {"host": "h\x1b2", "node": "cd" * 16, "remote": "off", "accepts": False}
DIAL = Dial(hosts=["h*"], charts=["archer*"], events=True)


def lines(*some: SnoopLine) -> bytes:
    """Give a record of lines."""
    return record(1, "lines", encode_lines(some))


def items(view: SnoopView, count: int) -> list[Item | None]:
    """Give the next items."""
    return [view.receive(30.0) for _ in range(count)]


def test_a_watch_is_a_subscription_and_a_dial(daemon: FakeDaemon) -> None:
    """The network's live key is bound before the dial is held; each host says what it makes of it; then lines come."""
    daemon.answers["watch"] = ([HERE, THERE], {})
    with SnoopView(str(daemon.path)) as view:
        view.watch(TRACE, DIAL, 60.0)
        here, there, over = items(view, 3)
        daemon.link.deliver(1, 1, lines(LINE, LINE))
        (shown,) = items(view, 1)

    assert daemon.link.subscribes == [Subscribe(1, "snoop_trace", "snoop.trace")]
    assert [("watch", {"network": "snoop_trace", "hosts": ["h*"], "charts": ["archer*"], "signals": []})] == [
        (ask.verb, {key: ask.args[key] for key in ("network", "hosts", "charts", "signals")})
        for ask in daemon.link.asks
    ]
    assert (True, 60.0) == (daemon.link.asks[0].args["events"], daemon.link.asks[0].args["for_s"])
    assert HostWatched("h1", "ab" * 16, "trace", True, TRACE) == here
    assert HostWatched("h\ufffd2", "cd" * 16, "off", False, TRACE) == there
    assert WatchOver(TRACE) == over
    assert Lines([LINE, LINE], TRACE) == shown


def test_a_watch_without_an_end_is_renewed(daemon: FakeDaemon) -> None:
    """When the daemon lets go of it after a day, it is asked for again, and nobody is told."""
    with SnoopView(str(daemon.path)) as view:
        view.watch(SPY, Dial(), None)
        daemon.link.say(Done(until(lambda: daemon.link.asks)[0].id))
        assert view.receive(0.2) is None
        first, second = until(lambda: len(daemon.link.asks) == 2 and daemon.link.asks)

    assert 86_400.0 == first.args["for_s"]
    assert (first.verb, first.args) == (second.verb, second.args)


def test_a_recall_brings_what_was(daemon: FakeDaemon) -> None:
    """Its own key is bound first; lines, charts and ends come, and who will answer; complete when all who will have."""
    daemon.answers["recall"] = ([{**HERE, "sources": 2, "refused": ""}], {"sources": 2})
    row = ChartRow(client="aa", number=1, chart="archer")
    with SnoopView(str(daemon.path)) as view:
        recall = view.recall("history", TRACE, DIAL, 600.0)
        told = items(view, 2)
        daemon.link.deliver(1, 1, lines(LINE), record(2, "charts", encode_charts([row])))
        daemon.link.deliver(1, 2, record(3, "end", encode_end(End("aa", "h\x1b2", 1, older=True))))
        told += items(view, 3)
        is_half = recall.is_complete
        daemon.link.deliver(1, 3, record(3, "end", encode_end(End("aa"))))
        daemon.link.deliver(1, 4, record(3, "end", encode_end(End("bb"))))
        items(view, 1)
        is_repeated = recall.is_complete
        items(view, 1)

    asked = daemon.link.asks[0].args
    assert daemon.link.subscribes == [Subscribe(1, "snoop_trace", recall_key(recall.id))]
    assert ("history", recall.id, 600.0, ["archer*"]) == (asked["what"], asked["id"], asked["since_s"], asked["charts"])
    assert [
        HostRecalled("h1", "ab" * 16, 2, "", recall.id),
        RecallAsked(2, recall.id),
        Lines([LINE], TRACE, recall.id),
        Charts([row], recall.id),
        Ended(End("aa", "h\ufffd2", 1, older=True), recall.id),
    ] == told
    assert (False, False, True) == (is_half, is_repeated, recall.is_complete)


def test_a_recall_that_is_forgotten_leaves_no_queue(daemon: FakeDaemon) -> None:
    """Its subscription ends; what was on its way to it is nothing, and is not acknowledged."""
    with SnoopView(str(daemon.path)) as view:
        recall = view.recall("charts", TRACE, Dial())
        daemon.link.deliver(1, 1, lines(LINE))
        assert isinstance(view.receive(30.0), Lines)
        view.forget(recall)
        daemon.link.deliver(1, 2, lines(LINE))
        assert view.receive(0.2) is None
        other = view.recall("charts", TRACE, Dial())
        until(lambda: daemon.link.subscribes[1:])

    assert [1] == daemon.link.unsubscribes
    assert (2, recall_key(other.id)) == (daemon.link.subscribes[1].subscription, daemon.link.subscribes[1].binding_key)
    assert [] == daemon.link.acks


def test_an_item_is_acknowledged_when_the_next_is_asked_for(daemon: FakeDaemon) -> None:
    """So that what is not shown yet is the broker's; a delivery of several records is done with its last."""
    with SnoopView(str(daemon.path)) as view:
        view.subscribe(TRACE, "snoop.trace")
        daemon.link.deliver(1, 1, lines(LINE), lines(LINE))
        daemon.link.deliver(1, 2, lines(LINE))
        acks = []
        for number in range(1, 4):
            assert isinstance(view.receive(30.0), Lines)
            view._connection.begin("there")  # behind all acks: the daemon has read them when it has read this
            until(lambda number=number: len(daemon.link.asks) == number)  # type: ignore[misc]
            acks.append(list(daemon.link.acks))

    assert [[], [], [Ack(1, 1)]] == acks


def test_what_cannot_be_read_is_counted(daemon: FakeDaemon) -> None:
    """Junk, and words of a later version, are no items and end nothing; they are acknowledged."""
    junk = [record(1, "lines", b"["), record(2, "future", b"[]"), record(3, "end", encode_end(End("aa"))), b"\0" * 5]
    with SnoopView(str(daemon.path)) as view:
        view.subscribe(TRACE, "snoop.trace")
        for tag, each in enumerate(junk, start=1):
            daemon.link.deliver(1, tag, each)
        daemon.link.deliver(1, 5, lines(LINE))
        shown = view.receive(30.0)

        assert (Lines([LINE], TRACE), 4) == (shown, view.unreadable)
        until(lambda: daemon.link.acks[-1:] == [Ack(1, 4)])


def test_the_mesh_can_be_heard(daemon: FakeDaemon) -> None:
    """Each event as it was sent."""
    with SnoopView(str(daemon.path)) as view:
        view.subscribe(Network.MESH, "#")
        daemon.link.deliver(1, 1, record(1, "PI\x1bNG", b"junk"))
        (heard,) = items(view, 1)

    assert isinstance(heard, Heard)
    assert ("PI\x1bNG", b"junk") == (heard.record.signal, heard.record.payload)


def test_a_refusal_says_why(daemon: FakeDaemon) -> None:
    """Of a subscription where it is asked for, of a question when its answer comes; another's is not ours."""
    with SnoopView(str(daemon.path)) as view:
        view.watch(TRACE, Dial(), 60.0)
        daemon.link.say(Failed(99, "other", "somebody else's"))
        daemon.link.say(Failed(until(lambda: daemon.link.asks)[0].id, "too_many_watches", "16 are held"))
        with pytest.raises(DaemonRefusedError, match="16 are held"):
            view.receive(30.0)
        daemon.binds = False
        daemon.link.say(Failed(2, "not_permitted", "needs the group mirosd-admin"))
        with pytest.raises(DaemonRefusedError, match="needs the group"):
            view.subscribe(SPY, "snoop.spy")


def test_a_broker_that_binds_nothing_is_told(daemon: FakeDaemon) -> None:
    """A subscription that is not confirmed in time is an error, not a wait without end."""
    daemon.binds = False
    with SnoopView(str(daemon.path), timeout_s=0.05) as view, pytest.raises(SilentDaemonError, match="mirosctl status"):
        view.subscribe(TRACE, "snoop.trace")


def test_nothing_comes_in_time(daemon: FakeDaemon) -> None:
    """Silence is no error; the daemon's end is one."""
    with SnoopView(str(daemon.path)) as view:
        assert view.receive(0.0) is None
        daemon.link.cut()
        with pytest.raises(DaemonUnavailableError):
            view.receive(30.0)


def test_a_recall_has_an_end_though_somebody_is_silent() -> None:
    """After the last word; what is missing is said: hosts that refuse or are silent, programs that ended."""
    recall = Recollection("ab" * 16, 100.0)
    for item in (
        HostRecalled("h2", "", 0, "policy", recall.id),
        HostRecalled("", "cd" * 16, 0, "unanswered", recall.id),
        RecallAsked(2, recall.id),
    ):
        recall.take(item, 101.0)
    recall.take(Ended(End("aa"), recall.id), 102.0)

    assert [False, True] == [recall.is_over(now_s) for now_s in (102.0 + PATIENCE_S, 102.1 + PATIENCE_S)]
    assert [
        "h2: it lets nobody look at its charts (snoop.remote: off)",
        f"{'cd' * 16}: its mirosd did not answer",
        "1 program did not send all within 3 s",
    ] == list(recall.missing())


def test_a_recall_ends_though_the_daemon_is_silent() -> None:
    """Who asks all hosts says so within ten seconds, or there is nothing to wait for."""
    recall = Recollection("ab" * 16, 100.0)

    assert [False, True] == [recall.is_over(now_s) for now_s in (110.0, 110.1)]
    assert ["mirosd did not ask all hosts within 10 s"] == list(recall.missing())


def test_rows_and_lines_go_on_together(daemon: FakeDaemon) -> None:
    """A host that changes its mind is told while lines come; items are in the order of their coming."""
    with SnoopView(str(daemon.path)) as view:
        view.watch(TRACE, Dial(), 60.0)
        number = until(lambda: daemon.link.asks)[0].id
        daemon.link.say(Row(number, HERE))
        daemon.link.deliver(1, 1, lines(LINE))
        daemon.link.say(Row(number, {**HERE, "remote": "off", "accepts": False}))
        told = items(view, 3)

    assert [HostWatched, Lines, HostWatched] == [type(item) for item in told]
