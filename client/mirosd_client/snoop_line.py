"""One line of instrumentation: how it travels, and how it looks.

Lines travel as data (JSON) and become text at the viewer, so that colours, clocks and
languages are the viewer's, and no pattern has to find a chart's name in a text again.
The looks are the ancestor's, to the byte:

     [+t] [2018-05-04 09:23:34.178157] [04ccc_ao] e->to_inner() outer->inner
     [+s] 04ccc_ao ENTRY_SIGNAL:outer

with the chart's name blue where the line is the viewer's own and purple where it is
another's (the blank behind a spy line's name then is inside the colour), and what was
scribbled in grey.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from mirosd_client.errors import RemoteProtocolError
from mirosd_client.printable import printable
from mirosd_client.wire import Network

if TYPE_CHECKING:  # tools read lines without miros
    from mirosd_client.shell.step import TraceRecord

MAX_TEXT_CHARS = 4096
"""Of each text in a line: many screens wide, and small beside what a window or a queue holds."""
YEAR_3000_S = 32_503_680_000
"""Times from elsewhere end here: far before what Python can write as a date in every time zone."""

BLUE, PURPLE, GREY, _RESET = "\x1b[34m", "\x1b[35m", "\x1b[30;1m", "\x1b[0m"
MARKS = {Network.SNOOP_TRACE: "[+t]", Network.SNOOP_SPY: "[+s]"}

_TRACE = re.compile(r"\s*\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\] \[(.*)\] e->(\S+)\(\) (\S+)->(\S+)\s*")


Kind = Literal["trace", "spy", "scribble", "event", "send", "notice"]


class SentLine(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_state": "from", "to_state": "to"}):
    """What one chart did, as data, as its program sends it: whoever reads it makes its texts fit to print.

    `kind`: a move (`trace`), a line of miros' spy, a remark (`scribble`), an event from the network that was handled
    without a move (`event`), one that was transmitted (`send`), or why the sender could not do what a viewer asked
    (`notice`). `signal` is None where a chart starts; a trace, event or send alone has one, a trace alone has states,
    the others have `text`. `grey` asks for the colour of a scribble.

    `time` is in seconds since the epoch, of the sender's wall clock, for people; `hlc` (hlc.py) orders: of a move it
    is the beginning of the step, so that what the step transmitted comes behind it. `client` (32 hex digits), `number`
    and `hlc` together name the line. `event` (the text of an EventId) is what came from the network and was handled
    in this very step, or was sent; `cause` is what led to that: of an event and a send the event's own cause, of any
    other step the event from the network that it follows from. `line` counts what this client has put on this network
    live, from 1, so that a viewer knows what did not arrive; 0 where it is not live.
    """

    kind: Kind
    chart: str
    time: Annotated[float, msgspec.Meta(ge=0, lt=YEAR_3000_S)]
    signal: str | None = None
    from_state: str = ""
    to_state: str = ""
    text: str = ""
    grey: bool = True
    host: str = ""
    client: str = ""
    number: Annotated[int, msgspec.Meta(ge=0)] = 0
    hlc: Annotated[int, msgspec.Meta(ge=0)] = 0
    line: Annotated[int, msgspec.Meta(ge=0)] = 0
    event: str = ""
    cause: str = ""


class SnoopLine(SentLine, frozen=True):
    """The same, to be shown: all texts are fit to print, whoever made them."""

    def __post_init__(self) -> None:
        texts = (
            f"{self.chart}{self.signal}{self.from_state}{self.to_state}{self.text}"
            f"{self.host}{self.client}{self.event}{self.cause}"
        )
        if len(texts) <= MAX_TEXT_CHARS and texts.isprintable():
            return  # nearly every line; one look at all of them takes a fifth of the time
        for name in _TEXTS:
            value = getattr(self, name)
            if value is not None and not (value.isprintable() and len(value) <= MAX_TEXT_CHARS):
                fit = printable(value.replace("\n", "")[:MAX_TEXT_CHARS])
                msgspec.structs.force_setattr(self, name, fit)

    @property
    def source(self) -> tuple[str, int]:
        """The chart, apart from all others: client id and number."""
        return self.client, self.number

    @property
    def subject(self) -> str:
        """The signal's name that a filter looks at: of a spy line the word before the first colon."""
        if self.kind == "spy":
            return self.text.partition(":")[0]
        return self.signal or ""


def belongs(kind: Kind, network: Network, *, is_traced: bool) -> bool:
    """Tell whether lines of a kind stand on a snoop network; remarks stand on the spy if the chart is not traced."""
    if network is Network.SNOOP_TRACE:
        return kind != "spy"
    return kind in {"spy", "notice"} or (kind == "scribble" and not is_traced)


_TEXTS = ("chart", "signal", "from_state", "to_state", "text", "host", "client", "event", "cause")
LINES_SIGNAL, CHARTS_SIGNAL, END_SIGNAL = "lines", "charts", "end"
"""Signal names of the records on a snoop network: a run of lines, a run of chart_row.ChartRow, and the end of an answer
to a recall. They are words of this protocol and never become signals of miros."""


class End(msgspec.Struct, frozen=True):
    """A source has sent all that it had for a recall: `count` lines or rows; `older` is True when it had let go of
    lines within the time that was asked for."""

    client: str
    host: str = ""
    count: int = 0
    older: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[SnoopLine])
_end_decoder = msgspec.json.Decoder(End)


def encode_lines(lines: Sequence[SentLine]) -> bytes:
    """Give the payload of a record of lines."""
    return _encoder.encode(lines)


def decode_lines(payload: bytes) -> list[SnoopLine]:
    """Read the payload of a record of lines; RemoteProtocolError for anything else."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not lines of instrumentation: {exc}") from exc


def encode_end(end: End) -> bytes:
    """Give the payload of the record that ends an answer."""
    return _encoder.encode(end)


def decode_end(payload: bytes) -> End:
    """Read the payload of the record that ends an answer; RemoteProtocolError for anything else."""
    try:
        return _end_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not the end of an answer: {exc}") from exc


def move_line(move: "TraceRecord") -> SnoopLine:
    """Give the line of a chart's move."""
    return SnoopLine("trace", move.chart, move.wall_time_s, move.signal, move.start_state, move.end_state)


def read_trace(text: str, chart: str, now_s: float) -> SnoopLine:
    """Give the line that a text of miros' live trace stands for; any other text is a remark of that chart."""
    match = _TRACE.fullmatch(text)
    if match is None or match[2] != chart:
        return SnoopLine("scribble", chart, now_s, text=text, grey=False)
    signal = None if match[3] == "start_at" else match[3]
    return SnoopLine("trace", chart, datetime.fromisoformat(match[1]).timestamp(), signal, match[4], match[5])


def line_text(line: SnoopLine, network: Network, hue: str = "") -> str:
    """Give a line as text, in one line, without a mark.

    Args:
        hue: of the name: BLUE, PURPLE, or "" for a text without any colour.
    """
    when = f"[{datetime.fromtimestamp(line.time):%Y-%m-%d %H:%M:%S.%f}]"
    said = _said(line, is_coloured=bool(hue))
    if network is Network.SNOOP_TRACE:
        return f"{when} [{hue}{line.chart}{_RESET}] {said}" if hue else f"{when} [{line.chart}] {said}"
    rest = said if line.kind == "spy" else f"{when} [{line.chart}] {said}"
    if hue == BLUE:
        return f"{BLUE}{line.chart}{_RESET} {rest}"
    return f"{hue}{line.chart} {_RESET}{rest}" if hue else f"{line.chart} {rest}"


def terminal_text(line: SnoopLine, network: Network, hue: str = "") -> str:
    """Give a line as it stands on a terminal."""
    return f" {MARKS[network]} {line_text(line, network, hue)}"


def _said(line: SnoopLine, *, is_coloured: bool) -> str:
    if line.kind == "trace":
        return f"e->{line.signal or 'start_at'}() {line.from_state}->{line.to_state}"
    if line.kind == "spy":
        return line.text
    return f"{GREY}# {line.text}{_RESET}" if is_coloured and line.grey else f"# {line.text}"
