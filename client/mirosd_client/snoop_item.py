"""What a tool that looks at charts is given, one at a time, by SnoopView (snoop_view.py).

All texts are fit to print, but those of a Heard record, which are as they were sent.
"""

from typing import NamedTuple

from mirosd_client.chart_row import ChartRow
from mirosd_client.record import Record
from mirosd_client.snoop_line import End, SnoopLine
from mirosd_client.wire import Network


class Lines(NamedTuple):
    """Lines of one program. `recall`: the id of what they answer; "" when they came live."""

    lines: list[SnoopLine]
    network: Network
    recall: str = ""


class Charts(NamedTuple):
    """Rows of charts that answer a recall."""

    rows: list[ChartRow]
    recall: str


class Ended(NamedTuple):
    """One program has sent all that it had for a recall."""

    end: End
    recall: str


class Heard(NamedTuple):
    """An event of the mesh, for a subscription to that. Its texts are not made fit to print."""

    record: Record


class HostWatched(NamedTuple):
    """What one host makes of a watch, said again when it changes.

    `remote`: what it lets others turn on, "trace", "spy" (both) or "off"; `accepts` whether this dial is turned on.
    """

    host: str
    node: str
    remote: str
    accepts: bool
    network: Network


class WatchOver(NamedTuple):
    """A watch's time is up."""

    network: Network


class HostRecalled(NamedTuple):
    """How many programs of one host will answer a recall, or why none: `refused` is "policy" or "unanswered"."""

    host: str
    node: str
    sources: int
    refused: str
    recall: str


class RecallAsked(NamedTuple):
    """Every host has said how many of its programs will answer."""

    sources: int
    recall: str


Item = Lines | Charts | Ended | Heard | HostWatched | WatchOver | HostRecalled | RecallAsked
