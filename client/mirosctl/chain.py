"""Why an event was sent, and what followed from it: the chain that charts' lines tell, over all hosts.

Each line that an event led to names it as its cause, and the step that handled it as its event. So an
event has one cause at most, and its chain is a path from its first cause down to it, and a tree from
there on.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from mirosctl.causal_order import in_order
from mirosd_client.event_id import is_named_by
from mirosd_client.snoop_line import SnoopLine

MAX_DEPTH = 64
"""Of causes above an event, and of events below it: chains that people make have ten, and two charts that answer each
other for ever have no end."""

Source = tuple[str, int]
"""A chart: client id (32 hex digits) and number."""
Gap = Literal["", "missing", "cycle", "deeper"]
"""Why a chain does not go on: nothing is on record; it comes back to an event that it went through; MAX_DEPTH."""

_ID = re.compile(r"([0-9a-f]{32})-(\d{1,5})-\d{1,20}")


@dataclass
class Happening:
    """One event: the line of its transmission (None from a program that keeps no record), those of the steps that
    handled it, those of what the charts did later because of it, and the events that it led to."""

    id: str
    sent: SnoopLine | None = None
    handled: list[SnoopLine] = field(default_factory=list)
    followed: list[SnoopLine] = field(default_factory=list)
    led_to: list["Happening"] = field(default_factory=list)

    @property
    def cause(self) -> str:
        """The event that led to this one; "" for none."""
        return next((line.cause for line in self.told if _ID.fullmatch(line.cause)), "")

    @property
    def signal(self) -> str:
        """Its signal's name; "" where no line tells it."""
        return next((line.signal for line in self.told if line.signal), "")

    @property
    def hlc(self) -> int:
        """The earliest hybrid time that is known of it; 0 for none."""
        return min((line.hlc for line in self.told), default=0)

    @property
    def told(self) -> list[SnoopLine]:
        """The lines that are about itself, and not about what followed."""
        return [*([self.sent] if self.sent is not None else []), *self.handled]


@dataclass
class Deed:
    """What one chart did about an event: its steps and the events that it sent, in their order.

    `host` and `chart` are "" where no line tells them.
    """

    host: str
    chart: str
    source: Source
    acts: list["SnoopLine | Link"] = field(default_factory=list)


@dataclass
class Link:
    """One event of a chain, who sent it (a line of that chart, None when it has none), and what was done about it."""

    event: Happening
    sender: SnoopLine | None
    is_asked: bool = False
    gap: Gap = ""
    deeds: list[Deed] = field(default_factory=list)


class Chains:
    """All the events that lines tell of.

    Args:
        lines: in any order; some may be there twice.
    """

    def __init__(self, lines: Iterable[SnoopLine]) -> None:
        self._events: dict[str, Happening] = {}
        self._charts: dict[Source, SnoopLine] = {}  # a line of each
        for line in in_order(lines):
            self._charts.setdefault(line.source, line)
            self._note(line)
        for event in list(self._events.values()):
            if event.cause:
                self._event(event.cause).led_to.append(event)

    def find(self, wanted: tuple[str, int, int]) -> list[str]:
        """Give the events that people may mean (parse_event_id), sorted; those too that are only known as causes."""
        return sorted(event for event in self._events if is_named_by(event, wanted))

    def why(self, asked: str) -> Link:
        """Give the first cause of an event that `find` gave, and with it the whole chain.

        Between the first cause and the event that is asked for, only what leads to it is in the chain. A `gap` of the
        first tells why there is nothing above it.
        """
        path, way = [self._events[asked]], {asked}
        gap: Gap = ""
        while cause := path[-1].cause:
            event = self._events[cause]
            if event.id in way or len(path) > MAX_DEPTH:
                gap = "cycle" if event.id in way else "deeper"
                break
            way.add(event.id)
            path.append(event)
        link = self._tree(path[0], MAX_DEPTH, way)
        link.is_asked = True
        for event in path[1:]:
            link = self._way(event, link)
        link.gap = gap or link.gap
        return link

    def _note(self, line: SnoopLine) -> None:
        is_of_event = _ID.fullmatch(line.event) is not None
        if is_of_event and line.kind == "send":
            self._event(line.event).sent = line
        elif is_of_event and line.kind in ("trace", "event"):
            self._event(line.event).handled.append(line)
        elif line.kind == "trace" and _ID.fullmatch(line.cause):
            self._event(line.cause).followed.append(line)

    def _event(self, event_id: str) -> Happening:
        if event_id not in self._events:
            self._events[event_id] = Happening(event_id)
        return self._events[event_id]

    def _tree(self, event: Happening, depth: int, above: set[str]) -> Link:
        """Give an event with all that followed from it, `depth` events deep at most; `above` is the way here."""
        steps = [*event.handled, *event.followed]
        if event.led_to and not depth:
            return self._link(event, [], steps, gap="deeper")
        below = [
            self._link(follower, [], [], gap="cycle")
            if follower.id in above
            else self._tree(follower, depth - 1, above)
            for follower in event.led_to
        ]
        return self._link(event, below, steps)

    def _way(self, event: Happening, below: Link) -> Link:
        """Give an event with what of it led to the one below: what that one's sender did until then."""
        source, until = _source(below.event.id), below.event.hlc
        steps = [*event.handled, *event.followed]
        return self._link(event, [below], [line for line in steps if line.source == source and line.hlc <= until])

    def _link(self, event: Happening, below: list[Link], steps: Iterable[SnoopLine], gap: Gap = "") -> Link:
        deeds: dict[Source, Deed] = {}
        acts: list[SnoopLine | Link] = [*steps, *below]
        for act in sorted(acts, key=_act_order):
            if isinstance(act, Link):
                source, line = _source(act.event.id), act.sender
            else:
                source, line = act.source, act
            if source not in deeds:
                deeds[source] = Deed(line.host, line.chart, source) if line else Deed("", "", source)
            deeds[source].acts.append(act)
        sender = event.sent or self._charts.get(_source(event.id))
        return Link(event, sender, gap=gap or ("" if event.told else "missing"), deeds=list(deeds.values()))


def _source(event_id: str) -> Source:
    client, number, _ = event_id.split("-")
    return client, int(number)


def _act_order(act: SnoopLine | Link) -> tuple[int, int]:
    """Order by hybrid time; a step before what it sent, also where one says that it was at once."""
    return (act.event.hlc, 1) if isinstance(act, Link) else (act.hlc, 0)
