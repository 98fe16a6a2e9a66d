"""The flight recorder of a process: what its charts did last, whether anybody watches or not.

A chart's thread only adds a small object here. Lines are made of it (`line_of`) and sent in
another thread (snoop_feed.py), if anybody asks for them.

What is wanted live stands in a second queue until the feed takes it. Whether it is wanted,
the feed's sieve says, at once: so nobody is woken for what nobody asked for.

No step takes a lock: each queue is a deque, whose every operation is atomic in CPython.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from mirosd_client.cause import HANDLING
from mirosd_client.event_id import EventId, event_text
from mirosd_client.hlc import COUNTER_BITS
from mirosd_client.shell.witness import Step
from mirosd_client.snoop_line import MAX_TEXT_CHARS, Kind, SentLine
from mirosd_client.wire import Network

MAX_LINES = 7000
"""Twenty minutes of a chart that moves five times a second. So many steps take 1.1 MB, and 2.8 MB if each has an event
and a cause of its own (measured)."""
MAX_CHARS = 2 * 1024 * 1024
"""Of all texts together: long remarks must not take more room than steps do."""
MAX_LIVE_LINES = 8000
"""That wait to be sent: 0.4 s of 20,000 a second; a busy program leaves its client's thread no turn for a while."""


class Sent(msgspec.Struct, frozen=True, gc=False):
    """An event that was transmitted, with its sequence number. `hlc` is the event's own, or a little before."""

    number: int
    chart: str
    signal: str
    wall_time_s: float
    hlc: int
    sequence: int
    cause: EventId | None


class Said(msgspec.Struct, frozen=True, gc=False):
    """A text: a line of miros' spy, a remark, or what a viewer is to know."""

    number: int
    chart: str
    kind: Literal["spy", "scribble", "notice"]
    text: str
    is_grey: bool
    wall_time_s: float
    hlc: int
    cause: EventId | None


Deed: TypeAlias = Step | Sent | Said
"""What a chart did."""
LiveDeed: TypeAlias = tuple[Deed, tuple[Network, ...]]
"""The same, with the networks on which it is wanted."""
Sieve: TypeAlias = Callable[[Deed], tuple[Network, ...]]
"""Tells on which networks somebody wants it live. It is called in the chart's thread, and raises nothing."""


class Recorder:
    """What the charts of a process did. Any thread may call it.

    Args:
        clock_now: reads the process's hybrid logical clock.
        max_lines: how many deeds are kept; 0 keeps none, and lets live ones pass.
        wall_clock: seconds since the epoch, for people.

    Attributes:
        names: of the charts, by number, for what they send.
        now: `clock_now`.
        sieve: what is wanted live; None: nothing.
        overrun: how many that were wanted, by network, found too many waiting.
    """

    def __init__(
        self, clock_now: Callable[[], int], max_lines: int = MAX_LINES, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.now = clock_now
        self.names: dict[int, str] = {}
        self.sieve: Sieve | None = None
        self._wall_clock = wall_clock
        self._kept: deque[Deed] = deque(maxlen=max_lines)
        self.overrun: Counter[Network] = Counter()
        self._chars = 0  # of texts: of all when they were last counted, and of those that came since
        self._let_go_hlc = 0  # of the latest deed that made room for texts
        self._live: deque[LiveDeed] = deque()
        self._wake: Callable[[], object] | None = None
        self._is_woken = False
        self._lock = threading.Lock()  # for what happens seldom

    def witness(self, number: int) -> "ChartWitness":
        """Give what a chart of that number tells its steps to (`chart.witness`)."""
        return ChartWitness(self, number)

    def note(self, deed: Deed, network: Network | None = None) -> None:
        """Note what a chart or one of its regions did; with a network, for whoever watches that."""
        self._kept.append(deed)
        sieve = self.sieve
        if sieve is None and network is None:  # nearly always
            return
        networks = () if sieve is None else sieve(deed)
        if network is not None and network not in networks:
            networks = (*networks, network)
        if networks:
            self._put_live((deed, networks))

    def sent(self, number: int, signal: str, sequence: int, cause: EventId | None, hlc: int) -> None:
        """Note an event that was accepted; `hlc` is not larger than the event's own. `number` 0: no chart's."""
        self.note(Sent(number, self.names.get(number, ""), signal, self._wall_clock(), hlc, sequence, cause))

    def said(
        self,
        number: int,
        chart: str,
        kind: Literal["spy", "scribble"],
        text: str,
        *,
        is_grey: bool = True,
        network: Network | None = None,
    ) -> None:
        """Note a text, cut to what a line holds; with a network, for whoever watches that."""
        text = text[:MAX_TEXT_CHARS]
        self.note(Said(number, chart, kind, text, is_grey, self._wall_clock(), self.now(), HANDLING.event), network)
        self._chars += len(text)
        if self._chars > MAX_CHARS:
            self._shorten()

    def notice(self, number: int, chart: str, text: str, network: Network) -> None:
        """Tell who watches a network why something is not as they wish; it goes live, and is not kept."""
        said = Said(number, chart, "notice", text, False, self._wall_clock(), self.now(), None)
        self._put_live((said, (network,)))

    def since(self, since_s: float) -> tuple[list[Deed], bool]:
        """Give what was noted in the last seconds, in that order, and whether older ones of that time may be gone.

        Time is that of the hybrid logical clock, which never goes back.
        """
        earliest = max(0, self.now() - (int(since_s * 1000) << COUNTER_BITS))
        deeds = list(self._kept)
        let_go_hlc = self._let_go_hlc
        if len(deeds) == self._kept.maxlen:
            let_go_hlc = deeds[0].hlc if deeds else earliest
        return [deed for deed in deeds if deed.hlc >= earliest], let_go_hlc >= earliest

    # For the feed: what is wanted live.

    def follow(self, wake: Callable[[], object]) -> None:
        """Have `wake` called, in the thread of whoever does something, when something is wanted and nothing waited."""
        self._wake = wake

    def take_live(self, count: int) -> list[LiveDeed]:
        """Give the oldest that wait. For one thread."""
        return [self._live.popleft() for _ in range(min(count, len(self._live)))]

    def rest(self) -> bool:
        """Be woken again by the next one; False if something waits already, and nobody will be woken."""
        self._is_woken = False  # before it is looked at: whoever adds one from here on wakes
        if not self._live:
            return True
        self._is_woken = True
        return False

    @property
    def is_waiting(self) -> bool:
        """True while something waits to be taken."""
        return bool(self._live)

    def _put_live(self, live: LiveDeed) -> None:
        if len(self._live) >= MAX_LIVE_LINES:
            with self._lock:
                for network in live[1]:
                    self.overrun[network] += 1
            return
        self._live.append(live)
        if not self._is_woken:
            self._is_woken = True
            if self._wake is not None:
                self._wake()

    def _shorten(self) -> None:
        """Let go of the oldest deeds, as many as it takes until texts have three quarters of their room."""
        with self._lock:
            chars = sum(len(deed.text) for deed in list(self._kept) if isinstance(deed, Said))
            while chars > MAX_CHARS * 3 // 4 and self._kept:
                deed = self._kept.popleft()
                chars -= len(deed.text) if isinstance(deed, Said) else 0
                self._let_go_hlc = max(self._let_go_hlc, deed.hlc)
            self._chars = chars


class ChartWitness:
    """The witness of one chart (shell/witness.py), which knows its number.

    Attributes:
        number: of the chart.
        now: reads the program's clock.
        stepped: notes a step.
    """

    __slots__ = ("now", "number", "stepped")

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.number = number
        self.now = recorder.now
        self.stepped: Callable[[Step], None] = recorder.note


def kind_of(deed: Deed) -> Kind:
    """Give the kind of the line that it will be."""
    if isinstance(deed, Step):
        return "trace" if deed.moved else "event"
    return "send" if isinstance(deed, Sent) else deed.kind


def subject_of(deed: Deed) -> str:
    """Give what a filter by signals looks at, as SnoopLine.subject."""
    if isinstance(deed, Said):
        return deed.text.partition(":")[0] if deed.kind == "spy" else ""
    return deed.signal or ""


def line_of(deed: Deed, client: str, host: str, line: int = 0) -> SentLine:
    """Make the line.

    Args:
        client: the id of this process, 32 hex digits.
        line: its number on the network, if it goes out live.
    """
    number, hlc, wall_time_s = deed.number, deed.hlc, deed.wall_time_s
    cause = "" if deed.cause is None else str(deed.cause)
    if isinstance(deed, Said):
        said = deed.text, deed.is_grey
        return SentLine(
            deed.kind, deed.chart, wall_time_s, None, "", "", *said, host, client, number, hlc, line, "", cause
        )
    kind, chart, signal, start, end = kind_of(deed), deed.chart, deed.signal, "", ""
    if isinstance(deed, Sent):
        event = event_text(client, number, deed.sequence)
    else:
        event = "" if deed.event is None else str(deed.event)
        if deed.moved:
            start, end = deed.start_state, deed.end_state
    return SentLine(
        kind, chart, wall_time_s, signal, start, end, "", True, host, client, number, hlc, line, event, cause
    )
