"""Charts of a real program that others look at: by dials and recalls that its daemon passes on."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirosd_client import NetworkedActiveObject
from mirosd_client.chart_row import ChartRow, decode_charts
from mirosd_client.client import Client
from mirosd_client.dial import Dial
from mirosd_client.messages import Recall, Watched
from mirosd_client.recall_answers import NETWORKS
from mirosd_client.record import decode_records
from mirosd_client.recorder import line_of
from mirosd_client.runs import runs
from mirosd_client.shell import Event, signals, spy_on
from mirosd_client.shell.reactor import Reactor
from mirosd_client.snoop_line import CHARTS_SIGNAL, END_SIGNAL, LINES_SIGNAL, End, SnoopLine, decode_end, decode_lines
from mirosd_client.wire import Network
from tests.client.fake_daemon import OTHER, FakeDaemon, Link, record, until

ID = "12" * 16
TRACE_ME = Watched({"snoop_trace": [Dial(charts=["m*"], events=True)]})
SPY_ME = Watched({"snoop_spy": [Dial(charts=["m*"])]})


@spy_on
def outer(chart: Any, e: Any) -> Any:
    """Goes in when told to, and says so."""
    if e.signal == signals.GO:
        chart.transmit(Event(signal="GOING"))
        return chart.trans(inner)
    return chart.parent(chart.top)


def inner(chart: Any, e: Any) -> Any:
    """Goes out when told to; it is not decorated."""
    if e.signal == signals.BACK:
        return chart.trans(outer)
    return chart.parent(outer)


@pytest.fixture
def chart(client: Client) -> Iterator[NetworkedActiveObject]:
    """A chart that nobody has enabled anything of, not started; it ends with the test."""
    made = NetworkedActiveObject("me", client=client, instrumented=False)
    yield made
    made.stop()


def records(link: Link, key: str) -> list[Any]:
    """Give the records that came in with a routing key."""
    return [r for events in list(link.events) if events.routing_key == key for r in decode_records(events.records)]


def lines(link: Link, key: str = "snoop.trace") -> list[SnoopLine]:
    """Give the lines that came in with a routing key."""
    return [line for r in records(link, key) if r.signal == LINES_SIGNAL for line in decode_lines(r.payload)]


def ready(daemon: FakeDaemon, chart: NetworkedActiveObject, watched: Watched) -> Link:
    """Start the chart once its program knows that this is watched."""
    daemon.link.say(watched)
    dials = {NETWORKS[name]: tuple(asked) for name, asked in watched.networks.items()}
    until(lambda: chart.client.feed._dials == dials)
    chart.start_at(outer)
    assert chart.wait_subscribed(30)
    return daemon.link


def mesh(daemon: FakeDaemon, tag: int, *names: str) -> None:
    """Deliver events of the mesh to the first chart."""
    link = daemon.link
    number = link.subscribes[0].subscription
    link.deliver(number, tag, *(record(tag + n, name) for n, name in enumerate(names)))


def test_a_dial_shows_a_chart_that_nobody_enabled(daemon: FakeDaemon, chart: NetworkedActiveObject) -> None:
    """What it does and why, across hosts: moves, events that move nothing, what it sends; in order of its clock."""
    link = ready(daemon, chart, TRACE_ME)
    assert link.hello is not None
    assert link.hello.has_charts
    mesh(daemon, 1, "GO", "UNKNOWN", "BACK")

    seen = until(lambda: len(found := lines(link)) == 5 and found)
    [sent] = [r for r in link.records if r.signal == "GOING"]
    names = [f"{OTHER.hex()}-1-{n}" for n in (1, 2, 3)]
    going = f"{link.client.hex()}-{chart.nets.number}-{sent.sequence}"
    by_clock = sorted(seen, key=lambda line: line.hlc)
    assert [
        ("trace", None, "top", "outer", "", ""),
        ("trace", "GO", "outer", "inner", names[0], ""),
        ("send", "GOING", "", "", going, names[0]),
        ("event", "UNKNOWN", "", "", names[1], ""),
        ("trace", "BACK", "inner", "outer", names[2], ""),
    ] == [(line.kind, line.signal, line.from_state, line.to_state, line.event, line.cause) for line in by_clock]
    assert by_clock[1].hlc < by_clock[2].hlc == sent.hlc < by_clock[3].hlc
    assert {(link.client.hex(), chart.nets.number, "h1", "me")} == {
        (line.client, line.number, line.host, line.chart) for line in seen
    }
    assert [1, 2, 3, 4, 5] == [line.line for line in seen]


def test_when_nobody_watches_any_more_nothing_is_sent(daemon: FakeDaemon, chart: NetworkedActiveObject) -> None:
    """From the daemon's word on; what is done meanwhile can be recalled."""
    link = ready(daemon, chart, TRACE_ME)
    until(lambda: lines(link))
    link.say(Watched({}))
    until(lambda: chart.client.feed.recorder.sieve is None)
    mesh(daemon, 1, "GO")
    until(lambda: chart.state.fun is inner)
    link.say(Recall(ID, "history", "snoop_trace", Dial(charts=["me"]), 60.0))

    key = f"recall.{ID}"
    until(lambda: [r for r in records(link, key) if r.signal == END_SIGNAL])
    assert [None] == [line.signal for line in lines(link)]
    assert [(None, 0), ("GO", 0)] == [(line.signal, line.line) for line in lines(link, key)]
    assert End(link.client.hex(), "h1", 2) == decode_end(records(link, key)[-1].payload)


def test_a_recall_gives_the_charts_of_the_program(daemon: FakeDaemon, chart: NetworkedActiveObject) -> None:
    """With what each is doing at present."""
    link = ready(daemon, chart, Watched({}))
    mesh(daemon, 1, "GO")
    until(lambda: chart.state.fun is inner)
    link.say(Recall(ID, "charts", "snoop_trace"))

    key = f"recall.{ID}"
    until(lambda: [r for r in records(link, key) if r.signal == END_SIGNAL])
    [row] = [row for r in records(link, key) if r.signal == CHARTS_SIGNAL for row in decode_charts(r.payload)]
    assert isinstance(row, ChartRow)
    assert ("h1", link.client.hex(), chart.nets.number, "me", os.getpid()) == (
        row.host,
        row.client,
        row.number,
        row.chart,
        row.pid,
    )
    assert ("inner", "GO", 1, True, "empty", "empty") == (
        row.state,
        row.signal,
        row.handled,
        row.is_running,
        row.receives,
        row.transmits,
    )


def test_a_spy_dial_is_on_while_it_may_be(daemon: FakeDaemon, chart: NetworkedActiveObject) -> None:
    """Lines of miros' spy come from a running chart; in the undecorated state it ends, and the viewer is told why."""
    link = ready(daemon, chart, SPY_ME)
    mesh(daemon, 1, "GO", "BACK")
    until(lambda: lines(link, "snoop.spy") and lines(link, "snoop.spy")[-1].kind == "notice")

    texts = [line.text for line in lines(link, "snoop.spy")]
    assert "GO:outer" in texts
    assert "spy_unavailable: inner is not decorated" == texts[-1]
    until(lambda: chart.state.fun is outer)
    assert (False, False) == (chart.instrumented, chart.live_spy)
    assert {Network.SNOOP_SPY, Network.MESH} == {events.network for events in link.events}


def test_a_charts_thread_makes_and_sends_no_line(
    daemon: FakeDaemon, chart: NetworkedActiveObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are asked for: its thread adds tuples to a queue, and the client's does the rest (D74)."""
    threads: set[str] = set()
    window = chart.client._session.window

    def noted(fn: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            threads.add(threading.current_thread().name)
            return fn(*args, **more)

        return call

    monkeypatch.setattr("mirosd_client.snoop_feed.line_of", noted(line_of))
    monkeypatch.setattr("mirosd_client.snoop_feed.runs", noted(runs))
    monkeypatch.setattr(window, "accept", noted(window.accept))
    chart.enable_snoop_trace()
    chart.enable_snoop_spy()
    link = ready(daemon, chart, Watched(TRACE_ME.networks | SPY_ME.networks))
    chart.snoop_scribble("hello")
    chart.post_fifo(Event(signal="BACK"))
    until(lambda: len(lines(link)) == 2)

    assert {"test reactor"} == threads


def test_a_recorder_can_be_switched_off(daemon: FakeDaemon) -> None:
    """A program that wants none keeps nothing; live it is seen all the same."""
    with Client(str(daemon.path), recorder_lines=0) as client:
        chart = NetworkedActiveObject("me", client=client)
        ready(daemon, chart, TRACE_ME)
        until(lambda: lines(daemon.link))
        assert [] == client.feed.recorder.since(60)[0]
        chart.stop()


def test_lines_that_find_no_room_in_the_window_are_counted_one_by_one(daemon: FakeDaemon, reactor: Reactor) -> None:
    """Each line is either with the daemon or counted, however many travel together; events have their room."""
    client = Client(str(daemon.path), reactor=reactor, window_bytes=40_000)
    chart = NetworkedActiveObject("me", client=client)
    chart.enable_snoop_trace()
    until(lambda: client.feed._dials is not None)
    for n in range(500):
        chart.snoop_scribble(f"remark {n}")
    client.wait_safe(0.01)
    until(lambda: len(lines(daemon.link)) + client.counters()["snoop_refused"] == 500)

    assert 50 < len(lines(daemon.link)) < 450
    assert chart.transmit(Event(signal="EVENT"))
    client.close(0)


def test_the_last_moves_are_sent_before_a_program_ends(daemon: FakeDaemon, client: Client) -> None:
    """What waits for the end of a pause is not lost by closing."""
    daemon.settles = True
    chart = NetworkedActiveObject("me", client=client)
    chart.enable_snoop_trace()
    with chart:
        chart.start_at(outer)
        until(lambda: len(lines(daemon.link)) == 1)
        for n in range(50):
            chart.post_fifo(Event(signal="GO" if n % 2 == 0 else "BACK"))
        until(lambda: chart.vitals.handled == 50)

    assert 51 == len(lines(daemon.link))


def test_lines_of_the_time_without_a_daemon_go_to_the_next_if_that_is_watched(
    socket_file: Path, reactor: Reactor
) -> None:
    """Whether it is, only the next one knows."""
    with FakeDaemon(socket_file) as first:
        client = Client(str(socket_file), reactor=reactor)
        chart = NetworkedActiveObject("me", client=client)
        chart.enable_snoop_trace()
        chart.snoop_scribble("first")
        until(lambda: lines(first.link))
    until(lambda: not client._session.is_open.is_set())
    chart.snoop_scribble("between")
    with FakeDaemon(socket_file, watched=None) as second:
        link = second.link
        chart.transmit(Event(signal="EVENT"))
        until(lambda: [r for r in link.records if r.signal == "EVENT"])
        assert "between" not in [line.text for line in lines(link)]
        link.say(Watched({"snoop_trace": []}))
        until(lambda: "between" in [line.text for line in lines(link)])
        client.close(0)


def test_a_forked_child_is_a_source_of_its_own(daemon: FakeDaemon, client: Client) -> None:
    """A chart that is started in the child is on the child's list, and on nobody's recorder but the child's."""
    chart = NetworkedActiveObject("me", client=client)
    client.feed.recorder.said(chart.nets.number, "me", "scribble", "the parent's")
    child = os.fork()
    if not child:
        status = 1
        try:
            chart.start_at(outer)
            chart.snoop_scribble("the child's")
            feed = client.feed
            deeds = [line_of(entry, "", "") for entry in feed.recorder.since(60)[0]]
            rows = feed.roster.rows("h1", Dial())
            is_right = [(d.to_state, d.text) for d in deeds] == [("outer", ""), ("", "the child's")]
            is_listed = [(r.chart, r.pid, r.client) for r in rows] == [("me", os.getpid(), client.id.hex())]
            status = 0 if is_right and is_listed else 1
        finally:
            os._exit(status)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
