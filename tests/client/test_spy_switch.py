"""The spy of one chart, as its program and viewers want it: on, refused, off, and nothing changed by it."""

from collections.abc import Callable
from typing import Any

import pytest
from miros import ActiveObject

from mirosd_client.dial import Dial
from mirosd_client.messages import Watched
from mirosd_client.shell import Chart, ChartFactory, Event, return_status, signals, spy_on
from mirosd_client.shell.testing import Threadless, threadless
from mirosd_client.spy_switch import SpySwitch
from tests.client.snoop_source import SPY, TRACE, Source

SPIED = Watched({"snoop_spy": [Dial(charts=["me"])]})
TRACED = Watched({"snoop_trace": [Dial(charts=["me"], events=True)]})
NOT_SPIED = Watched({"snoop_spy": []})


class Noting(Chart):
    """A chart that notes which signals its states are given."""

    def __init__(self, name: str = "me", **more: Any) -> None:
        super().__init__(name, **more)
        self.given: list[tuple[str, str]] = []


def state(name: str, parent: str, moves: dict[str, str], *, is_decorated: bool = True) -> Any:
    """Make a state as people write them; all that it does not know it would take for an event, if it were not asked."""

    def handler(chart: Any, e: Any) -> Any:
        if not (is_decorated and e.signal_name == "REFLECTION_SIGNAL"):
            chart.given.append((name, e.signal_name))
        if e.signal_name in moves:
            return chart.trans(STATES[moves[e.signal_name]])
        if e.signal_name == "HOOK":
            return return_status.HANDLED
        return chart.parent(chart.top if parent == "top" else STATES[parent])

    handler.__name__ = name
    return spy_on(handler) if is_decorated else handler


STATES: dict[str, Any] = {
    "outer": state("outer", "top", {"RESET": "outer"}),
    "one": state("one", "outer", {"NEXT": "two", "BARE": "bare"}),
    "two": state("two", "outer", {"NEXT": "one", "BARE": "bare"}),
    "bare": state("bare", "outer", {"NEXT": "one", "IN": "inside"}, is_decorated=False),
    "inside": state("inside", "bare", {"NEXT": "two", "BARE": "bare"}),
}
EVENTS = [
    "NEXT",
    "HOOK",
    "UNKNOWN",
    "NEXT",
    "BARE",
    "HOOK",
    "UNKNOWN",
    "IN",
    "HOOK",
    "UNKNOWN",
    "NEXT",
    "RESET",
    "BARE",
]


class Spied:
    """A chart without a thread, listed by a source."""

    def __init__(self, chart: Any = None) -> None:
        self.source = Source()
        self.worker: Threadless[Any] = threadless(chart or Noting(), self.source.reactor)
        self.chart = self.worker.chart
        self.source.roster.add(self.chart, 9)
        self.chart.witness = self.source.recorder.witness(9)

    def start(self, name: str = "one") -> None:
        """Start it."""
        self.worker.start_at(STATES[name])

    def tell(self, *names: str) -> None:
        """Have it handle events."""
        for name in names:
            self.worker.tell(name)

    def texts(self, kind: str = "spy") -> list[str]:
        """Give what went out on the spy, of one kind."""
        self.source.reactor.advance(1.0)
        return [line.text for line in self.source.lines(SPY) if line.kind == kind]

    def switches(self) -> list[Any]:
        """Give everything of the chart that a spy turns on or adds."""
        chart = self.chart
        return [chart.instrumented, chart.live_spy, chart.live_spy_callback, list(chart.after_step), chart.state_name]


@pytest.fixture
def spied() -> Spied:
    """A chart that is not instrumented, as the daemon's are."""
    return Spied()


def test_a_decorated_chart_is_spied_and_then_is_what_it_was(spied: Spied) -> None:
    """Each step's lines go out while somebody asks for them, and stand in the recorder; miros' switch is put back."""
    spied.start()
    before = spied.switches()
    spied.tell("NEXT")
    spied.source.watch(SPIED)
    assert [] == spied.texts()
    assert "two" == spied.chart.state_name
    assert spied.chart.temp.fun is STATES["two"]

    spied.tell("NEXT")
    assert ["NEXT:two", "EXIT_SIGNAL:two", "ENTRY_SIGNAL:one"] == [
        text for text in spied.texts() if text.split(":")[0] in {"NEXT", "EXIT_SIGNAL", "ENTRY_SIGNAL"}
    ]
    assert [] == spied.texts("notice")
    [row] = spied.source.roster.rows("h1", Dial(charts=["me"]))
    assert (False, "") == (row.spy, row.spy_unavailable)

    count = len(spied.texts())
    spied.source.watch(NOT_SPIED)
    spied.tell("NEXT", "NEXT")
    assert count == len(spied.texts())
    assert before == spied.switches()


@pytest.mark.parametrize(
    "asked", [SPIED, TRACED, Watched(SPIED.networks | TRACED.networks)], ids=["spy", "trace", "both"]
)
@pytest.mark.parametrize("instrumented", [False, True])
@pytest.mark.parametrize("start", ["one", "bare", "inside"])
@pytest.mark.parametrize("when", range(0, len(EVENTS), 3))
def test_a_chart_with_one_undecorated_state_behaves_as_its_unwatched_twin(
    asked: Watched, instrumented: bool, start: str, when: int
) -> None:
    """Event by event: the same moves, and its states are given the same signals; whenever somebody begins to watch."""
    watched, twin = Spied(Noting(instrumented=instrumented)), Spied(Noting(instrumented=instrumented))
    for chart in (watched, twin):
        chart.start(start)
    for n, name in enumerate(EVENTS):
        if n == when:
            watched.source.watch(asked)
            watched.chart.given.clear()
            twin.chart.given.clear()
            before = len(watched.worker.moves)
        watched.tell(name)
        twin.tell(name)
        assert twin.worker.moves == watched.worker.moves, f"{n}: {name}"
    real = [(s, name) for s, name in watched.chart.given if name != "SEARCH_FOR_SUPER_SIGNAL"]
    assert [(s, name) for s, name in twin.chart.given if name != "SEARCH_FOR_SUPER_SIGNAL"] == real
    if "snoop_trace" in asked.networks:
        watched.source.reactor.advance(1.0)
        lines = [line for line in watched.source.lines(TRACE) if line.kind == "trace"]
        assert watched.worker.moves[before:] == [(line.signal, line.from_state, line.to_state) for line in lines]


def test_a_spy_is_refused_where_it_could_misroute_an_event(spied: Spied) -> None:
    """At once if the chart is in a state that is not decorated, or inside one; told once, and shown in the list."""
    spied.start("inside")
    before = spied.switches()
    spied.source.watch(SPIED)
    spied.source.watch(Watched(SPIED.networks | {"snoop_trace": []}))
    spied.tell("NEXT", "NEXT")

    assert ([], ["spy_unavailable: bare is not decorated"]) == (spied.texts(), spied.texts("notice"))
    assert ["bare"] == [row.spy_unavailable for row in spied.source.roster.rows("h1", Dial(charts=["me"]))]
    assert before[:4] == spied.switches()[:4]

    spied.source.watch(NOT_SPIED)
    assert [""] == [row.spy_unavailable for row in spied.source.roster.rows("h1", Dial(charts=["me"]))]
    spied.source.watch(SPIED)
    spied.tell("NEXT")
    assert "NEXT:one" in spied.texts()


def test_a_spy_ends_at_the_first_move_into_an_undecorated_state(spied: Spied) -> None:
    """The viewer is told, and another viewer who asks later is told anew."""
    spied.start()
    spied.source.watch(SPIED)
    spied.tell("BARE", "HOOK", "NEXT", "NEXT")

    assert ["BARE:one"] == [text for text in spied.texts() if text.split(":")[0] in {"BARE", "HOOK", "NEXT"}]
    assert ["spy_unavailable: bare is not decorated"] == spied.texts("notice")
    assert [False, False] == spied.switches()[:2]

    spied.tell("BARE")
    spied.source.watch(Watched({"snoop_spy": [*SPIED.networks["snoop_spy"], Dial(charts=["m*"])]}))
    assert ["spy_unavailable: bare is not decorated"] * 2 == spied.texts("notice")


def test_a_chart_that_starts_later_is_spied_from_then_on(spied: Spied) -> None:
    """The dial holds for charts that are made and started while it does."""
    spied.source.feed.watched(SPIED)  # a chart's thread looks into its queue once it has started
    spied.start()
    spied.tell("NEXT")
    assert "NEXT:one" in spied.texts()

    other = threadless(Noting(), spied.source.reactor)
    spied.source.roster.add(other.chart, 10)
    other.start_at(STATES["one"])
    other.tell("HOOK")
    assert "HOOK:one:HOOK" in spied.texts()


def test_a_chart_whose_queue_is_full_is_spied_when_there_is_room(spied: Spied) -> None:
    """A dial is not forgotten because a chart has much to do."""
    spied.start()
    spied.source.reactor.steppers.clear()
    while spied.chart.queue.append(Event(signal="HOOK")):
        pass
    spied.source.watch(SPIED)
    while spied.chart.queue:
        spied.chart.next_rtc()
    assert [] == spied.texts()
    spied.chart.next_rtc()

    spied.chart.post_fifo(Event(signal="NEXT"))
    spied.chart.next_rtc()
    assert "NEXT:one" in spied.texts()


def outside(chart: Any) -> Any:
    """What a test turned on, to be put back by both."""
    return chart.live_spy, chart.live_spy_callback


@pytest.mark.parametrize("program_first", [True, False])
@pytest.mark.parametrize("program_ends_first", [True, False])
def test_program_and_viewer_are_apart(program_first: bool, program_ends_first: bool) -> None:
    """Each line goes to one of them, the program if it wants them; at the end all is as it was before the first."""
    spied = Spied(Noting(instrumented=True))
    spied.start()
    before = spied.switches()
    shown: list[str] = []
    switch: SpySwitch = spied.chart.spy_switch
    steps: list[Callable[[], object]] = [lambda: switch.enable(shown.append), lambda: spied.source.watch(SPIED)]
    for begin in steps if program_first else reversed(steps):
        begin()
    spied.tell("NEXT")
    assert (True, False) == ("NEXT:one" in shown, "NEXT:one" in spied.texts())
    ends: list[Callable[[], object]] = [switch.disable, lambda: spied.source.watch(NOT_SPIED)]
    for end in ends if program_ends_first else reversed(ends):
        assert switch.is_on
        end()

    assert not switch.is_on
    assert before[:4] == spied.switches()[:4]


def test_a_factorys_chart_is_spied() -> None:
    """miros decorates its states itself."""
    factory = ChartFactory("me")
    ready = factory.create(state="ready").catch(signal=signals.HOOK, handler=lambda c, e: return_status.HANDLED)
    factory.nest(ready.to_method(), parent=None)
    spied = Spied(factory)
    spied.worker.start_at("ready")
    spied.source.watch(SPIED)
    spied.tell("HOOK")

    assert "HOOK:ready:HOOK" in spied.texts()


class Methods(Noting):
    """A chart whose states are methods."""

    @spy_on
    def ready(self, e: Any) -> Any:
        if e.signal == signals.NEXT:
            return self.trans(self.busy)
        return self.parent(self.top)

    @staticmethod
    def busy(chart: Any, e: Any) -> Any:
        return chart.parent(chart.ready)


def test_states_that_are_methods_are_looked_at_too() -> None:
    """Decorated or not."""
    spied = Spied(Methods())
    spied.worker.start_at(spied.chart.ready)
    spied.source.watch(SPIED)
    spied.tell("NEXT")

    assert "NEXT:ready" in spied.texts()
    assert ["spy_unavailable: busy is not decorated"] == spied.texts("notice")


def test_a_chart_of_plain_miros_is_refused() -> None:
    """Nobody can look at its states in its own thread."""
    source = Source()
    chart = ActiveObject("me")
    source.roster.add(chart, 9)
    source.watch(SPIED)
    source.reactor.advance(1.0)

    assert ["spy_unavailable: a chart of plain miros; only its program can turn its spy on"] == [
        line.text for line in source.lines(SPY)
    ]
