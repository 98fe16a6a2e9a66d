"""What of a chart's steps is kept and told, so that people can see it.

The vital signs are on every chart. The witness is told of each step that people may want to
see; a networked program has one (recorder.py).
"""

from typing import Protocol

import msgspec

from mirosd_client.event_id import EventId


class Vitals:
    """The vital signs of a chart. Written by the thread that steps it; any may read.

    Attributes:
        handled: events that it has handled, or begun to.
        last_signal: the name of the latest of them; "" before the first.
        state_since_s: when it came into its state, on its reactor's clock; None before the start.
    """

    __slots__ = ("handled", "last_signal", "state_since_s")

    def __init__(self) -> None:
        self.handled = 0
        self.last_signal = ""
        self.state_since_s: float | None = None


class Step(msgspec.Struct, frozen=True, gc=False):
    """One step of a chart or region, as its witness is told of it.

    `number` is the witness's. `signal` is None for the start, whose `start_state` is "top"; states by name. `moved` is
    False for a step that handled an event of the mesh and stayed where it was, or whose handler raised. `wall_time_s`
    is the end of the step, `hlc` its beginning. `event` is the event of the mesh that was handled in this very step,
    `cause` what led to it; of a step that handled something else `event` is None, and `cause` the event of the mesh
    that it follows from.
    """

    number: int
    chart: str
    signal: str | None
    start_state: str
    end_state: str
    moved: bool
    wall_time_s: float
    hlc: int
    event: EventId | None
    cause: EventId | None


class Witness(Protocol):
    """Called in the chart's thread, at each step: it must be brief, and must not raise.

    Attributes:
        number: of the chart, in its program.
    """

    number: int

    def now(self) -> int:
        """Give a reading of the program's hybrid logical clock; called as the step begins.

        What the step transmits, and what others do about that, has larger ones.
        """

    def stepped(self, step: Step) -> None:
        """The chart or one of its regions has started or moved, or has handled an event of the mesh."""
