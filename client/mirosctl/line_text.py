"""One line of instrumentation for people and for programs: the ancestor's look behind the host, or JSON."""

from typing import Any
from zlib import crc32

from mirosd_client.event_id import SHOWN_CLIENT_DIGITS
from mirosd_client.snoop_line import SnoopLine, line_text
from mirosd_client.wire import Network

RESET = "\x1b[0m"
HUES = tuple(f"\x1b[{code}m" for code in (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91))
"""Of hosts: all that are read on a black and on a white terminal, normal ones first."""


class HostHues:
    """A colour for each host: by its name, so that it is the same each day; the next free one where two meet."""

    def __init__(self) -> None:
        self._hues: dict[str, str] = {}

    def hue(self, host: str) -> str:
        """Give the escape sequence of a host's colour."""
        if host not in self._hues:
            first = crc32(host.encode()) % len(HUES)
            by_taste = [*HUES[first:], *HUES[:first]]
            taken = set(self._hues.values())
            self._hues[host] = next((hue for hue in by_taste if hue not in taken), HUES[first])
        return self._hues[host]


def viewer_text(line: SnoopLine, network: Network, hue: str = "", *, has_events: bool = False) -> str:
    """Give a line as it stands at the viewer.

    Args:
        hue: of host and chart; "" for a text without any colour.
        has_events: names the event that was handled or sent, and what led to it, as `mirosctl why` takes them.
    """
    text = _event_text(line, hue) if line.kind in {"event", "send"} else line_text(line, network, hue)
    names = _events(line) if has_events else ""
    host = f"{hue}{line.host}{RESET} " if hue and line.host else f"{line.host} " if line.host else ""
    return f"{host}{text}{names}"


def line_fields(line: SnoopLine) -> dict[str, Any]:
    """Give a line's fields for JSON; hybrid times are texts of digits, as other languages' numbers end at 2^53."""
    fields: dict[str, Any] = {
        "kind": line.kind,
        "host": line.host,
        "chart": line.chart,
        "client": line.client,
        "number": line.number,
        "time": line.time,
        "hlc": str(line.hlc),
        "event": line.event,
        "cause": line.cause,
    }
    if line.kind in {"trace", "event", "send"}:
        fields["signal"] = line.signal
    if line.kind == "trace":
        fields |= {"from": line.from_state, "to": line.to_state}
    elif line.kind not in {"event", "send"}:
        fields["text"] = line.text
    return fields


def _event_text(line: SnoopLine, hue: str) -> str:
    """Give what a trace says of a move, for an event that moved nothing or was sent."""
    said = f"{'e->' if line.kind == 'event' else 'transmit->'}{line.signal}()"
    frame = line_text(SnoopLine("scribble", line.chart, line.time, text="", grey=False), Network.SNOOP_TRACE, hue)
    return frame.removesuffix("# ") + said


def _events(line: SnoopLine) -> str:
    said = f" {_short(line.event)}" if line.event else ""
    return f"{said} because of {_short(line.cause)}" if line.cause else said


def _short(event: str) -> str:
    client, dash, numbers = event.partition("-")
    return f"{client[:SHOWN_CLIENT_DIGITS]}{dash}{numbers}"
