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


class SnoopLine(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_state": "from", "to_state": "to"}):
    """A move (`trace`), a line of miros' spy, or a remark (`scribble`) of the chart named `chart`.

    `time` is in seconds since the epoch, of the sender's clock. `signal` is None where a
    chart starts, and of a trace alone, as the states are; `text` is of the others. `grey`
    asks for the colour of a scribble. Its texts are fit to print, whoever made them.
    """

    kind: Literal["trace", "spy", "scribble"]
    chart: str
    time: Annotated[float, msgspec.Meta(ge=0, lt=YEAR_3000_S)]
    signal: str | None = None
    from_state: str = ""
    to_state: str = ""
    text: str = ""
    grey: bool = True

    def __post_init__(self) -> None:
        for name in ("chart", "signal", "from_state", "to_state", "text"):
            value = getattr(self, name)
            if value is not None and not (value.isprintable() and len(value) <= MAX_TEXT_CHARS):
                fit = printable(value.replace("\n", "")[:MAX_TEXT_CHARS])
                msgspec.structs.force_setattr(self, name, fit)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SnoopLine)


def encode_line(line: SnoopLine) -> bytes:
    """Give the payload of the line's record."""
    return _encoder.encode(line)


def decode_line(payload: bytes) -> SnoopLine:
    """Read a record's payload; RemoteProtocolError for anything else."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not a line of instrumentation: {exc}") from exc


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
