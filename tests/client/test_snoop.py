"""Charts that are watched: what they send, what is shown, and that it harms nothing."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mirosd_client import NetworkedActiveObject
from mirosd_client.client import Client
from mirosd_client.messages import Failed
from mirosd_client.record import Record, decode_records, encode_record
from mirosd_client.recorder import MAX_LIVE_LINES
from mirosd_client.shell import Event, signals, spy_on
from mirosd_client.shell.reactor import Reactor
from mirosd_client.snoop import Seen
from mirosd_client.snoop_line import LINES_SIGNAL, SnoopLine, encode_lines
from mirosd_client.terminal import TERMINAL
from mirosd_client.wire import Network
from tests.client.fake_daemon import FakeDaemon, Link, record, until

KEYS = {Network.SNOOP_TRACE: "snoop.trace", Network.SNOOP_SPY: "snoop.spy"}
BLUE, PURPLE, GREY, RESET = "\x1b[34m", "\x1b[35m", "\x1b[30;1m", "\x1b[0m"


@spy_on
def outer(chart: Any, e: Any) -> Any:
    """Goes in when told to."""
    if e.signal == signals.GO:
        return chart.trans(inner)
    return chart.parent(chart.top)


@spy_on
def inner(chart: Any, e: Any) -> Any:
    """Goes out when told to."""
    if e.signal == signals.BACK:
        return chart.trans(outer)
    return chart.parent(outer)


def plain(chart: Any, e: Any) -> Any:
    """A state without miros' decorator."""
    if e.signal == signals.GO:
        return chart.trans(plain)
    return chart.parent(chart.top)


Make = Callable[..., NetworkedActiveObject]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """What earlier tests left to be shown is shown before."""
    assert TERMINAL.flush(30)


@pytest.fixture
def make(client: Client) -> Iterator[Make]:
    """Make charts, not started; they end with the test."""
    made: list[NetworkedActiveObject] = []

    def make_one(name: str = "me", kind: type[NetworkedActiveObject] = NetworkedActiveObject, **more: Any) -> Any:
        chart = kind(name, client=client, **more)
        made.append(chart)
        return chart

    yield make_one
    for chart in made:
        chart.stop()


class Screen:
    """What was printed so far, without dates."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def lines(self) -> list[str]:
        """Every line, `[date] ` left out."""
        assert TERMINAL.flush(30)
        self._text += self._capsys.readouterr().out
        year = time.strftime("[%Y-")
        return [
            line.replace(line[line.index(year) :][:29], "") if year in line else line
            for line in self._text.splitlines()
        ]


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Screen:
    """The terminal of the test, which has seen nothing of what is the same in other tests."""
    TERMINAL._remembered.clear()
    return Screen(capsys)


def sent(link: Link, network: Network = Network.SNOOP_TRACE) -> list[dict[str, Any]]:
    """Give the lines that came in on a network."""
    runs = [events for events in list(link.events) if events.network is network]
    assert {events.routing_key for events in runs} <= {KEYS[network]}
    records = [r for events in runs for r in decode_records(events.records)]
    assert {(r.signal, r.content_type) for r in records} <= {("lines", "json")}
    return [line for r in records for line in msgspec.json.decode(r.payload)]


def wait_sent(daemon: FakeDaemon, count: int, network: Network = Network.SNOOP_TRACE) -> list[dict[str, Any]]:
    """Give the lines of a network once there are so many, and no more."""
    until(lambda: len(sent(daemon.link, network)) >= count, f"{count} lines")
    lines = sent(daemon.link, network)
    assert len(lines) == count
    return lines


def bound(daemon: FakeDaemon, network: str) -> tuple[Link, int]:
    """Wait for the subscription to a network; gives where to deliver."""
    request = until(lambda: next((s for s in daemon.link.subscribes if s.network == network), None), network)
    return daemon.link, request.subscription


def line(sequence: int, text: str = "x", kind: str = "spy", **fields: Any) -> bytes:
    """Give the record of another chart's line."""
    made = SnoopLine(kind, "other", time.time(), text=text)  # type: ignore[arg-type]
    return record(sequence, LINES_SIGNAL, encode_lines([made]), **fields)


def go(chart: NetworkedActiveObject, *names: str) -> None:
    """Post events to a chart."""
    for name in names:
        chart.post_fifo(Event(signal=name))


def test_traces_go_out_as_data_and_stand_on_the_own_terminal_at_once(
    daemon: FakeDaemon, make: Make, screen: Screen
) -> None:
    """From the start on; each network has its mark (D71), the own name is blue, nothing came back from the daemon."""
    chart = make()
    chart.enable_snoop_trace()
    chart.start_at(outer)
    go(chart, "GO", "BACK")

    moves = wait_sent(daemon, 3)
    assert [(m["kind"], m["chart"], m.get("signal"), m["from"], m["to"]) for m in moves] == [
        ("trace", "me", None, "top", "outer"),
        ("trace", "me", "GO", "outer", "inner"),
        ("trace", "me", "BACK", "inner", "outer"),
    ]
    assert all(abs(m["time"] - time.time()) < 60 for m in moves)
    assert screen.lines == [
        f" [+t] [{BLUE}me{RESET}] e->start_at() top->outer",
        f" [+t] [{BLUE}me{RESET}] e->GO() outer->inner",
        f" [+t] [{BLUE}me{RESET}] e->BACK() inner->outer",
    ]


@pytest.mark.parametrize("instrumented", [True, False])
def test_traces_need_no_decoration(daemon: FakeDaemon, make: Make, instrumented: bool) -> None:
    """They are the shell's, whether miros' instrumentation is on or off."""
    chart = make(instrumented=instrumented)
    chart.enable_snoop_trace()
    chart.start_at(plain)
    go(chart, "GO")

    assert [(m["from"], m["to"]) for m in wait_sent(daemon, 2)] == [
        ("top", "plain"),
        ("plain", "plain"),
    ]


def test_a_line_stands_once_on_the_terminal_also_beside_miros_live_trace(
    daemon: FakeDaemon, make: Make, screen: Screen
) -> None:
    """A program that asks for both gets one; when the snoop ends, it has its live trace again."""
    chart = make()
    lines: list[str] = []
    chart.register_live_trace_callback(lines.append)
    chart.live_trace = True
    chart.enable_snoop_trace()
    chart.enable_snoop_trace()
    chart.start_at(outer)
    until(lambda: len(screen.lines) == 1)
    chart.disable_snoop_trace()
    chart.disable_snoop_trace()
    go(chart, "GO")

    until(lambda: lines)
    assert [text.split("] ")[-1] for text in lines] == ["e->GO() outer->inner\n"]
    assert len(screen.lines) == 1


def test_the_spy_goes_out_and_stands_on_the_own_terminal(daemon: FakeDaemon, make: Make, screen: Screen) -> None:
    """Each line of miros' live spy, and nothing of it on the trace."""
    chart = make()
    chart.enable_snoop_spy()
    chart.start_at(outer)
    go(chart, "GO")

    until(lambda: "GO:outer" in [m["text"] for m in sent(daemon.link, Network.SNOOP_SPY)])
    first = [m["text"] for m in sent(daemon.link, Network.SNOOP_SPY)][:4]
    assert first == ["START", "SEARCH_FOR_SUPER_SIGNAL:outer", "ENTRY_SIGNAL:outer", "INIT_SIGNAL:outer"]
    assert {e.network for e in daemon.link.events} == {Network.SNOOP_SPY}
    assert f" [+s] {BLUE}me{RESET} ENTRY_SIGNAL:outer" in screen.lines


def test_lines_of_others_are_shown_with_their_name_purple(daemon: FakeDaemon, make: Make, screen: Screen) -> None:
    """On both networks, whatever the enabled chart itself does; what they send cannot steer the terminal."""
    chart = make()
    chart.enable_snoop_trace()
    chart.enable_snoop_spy_no_color()
    chart.nets.start_threads()
    link, trace = bound(daemon, "snoop_trace")
    _, spy = bound(daemon, "snoop_spy")
    link.deliver(trace, 1, line(1, "hi\x1b[2J", "scribble"))
    for_tools = [SnoopLine(kind, "other", 1.0, "WAR", text="x") for kind in ("event", "send", "notice")]  # type: ignore[arg-type]
    link.deliver(trace, 2, record(2, LINES_SIGNAL, encode_lines(for_tools)))
    link.deliver(spy, 1, line(2, "ENTRY_SIGNAL:x"), line(2, "again"))

    until(lambda: len(screen.lines) == 2)
    until(lambda: {(trace, 2), (spy, 1)} <= {(ack.subscription, ack.tag) for ack in link.acks})
    assert sorted(screen.lines) == [
        " [+s] other ENTRY_SIGNAL:x",
        f" [+t] [{PURPLE}other{RESET}] {GREY}# hi\N{REPLACEMENT CHARACTER}[2J{RESET}",
    ]
    assert [(s.network, s.binding_key) for s in link.subscribes] == [
        ("mesh", "empty"),
        ("snoop_trace", "snoop.trace"),
        ("snoop_spy", "snoop.spy"),
    ]


def test_two_charts_of_a_program_show_each_line_once(daemon: FakeDaemon, make: Make, screen: Screen) -> None:
    """A neighbour's line comes back and is not printed again; a stranger's comes twice and is printed once."""
    one, two = make("one"), make("two")
    for chart in (one, two):
        chart.enable_snoop_trace()
        chart.nets.start_threads()
    one.start_at(outer)
    link = daemon.link
    numbers = until(
        lambda: len(found := [s.subscription for s in link.subscribes if s.network == "snoop_trace"]) == 2 and found
    )
    own = until(lambda: [r for r in link.records if r.signal == LINES_SIGNAL])[0]
    strangers = line(1)
    for number in numbers:
        link.deliver(number, 1, record(1, LINES_SIGNAL, own.payload, client=own.client, chart=own.chart), strangers)

    until(lambda: len(link.acks) == 2)
    until(lambda: len(screen.lines) == 2)
    assert screen.lines == [f" [+t] [{BLUE}one{RESET}] e->start_at() top->outer", f" [+t] [{PURPLE}other{RESET}] x"]


def test_each_network_is_switched_apart_before_and_after_the_start(daemon: FakeDaemon, make: Make) -> None:
    """Enabling one opens one subscription, disabling it ends that one (D41); the mesh stays as it is."""
    chart = make()
    chart.start_at(outer)
    chart.enable_snoop_trace()
    link, trace = bound(daemon, "snoop_trace")
    chart.enable_snoop_spy()
    _, spy = bound(daemon, "snoop_spy")
    assert (chart.nets.snoop.trace.enabled, chart.nets.snoop.spy.enabled) == (True, True)

    chart.disable_snoop_trace()
    until(lambda: link.unsubscribes == [trace])
    go(chart, "GO")
    until(lambda: sent(link, Network.SNOOP_SPY))
    assert {e.network for e in link.events} == {Network.SNOOP_SPY}
    chart.disable_snoop_spy()
    until(lambda: link.unsubscribes == [trace, spy])
    assert not chart.live_spy

    chart.enable_snoop_trace()
    until(lambda: len(link.subscribes) == 4)
    assert chart.stop()
    until(lambda: len(link.unsubscribes) == 4, "the chart's networks end with it")


def test_scribbles_go_where_is_watched(daemon: FakeDaemon, make: Make, screen: Screen) -> None:
    """To the trace if that is enabled, else to the spy, else into the chart's own spy alone."""
    chart = make()
    chart.start_at(outer)
    chart.snoop_scribble("nowhere")
    chart.enable_snoop_spy()
    chart.snoop_scribble("spied")
    chart.enable_snoop_trace()
    chart.snoop_scribble("traced", enable_color=False)
    chart.snoop_scribble(5)  # type: ignore[arg-type]

    traced = until(lambda: len(found := [m for m in sent(daemon.link) if m["kind"] == "scribble"]) == 2 and found)
    assert ["traced", "5"] == [m["text"] for m in traced]
    assert [False, True] == [m.get("grey", True) for m in traced]
    spied = until(lambda: [m for m in sent(daemon.link, Network.SNOOP_SPY) if m["kind"] == "scribble"])
    assert ["spied"] == [m["text"] for m in spied]
    assert screen.lines[-3:] == [
        f" [+s] {BLUE}me{RESET} [me] {GREY}# spied{RESET}",
        f" [+t] [{BLUE}me{RESET}] # traced",
        f" [+t] [{BLUE}me{RESET}] {GREY}# 5{RESET}",
    ]


def test_a_snoop_that_is_enabled_after_the_start_shows_everything(
    daemon: FakeDaemon, make: Make, screen: Screen
) -> None:
    """Own lines and those of others, as if it had been enabled before (D73)."""
    chart = make()
    chart.start_at(outer)
    chart.enable_snoop_trace()
    link, trace = bound(daemon, "snoop_trace")
    go(chart, "GO")
    until(lambda: len(screen.lines) == 1)
    link.deliver(trace, 1, line(1, "hello", "scribble"))

    until(lambda: len(screen.lines) == 2)
    assert [
        f" [+t] [{BLUE}me{RESET}] e->GO() outer->inner",
        f" [+t] [{PURPLE}other{RESET}] {GREY}# hello{RESET}",
    ] == screen.lines
    assert ["GO"] == [m["signal"] for m in wait_sent(daemon, 1)]


def test_a_program_that_enables_nothing_prints_nothing(
    daemon: FakeDaemon, make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever its charts hear, say and do (D75)."""
    chart = make()
    chart.start_at(outer)
    link, mesh = bound(daemon, "mesh")
    link.deliver(mesh, 1, record(1, "GO"), record(2, "BACK", b"{nonsense"), record(3, "ENTRY_SIGNAL"))
    until(lambda: chart.state.fun is inner)
    chart.snoop_scribble("to itself")
    chart.transmit(Event(signal="EVENT"))
    until(lambda: [r for r in link.records if r.signal == "EVENT"])
    assert chart.stop()

    assert TERMINAL.flush(30)
    assert ("", "") == capfd.readouterr()


class Logging(NetworkedActiveObject):
    """A chart that keeps the lines instead of printing them."""

    def __init__(self, *words: Any, **more: Any) -> None:
        self.kept: list[tuple[Any, Any, str, str, Record | None]] = []
        super().__init__(*words, **more)

    def on_network_trace_message(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        self.kept.append((ch, method, properties.line.kind, body.split("] ", 1)[1], properties.record))
        if "raise" in body:
            raise ZeroDivisionError

    def on_network_spy_message(self, ch: Any, method: Any, properties: Seen, body: str) -> None:
        self.kept.append((ch, method, properties.line.kind, body, properties.record))


def test_a_subclass_may_do_otherwise_with_lines(
    daemon: FakeDaemon, make: Make, screen: Screen, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets every line as text without colour, own ones too; what it raises is logged and counted."""
    chart = make("me", Logging)
    chart.enable_snoop_trace()
    chart.enable_snoop_spy()
    chart.nets.start_threads()
    chart.snoop_scribble("own")
    link, trace = bound(daemon, "snoop_trace")
    link.deliver(trace, 1, line(1, "raise", "scribble"), line(2, "a line", "scribble"))
    link, spy = bound(daemon, "snoop_spy")
    link.deliver(spy, 1, line(3, "START"))

    sent_back = until(lambda: [r for r in link.records if r.signal == LINES_SIGNAL])[0]
    link.deliver(trace, 2, encode_record(sent_back))
    until(lambda: (trace, 2) in {(ack.subscription, ack.tag) for ack in link.acks})

    until(lambda: len(chart.kept) == 4)
    assert (None, None, "scribble", "[me] # own", None) == chart.kept[0]
    assert {kept[3] for kept in chart.kept[1:]} == {"[other] # raise", "[other] # a line", "other START"}
    assert {kept[4].sequence for kept in chart.kept if kept[4] is not None} == {1, 2, 3}
    assert screen.lines == []
    until(lambda: client.counters().get("callback_failed") == 1)
    assert "snoop.trace" in caplog.text


def test_who_may_not_watch_is_told_once_and_goes_on(
    socket_file: Path, make: Make, screen: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    """One clear warning, however often the connection is made; own lines and the mesh are as ever."""
    refusal = "subscribing to snoop_trace needs group mirosd-admin: sudo usermod"
    with FakeDaemon(socket_file, binds=False) as daemon, caplog.at_level(logging.WARNING):
        chart = make()
        chart.enable_snoop_trace()
        chart.start_at(outer)
        for _ in range(2):
            link, number = bound(daemon, "snoop_trace")
            link.say(Failed(number, "not_permitted", refusal))
            until(lambda: refusal in caplog.text)
            count = len(daemon.links)
            link.cut()
            until(lambda count=count: len(daemon.links) > count and daemon.links[-1].hello)  # type: ignore[misc]
        assert chart.transmit(Event(signal="EVENT"))
        go(chart, "GO")
        until(lambda: [r for r in daemon.link.records if r.signal == "EVENT"])
        until(lambda: len(screen.lines) == 2)
        until(lambda: len(sent(daemon.link)) == 2, "its own lines go out to others all the same")
        chart.client.close(0)

    warnings = [r.getMessage() for r in caplog.records if refusal in r.getMessage()]
    assert warnings == [f"me gets nothing from snoop_trace: {refusal}"]


def test_without_a_daemon_lines_are_shown_and_take_no_room_from_events(
    socket_file: Path, reactor: Reactor, screen: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    """A storm of lines neither blocks nor refuses an event; what found no room is counted."""
    client = Client(str(socket_file), reactor=reactor, window_bytes=20_000)
    chart = NetworkedActiveObject("me", client=client)
    chart.enable_snoop_trace_no_color()
    for n in range(MAX_LIVE_LINES + 1000):
        chart.snoop_scribble(f"line {n}")
    accepted = [chart.transmit(Event(signal="EVENT")) for _ in range(20)]

    assert all(accepted)
    assert client.counters()["snoop_refused"] == 1000
    assert (client.counters()["refused"], client.counters()["evicted"]) == (0, 0)
    assert "window" not in caplog.text, "that is said of events alone"
    assert screen.lines == [f" [+t] [me] # line {n}" for n in range(MAX_LIVE_LINES + 1000)]
    client.close(0)
    until(lambda: client.counters()["snoop_refused"] == MAX_LIVE_LINES + 1000, "those that waited for a daemon, too")


def test_a_closed_client_and_a_terminal_that_is_full_are_counted(
    make: Make, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of a chart's last moments raise nothing in it."""
    chart = make()
    chart.enable_snoop_trace()
    monkeypatch.setattr(TERMINAL, "show", lambda _line: False)
    client.close(0)

    chart.snoop_scribble("too late")

    assert client.counters()["snoop_unshown"] == 1
    until(lambda: client.counters()["snoop_refused"] == 1)


def test_a_terminal_that_is_gone_is_counted(make: Make, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe whose reader left ends nothing."""

    class Gone:
        def write(self, _text: str) -> None:
            raise BrokenPipeError

    chart = make()
    chart.enable_snoop_trace()
    monkeypatch.setattr("sys.stdout", Gone())
    chart.snoop_scribble("hello")

    until(lambda: client.counters().get("snoop_unshown") == 1)


@pytest.mark.parametrize("payload", [b"{nonsense", b'{"kind":"spy"}', b"\xff", b"null"])
def test_poison_on_a_snoop_network_is_counted_and_the_rest_is_shown(
    daemon: FakeDaemon, make: Make, screen: Screen, client: Client, payload: bytes
) -> None:
    """Whoever may send lines cannot end a viewer."""
    chart = make()
    chart.enable_snoop_spy_no_color()
    chart.nets.start_threads()
    link, spy = bound(daemon, "snoop_spy")
    link.deliver(spy, 1, line(1, "one"), record(2, "spy", payload), line(3, "three"))

    until(lambda: screen.lines == [" [+s] other one", " [+s] other three"])
    until(lambda: link.acks)
    assert client.counters()["undecodable"] == 1
    assert len(daemon.links) == 1


def test_a_stopped_terminal_holds_up_neither_chart_nor_network(daemon: FakeDaemon, make: Make) -> None:
    """While nothing can be printed, events are handled and transmitted as ever."""
    gate = threading.Event()
    TERMINAL.show(lambda: gate.wait(30))
    chart = make()
    chart.enable_snoop_trace()
    chart.start_at(outer)
    go(chart, "GO")
    chart.transmit(Event(signal="EVENT"))

    until(lambda: chart.state.fun is inner)
    until(lambda: [r for r in daemon.link.records if r.signal == "EVENT"])
    gate.set()
    assert TERMINAL.flush(30)
