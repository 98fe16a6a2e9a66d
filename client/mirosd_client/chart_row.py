"""What people may see of one statechart: its state, for how long, and what it has to do."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from mirosd_client.errors import RemoteProtocolError
from mirosd_client.printable import printable
from mirosd_client.snoop_line import MAX_TEXT_CHARS

Count = Annotated[int, msgspec.Meta(ge=0)]


class ChartRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One chart of one program. Its texts are fit to print, whoever made them.

    `client` (32 hex digits) and `number` name the chart; `program` and `pid` are its program's ("mirosd" for the
    daemon's own charts). `state` is "" before the start; `since_s` is how long it has been in it, `queue` how many
    events wait for it, `signal` the last one handled, `handled` how many were, `faults` those whose handler raised,
    `dropped` those that found its queue full. `receives` and `transmits` are its routing keys, "" for a chart that is
    not on the mesh. `trace` and `spy` say whether its program has enabled them; `spy_unavailable` names a state that
    keeps the spy from being turned on.
    """

    host: str = ""
    client: str
    number: Count
    chart: str
    program: str = ""
    pid: Count = 0
    state: str = ""
    since_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    queue: Count = 0
    signal: str = ""
    handled: Count = 0
    faults: Count = 0
    dropped: Count = 0
    receives: str = ""
    transmits: str = ""
    trace: bool = False
    spy: bool = False
    spy_unavailable: str = ""
    is_running: bool = True

    def __post_init__(self) -> None:
        for name in (
            "host",
            "client",
            "chart",
            "program",
            "state",
            "signal",
            "receives",
            "transmits",
            "spy_unavailable",
        ):
            value = getattr(self, name)
            if not (value.isprintable() and len(value) <= MAX_TEXT_CHARS):
                msgspec.structs.force_setattr(self, name, printable(value.replace("\n", "")[:MAX_TEXT_CHARS]))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[ChartRow])


def encode_charts(rows: Sequence[ChartRow]) -> bytes:
    """Give the payload of a record of rows."""
    return _encoder.encode(rows)


def decode_charts(payload: bytes) -> list[ChartRow]:
    """Read the payload of a record of rows; RemoteProtocolError for anything else."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"not rows of charts: {exc}") from exc
